"""Login links: what their changes mean, and what the steps of their logins are for the owner."""

from __future__ import annotations

import re
from collections.abc import Iterator

from master.decisions.history import Event, Reason
from master.decisions.login import fold_status
from master.login_link import OPEN_LINK, LinkState, LoginLink
from master.model import JsonObject
from master.reasons import EventKind, LinkEnd

MOST_STARTS = 3
"""How many logins one link may start."""

MOST_REFUSED = 20
"""How many refusals of other devices are counted and told."""

SCANNED = frozenset({"scanned", "confirming", "confirmed"})
CHECKING = frozenset({"verifying", "logging_in", "input_submitted"})
_ASKS = re.compile(r"(required|needed)$")


def read_step(status: str) -> str | None:
    """Return the step that a worker's status means to a person, or None if it means none."""
    word = fold_status(status)
    if word in SCANNED:
        return "scanned"
    if _ASKS.search(word):
        return "needs_input"
    return "verifying" if word in CHECKING else None


def read_question(status: str, step: str | None, input_type: str | None) -> str:
    """Return what a worker asks for: sms_code, captcha, or a word of its own."""
    word = fold_status(input_type or step or status)[:64]
    if "sms" in word:
        return "sms_code"
    return "captcha" if "captcha" in word else word


def hide_name(name: str) -> str:
    """Return an account's name as a stranger may see it: its first and last characters.

    The owner recognises the account; somebody who found the link learns no name.
    """
    shown = name.strip()
    if len(shown) <= 2:
        return f"{shown[:1]}*"
    kept = 1 if len(shown) < 6 else 2
    return f"{shown[:kept]}***{shown[-kept:]}"


BROWSERS = {
    "MicroMessenger": "WeChat", "DingTalk": "DingTalk", "QQ/": "QQ", "Firefox": "Firefox",
    "FxiOS": "Firefox", "Edg": "Edge", "OPR": "Opera", "SamsungBrowser": "Samsung Internet",
    "CriOS": "Chrome", "Chrome": "Chrome", "Safari": "Safari",
}  # fmt: skip
SYSTEMS = {
    "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "HarmonyOS": "HarmonyOS",
    "OpenHarmony": "HarmonyOS", "Windows": "Windows", "Mac OS": "Mac", "Linux": "Linux",
}  # fmt: skip
"""Parts of a User-Agent, the most telling first -> how people call it."""


def name_agent(agent: str) -> str | None:
    """Return a browser and its system as people call them, or None if neither is known."""
    found = [
        next((shown for mark, shown in names.items() if mark in agent), None)
        for names in (BROWSERS, SYSTEMS)
    ]
    return ", ".join(one for one in found if one) or None


STEPS = {
    LinkState.OPENED: EventKind.LOGIN_LINK_OPENED,
    LinkState.SCANNED: EventKind.LOGIN_LINK_SCANNED,
    LinkState.DONE: EventKind.LOGIN_LINK_DONE,
    LinkState.REVOKED: EventKind.LOGIN_LINK_REVOKED,
    LinkState.EXPIRED: EventKind.LOGIN_LINK_EXPIRED,
}


def tell_link(before: LoginLink | None, after: LoginLink | None, why: Reason) -> Iterator[Event]:
    """Yield the events of one link: never its secret."""
    link = after or before
    assert link is not None, "a changed link has a record before or after"
    made = Event(EventKind.LOGIN_LINK_MADE, link.account_id, target=link.id)
    if before is None:
        names = ("expires_at", "note", "require_uid")
        wanted: JsonObject = {name: getattr(link, name) for name in names}
        yield _be(made, made.kind, params=wanted)
        return
    if after is None:
        if before.state in OPEN_LINK:
            yield _be(made, EventKind.LOGIN_LINK_REVOKED, LinkEnd.ACCOUNT_DELETED)
        return
    if after.refused != before.refused:
        params: JsonObject = {"device": why.get(("login_links", link.id))}
        yield _be(made, EventKind.LOGIN_LINK_REFUSED, params=params)
    if after.starts != before.starts:
        params = {"session_id": after.session_id, "starts": after.starts}
        yield _be(made, EventKind.LOGIN_LINK_STARTED, params=params)
    elif after.state is not before.state and after.state in STEPS:
        device: JsonObject = {"address": after.device_address, "agent": after.device_agent}
        is_opened = after.state is LinkState.OPENED
        yield _be(made, STEPS[after.state], after.end_reason, device if is_opened else None)


def _be(
    made: Event, kind: str, reason: str | None = None, params: JsonObject | None = None
) -> Event:
    return Event(kind, made.account_id, target=made.target, reason=reason, params=params)
