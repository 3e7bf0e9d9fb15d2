"""Opens a source with FFmpeg: an address and settings enter, a container with its picture stream leaves.

Only whitelisted protocols are given to FFmpeg, for the address itself and for whatever a playlist leads to.
"""

import errno
import time
from dataclasses import dataclass
from typing import Literal, cast

import av
from av.container import InputContainer
from av.error import ConnectionRefusedError as NobodyListensError
from av.error import (
    ExitError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
    ProtocolNotFoundError,
)
from av.video.stream import VideoStream

from stream_detect.errors import (
    AddressError,
    SourceEndedError,
    SourceError,
    SourceRefusedError,
    SourceStalledError,
    SourceUnreachableError,
)
from stream_detect.errors import SourceUnreachableError as Unreachable
from stream_detect.sources.address import Address, redacted

FAILURES = av.FFmpegError, OSError, ValueError
"""What opening and reading raise. ValueError: a format that this build of FFmpeg does not have."""

REASONS: dict[type[BaseException], str] = {
    NobodyListensError: "connection refused: nothing listens there",
    FileNotFoundError: "there is no such file or device",
    HTTPNotFoundError: "the host answers, but has nothing of that name (404)",
    InvalidDataError: "no video that can be read comes from there",
    ProtocolNotFoundError: "it leads to a protocol that is not permitted",
}
"""Of being unreachable."""


def opening_failure(error: BaseException, *, timed_out: bool, timeout_s: float) -> SourceError:
    """Why a source could not be opened.

    Args:
        error: one of `FAILURES`.
        timed_out: the time for opening was over; FFmpeg tells of it in many ways.
        timeout_s: that time.
    """
    problem = _refusal(error)
    if problem is not None:
        return problem
    if timed_out or isinstance(error, TimeoutError | ExitError):
        return Unreachable(f"no answer within {timeout_s:g} s")
    for kind, reason in REASONS.items():
        if isinstance(error, kind):
            return Unreachable(reason)
    return Unreachable(f"cannot be opened: {_words(error)}")


def reading_failure(error: BaseException, *, timeout_s: float) -> SourceError:
    """Why a source that was open gives nothing more.

    Args:
        error: one of `FAILURES`.
        timeout_s: how long it was waited for.
    """
    problem = _refusal(error)
    if problem is not None:
        return problem
    if isinstance(error, TimeoutError | ExitError):
        return SourceStalledError(f"nothing came for {timeout_s:g} s")
    return SourceEndedError(f"the stream broke off: {_words(error)}")


def _refusal(error: BaseException) -> SourceRefusedError | None:
    match error:
        case HTTPUnauthorizedError():
            return SourceRefusedError("the user name or password was refused (401)")
        case HTTPForbiddenError():
            return SourceRefusedError("access was forbidden (403)")
        case PermissionError():
            return SourceRefusedError("no permission to read it")
    return None


def _words(error: BaseException) -> str:
    """FFmpeg's reason. Not `str(error)`: PyAV puts the whole address into it."""
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "the host's name is not known, or the connection failed"  # FFmpeg says "Input/output error" to both
    reason = error.strerror if isinstance(error, av.FFmpegError | OSError) else str(error)
    return redacted(reason or type(error).__name__)


PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,srtp,udp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "http": "http,https,tcp,tls,crypto",
    "https": "https,tcp,tls,crypto",
    "file": "file",
    "v4l2": "file",
}
"""FFmpeg's names of what each scheme may use; crypto: encrypted HLS segments."""

PACED_FORMATS = frozenset({"hls", "mov", "matroska", "avi"})
"""Over HTTP these come faster than real time: whole segments, or a whole file."""

UNTIMED_FORMATS = frozenset({"mpjpeg", "mjpeg"})
"""These carry no timestamps; FFmpeg makes them up at 25 pictures a second."""


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How a source is read.

    Args:
        transport: of RTSP's media.
        loop: a file begins again at its end.
        open_timeout_s: for all of opening.
        read_timeout_s: for each packet.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    loop: bool = False
    open_timeout_s: float = 4.5
    read_timeout_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Opened:
    """An open source.

    Args:
        container: to demux and to close.
        stream: its pictures, with one decode thread.
        paced: it comes faster than real time unless it is held back.
        untimed: its timestamps mean nothing.
    """

    container: InputContainer
    stream: VideoStream
    paced: bool
    untimed: bool

    @property
    def regular(self) -> bool:
        """Whether a missing picture can be told from its neighbours' timestamps."""
        return not self.paced and not self.untimed


class _Remaining:
    """Time left for opening. PyAV starts its clock anew for each stage and asks for the time-out by float()."""

    def __init__(self, timeout_s: float) -> None:
        self._end_s = time.monotonic() + timeout_s

    def __float__(self) -> float:
        return max(0.0, self._end_s - time.monotonic())


def open_source(address: Address, settings: ReaderSettings) -> Opened:
    """Opens a source.

    Raises:
        AddressError: there is nothing to open: publishers bring its pictures.
        SourceRefusedError: it refused the credentials.
        SourceUnreachableError: nobody answers there, or not in time, or with no video.
    """
    if address.is_pushed:
        raise AddressError("a whip: camera's pictures are brought by its publisher")
    remaining = _Remaining(settings.open_timeout_s)
    try:
        container = av.open(
            address.location,
            mode="r",
            format="v4l2" if address.scheme == "v4l2" else None,
            container_options=_options(address, settings),
            timeout=(cast("float", remaining), settings.read_timeout_s),
        )
    except FAILURES as error:
        problem = opening_failure(error, timed_out=not float(remaining), timeout_s=settings.open_timeout_s)
    else:
        return _with_pictures(container, address)
    raise problem  # out here, so that no traceback shows PyAV's error: the address is in it


def _with_pictures(container: InputContainer, address: Address) -> Opened:
    if not container.streams.video:
        container.close()
        raise SourceUnreachableError("what is there has no pictures")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        container.close()
        raise SourceUnreachableError("its pictures are of a codec that is not known here")
    stream.codec_context.thread_count = 1
    if address.is_live:
        stream.codec_context.flags |= av.codec.context.Flags.low_delay
    formats = set(container.format.name.split(","))
    paced = not address.is_live or (address.scheme in {"http", "https"} and bool(formats & PACED_FORMATS))
    return Opened(container, stream, paced, address.is_live and bool(formats & UNTIMED_FORMATS))


def _options(address: Address, settings: ReaderSettings) -> dict[str, str]:
    options = {"protocol_whitelist": PROTOCOLS[address.scheme]}
    if address.scheme in {"rtsp", "rtsps"}:
        options |= {
            "rtsp_transport": settings.transport,
            "allowed_media_types": "video",
            "fflags": "nobuffer",
            "analyzeduration": "100000",
        }
    elif address.scheme == "rtmp":
        options |= {"fflags": "nobuffer", "analyzeduration": "1000000"}
    elif address.is_live:
        options |= {"analyzeduration": "2000000"}
    return options
