"""Login links: requests of operators and of the account's owner, answers, and the event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from master.login_link import LinkState
from master.protocol.http import ById
from master.protocol.lists import Page
from master.protocol.wire import HttpPayload, Id, Outbound, PathId
from master.reasons import LinkEnd

LinkNote = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)]


class NewLoginLink(ById):
    """Make a login link of the account that the path names; an open one of it ends."""

    ttl_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    note: LinkNote | None = None
    require_uid: Id | None = None


class LoginLinksQuery(Page):
    """Asks for the login links of the account in the path, the newest first."""

    id: PathId


class LoginLinkById(ById):
    """The login link that the path names."""

    link: Annotated[SkipJsonSchema[str], Field(alias="{link}")]


class OpenLink(HttpPayload):
    """The owner's device opens a link by its secret."""

    secret: Annotated[str, Field(min_length=1, max_length=200, repr=False)]


class OwnerInput(HttpPayload):
    """The owner's input; with `step_id`, for that question alone."""

    value: Annotated[str, Field(min_length=1, max_length=4_096, repr=False)]
    step_id: Annotated[int, Field(ge=0, le=2**53)] | None = None


class ShownDevice(TypedDict):
    """The device that a link is bound to: its address, and its browser as people call it."""

    address: str | None
    agent: str | None


class ShownLink(TypedDict):
    """A login link, without its secret."""

    id: str
    account_id: str
    state: LinkState
    note: str | None
    require_uid: str | None
    made_by: str
    created_at: int
    expires_at: int
    device: ShownDevice | None
    opened_at: int | None
    session_id: str | None
    starts: int
    outcome: str | None
    refused: int
    ended_at: int | None
    end_reason: LinkEnd | None


class MadeLink(ShownLink):
    """A new login link, with its secret for this once, in the fragment of `url`."""

    url: str


@dataclass(frozen=True, slots=True)
class LinkChanged(Outbound):
    """A login link went a step further, has ended, or has refused another device."""

    event: ClassVar[str] = "login_link:status"
    id: str
    account_id: str
    state: LinkState
    device: ShownDevice | None
    session_id: str | None
    starts: int
    outcome: str | None
    refused: int
    expires_at: int
    end_reason: str | None
    at: int
    rev: int
