"""Refusals: requests that Master declines, each with its wire code and HTTP status.

    Refusal
    ├── Unreadable      400  the bytes or the shape cannot be parsed
    ├── Unauthorized    401  the caller is not authenticated
    ├── Forbidden       403  the caller is authenticated, but lacks permission
    ├── Missing         404  the named object does not exist
    ├── Conflict        409  the object exists, but its state does not allow the request
    ├── Invalid         422  the request parses, but some values are not allowed
    ├── Throttled       429  the caller exceeds a limit; a later retry may succeed
    └── Unavailable     503  the request is fine; retry later

The docstring of a refusal is its default message. Any other exception is a bug, answered as
`internal`.
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
        """Return the error object that docs/protocol.md describes."""
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
    """The request cannot be parsed."""

    code = "unreadable"
    status = 400


class NotJoined(Unreadable):
    """This connection has not joined this namespace."""

    code = "not_joined"


class UnknownNamespace(Unreadable):
    """This namespace does not exist; use /worker, /admin or /client."""

    code = "unknown_namespace"


class UnknownEvent(Unreadable):
    """This namespace has no such event."""

    code = "unknown_event"


class UnknownParameter(Unreadable):
    """This route has no such query parameter."""

    code = "unknown_parameter"


class TooLarge(Unreadable):
    """The body or event exceeds the size limit."""

    code = "too_large"
    status = 413


class HeadTooLarge(Unreadable):
    """The request headers exceed the size limit."""

    code = "head_too_large"
    status = 431


class UnsupportedEncoding(Unreadable):
    """Encoded bodies are not accepted; send the body without Content-Encoding."""

    code = "unsupported_encoding"
    status = 415


class Unauthorized(Refusal):
    """Authenticate first."""

    code = "unauthorized"
    status = 401


class Forbidden(Refusal):
    """You do not have permission to do this."""

    code = "forbidden"
    status = 403


class ForeignOrigin(Refusal):
    """Pages of this origin may not connect or change anything; allow it with ALLOWED_ORIGINS."""

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
    """The requested object does not exist."""

    code = "not_found"
    status = 404


class UnknownAccount(Missing):
    """This account does not exist."""

    code = "unknown_account"


class UnknownWorker(Missing):
    """This worker does not exist."""

    code = "unknown_worker"


class UnknownSession(Missing):
    """This login session does not exist."""

    code = "unknown_session"


class LinkClosed(Missing):
    """This login link is not known, or has ended; ask for a new one."""

    code = "link_closed"


class MethodNotAllowed(Refusal):
    """This route does not support that method."""

    code = "method_not_allowed"
    status = 405


class Conflict(Refusal):
    """The current state does not allow this."""

    code = "conflict"
    status = 409


class AlreadyExists(Conflict):
    """It already exists."""

    code = "already_exists"


class LoginClosed(Conflict):
    """This login has ended; later reports change nothing."""

    code = "login_closed"


class LinkTaken(Conflict):
    """This login link was opened on another device; ask for a new one."""

    code = "link_taken"


class StepPassed(Conflict):
    """The login asks for something else by now."""

    code = "step_passed"


class StaleEpoch(Conflict):
    """The account was reassigned since; this report of its state is out of date."""

    code = "stale_epoch"


class NoWorker(Conflict):
    """No connected worker that supports this platform has a free slot."""

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
    """This worker has no free slot."""

    code = "worker_full"


class WorkerDraining(Conflict):
    """This worker is taken out of service; it takes no accounts."""

    code = "worker_draining"


class NotDraining(Conflict):
    """This worker is not taken out of service."""

    code = "not_draining"


class NotInMaintenance(Conflict):
    """The farm is not under maintenance."""

    code = "not_in_maintenance"


class WorkerInUse(Conflict):
    """Only an offline worker that no account names can be removed."""

    code = "worker_in_use"


class TooManyNames(Conflict):
    """This token has reached its limit of workers or devices."""

    code = "too_many_names"


class TooManyViews(Conflict):
    """You have 100 saved views, which is the limit; delete one first."""

    code = "too_many_views"


class ProxyUnreadable(Conflict):
    """The password of this worker's proxy cannot be decrypted; set it again."""

    code = "proxy_unreadable"


class AlreadyRunning(Conflict):
    """The worker process is already running."""

    code = "already_running"


class NotRunning(Conflict):
    """The worker process is not running."""

    code = "not_running"


class Unverified(Conflict):
    """Master did not write this configuration; remove it and add it again."""

    code = "config_unverified"


class StartFailed(Conflict):
    """The worker process could not be started."""

    code = "start_failed"


class Invalid(Refusal):
    """Some values are not allowed."""

    code = "invalid"
    status = 422


class UnknownStatus(Invalid):
    """No login has this status; the details name the known ones."""

    code = "unknown_status"


class NoCookies(Invalid):
    """The success has no cookies and the account has none stored, so it could not be watched."""

    code = "no_cookies"


class Throttled(Refusal):
    """The rate limit is exceeded; retry later."""

    code = "throttled"
    status = 429
    retryable = True


class TooManyAttempts(Throttled):
    """Too many wrong tokens came from this address; retry later."""

    code = "too_many_attempts"


class TooManyRequests(Throttled):
    """Too many requests come from this address; retry later."""

    code = "too_many_requests"


class Unavailable(Refusal):
    """Master cannot do this right now; retry later."""

    code = "unavailable"
    status = 503
    retryable = True


class Overloaded(Unavailable):
    """Master is overloaded; retry later."""

    code = "overloaded"


class Stopping(Unavailable):
    """Master is stopping; retry after its restart."""

    code = "stopping"


class StorageTrouble(Unavailable):
    """The database did not accept the write; nothing was stored."""

    code = "storage_trouble"


INTERNAL: dict[str, Any] = {
    "code": "internal",
    "message": "Something went wrong inside Master.",
    "retryable": True,
}


NOT_NOW = (Throttled, Unavailable)
"""Refusals that say nothing of the request: it came too often, or Master cannot work now."""


def every_refusal() -> Iterator[type[Refusal]]:
    """Yield every refusal class, parents first; the documentation and the tests iterate over it."""
    waiting: list[type[Refusal]] = [Refusal]
    while waiting:
        cls = waiting.pop(0)
        yield cls
        waiting.extend(cls.__subclasses__())
