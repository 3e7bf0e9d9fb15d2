"""What FFmpeg's errors mean for a source. An error of PyAV's enters, one of ours without any secret leaves."""

import errno

import av
from av.error import ConnectionRefusedError as NobodyListensError
from av.error import (
    ExitError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
    ProtocolNotFoundError,
)

from stream_detect.errors import SourceEndedError, SourceError, SourceRefusedError, SourceStalledError
from stream_detect.errors import SourceUnreachableError as Unreachable
from stream_detect.sources.address import redacted

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
