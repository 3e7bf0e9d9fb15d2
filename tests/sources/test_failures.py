"""FFmpeg's errors are converted to the right class, without the address that PyAV includes."""

import errno

import av
import pytest

from stream_detect.errors import (
    SourceEndedError,
    SourceError,
    SourceRefusedError,
    SourceStalledError,
    SourceUnreachableError,
)
from stream_detect.sources.failures import opening_failure, reading_failure

ADDRESS = "rtsp://viewer:s3cret@10.0.0.5/stream"


@pytest.mark.parametrize(
    ("error", "opening", "reading"),
    [
        (av.HTTPUnauthorizedError(1, "401", ADDRESS), SourceRefusedError, SourceRefusedError),
        (av.HTTPForbiddenError(1, "403", ADDRESS), SourceRefusedError, SourceRefusedError),
        (av.error.PermissionError(errno.EACCES, "denied", ADDRESS), SourceRefusedError, SourceRefusedError),
        (av.error.ExitError(1, "immediate exit", ADDRESS), SourceUnreachableError, SourceStalledError),
        (av.error.TimeoutError(errno.ETIMEDOUT, "timed out", ADDRESS), SourceUnreachableError, SourceStalledError),
        (av.error.ConnectionResetError(errno.ECONNRESET, "reset", ADDRESS), SourceUnreachableError, SourceEndedError),
        (av.InvalidDataError(1, "invalid data", ADDRESS), SourceUnreachableError, SourceEndedError),
        (av.HTTPNotFoundError(1, "404", ADDRESS), SourceUnreachableError, SourceEndedError),
        (av.error.HTTPOtherClientError(1, "4XX", ADDRESS), SourceUnreachableError, SourceEndedError),
        (av.error.HTTPServerError(1, "5XX", ADDRESS), SourceUnreachableError, SourceEndedError),
        (av.FFmpegError(1, f"cannot read {ADDRESS}", ADDRESS), SourceUnreachableError, SourceEndedError),
        (ValueError(f"no such format: {ADDRESS}"), SourceUnreachableError, SourceEndedError),
    ],
)
def test_errors_are_distinguished(error: Exception, opening: type[SourceError], reading: type[SourceError]) -> None:
    found = opening_failure(error, timed_out=False, timeout_s=2.0), reading_failure(error, timeout_s=2.0)
    assert [type(problem) for problem in found] == [opening, reading]
    assert "s3cret" not in f"{found}"
    message = error.strerror if isinstance(error, av.FFmpegError) else str(error)
    assert ("10.0.0.5" in f"{found}") == ("10.0.0.5" in message)


def test_an_error_after_the_time_limit_is_a_timeout() -> None:
    problem = opening_failure(av.InvalidDataError(1, "invalid data", ADDRESS), timed_out=True, timeout_s=4.5)
    assert str(problem) == "no answer within 4.5 s"
