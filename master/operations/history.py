"""Writes the history: derives the events of a turn from what its draft changes.

No operation has to write one. An operation says why it changed a row only where the row itself does
not tell it (`Draft.explain`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from master.changes import changes_of
from master.decisions.history import (
    PEOPLE,
    Deed,
    Event,
    tell_account,
    tell_config,
    tell_deed,
    tell_login,
    tell_maintenance,
    tell_proxy,
    tell_worker,
)
from master.decisions.links import tell_link
from master.decisions.pace import Paces
from master.draft import Draft
from master.turn import Caller, Turn

REFUSED_PER_S = 1 / 60
REFUSED_BURST = 100
"""How many refused commands of one token are recorded per second, and at once."""

MOST_NAMES = 1_000


class RefusedDeeds:
    """Limits how many refused commands of each token are recorded; the others are counted."""

    def __init__(self) -> None:
        self._paces = Paces(MOST_NAMES)
        self._left_out: Counter[str] = Counter()

    def admit(self, caller: Caller, now: float) -> Deed | None:
        """Return the caller's refused command as it is to be recorded, or None."""
        assert caller.deed is not None, "only a command is refused"
        if self._paces.find(caller.name).ask(now, REFUSED_PER_S, REFUSED_BURST):
            self._left_out[caller.name] += 1
            return None
        return replace(caller.deed, left_out=self._left_out.pop(caller.name, 0))


def record_history(turn: Turn, below: Draft) -> None:
    """Add the events of a turn that has succeeded to its draft, which lies over `below`.

    A turn that changes nothing worth telling costs a few checks. A person's command that changes no
    row is an event of its own.
    """
    draft = turn.draft
    told = list(_list_changes(draft, below))
    deed = turn.caller.deed
    if deed is not None and not told:
        told = [tell_deed(deed, draft.logins)]
    if told:
        draft.events += _sign(turn, told)


def _list_changes(draft: Draft, below: Draft) -> Iterator[Event]:
    why = draft.reasons
    if draft.workers.changed:
        for worker, new_worker in changes_of(below.workers, draft.workers):
            yield from tell_worker(worker, new_worker, why)
    if draft.logins.changed:
        for login, new_login in changes_of(below.logins, draft.logins):
            yield from tell_login(login, new_login, why)
    yield from _list_links(draft, below)
    if draft.accounts.changed:
        for account, new_account in changes_of(below.accounts, draft.accounts):
            yield from tell_account(account, new_account, why)
    if draft.proxies.changed:
        for proxy, new_proxy in changes_of(below.proxies, draft.proxies):
            known = new_proxy or proxy
            kept = draft.kept.get(("proxies", known.id), {}) if known is not None else {}
            yield from tell_proxy(proxy, new_proxy, kept)
    if draft.maintenance != below.maintenance:
        wanted = draft.maintenance
        yield tell_maintenance(None if wanted is None else (wanted.deadline_at, wanted.reason))
    if draft.configs.changed:
        for config, new_config in changes_of(below.configs, draft.configs):
            yield from tell_config(config, new_config)


def _list_links(draft: Draft, below: Draft) -> Iterator[Event]:
    if draft.links.changed:
        for link, new_link in changes_of(below.links, draft.links):
            yield from tell_link(link, new_link, draft.reasons)


def _sign(turn: Turn, told: list[Event]) -> list[Event]:
    """Fill in when the events happened and who caused them: never a token. Return them."""
    caller = turn.caller
    kind, name, at_ms, request_id = caller.kind, caller.name, turn.milliseconds, caller.request_id
    if kind == "worker":
        name = turn.draft.speaker_of(caller.sid) or name
    for event in told:
        event.at_ms, event.by_kind, event.by_name, event.request_id = (
            at_ms,
            kind,
            name or None,
            request_id,
        )
        if kind in PEOPLE:
            event.params = {**(event.params or {}), "scope": caller.scope.name.lower()}
    return told
