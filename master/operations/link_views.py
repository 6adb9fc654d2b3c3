"""The owner's view of a login link: never a name in full, and no other account."""

from __future__ import annotations

from typing import TypedDict

from master.decisions.links import MOST_STARTS, hide_name
from master.errors import LinkClosed
from master.farm import is_open_link
from master.links import BLANK
from master.login_link import LinkState, LoginLink
from master.model import Login
from master.operations.login_links import Owner
from master.store import logins as login_rows
from master.store.links import find_link
from master.turn import Turn

SEEN_S = 3_600
"""Seconds for which the bound device is told how an ended link has ended."""


class OwnerQuestion(TypedDict):
    """A question that the owner answers by typing."""

    step_id: int
    kind: str
    message: str


class OwnerLogin(TypedDict):
    """The open login of a link: its step, its code's number, and when it ends (s)."""

    step: str
    seq: int
    until: int
    hard_end_at: int
    code_url: str | None
    question: OwnerQuestion | None


class OwnerState(TypedDict):
    """All that the owner's page shows. `login` is null while none is open."""

    id: str
    state: LinkState
    farm: str
    operator: str
    note: str | None
    platform: str
    account: str
    expires_at: int
    starts_left: int
    outcome: str | None
    end_reason: str | None
    login: OwnerLogin | None
    now_ms: int


def show_to_owner(event: Owner, turn: Turn) -> OwnerState:
    """Return a link's state to the device that it is bound to. Errors: LinkClosed."""
    link = turn.draft.links.get(event.link_id) or turn.fetch(find_link, event.link_id)
    if link is None or link.device_hash is None or link.device_hash != event.device_hash:
        raise LinkClosed
    if not is_open_link(link) and turn.now >= (link.ended_at or 0) + SEEN_S:
        raise LinkClosed
    account = turn.draft.accounts.get(link.account_id)
    login = turn.draft.logins.get(link.session_id or "") if is_open_link(link) else None
    return {
        "id": link.id,
        "state": link.state,
        "farm": turn.settings.farm_name,
        "operator": link.made_by,
        "note": link.note,
        "platform": account.platform if account is not None else "",
        "account": hide_name(account.account_name) if account is not None else "",
        "expires_at": link.expires_at,
        "starts_left": max(0, MOST_STARTS - link.starts),
        "outcome": link.outcome,
        "end_reason": link.end_reason,
        "login": _render_login(turn, link, login) if login is not None else None,
        "now_ms": turn.milliseconds,
    }


def _render_login(turn: Turn, link: LoginLink, login: Login) -> OwnerLogin:
    prompt = turn.draft.memory.links.prompts.get(login.id, BLANK)
    step = prompt.step or ("code" if login.has_qr_code else "asking")
    url = None
    if step == "code":
        codes = turn.fetch(_read_code, (login.id, prompt.seq))
        url = (codes or {}).get("qr_code_url")
    last = login.created_at + int(turn.settings.login_max_s)
    asked: OwnerQuestion | None = None
    if step == "needs_input":
        asked = {"step_id": prompt.step_id, "kind": prompt.kind, "message": prompt.message}
    return {
        "step": step,
        "seq": prompt.seq,
        "until": min(login.expires_at, link.expires_at),
        "hard_end_at": min(last, link.expires_at),
        "code_url": url if url and url.startswith(("http://", "https://")) else None,
        "question": asked,
    }


async def _read_code(connection: object, key: tuple[str, int]) -> dict[str, str | None] | None:
    codes = await login_rows.read_codes(connection, [key[0]])  # type: ignore[arg-type]
    return codes.get(key[0])


def find_owners_login(event: Owner, turn: Turn) -> str:
    """Return the open login whose code the owner may see. Errors: LinkClosed."""
    link = turn.draft.links.get(event.link_id)
    if link is None or link.device_hash != event.device_hash or not is_open_link(link):
        raise LinkClosed
    login = turn.draft.logins.get(link.session_id or "")
    if login is None:
        raise LinkClosed
    return login.id
