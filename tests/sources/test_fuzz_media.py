"""Mutated files and JPEG headers give frames or our errors, in bounded time (MEDIA_FUZZ_S: a minute in CI)."""

import io
import os
import time
from contextlib import closing
from fractions import Fraction
from itertools import count, islice

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from stream_detect.errors import MediaError
from stream_detect.sources.file_frame import Decoding
from stream_detect.sources.media import open_media
from stream_detect.sources.opening import jpeg_wh
from tests.patience import in_time
from tests.sources.heic_files import tiled
from tests.sources.media_files import animation_bytes, film, picture, sound, still_bytes, turned

FUZZ_S = float(os.environ.get("MEDIA_FUZZ_S", "60" if os.environ.get("CI") else "6"))
KINDS = (
    "jpeg",
    "png",
    "webp",
    "bmp",
    "tiff",
    "avif",
    "gif",
    "apng",
    "animated webp",
    "mp4",
    "mkv",
    "avi",
    "mpg",
    "aac",
    "heic",
    "mjpeg avi",
    "turned mp4",
)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    few = [picture(seed) for seed in range(4)]
    made = {kind: still_bytes(kind, few[0]) for kind in KINDS[:6]}
    made |= {"gif": animation_bytes("GIF", few), "apng": animation_bytes("PNG", few)}
    made |= {"animated webp": animation_bytes("WEBP", few), "aac": sound(folder / "a.m4a").read_bytes()}
    codecs = {"mp4": "libx264", "mkv": "libvpx", "avi": "mpeg4", "mpg": "mpeg2video"}
    for kind, codec in codecs.items():
        tick = {"tick": Fraction(1, 25)} if kind == "mpg" else {}
        made[kind] = film(folder / f"a.{kind}", few, codec=codec, **tick).read_bytes()
    avi = film(folder / "b.avi", few, codec="mjpeg", pixels="yuvj420p", options={"strict": "-1"})
    made |= {"heic": tiled(few[0], 32, preview=few[1]), "mjpeg avi": avi.read_bytes()}
    made["turned mp4"] = turned(film(folder / "b.mp4", few), (96, 64)).read_bytes()
    return made


@st.composite
def wounds(draw):
    """Mutations of a file: set bytes, cut out or duplicate a part, or lose the end."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(("set", "flip", "cut", "double", "end")),
                st.floats(0, 1, exclude_max=True),
                st.binary(min_size=1, max_size=8),
            ),
            min_size=1,
            max_size=12,
        )
    )


def wounded(content, done):
    content = bytearray(content)
    for how, where, value in done:
        if not content:
            break
        at = int(where * len(content))
        match how:
            case "set":
                content[at : at + len(value)] = value
            case "flip":
                content[at] ^= value[0] or 1
            case "cut":
                del content[at : at + 4 * len(value)]
            case "double":
                content[at:at] = content[at : at + 16 * len(value)]
            case "end":
                del content[max(at, 8) :]
    return bytes(content)


def test_only_our_errors(seeds, tmp_path_factory):
    file = tmp_path_factory.mktemp("fuzz") / "file"
    end_s = time.monotonic() + FUZZ_S
    looked_at = {"pictures": 0, "errors": 0}

    @settings(
        max_examples=200, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(KINDS), wounds(), st.booleans())
    def look(kind, done, on_disk):
        content = wounded(seeds[kind], done)
        file.write_bytes(content)
        opened = file if on_disk else io.BytesIO(content)
        try:
            with in_time(), closing(open_media(opened, Decoding(max_pixels=4_000_000))) as media:
                for shot in islice(media.shots(), 200):
                    assert shot.rgb().shape[2] == 3
                    assert shot.time_s >= 0
            looked_at["pictures"] += 1
        except MediaError:
            looked_at["errors"] += 1

    for number in count():  # different files in each round, the same in every run
        seed(number)(look)()
        if time.monotonic() > end_s:
            break
    assert min(looked_at.values()) > 20


@given(wounds(), st.booleans())
def test_a_jpeg_of_any_form_has_a_size_or_none(done, progressive):
    wh = jpeg_wh(wounded(still_bytes("JPEG", picture(), progressive=progressive), done))
    assert wh is None or all(0 <= side < 65_536 for side in wh)
