"""What Master understood and will not do: one tree of refusals, each with its wire code and HTTP status.

    Refusal
    ├── Unreadable      400  the bytes or the shape cannot be read
    ├── Unauthorized    401  nobody knows who asks
    ├── Forbidden       403  known, and may not
    ├── Missing         404  the named thing does not exist
    ├── Conflict        409  it exists, but not in a state that allows this
    ├── Invalid         422  readable, but values are not allowed
    ├── Throttled       429  too many of a kind; the same again later may be fine
    └── Unavailable     503  nothing wrong with the request; try again later

A refusal's docstring is its default message. Everything that is not a Refusal is a bug and is answered as `internal`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar


class Refusal(Exception):
    """The request was refused."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[Any] | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details = list(details) if details else None
        self.retry_after_ms = retry_after_ms
        super().__init__(self.message)

    def to_wire(self) -> dict[str, Any]:
        """Return the error object of protocol.md section 0."""
        wire: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
        }
        if self.details is not None:
            wire["details"] = self.details
        if self.retry_after_ms is not None:
            wire["retry_after_ms"] = self.retry_after_ms
        return wire


class Unreadable(Refusal):
    """The request cannot be read."""

    code = "unreadable"
    status = 400


class NotJoined(Unreadable):
    """This connection has not joined this namespace."""

    code = "not_joined"


class UnknownNamespace(Unreadable):
    """There is no such namespace; there are /worker, /admin and /client."""

    code = "unknown_namespace"


class UnknownEvent(Unreadable):
    """This namespace knows no such event."""

    code = "unknown_event"


class UnknownParameter(Unreadable):
    """The query names a parameter that this route does not have."""

    code = "unknown_parameter"


class TooLarge(Unreadable):
    """The body or event is larger than Master accepts."""

    code = "too_large"
    status = 413


class HeadTooLarge(Unreadable):
    """The headers of the request come to more than Master reads."""

    code = "head_too_large"
    status = 431


class UnsupportedEncoding(Unreadable):
    """Bodies are taken as they are; send it without Content-Encoding."""

    code = "unsupported_encoding"
    status = 415


class Unauthorized(Refusal):
    """Say who you are first."""

    code = "unauthorized"
    status = 401


class Forbidden(Refusal):
    """You are known, and may not do this."""

    code = "forbidden"
    status = 403


class ForeignOrigin(Refusal):
    """Pages of this origin may change nothing here; allow it with ALLOWED_ORIGINS."""

    code = "foreign_origin"
    status = 403


class NotRegistered(Refusal):
    """This socket has not registered; register, then send again."""

    code = "not_registered"
    status = 403
    retryable = True


class NotYours(Refusal):
    """This belongs to another worker; the report changes nothing."""

    code = "not_yours"
    status = 403


class Missing(Refusal):
    """There is no such thing."""

    code = "not_found"
    status = 404


class UnknownAccount(Missing):
    """There is no such account."""

    code = "unknown_account"


class UnknownWorker(Missing):
    """There is no such worker."""

    code = "unknown_worker"


class UnknownSession(Missing):
    """There is no such login session."""

    code = "unknown_session"


class MethodNotAllowed(Refusal):
    """This route does not answer that method."""

    code = "method_not_allowed"
    status = 405


class Conflict(Refusal):
    """The present state does not allow this."""

    code = "conflict"
    status = 409


class AlreadyExists(Conflict):
    """There is one already."""

    code = "already_exists"


class LoginClosed(Conflict):
    """This login has ended; what comes later changes nothing."""

    code = "login_closed"


class StaleEpoch(Conflict):
    """The account has changed hands since; the report of its state is out of date."""

    code = "stale_epoch"


class NoWorker(Conflict):
    """No connected worker supports this platform and has room."""

    code = "no_worker"
    retryable = True


class WorkerNotConnected(Conflict):
    """This worker is not connected."""

    code = "worker_not_connected"
    retryable = True


class WorkerUnfit(Conflict):
    """This worker does not support the account's platform."""

    code = "worker_unfit"


class WorkerFull(Conflict):
    """This worker has no room left."""

    code = "worker_full"


class WorkerInUse(Conflict):
    """Only a worker that is offline, and that no account names, can be removed."""

    code = "worker_in_use"


class TooManyNames(Conflict):
    """This token has named as many workers or devices as it may."""

    code = "too_many_names"


class ProxyUnreadable(Conflict):
    """The password of this worker's proxy cannot be opened; set it again."""

    code = "proxy_unreadable"


class AlreadyRunning(Conflict):
    """The worker process is running already."""

    code = "already_running"


class NotRunning(Conflict):
    """The worker process is not running."""

    code = "not_running"


class Unverified(Conflict):
    """Somebody else than Master has written this configuration; remove it and add it again."""

    code = "config_unverified"


class StartFailed(Conflict):
    """The worker process could not be started."""

    code = "start_failed"


class Invalid(Refusal):
    """Some values are not allowed."""

    code = "invalid"
    status = 422


class Throttled(Refusal):
    """Too fast; send it again later."""

    code = "throttled"
    status = 429
    retryable = True


class TooManyAttempts(Throttled):
    """Too many wrong tokens came from this address; try again later."""

    code = "too_many_attempts"


class TooManyRequests(Throttled):
    """Too many requests come from this address; send it again later."""

    code = "too_many_requests"


class Unavailable(Refusal):
    """Master cannot do this right now; send it again later."""

    code = "unavailable"
    status = 503
    retryable = True


class Overloaded(Unavailable):
    """Too much is waiting; send it again later."""

    code = "overloaded"


class Stopping(Unavailable):
    """Master is stopping; send it again to the next one."""

    code = "stopping"


class StorageTrouble(Unavailable):
    """The database did not take the write; nothing was stored."""

    code = "storage_trouble"


INTERNAL: dict[str, Any] = {
    "code": "internal",
    "message": "Something went wrong inside Master.",
    "retryable": True,
}


def every_refusal() -> Iterator[type[Refusal]]:
    """Yield every refusal class, parents first; documents and tests walk this."""
    waiting: list[type[Refusal]] = [Refusal]
    while waiting:
        cls = waiting.pop(0)
        yield cls
        waiting.extend(cls.__subclasses__())
