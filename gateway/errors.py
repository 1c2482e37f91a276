"""Every error the gateway raises on purpose.

::

    GatewayError                        what a client may see; status, type, code, param
    |- RequestError            400      the client sent something wrong
    |  |- AuthenticationError  401
    |  |- NotFoundError        404
    |  |- MethodNotAllowedError 405
    |  |- ConflictError        409
    |  |- LimitedError         429
    |  `- TooLargeError        413
    |- BadGatewayError         502      Google refuses the gateway itself
    |- UnreadableAnswerError   502      Google answered what cannot be read
    |- UnavailableError        503      we cannot now; retry later
    |   |- TooManyRequestsError 429     the client asks too often
    |   `- NoRoomError         507      the disk is full
    `- InternalError           500      our fault
        `- DataLostError                 the disk has lost or changed what the request needs
    UpstreamError                       what a call to the upstream can come to
    |- UpstreamUnavailableError         not done, worth retrying
    |  `- UpstreamUnreadableError       answered with success, but with nothing that can be read
    |- UpstreamRefusedError             not done, and about this job: its lines become error lines
    |- UpstreamHeldError                not done, and about the account: key, quota, location
    |- UpstreamStaleError               not done: what was staged is gone, stage it again
    |- UpstreamGoneError                the named job does not exist upstream
    `- UpstreamAmbiguousError           not known whether it was done
    WorkerError                         a worker process died or ran past its deadline
    AuditError                          lines went missing or came twice; nothing is published
    DamagedBlobError                    bytes on the disk are gone, or not what was written
    DamagedStoreError                   the database is damaged: the process ends
    SettingsError                       the process must not start like this
    ListenError                         the address cannot be listened on

The first tree carries what OpenAI's error envelope needs (``{"error": {message, type, param,
code}}``; openai-python maps the status to an exception class and prints the message alone, so
messages name the field).
"""

from collections.abc import Sequence


class GatewayError(Exception):
    """An error with an HTTP status and OpenAI's words for it."""

    status = 500
    type = "server_error"
    code: str | None = None
    # Whether an SDK may send the request again by itself, as it does after 408, 409, 429 and 5xx.
    is_retried = True

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class RequestError(GatewayError):
    """The client sent something wrong; sending it again cannot help."""

    status = 400
    type = "invalid_request_error"


class AuthenticationError(RequestError):
    """No credential, or one that is not known here."""

    status = 401
    code = "invalid_api_key"


class NotFoundError(RequestError):
    """No such object for this owner, or no such URL."""

    status = 404


class MethodNotAllowedError(RequestError):
    """The URL exists, the method does not."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class ConflictError(RequestError):
    """The object's state forbids it."""

    status = 409


class LimitedError(RequestError):
    """The owner has as much as it may: ending or deleting something helps, repeating does not."""

    status = 429
    type = "rate_limit_error"


class TooLargeError(RequestError):
    """A body or file beyond a limit."""

    status = 413


class UnavailableError(GatewayError):
    """Not now: draining, or out of room. ``retry_after`` is in seconds, at most 120.

    Above 120 s the OpenAI SDKs give up retrying altogether (openai-python ``_base_client.py``).
    """

    status = 503
    code = "server_is_overloaded"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = min(retry_after, 120)


class TooManyRequestsError(UnavailableError):
    """The client asks too often, or has too much under way."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class InDoubtError(UnavailableError):
    """The connection broke in a commit: what was to be written may or may not have been."""


class NoRoomError(UnavailableError):
    """The disk is full: what frees room helps, or waiting for what expires."""

    status = 507
    code = "insufficient_storage"


class BadGatewayError(GatewayError):
    """The upstream refuses the gateway, whatever the client sends: its key, project or location."""

    status = 502
    code = "upstream_refused"


class UnreadableAnswerError(GatewayError):
    """The upstream answered with success, but with nothing that can be read."""

    status = 502
    code = "upstream_unreadable"


class InternalError(GatewayError):
    """Our fault."""

    status = 500


class DataLostError(InternalError):
    """The disk has lost or changed what this needs: asking again cannot help."""

    code = "gateway_data_lost"
    is_retried = False


class UpstreamError(Exception):
    """A call to the upstream that did not give what was asked for.

    ``message`` is safe to store and to show: scrubbed of keys and cut to a limit by the adapter.
    ``status`` is the HTTP status, 0 when no answer came.
    """

    def __init__(self, message: str, *, status: int = 0, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


class UpstreamUnavailableError(UpstreamError):
    """Not done, worth retrying. ``retry_after`` is the upstream's own hint in seconds, if any."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after


class UpstreamUnreadableError(UpstreamUnavailableError):
    """A success by its status, whose body cannot be read: a call that costs may be paid for.

    ``message`` says what is known of it: the status, the type and the length, never its content.
    """


class UpstreamRefusedError(UpstreamError):
    """Not done, and about this job: its lines become error lines with this status and message.

    ``item`` is the place, among those that were sent, of the one request that it names.
    """

    def __init__(
        self, message: str, *, status: int = 0, code: str | None = None, item: int | None = None
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.item = item


class UpstreamHeldError(UpstreamError):
    """Not done, and about the account: the job is held, visibly, and tried again."""


class UpstreamStaleError(UpstreamError):
    """Not done: what was staged is no longer there."""


class UpstreamGoneError(UpstreamError):
    """The upstream says there is no such job."""


class UpstreamAmbiguousError(UpstreamError):
    """Outcome unknown: a lost answer, a 5xx, an unreadable 2xx."""


class WorkerError(Exception):
    """A worker process died or ran past its deadline; the step may be tried again."""


class AuditError(Exception):
    """The lines to be published are not exactly the lines that came in."""


class DamagedBlobError(LookupError):
    """The bytes of ``blob`` on the disk are gone, or are not those that were written."""

    def __init__(self, blob: str, what: str = "is not what was written") -> None:
        super().__init__(f"blob {blob} {what}")
        self.blob = blob


class DamagedStoreError(Exception):
    """The database is damaged: the process ends and says so, before it does more harm."""


class SettingsError(Exception):
    """A setting that must stop the start; the message names it."""


class ListenError(Exception):
    """The address cannot be listened on; the message names it."""
