"""The errors that this package raises, all of them a `StreamDetectError`.

    StreamDetectError
    ├── SettingsError            a setting is missing, unknown, or contradicts another one
    ├── MissingExtraError        a feature's optional packages are not installed
    ├── BundleError              a model bundle is missing, incomplete or malformed
    │   └── BundleTamperedError  a file of a bundle does not have the sha256 that its card states
    ├── AnalysisError            a detector or classifier could not be run, or gave no usable number
    ├── MediaError               a picture or stream cannot be decoded or encoded
    │   └── NoMediaError         a file is neither a picture nor a video
    ├── SignalingError           a session description cannot be answered
    │   ├── OfferError           it is malformed
    │   │   └── NoVideoError     it is well-formed, but offers no video in the direction that is needed
    │   └── CodecError           it offers no codec that the server has
    ├── IceServerError           a STUN or TURN server does not work
    ├── RequestError             the body of a request is not what its route accepts
    │   ├── BodyTooLargeError    it is longer than the route allows
    │   └── ContentTypeError     its content type is not what the route accepts
    ├── CapacityError            the server has as many sessions as it may have (has retry_after_s)
    ├── NotFoundError            there is nothing with that name or id
    ├── PreconditionError        the resource has been replaced meanwhile
    ├── ConflictError            the name is taken, or the state of the resource does not allow this
    ├── SourceError              a source gives no frames
    │   ├── AddressError         its address is malformed or not permitted
    │   ├── SourceRefusedError   it refused the credentials, or the request
    │   ├── SourceUnreachableError  nothing answers, or nothing that can be decoded
    │   ├── SourceStalledError   it answered, but then sent nothing in time
    │   └── SourceEndedError     it ended; for a live source this is a failure, too
    ├── ReviewError              a file cannot be examined to its end
    │   ├── ReviewCancelledError it was cancelled
    │   └── ReviewCrashedError   the process that examined it ended, or was killed
    ├── AccessError              the sender of a request is not permitted to make it
    │   ├── SignInError          the sender is not known, or the password is wrong
    │   ├── ForbiddenError       the role of the sender is not sufficient
    │   ├── ProviderError        the OpenID Connect provider does not answer correctly
    │   └── TooManyGuessesError  there were too many wrong passwords or tokens (has retry_after_s)
    ├── PasswordError            a new password is too short, too long or too easily guessed
    ├── StorageError             the database or a file of the server cannot be read or written
    │   └── DiskFullError        the disk is full
    ├── DatasetError             training data are missing, unreadable or of one class only
    └── TrainingError            a training diverged, or a checkpoint belongs to another training

A message says what was expected, what was received, and how to correct it; it never contains a secret.
"""


class StreamDetectError(Exception):
    """Base class of all errors raised by stream-detect."""


class SettingsError(StreamDetectError):
    """A setting is missing, unknown or contradicts another one."""


class MissingExtraError(StreamDetectError):
    """A feature's optional packages are not installed."""


class BundleError(StreamDetectError):
    """A model bundle is missing, incomplete or invalid."""


class BundleTamperedError(BundleError):
    """A file of a bundle does not have the sha256 that its card states."""


class AnalysisError(StreamDetectError):
    """A detector or classifier failed, or returned no usable number."""


class MediaError(StreamDetectError):
    """A picture or video cannot be decoded or encoded."""


class NoMediaError(MediaError):
    """A file is neither a picture nor a video, regardless of its name."""


class SignalingError(StreamDetectError):
    """A session description cannot be answered."""


class OfferError(SignalingError):
    """The offer is malformed."""


class NoVideoError(OfferError):
    """The offer is well-formed, but contains no video that is both sent and received."""


class CodecError(SignalingError):
    """The offer contains no codec that this server can send and receive."""


class IceServerError(StreamDetectError):
    """A STUN or TURN server does not work."""


class RequestError(StreamDetectError):
    """The body of a request does not have the form that its route requires."""


class BodyTooLargeError(RequestError):
    """The body is longer than the route allows."""


class ContentTypeError(RequestError):
    """The content type of the body is not accepted by the route."""


class CapacityError(StreamDetectError):
    """A limit of the server, such as that of sessions, is reached.

    Args:
        message: which limit, and what to do.
        retry_after_s: whole seconds after which to try again.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFoundError(StreamDetectError):
    """There is nothing with that name or id."""


class PreconditionError(StreamDetectError):
    """The object of a request was replaced meanwhile."""


class ConflictError(StreamDetectError):
    """The name is taken, or the object is not in the required state."""


class SourceError(StreamDetectError):
    """A source sends no frames."""


class AddressError(SourceError):
    """A source's address is malformed or not permitted."""


class SourceRefusedError(SourceError):
    """A source rejected the credentials, or refused to serve us at all."""


class SourceUnreachableError(SourceError):
    """A source does not respond, or sends nothing that can be decoded."""


class SourceStalledError(SourceError):
    """A source responded, but then sent nothing in time."""


class SourceEndedError(SourceError):
    """A source ended. For a live one this is a failure like any other."""


class ReviewError(StreamDetectError):
    """An uploaded file cannot be reviewed completely."""


class ReviewCancelledError(ReviewError):
    """The review was cancelled."""


class ReviewCrashedError(ReviewError):
    """The process that examined a file ended during the examination, or was killed because it made no progress."""


class AccessError(StreamDetectError):
    """Nobody with access sent the request."""


class SignInError(AccessError):
    """The sender of a request is unknown, or the password is wrong."""


class ForbiddenError(AccessError):
    """The role of the sender is not sufficient for the request."""


class ProviderError(AccessError):
    """The OpenID Connect provider cannot be reached, or responds with an error."""


class TooManyGuessesError(AccessError):
    """There were too many wrong passwords or tokens.

    Args:
        message: what to do.
        retry_after_s: whole seconds until the next one is accepted.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PasswordError(StreamDetectError):
    """A new password is too short, too long or too easily guessed."""


class StorageError(StreamDetectError):
    """The database or a file of the server cannot be read or written."""


class DiskFullError(StorageError):
    """There is not enough space on the disk."""


class DatasetError(StreamDetectError):
    """Training data is missing, unreadable or one-sided."""


class TrainingError(StreamDetectError):
    """A training diverged, or a checkpoint belongs to another training."""
