"""Explains why a source cannot be opened or read, for people and without its address."""

import errno
from typing import Literal

import av
from av.error import ConnectionRefusedError as NobodyListensError
from av.error import (
    ExitError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPOtherClientError,
    HTTPServerError,
    HTTPUnauthorizedError,
    InvalidDataError,
    ProtocolNotFoundError,
)

from stream_detect.errors import SourceEndedError, SourceError, SourceRefusedError, SourceStalledError
from stream_detect.errors import SourceUnreachableError as Unreachable
from stream_detect.sources.address import redacted

FAILURES = av.FFmpegError, OSError, ValueError, MemoryError
"""What opening and reading raise. ValueError: a format that this build of FFmpeg does not support."""

REASONS: dict[type[BaseException], str] = {
    NobodyListensError: "connection refused: nothing listens there",
    FileNotFoundError: "there is no such file or device",
    HTTPNotFoundError: "the host answers, but does not have this resource (404)",
    InvalidDataError: "no video that can be read comes from there",
    ProtocolNotFoundError: "it redirects to a protocol that is not permitted",
    HTTPOtherClientError: "the camera refuses (4xx): usually it has no place for another client (453)",
    HTTPServerError: "the camera reports an error of its own (5xx): usually it has too many clients, or starts",
    MemoryError: "what it sends would take more memory than a camera may have",
}
"""Reasons why a source is unreachable."""


def opening_failure(
    error: BaseException, *, timed_out: bool, timeout_s: float, transport: Literal["", "tcp", "udp"] = ""
) -> SourceError:
    """The error for a source that could not be opened.

    Args:
        error: one of `FAILURES`.
        timed_out: the time limit for opening was reached, which FFmpeg reports as various errors.
        timeout_s: that limit.
        transport: of RTSP; empty for other sources.
    """
    problem = _refusal(error)
    if problem is not None:
        return problem
    if timed_out or isinstance(error, TimeoutError | ExitError):
        return Unreachable(f"no answer within {timeout_s:g} s")
    if transport and isinstance(error, OSError) and error.errno == errno.EPROTONOSUPPORT:
        other = "udp" if transport == "tcp" else "tcp"
        return Unreachable(f"the camera does not send over {transport} (461): set its transport to {other}")
    for kind, reason in REASONS.items():
        if isinstance(error, kind):
            return Unreachable(reason)
    return Unreachable(f"cannot be opened: {_words(error)}")


def reading_failure(error: BaseException, *, timeout_s: float) -> SourceError:
    """The error for an open source that sends no more frames.

    Args:
        error: one of `FAILURES`.
        timeout_s: how long the reader waited.
    """
    problem = _refusal(error)
    if problem is not None:
        return problem
    if isinstance(error, TimeoutError | ExitError):
        return SourceStalledError(f"nothing was received for {timeout_s:g} s")
    if isinstance(error, MemoryError):
        return SourceEndedError(REASONS[MemoryError])
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return SourceEndedError("the connection was interrupted")
    return SourceEndedError(f"the stream was interrupted: {_words(error)}")


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
    """FFmpeg's reason; not `str(error)`, which PyAV fills with the complete address."""
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "the host's name is not known, or the connection failed"  # FFmpeg reports "Input/output error" for both
    reason = error.strerror if isinstance(error, av.FFmpegError | OSError) else str(error)
    return redacted(reason or type(error).__name__)
