"""Login links follow the logins that they started; administrators are told of each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from master.decisions.links import MOST_STARTS, read_question, read_step
from master.farm import is_open_link
from master.login_link import LinkState, LoginLink
from master.model import Account, Login, SessionStatus
from master.protocol.login_links import LinkChanged, ShownDevice
from master.protocol.worker import LoginReport
from master.reasons import LinkEnd
from master.record import change
from master.turn import ADMINS, Turn

MOST_MESSAGE = 300
"""Characters of a worker's message that the owner is shown."""


def find_link_of(turn: Turn, session_id: str) -> LoginLink | None:
    """Return the open link that started a login, or None."""
    link = turn.draft.links.first("session", session_id)
    return link if link is not None and is_open_link(link) else None


def put_link(turn: Turn, link: LoginLink, **changes: Any) -> LoginLink:
    """Write a new or changed link and tell of it; return it."""
    after = change(link, **changes)
    turn.draft.links.put(after)
    tell_link_changed(turn, after)
    return after


def end_link(turn: Turn, link: LoginLink, state: LinkState, reason: LinkEnd | None) -> LoginLink:
    """End a link; the login that it started goes on."""
    return put_link(turn, link, state=state, ended_at=turn.at, end_reason=reason)


def drop_links_of(turn: Turn, account: Account) -> None:
    """End the links of an account that is removed: their rows go with it."""
    for link in [one for one in turn.draft.links.all() if one.account_id == account.id]:
        if is_open_link(link):
            end_link(turn, link, LinkState.REVOKED, LinkEnd.ACCOUNT_DELETED)
        turn.draft.links.remove(link.id)


def tell_link_changed(turn: Turn, link: LoginLink) -> None:
    """Tell administrators of a link as it is now, and those who wait for its news."""
    turn.tell(
        ADMINS,
        LinkChanged(
            id=link.id,
            account_id=link.account_id,
            state=link.state,
            device=render_device(link),
            session_id=link.session_id,
            starts=link.starts,
            outcome=link.outcome,
            refused=link.refused,
            expires_at=link.expires_at,
            end_reason=link.end_reason,
            at=turn.at,
            rev=turn.rev,
        ),
    )
    _ring(turn, link)


def render_device(link: LoginLink) -> ShownDevice | None:
    """Return the device that a link is bound to, or None."""
    if link.device_hash is None:
        return None
    return {"address": link.device_address, "agent": link.device_agent}


def _ring(turn: Turn, link: LoginLink) -> None:
    links = turn.draft.memory.links
    turn.after_commit(lambda: links.ring(link.id))


def _note_if_open(turn: Turn, login: Login, note: Callable[[], None]) -> None:
    """Note something of a login after the commit, unless its batch has ended it."""
    logins = turn.draft.memory.farm.logins
    turn.after_commit(lambda: note() if logins.get(login.id) is not None else None)


def follow_code(turn: Turn, login: Login) -> None:
    """Note a new code of a login for the owner's page."""
    link, links = find_link_of(turn, login.id), turn.draft.memory.links
    if link is not None:
        _note_if_open(turn, login, lambda: links.note_code(login.id))
        _ring(turn, link)


def follow_report(turn: Turn, login: Login, event: LoginReport) -> None:
    """Note a login's progress for the owner's page; a scan is a step of the link."""
    link, links = find_link_of(turn, login.id), turn.draft.memory.links
    step = read_step(event.status)
    if link is None or step is None:
        return
    kind, message = "", ""
    if step == "needs_input":
        told = event.model_dump(mode="json", include={"step", "input_type", "message"})
        kind = read_question(event.status, _read(told, "step"), _read(told, "input_type"))
        message = (_read(told, "message") or "")[:MOST_MESSAGE]
    _note_if_open(turn, login, lambda: links.note_step(login.id, step, kind, message))
    if step == "scanned" and link.state is LinkState.STARTED:
        put_link(turn, link, state=LinkState.SCANNED)
    else:
        _ring(turn, link)


def _read(told: dict[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None


def follow_end(turn: Turn, ended: Login, why: str) -> None:
    """Note the end of a login: its success ends the link, and so does the last failed one."""
    link = find_link_of(turn, ended.id)
    if link is None:
        return
    if ended.status is SessionStatus.SUCCESS:
        put_link(turn, link, state=LinkState.DONE, ended_at=turn.at, outcome=None)
    elif link.starts >= MOST_STARTS:
        last = change(link, outcome=why)
        end_link(turn, last, LinkState.EXPIRED, LinkEnd.USED_UP)
    else:
        put_link(turn, link, state=LinkState.STARTED, outcome=why)
