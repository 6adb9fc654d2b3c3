"""The acknowledgements of events, for routes.py and docs/protocol.md.

Each also has `success: true`. An event whose acknowledgement has the fields of an event of Master
names that event's type instead. Nothing is checked at run time; the tests compare every answer.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from master.model import AccountStatus, LoginStatus, SessionStatus
from master.protocol.words import LoginErrorType


class Note(TypedDict):
    """A fault that Master forgave in a field of a report."""

    field: str | None
    message: str
    index: NotRequired[int]


class Fault(TypedDict):
    """Why one item of a report was refused; the other items are stored."""

    index: int
    code: str
    message: str
    retryable: bool
    details: NotRequired[list[dict[str, Any]]]


class HeartbeatReply(TypedDict):
    """The accounts that the worker owns now: it watches these and no others."""

    workerId: str
    accountIds: list[str]
    timestamp: int


class GoodbyeReply(TypedDict):
    """How many accounts the worker released."""

    workerId: str
    released: int


class QrCodeReply(TypedDict):
    """The login after the code; at `expires_at` it ends."""

    session_id: str
    status: SessionStatus
    expires_at: int
    notes: NotRequired[list[Note]]


class LoginReportReply(TypedDict):
    """The login after the report; `error_type` and `message` only if another person logged in."""

    session_id: str
    status: SessionStatus
    expires_at: NotRequired[int]
    error_type: NotRequired[LoginErrorType]
    message: NotRequired[str]
    notes: NotRequired[list[Note]]


class AccountStatusReply(TypedDict):
    """The account's states after the report, and whether it changed them."""

    account_id: str
    changed: bool
    status: AccountStatus
    login_status: LoginStatus
    notes: NotRequired[list[Note]]


class MessagesReply(TypedDict):
    """How many messages were new, how many were known, and which items were refused."""

    inserted: int
    duplicates: int
    edited: NotRequired[int]
    refused: NotRequired[int]
    details: NotRequired[list[Fault]]
    notes: NotRequired[list[Note]]


class DeviceHeartbeatReply(TypedDict):
    """The device for which this connection speaks; null before it registers."""

    client_id: str | None
    timestamp: int


class FollowReply(TypedDict):
    """The worker whose output this socket follows now; null: none."""

    worker_id: str | None
