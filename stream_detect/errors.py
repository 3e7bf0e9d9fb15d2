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
    """Root of all errors raised by stream-detect."""


class SettingsError(StreamDetectError):
    """A setting is missing, unknown or contradicts another one."""


class MissingExtraError(StreamDetectError):
    """A feature's optional packages are not installed."""


class BundleError(StreamDetectError):
    """A model bundle is absent, incomplete or of the wrong form."""


class BundleTamperedError(BundleError):
    """A file of a bundle does not have the sha256 that its card states."""


class AnalysisError(StreamDetectError):
    """A detector or classifier could not be run, or gave no usable number."""


class MediaError(StreamDetectError):
    """A picture or stream cannot be decoded or encoded."""


class NoMediaError(MediaError):
    """A file is neither a picture nor a video, regardless of its name."""


class SignalingError(StreamDetectError):
    """A session description cannot be answered."""


class OfferError(SignalingError):
    """The offer is malformed."""


class NoVideoError(OfferError):
    """The offer is well-formed, but has no video that is both sent and received."""


class CodecError(SignalingError):
    """The offer has no codec that this server can send and receive."""


class IceServerError(StreamDetectError):
    """A STUN or TURN server does not work."""


class RequestError(StreamDetectError):
    """A request's body has not the form that its route asks for."""


class BodyTooLargeError(RequestError):
    """The body is longer than the route allows."""


class ContentTypeError(RequestError):
    """The body is of a content type that the route does not take."""


class CapacityError(StreamDetectError):
    """The server has as many sessions as it may have.

    Args:
        message: what is full, and how to mend it.
        retry_after_s: when trying again makes sense, in whole seconds.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFoundError(StreamDetectError):
    """Nothing of that name or id is here."""


class PreconditionError(StreamDetectError):
    """What a request is for has been replaced by something else meanwhile."""


class ConflictError(StreamDetectError):
    """The name is taken already, or the thing is in no state for this."""


class SourceError(StreamDetectError):
    """A source gives no pictures."""


class AddressError(SourceError):
    """A source's address is malformed or not permitted."""


class SourceRefusedError(SourceError):
    """A source refused our credentials, or to serve us at all."""


class SourceUnreachableError(SourceError):
    """Nobody answers at a source's address, or nothing that can be decoded does."""


class SourceStalledError(SourceError):
    """A source answered, and then sent nothing in time."""


class SourceEndedError(SourceError):
    """A source ended. For a live one this is a failure like the others."""


class ReviewError(StreamDetectError):
    """An uploaded file cannot be reviewed to its end."""


class ReviewCancelledError(ReviewError):
    """Somebody asked to stop."""


class ReviewCrashedError(ReviewError):
    """The process that examined a file ended in the middle of it, or was ended because nothing more came of it."""


class AccessError(StreamDetectError):
    """A request comes from nobody who may make it."""


class SignInError(AccessError):
    """A request comes from nobody that is known, or with a wrong password."""


class ForbiddenError(AccessError):
    """The role of who sent a request is not enough for it."""


class ProviderError(AccessError):
    """The OpenID Connect provider cannot be reached, or does not answer as it should."""


class TooManyGuessesError(AccessError):
    """Too many wrong passwords or tokens came.

    Args:
        message: what is to be done.
        retry_after_s: when the next one is compared, in whole seconds.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PasswordError(StreamDetectError):
    """A new password is too short, too long or too easily guessed."""


class StorageError(StreamDetectError):
    """The database, or a file of ours, cannot be read or written."""


class DiskFullError(StorageError):
    """There is no room left on the disk."""


class DatasetError(StreamDetectError):
    """Training data are absent, unreadable or one-sided."""


class TrainingError(StreamDetectError):
    """A training diverged, or a checkpoint belongs to another one."""
