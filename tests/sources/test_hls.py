"""HLS: one variant, each segment once, whatever its name; a stream whose encoder has died is not live."""

import contextlib
import io
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import av
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.errors import SourceEndedError, SourceRefusedError, SourceStalledError, SourceUnreachableError
from stream_detect.sources import hls, hls_playlist
from stream_detect.sources.address import parse_address
from stream_detect.sources.hls import HlsStream, Position
from stream_detect.sources.hls_playlist import (
    MAX_ADDRESS_CHARS,
    MAX_SEGMENTS,
    Variant,
    choose,
    is_playlist,
    parse_playlist,
)
from stream_detect.sources.http import HttpAnswer
from stream_detect.sources.reader import Reader, ReaderSettings
from tests.patience import PATIENCE_S, in_time
from tests.sources.conftest import clip_images, served

SETTINGS = ReaderSettings(open_timeout_s=20.0, read_timeout_s=20.0)
IMPATIENT = ReaderSettings(open_timeout_s=1.0, read_timeout_s=20.0)
"""For streams that have nothing new; an answer of a busy machine's server may take longer."""

KEY = bytes(range(16))


def segment(number: int = 0, wh: tuple[int, int] = (160, 120), *, begin_s: float | None = None) -> bytes:
    """A second of MPEG-TS at 25 fps."""
    target = io.BytesIO()
    with av.open(target, "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = *wh, "yuv420p"
        for index, image in enumerate(clip_images(25, wh)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = round(25 * (number if begin_s is None else begin_s)) + index
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def fragmented(count: int) -> tuple[bytes, list[bytes]]:
    """The initial part and the fragments of an MP4, one second each."""
    target = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(target, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "25", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for image in clip_images(25 * count, (160, 120)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    content = target.getvalue()
    begins = [at - 4 for at in range(len(content)) if content.startswith(b"moof", at)]
    return content[: begins[0]], [content[a:b] for a, b in itertools.pairwise([*begins, len(content)])]


class Site(BaseHTTPRequestHandler):
    """Serves what the test puts at each path, and records the requests."""

    protocol_version = "HTTP/1.1"

    def __init__(self, pages: dict, asked: list, *args: object) -> None:
        self.pages, self.asked = pages, asked
        super().__init__(*args)

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization"), self.headers.get("Range")))
        page = self.pages.get(self.path.partition("?")[0])
        page = page(self) if callable(page) else page
        if isinstance(page, int) or page is None:
            self.send_response(page or 404)
            body = b""
        elif isinstance(page, str) and page.startswith("http"):
            self.send_response(302)
            self.send_header("Location", page)
            body = b""
        else:
            body = page.encode() if isinstance(page, str) else page
            asked = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            self.send_response(206 if asked[0] else 200)
            body = body[int(asked[0]) : int(asked[2]) + 1] if asked[0] else body
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[tuple[str, dict, list]]:
    pages: dict = {}
    asked: list = []
    for url in served(partial(Site, pages, asked)):
        yield url, pages, asked


def playlist(names: list[str], *, first: int = 0, before: str = "", end: bool = False) -> str:
    rows = "".join(f"#EXTINF:1.0,\n{name}\n" for name in names)
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{before}{rows}" + "#EXT-X-ENDLIST\n" * end


def frames(url: str, count: int, position: Position | None = None, settings: ReaderSettings = SETTINGS) -> list:
    with Reader(parse_address(url, from_settings_file=False), settings, threading.Event(), (), position) as reader:
        return list(itertools.islice(reader.pictures(), count))


@pytest.mark.parametrize("name", ["/s0.ts", "/s/0?session=abc", "/segment.php?n=0", "/s0.jpg", "/0"])
def test_segments_may_be_called_anything(site, name):
    url, pages, _ = site
    pages["/cam.m3u8"] = playlist([name])
    pages[name.partition("?")[0]] = segment()
    assert len(frames(f"{url}/cam.m3u8", 10)) == 10


def test_an_address_without_the_ending_of_a_playlist_is_one_by_its_content(site):
    url, pages, _ = site
    pages["/live"] = playlist(["0.ts"])
    pages["/0.ts"] = segment()
    assert len(frames(f"{url}/live", 10)) == 10


def test_only_the_chosen_variant_is_fetched(site):
    url, pages, asked = site
    pages["/master.m3u8"] = (
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=64x48\nlow.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=320x240,CODECS="avc1.42c01e,mp4a.40.2"\nhigh.m3u8\n'
    )
    pages["/high.m3u8"] = playlist(["0.ts", "1.ts"])
    pages |= {f"/{n}.ts": segment(n, (320, 240)) for n in range(2)}
    found = frames(f"{url}/master.m3u8", 40)
    assert {(shown.frame.width, shown.frame.height) for shown in found} == {(320, 240)}
    assert [path for path, *_ in asked if path.endswith(".ts")] == ["/0.ts", "/1.ts"]
    assert not any("low" in path for path, *_ in asked)


def variant(name, w, h, bandwidth=0, codecs=""):
    return Variant(name, (w, h), bandwidth, codecs)


@pytest.mark.parametrize(
    ("variants", "chosen"),
    [
        ([variant("a", 160, 120), variant("b", 1280, 720), variant("c", 3840, 2160)], "b"),
        ([variant("a", 3840, 2160), variant("b", 2560, 1440)], "b"),
        ([variant("a", 0, 0, 100), variant("b", 0, 0, 900)], "b"),
        ([variant("a", 640, 360, 9, "hvc1.1"), variant("b", 640, 360, 9, "avc1.42")], "b"),
        ([variant("a", 0, 0, 900, "mp4a.40.2"), variant("b", 320, 240, 100, "avc1.42,mp4a.40.2")], "b"),
        ([variant("a", 0, 0, 900, "mp4a.40.2")], "a"),
    ],
)
def test_the_largest_up_to_1080p_is_chosen(variants, chosen):
    assert choose(tuple(variants), 12_000_000).url == chosen


def test_a_live_playlist_is_followed_and_each_segment_given_once(site):
    url, pages, asked = site
    newest = [4]

    def rows(_handler: object) -> str:
        newest[0] += 1  # one more segment at each request
        return playlist([f"{n}.ts" for n in range(newest[0] - 4, newest[0] + 1)], first=newest[0] - 4)

    pages["/cam.m3u8"] = rows
    pages |= {f"/{n}.ts": segment(n) for n in range(30)}
    found = frames(f"{url}/cam.m3u8", 120)
    given = [int(path[1:-3]) for path, *_ in asked if path.endswith(".ts")]
    assert given[0] == 3, "three from the end of 1 to 5"
    assert given == list(range(given[0], given[0] + len(given)))
    assert np.all(np.diff([shown.time_s for shown in found]) > 0)


def test_what_was_played_is_not_live_a_second_time(site):
    url, pages, asked = site
    pages["/cam.m3u8"] = playlist(["5.ts", "6.ts"], first=5)
    pages |= {f"/{n}.ts": segment(n) for n in range(5, 8)}
    position = Position()
    with pytest.raises(SourceStalledError, match=r"no new segment for ([3-9]|\d\d) s: its encoder has stopped"):
        frames(f"{url}/cam.m3u8", 1000, position)
    assert position.number == 6
    asked.clear()
    for _ in range(2):
        with pytest.raises(SourceStalledError, match=r"no new segment for \d+ s: its encoder has stopped"):
            frames(f"{url}/cam.m3u8", 1, position, IMPATIENT)
    assert not any(path.endswith(".ts") for path, *_ in asked)
    pages["/cam.m3u8"] = playlist(["6.ts", "7.ts"], first=6)
    assert len(frames(f"{url}/cam.m3u8", 20, position)) == 20
    assert [path for path, *_ in asked if path.endswith(".ts")] == ["/7.ts"]


def test_an_encoder_that_restarts_its_numbers_is_live_again(site):
    url, pages, _ = site
    pages["/cam.m3u8"] = playlist(["new0.ts"])
    pages["/new0.ts"] = segment()
    assert len(frames(f"{url}/cam.m3u8", 5, Position(900, deque([f"{url}/900.ts"])))) == 5
    with pytest.raises(SourceStalledError):
        frames(f"{url}/cam.m3u8", 5, Position(900, deque([f"{url}/new0.ts"])), IMPATIENT)


def test_servers_of_one_stream_that_take_turns_play_nothing_twice(site):
    url, pages, asked = site
    ends = [3, 5, 4, 3, 6, 5, 7]  # kinds of the newest segment, in turn

    def rows(_handler: object) -> str:
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        return playlist([f"{n}.ts" for n in range(end - 2, end + 1)], first=end - 2)

    pages["/cam.m3u8"] = rows
    pages |= {f"/{n}.ts": segment(n) for n in range(8)}
    with pytest.raises(SourceStalledError):
        frames(f"{url}/cam.m3u8", 1000)
    assert [path for path, *_ in asked if path.endswith(".ts")] == [f"/{n}.ts" for n in range(1, 8)]


def test_a_stream_that_has_ended_has_ended(site):
    url, pages, _ = site
    pages["/cam.m3u8"] = playlist(["0.ts"], end=True)
    pages["/0.ts"] = segment()
    position = Position()
    with pytest.raises(SourceEndedError):
        frames(f"{url}/cam.m3u8", 1000, position)
    with pytest.raises(SourceEndedError, match="EXT-X-ENDLIST"):
        frames(f"{url}/cam.m3u8", 1, position)


def test_timestamps_that_leap_do_not_stop_it(site):
    url, pages, _ = site
    pages["/cam.m3u8"] = playlist(["0.ts", "1.ts", "2.ts"])
    pages |= {"/0.ts": segment(0), "/1.ts": segment(begin_s=31), "/2.ts": segment(begin_s=31 + 5 * PATIENCE_S)}
    with in_time():
        found = frames(f"{url}/cam.m3u8", 60)
    assert np.diff([shown.time_s for shown in found]).max() < 2.5


def test_encrypted_segments_and_parts_of_files_are_played(site):
    url, pages, asked = site
    padder = PKCS7(128).padder()
    encryptor = Cipher(AES(KEY), CBC((7).to_bytes(16, "big"))).encryptor()
    coded = encryptor.update(padder.update(segment()) + padder.finalize()) + encryptor.finalize()
    pages |= {"/key": KEY, "/all.bin": bytes(100) + coded}
    pages["/cam.m3u8"] = playlist(["all.bin"], first=7, before=(
        f'#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXT-X-BYTERANGE:{len(coded)}@100\n'))  # fmt: skip
    assert len(frames(f"{url}/cam.m3u8", 20)) == 20
    assert ("/all.bin", None, f"bytes=100-{99 + len(coded)}") in asked


def test_fragmented_mp4_is_played(site):
    url, pages, _ = site
    initial, parts = fragmented(3)
    pages |= {"/init.mp4": initial} | {f"/{n}.m4s": part for n, part in enumerate(parts)}
    names = [f"{n}.m4s" for n in range(len(parts))]
    pages["/cam.m3u8"] = playlist(names, before='#EXT-X-MAP:URI="init.mp4"\n')
    assert len(frames(f"{url}/cam.m3u8", 60)) == 60


def test_the_password_is_sent_only_to_its_host(site):
    url, pages, asked = site
    other_pages: dict = {"/0.ts": segment()}
    other_asked: list = []
    for other in served(partial(Site, other_pages, other_asked)):
        pages["/cam.m3u8"] = playlist([f"{other}/0.ts"])
        secret = url.replace("://", "://viewer:s3cret@")
        assert len(frames(f"{secret}/cam.m3u8", 10)) == 10
    assert asked[0][1].startswith("Basic ")
    assert other_asked
    assert {secret for _, secret, _ in other_asked} == {None}


@pytest.mark.parametrize(
    ("page", "error", "reason"),
    [
        (401, SourceRefusedError, "401"),
        (403, SourceRefusedError, "403"),
        (404, SourceUnreachableError, "404"),
        (500, SourceUnreachableError, "status 500"),
        ("<html>", SourceUnreachableError, "begins with #EXTM3U"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:x\n", SourceUnreachableError, "damaged"),
        ('#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXTINF:1,\n0.ts\n', SourceUnreachableError, "SAMPLE-AES"),
        (b"#EXTM3U\n" + b"#EXTINF:1,\na.ts\n" * 200_000, SourceUnreachableError, "at most 2,000,000 bytes"),
        ("http://xn--/", SourceUnreachableError, ""),
        (playlist(["http://cam:port/0.ts"]), SourceUnreachableError, ""),
        (playlist(["http://xn--/0.ts"]), SourceUnreachableError, ""),
        (playlist([f"http://{'long' * 20}/0.ts"]), SourceUnreachableError, ""),
        (playlist(["file:///etc/passwd"]), SourceUnreachableError, ""),
        (playlist(["concat:/etc/passwd|/etc/hosts"]), SourceUnreachableError, ""),
    ],
)
def test_errors_are_reported(site, page, error, reason):
    url, pages, _ = site
    pages["/cam.m3u8"] = page
    with pytest.raises((error, SourceStalledError)) as caught:
        frames(f"{url}/cam.m3u8".replace("://", "://viewer:s3cret@"), 1, settings=IMPATIENT)
    assert isinstance(caught.value, error) or not reason
    assert reason in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("tag", ["STREAM-INF", "KEY", "MAP"])
def test_a_long_line_of_a_playlist_takes_little_time_and_is_not_repeated(tag):
    began_s = time.thread_time()
    with contextlib.suppress(SourceUnreachableError):
        parse_playlist(f"#EXTM3U\n#EXT-X-{tag}:{'A' * 50_000}\n", "http://cam/live.m3u8")
    assert time.thread_time() - began_s < 0.5
    with pytest.raises(SourceUnreachableError) as raised:
        parse_playlist(f"#EXTM3U\n#EXT-X-KEY:METHOD={'://' * 50_000}\n", "http://cam/live.m3u8")
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "line",
    ["a", "#EXTINF:1,\na", '#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXT-X-MAP:URI="{}"\na', "#EXT-X-STREAM-INF:\na"],
)
def test_of_a_long_playlist_no_more_is_understood_than_is_read(line, monkeypatch):
    joined = []
    monkeypatch.setattr(hls_playlist, "urljoin", lambda _url, address: joined.append(address) or address)
    lines = (line.format(number, number) for number in itertools.count())
    text = "#EXTM3U\n" + "\n".join(itertools.islice(lines, hls_playlist.MAX_LINES // (line.count("\n") + 1) - 1))
    with contextlib.suppress(SourceUnreachableError):
        assert len(parse_playlist(text, "http://cam/live.m3u8").segments) == MAX_SEGMENTS
    assert len(joined) <= 3 * MAX_SEGMENTS
    with pytest.raises(SourceUnreachableError, match=r"at most 150,000 lines, received 1,000,000"):
        parse_playlist("#EXTM3U\n" + "a\n" * 999_999, "http://cam/live.m3u8")


def test_a_playlist_that_takes_long_to_parse_is_read_less_often(monkeypatch):
    now_s, asked = 100.0, []

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal now_s
            now_s += timeout or 0.0
            return False

    def get(url, *_limits):
        asked.append(now_s)
        return HttpAnswer(url, "", playlist(["0.ts"]).encode())

    used_s = itertools.count(0.0, 0.05)  # read before and after each is parsed
    monkeypatch.setattr(hls, "time", SimpleNamespace(monotonic=lambda: now_s, thread_time=lambda: next(used_s)))
    stream = HlsStream(get, "http://cam/cam.m3u8", Position(), Stopping(), 1.0, 1_000_000)
    for _ in range(4):
        stream._playlist()
    assert [after - before for before, after in itertools.pairwise(asked)] == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("line", ["{}", '#EXT-X-KEY:METHOD=AES-128,URI="{}"', '#EXT-X-MAP:URI="{}"'])
def test_an_address_of_a_playlist_has_a_bound(line):
    parse_playlist(f"#EXTM3U\n{line.format('a' * MAX_ADDRESS_CHARS)}\n", "http://cam/live.m3u8")
    with pytest.raises(SourceUnreachableError, match="more than 8192 characters"):
        parse_playlist(f"#EXTM3U\n{line.format('a' * (MAX_ADDRESS_CHARS + 1))}\n", "http://cam/live.m3u8")


def test_an_address_that_only_http_finds_malformed_is_reported():
    with pytest.raises(SourceUnreachableError, match="malformed"):
        frames("http://xn--/cam.m3u8", 1)


def test_redirects_are_followed_up_to_a_limit(site):
    url, pages, _ = site
    pages |= {"/cam.m3u8": f"{url}/moved/cam.m3u8", "/moved/cam.m3u8": playlist(["0.ts"]), "/moved/0.ts": segment()}
    assert len(frames(f"{url}/cam.m3u8", 5)) == 5
    pages["/moved/cam.m3u8"] = f"{url}/cam.m3u8"
    with pytest.raises(SourceUnreachableError, match="redirects more than"):
        frames(f"{url}/cam.m3u8", 1)


def test_stopping_ends_the_wait_for_a_segment(site):
    url, pages, _ = site
    pages["/cam.m3u8"] = playlist(["0.ts"]).replace("DURATION:1", f"DURATION:{5 * PATIENCE_S:.0f}")
    pages["/0.ts"] = segment()
    stopping = threading.Event()
    with Reader(parse_address(f"{url}/cam.m3u8", from_settings_file=False), SETTINGS, stopping) as reader:
        found = reader.pictures()
        next(found)
        timer = threading.Timer(0.5, stopping.set)
        timer.start()
        with in_time():
            list(found)
        timer.join()


def test_a_reader_that_is_told_to_stop_leaves_the_position_to_its_successor():
    answers = {"/cam.m3u8": playlist(["0.ts", "1.ts"]).encode(), "/0.ts": b"zero", "/1.ts": b"one"}
    position, stopping = Position(), threading.Event()

    def get(url, *_limits):
        return HttpAnswer(url, "", answers[url.removeprefix("http://cam")])

    stream = HlsStream(get, "http://cam/cam.m3u8", position, stopping, 1.0, 1_000_000)
    stream.begin(1.0)
    assert (stream.read(100), position.number) == (b"zero", 0)
    stopping.set()
    assert (stream.read(100), position.number) == (b"", 0)


@given(
    st.lists(
        st.sampled_from(
            ["#EXTM3U", "#EXTINF:2.0,", "#EXTINF:nan,", "a.ts", "http://[/x", "#EXT-X-KEY:METHOD=AES-128,IV=0xZZ",
             "#EXT-X-MEDIA-SEQUENCE:-5", "#EXT-X-MEDIA-SEQUENCE:99999999999999999999999999999999999999999",
             "#EXT-X-BYTERANGE:5@x", "#EXT-X-BYTERANGE:5", "#EXT-X-MAP:BYTERANGE=3", "#EXT-X-TARGETDURATION:1e400",
             "#EXT-X-STREAM-INF:RESOLUTION=1x", "#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=9x9", "#EXT-X-ENDLIST"]
        )
        | st.text(max_size=30),
        max_size=30,
    )
)  # fmt: skip
def test_any_text_is_a_playlist_or_refused(lines: list[str]) -> None:
    text = "\n".join(["#EXTM3U", *lines])
    assert is_playlist(text.encode("utf-8", "replace"))
    try:
        found = parse_playlist(text, "http://cam/live.m3u8")
    except SourceUnreachableError:
        return
    assert 0.5 <= found.target_s <= 60
    position: Callable[..., list] = Position().following
    assert len(position(found)) <= len(found.segments)
