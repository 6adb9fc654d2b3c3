"""Login links: operators make and revoke them, the account's owner opens and uses them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypedDict

import structlog

from master.decisions.identity import find_ids
from master.decisions.links import MOST_REFUSED, MOST_STARTS
from master.decisions.login import is_open
from master.errors import Invalid, LinkClosed, StepPassed, UnknownAccount, UnknownSession
from master.farm import is_open_link
from master.login_link import LinkState, LoginLink
from master.memory import Memory
from master.model import Account, Login
from master.operations.link_steps import (
    end_link,
    put_link,
    render_device,
    tell_link_changed,
)
from master.operations.login_ends import fail, stop_worker
from master.operations.logins import relay_input, start_login
from master.protocol.admin import StartLogin
from master.protocol.answers import Listing
from master.protocol.login_links import (
    LoginLinkById,
    LoginLinksQuery,
    MadeLink,
    NewLoginLink,
    ShownLink,
)
from master.protocol.words import CancelReason, LoginErrorType
from master.protocol.worker import UserInput
from master.reasons import LinkEnd
from master.settings import Settings
from master.store import links as link_rows
from master.tokens import hash_secret
from master.turn import Turn

log = structlog.get_logger(__name__)

SECRET_BYTES = 32

MOST_ENDED = 100
"""How many links one turn ends because their time is up."""


def make_secret(turn: Turn) -> str:
    """Return a new secret of 256 bits, as 43 characters that an address may have."""
    return base64.urlsafe_b64encode(turn.random_bytes(SECRET_BYTES)).rstrip(b"=").decode()


def digest(secret: str) -> str:
    """Return what is stored of a secret: its SHA-256 in hex."""
    return hash_secret(secret).hex()


# -- operators ------------------------------------------------------------------------------------


def make_link(event: NewLoginLink, turn: Turn) -> MadeLink:
    """Make a login link; its secret is in this answer alone. An open link of the account ends."""
    account = turn.draft.accounts.get(event.id)
    if account is None:
        raise UnknownAccount
    _require_same_person(account, event.require_uid)
    earlier = turn.draft.links.first("account", account.id)
    if earlier is not None:
        _end(turn, earlier, LinkState.REVOKED, LinkEnd.REPLACED)
    secret = make_secret(turn)
    link = LoginLink(
        id=turn.new_id(),
        account_id=account.id,
        state=LinkState.MADE,
        secret_hash=digest(secret),
        note=event.note or None,
        require_uid=event.require_uid,
        made_by=turn.caller.name,
        created_at=turn.at,
        expires_at=turn.at + event.ttl_s,
    )
    turn.draft.links.put(link)
    tell_link_changed(turn, link)
    log.info("login_link_made", link=link.id, account=account.id)
    return {**render_row(link), "url": f"l/#{secret}"}


def _require_same_person(account: Account, uid: str | None) -> None:
    """Refuse an id with which no login of the account could succeed. Errors: Invalid."""
    known = find_ids(account.user_info) | ({account.platform_user_id} - {None})
    if uid is not None and known and uid not in known:
        raise Invalid(
            details=[{"field": "require_uid", "message": "is not the id of this account's person"}]
        )


async def list_links(event: LoginLinksQuery, turn: Turn) -> Listing[ShownLink]:
    """List the login links of an account, the newest first, without their secrets."""
    if turn.draft.accounts.get(event.id) is None:
        raise UnknownAccount
    found, total = await link_rows.list_links(turn.connection, event.id, event.limit, event.offset)
    return Listing([render_row(link) for link in found], total)


def revoke_link(event: LoginLinkById, turn: Turn) -> ShownLink:
    """End a login link; a login that it has started ends with it."""
    link = turn.draft.links.get(event.link)
    if link is None or link.account_id != event.id or not is_open_link(link):
        raise LinkClosed
    return render_row(_end(turn, link, LinkState.REVOKED, LinkEnd.CANCELLED))


def expire_links(event: None, turn: Turn) -> int:
    """End links whose time is up, each with the login it started; return how many.

    The next sweep ends what is more than a portion.
    """
    over = sorted(turn.draft.memory.links.ends.find_over(turn.now, turn.monotonic))[:MOST_ENDED]
    late = [link for name in over if (link := turn.draft.links.get(name)) is not None]
    for link in late:
        if is_open_link(link):
            _end(turn, link, LinkState.EXPIRED, LinkEnd.TIME)
    return len(late)


def is_link_over(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    """Tell whether the time of a link is up."""
    return bool(memory.links.ends.find_over(now, monotonic))


def _end(turn: Turn, link: LoginLink, state: LinkState, reason: LinkEnd) -> LoginLink:
    """End a link and the login that it started: nothing of its right is left."""
    ended = end_link(turn, link, state, reason)
    login = _find_open_login(turn, link)
    if login is not None:
        stop_worker(turn, login, CancelReason.CANCELLED)
        fail(turn, login, "The login's link has ended.", LoginErrorType.CANCELLED)
    log.info("login_link_ended", link=link.id, account=link.account_id, reason=reason)
    return ended


def _find_open_login(turn: Turn, link: LoginLink) -> Login | None:
    login = turn.draft.logins.get(link.session_id or "")
    return login if login is not None and is_open(login, turn.now) else None


def render_row(link: LoginLink) -> ShownLink:
    """Return a link as operators read it."""
    return {
        "id": link.id,
        "account_id": link.account_id,
        "state": link.state,
        "note": link.note,
        "require_uid": link.require_uid,
        "made_by": link.made_by,
        "created_at": link.created_at,
        "expires_at": link.expires_at,
        "device": render_device(link),
        "opened_at": link.opened_at,
        "session_id": link.session_id,
        "starts": link.starts,
        "outcome": link.outcome,
        "refused": link.refused,
        "ended_at": link.ended_at,
        "end_reason": LinkEnd(link.end_reason) if link.end_reason else None,
    }


# -- the owner ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opening:
    """A device opens a link: the secret, and the device's cookies, as hashes."""

    secret_hash: str = field(repr=False)
    known: frozenset[str] = field(repr=False)
    address: str
    agent: str | None


class Opened(TypedDict):
    """The outcome of an opening: the cookie for a device that is bound now, or a refusal."""

    id: str
    cookie: str | None
    is_taken: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner's device, as its cookie names it, and what it asks for."""

    link_id: str
    device_hash: str = field(repr=False)
    value: str = field(default="", repr=False)
    step_id: int | None = None


def check_secret(event: Opening, turn: Turn) -> str:
    """Return the id of the open link of a secret. Errors: LinkClosed."""
    link = turn.draft.links.first("secret", event.secret_hash)
    if link is None or not _is_usable(turn, link):
        raise LinkClosed
    return link.id


def open_link(event: Opening, turn: Turn) -> Opened:
    """Bind a link to the first device that opens it; another one is refused and told of.

    The refusal is a reply, because it is counted. Errors: LinkClosed.
    """
    link = turn.draft.links.first("secret", event.secret_hash)
    if link is None or not _is_usable(turn, link):
        raise LinkClosed
    if link.device_hash is None:
        cookie = make_secret(turn)
        put_link(
            turn,
            link,
            state=LinkState.OPENED,
            device_hash=digest(cookie),
            device_address=event.address[:100],
            device_agent=event.agent,
            opened_at=turn.at,
        )
        return {"id": link.id, "cookie": cookie, "is_taken": False}
    if link.device_hash in event.known:
        return {"id": link.id, "cookie": None, "is_taken": False}
    if link.refused < MOST_REFUSED:
        device = ", ".join(_list_known((event.agent, event.address[:100])))
        turn.draft.explain("login_links", [link.id], device)
        put_link(turn, link, refused=link.refused + 1)
    return {"id": link.id, "cookie": None, "is_taken": True}


def _list_known(words: Iterable[str | None]) -> list[str]:
    return [one for one in words if one]


def start_by_link(event: Owner, turn: Turn) -> None:
    """Start a login for the owner, as an operator would; while one is open, it is that one.

    Errors: LinkClosed, and those of a login's start.
    """
    link = _require_owner(turn, event)
    if _find_open_login(turn, link) is not None:
        return
    started = start_login(StartLogin(account_id=link.account_id), turn)
    now = turn.draft.links.get(link.id)  # the end of an earlier login may have been its last
    if now is None or not is_open_link(now) or now.starts >= MOST_STARTS:
        raise LinkClosed
    put_link(
        turn,
        now,
        state=LinkState.STARTED,
        session_id=started["session_id"],
        starts=now.starts + 1,
        outcome=None,
    )


def type_by_link(event: Owner, turn: Turn) -> None:
    """Relay what the owner typed to the login's worker; it is neither stored nor logged.

    Errors: LinkClosed, UnknownSession without a login, StepPassed if something else is asked by
    now, and those of an operator's input.
    """
    link = _require_owner(turn, event)
    login = _find_open_login(turn, link)
    if login is None:
        raise UnknownSession
    prompt = turn.draft.memory.links.prompts.get(login.id)
    if prompt is not None and prompt.step != "needs_input":
        raise StepPassed
    if prompt is not None and event.step_id not in (None, prompt.step_id):
        raise StepPassed
    kind = prompt.kind if prompt is not None and prompt.kind else "text"
    relay_input(UserInput(session_id=login.id, input_type=kind, value=event.value), turn)


def _require_owner(turn: Turn, event: Owner) -> LoginLink:
    """Return the open link of a bound device. Errors: LinkClosed."""
    link = turn.draft.links.get(event.link_id)
    if link is None or link.device_hash != event.device_hash or not _is_usable(turn, link):
        raise LinkClosed
    return link


def _is_usable(turn: Turn, link: LoginLink) -> bool:
    ends = turn.draft.memory.links.ends
    return is_open_link(link) and ends.find_left(link.id, turn.now, turn.monotonic) > 0
