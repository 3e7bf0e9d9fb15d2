"""Results, videos and clocks for tests of events and evidence."""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from stream_detect.challenge_record import ChallengeRecord, ChallengeState, Movement, PromptOutcome
from stream_detect.events.rules import FakeEvents
from stream_detect.evidence.packet_ring import Ring
from stream_detect.media.clock import Moment
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.events import Events
from stream_detect.storage.records import Event, Evidence, Judge
from stream_detect.types import CameraState, Face, Result, StateChange, TrackResult, Verdict, VerdictState

JUDGE = Judge("meso4", "ab" * 32, 0.9, 0.7, 0.1, 0.3)
WALL_S = 1_800_000_000.0
FPS = 25
KEY_EVERY = 50
_FAILED = ChallengeRecord(
    challenge_id="ab" * 8,
    state=ChallengeState.FAILED,
    reason="not all prompts were followed",
    now=None,
    done=(
        PromptOutcome(Movement.LOOK_UP, Movement.LOOK_UP, 1.25, 0.125, 0.5),
        PromptOutcome(Movement.COVER_EYE, None, None, None, None),
    ),
    outside_mean=1.0,
    outside_max=1.0,
)
CHECK = CheckRecord(
    id="1" * 32,
    camera=None,
    who="anna",
    began_s=1795300000.0,
    ended_s=1795300060.25,
    source_label="OBS Virtual Camera",
    virtual_camera="OBS Studio",
    state=VerdictState.UNCERTAIN,
    reason="scores disagree",
    fake_probability=0.5,
    judge=JUDGE,
    challenges=(_FAILED, replace(_FAILED, state=ChallengeState.STOPPED)),
    challenges_ended=40,
)
"""A live check with forty challenges, of which two are kept."""


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now_s: float = 0.0

    def __call__(self) -> Moment:
        return at(self.now_s)

    def passes(self, seconds: float) -> None:
        self.now_s += seconds


def at(now_s: float) -> Moment:
    return Moment(WALL_S + now_s, now_s)


def track(
    number: int = 1,
    state: VerdictState = VerdictState.FAKE,
    probability: float | None = 0.95,
    trace: Sequence[float] = (0.95,),
    rejected: str | None = None,
) -> TrackResult:
    face = Face(
        (240.0, 120.0, 400.0, 320.0),
        np.array([[280, 190], [360, 190], [320, 240], [320, 280], [245, 200], [395, 200]], np.float32),
        0.9,
    )
    verdict = Verdict(state, "steady over 20 usable frames", probability, 20, 12)
    return TrackResult(number, face, verdict, None if rejected else probability, rejected, tuple(trace))


def result(
    state: str = "fake",
    probability: float | None = 0.95,
    *,
    arrived_s: float = 0.0,
    tracks: Iterable[TrackResult] | None = None,
) -> Result:
    verdict = Verdict(VerdictState(state), "steady over 20 usable frames", probability, 20, 12)
    faces = [track(state=verdict.state, probability=probability)] if tracks is None else tracks
    return Result(1, arrived_s, arrived_s, None, (640, 480), verdict, tuple(faces), 0.05, 0)


def change(state: str, at_s: float, reason: str = "the camera does not answer", camera: str = "door") -> StateChange:
    return StateChange(camera, CameraState(state), reason, at_s)


def event(at_s: float = 0.0, camera: str = "door") -> Event:
    (began,) = FakeEvents(camera, 5.0, lambda: JUDGE).result(result(arrived_s=at_s), at(at_s))
    return began.event


def kept(events: Events, folder: Path, began_s: float, size: int) -> Event:
    """An event with a picture of the given size in bytes."""
    one = replace(event(began_s - WALL_S), ended_s=began_s + 1)
    name = f"{one.id}-picture.jpg"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"\0" * size)
    one = replace(one, evidence=Evidence(picture=name, bytes=size))
    events.begin(one)
    return one


def picture(w: int = 640, h: int = 480, number: int = 0) -> av.VideoFrame:
    """A grey image whose brightness and bar encode its number."""
    image = np.full((h, w, 3), 60 + number % 120, np.uint8)
    image[:, (7 * number) % (w - 16) :][:, :16] = 230
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")


def film(codec: str = "libx264", seconds: float = 26.0, w: int = 320, h: int = 240, form: str = "mpegts") -> bytes:
    """A video with a key frame every two seconds (every frame, for MJPEG)."""
    target = io.BytesIO()
    keys = f"keyint={KEY_EVERY}:min-keyint={KEY_EVERY}"
    options = {
        "libx264": {
            "preset": "ultrafast",
            "bf": "2",
            "x264-params": f"{keys}:scenecut=0",
        },
        "libx265": {"preset": "ultrafast", "x265-params": f"{keys}:log-level=none"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    }.get(codec, {})
    with av.open(target, "w", format=form) as output:
        stream = output.add_stream(codec, rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = w, h
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = KEY_EVERY
        stream.codec_context.thread_count = 1
        for number in range(round(seconds * FPS)):
            frame = picture(w, h, number).reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


def play(source: bytes, ring: Ring, start_s: float = 0.0) -> Iterator[float]:
    """Adds a video's packets to a ring like a camera; yields the time of arrival of each."""
    with av.open(io.BytesIO(source), "r") as opened:
        stream = opened.streams.video[0]
        ring.opened(stream)
        first: float | None = None
        for packet in opened.demux(stream):
            if packet.dts is not None:
                time_s = float(packet.dts * packet.time_base)
                first = time_s if first is None else first
                yield start_s + time_s - first
                ring.packet(packet, start_s + time_s - first)
            else:
                ring.packet(packet, math.inf)  # the end of a file: empty
        ring.closed()
