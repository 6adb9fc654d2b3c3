"""Queries of HTTP lists: filters, a text to find, an order, and where the page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import orjson
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from master.errors import Invalid
from master.model import (
    AccountStatus,
    Direction,
    LoginStatus,
    NotificationType,
    Priority,
    SessionStatus,
    WorkerStatus,
)
from master.protocol.wire import CONTROL, HttpPayload, Id, Platform, Seconds

T = TypeVar("T")

PAGE_LIMIT = 500
MOST_CURSOR = 1_000
MOST_TAGS = 20

Several = Annotated[list[T], Field(max_length=50)]
"""A filter that may be given more than once: a row has one of the values."""

Sought = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
"""A text that is looked for anywhere in some fields, whatever the case."""

Cursor = Annotated[str, StringConstraints(min_length=1, max_length=MOST_CURSOR)]
Seq = Annotated[int, Field(ge=0, le=2**53)]


def _require_plain(tag: str) -> str:
    if CONTROL.search(tag) or '"' in tag or "\\" in tag:
        raise ValueError("a tag has no control characters, quotation marks and backslashes")
    return tag


Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=50),
    AfterValidator(_require_plain),
]


class Page(HttpPayload):
    """A page of a list."""

    apart: ClassVar[frozenset[str]] = frozenset()
    """The fields that are no filters of a column of their name, beside those of every page."""
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50
    offset: Annotated[int, Field(ge=0, le=2**53)] = 0

    def list_filters(self) -> dict[str, Any]:
        """Return the filters that are column = value, or one of several values.

        None stands for any value.
        """
        others = {*Page.model_fields, "q", "sort", "before", *self.apart}
        return {name: getattr(self, name) for name in self.list_fields() if name not in others}


class SortedPage(Page):
    """A page of a list with named orders; `-` before a name is the opposite order."""

    sort: str

    @property
    def has_cursor(self) -> bool:
        """Tell whether pages of this list can begin behind a row."""
        return "before" in type(self).model_fields

    @property
    def cursor(self) -> str | None:
        """Return the position behind which the page begins, if the request names one."""
        return getattr(self, "before", None)


class AccountsQuery(SortedPage):
    """Asks for accounts."""

    apart: ClassVar[frozenset[str]] = frozenset({"unassigned", "tag", "unread"})
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT
    q: Sought | None = None
    platform: Several[Platform] = Field(default=[])
    status: Several[AccountStatus] = Field(default=[])
    login_status: Several[LoginStatus] = Field(default=[])
    assigned_worker_id: Several[Id] = Field(default=[])
    unassigned: bool | None = None
    tag: Several[Tag] = Field(default=[])
    unread: bool | None = None
    sort: Literal[
        "created", "-created", "updated", "-updated", "name", "-name", "platform", "-platform",
        "status", "-status", "login_status", "-login_status", "last_login", "-last_login",
        "cookies_end", "-cookies_end", "unread", "-unread",
    ] = "created"  # fmt: skip

    @property
    def counts_unread(self) -> bool:
        """Tell whether the list depends on how many messages of each account are unread."""
        return self.unread is not None or self.sort.endswith("unread")

    @model_validator(mode="after")
    def _refuse_contradiction(self) -> AccountsQuery:
        if self.unassigned and self.assigned_worker_id:
            raise ValueError("unassigned accounts have no assigned_worker_id; ask for one of both")
        return self


class WorkersQuery(SortedPage):
    """Asks for workers."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT
    q: Sought | None = None
    status: Several[WorkerStatus] = Field(default=[])
    sort: Literal[
        "id", "-id", "host", "-host", "status", "-status", "accounts", "-accounts", "room", "-room",
        "heartbeat", "-heartbeat", "started", "-started",
    ] = "id"  # fmt: skip


class LoginsQuery(SortedPage):
    """Asks for login sessions, the newest first."""

    status: Several[SessionStatus] = Field(default=[])
    account_id: Several[Id] = Field(default=[])
    worker_id: Several[Id] = Field(default=[])
    sort: Literal["created", "-created"] = "-created"
    before: Cursor | None = None


class CommentsQuery(SortedPage):
    """Asks for comments, the newest first."""

    apart: ClassVar[frozenset[str]] = frozenset({"since"})
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 20
    q: Sought | None = None
    account_id: Id | None = None
    is_read: bool | None = None
    since: Seconds | None = None
    sort: Literal["detected", "-detected"] = "-detected"
    before: Cursor | None = None


class DirectMessagesQuery(CommentsQuery):
    """Asks for direct messages, the newest first."""

    direction: Direction | None = None


class NotificationsQuery(SortedPage):
    """Asks for notifications, the newest first."""

    apart: ClassVar[frozenset[str]] = frozenset({"after_seq"})
    type: Several[NotificationType] = Field(default=[])
    account_id: Id | None = None
    is_sent: bool | None = None
    priority: Several[Priority] = Field(default=[])
    after_seq: Seq | None = None
    sort: Literal["seq", "-seq"] = "-seq"
    before: Cursor | None = None


def write_cursor(sort: str, values: Sequence[Any]) -> str:
    """Return the text for the position behind the row with these values of its order."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, *values])).decode().rstrip("=")


def read_cursor(cursor: str | None, sort: str, kinds: Sequence[type]) -> list[Any] | None:
    """Return the values in a cursor of this order; None without a cursor. Errors: Invalid."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = orjson.loads(text)
    except (binascii.Error, ValueError):
        content = None
    if not isinstance(content, list) or not content:
        raise _refuse_cursor("is no `next_before` of an answer")
    if content[0] != sort:
        raise _refuse_cursor("is of a list in another order; keep `sort` while you read on")
    values = content[1:]
    if [type(one) for one in values] != list(kinds) or any(
        isinstance(one, int) and abs(one) >= 2**63 for one in values
    ):
        raise _refuse_cursor("is no `next_before` of this list")
    return values


def _refuse_cursor(message: str) -> Invalid:
    return Invalid(
        "The query has values that are not allowed.",
        details=[{"field": "before", "message": message}],
    )
