"""Mendings that can be taken back for the time of a run: a plan is worth playing only if it notices that.

Each name is that of a plan in fixtures/simulation. As with ablations, a function of Master (or of the laboratory) is
replaced, by what it was like before; there are no switches for this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import FunctionType
from typing import Any
from unittest.mock import patch

from master import periodic
from master.decisions.assignment import may_take
from master.operations import assignments, login_ends, silence, workers
from master.operations.assignments import settle_loads
from master.presence import Presence
from simulator.virtual.deadlines import Silence
from simulator.virtual.lab import Lab


def _audit_with(stack: ExitStack, **others: Any) -> None:
    """Let the audit, and nobody else, call other functions than its module's."""
    known = silence.audit_workers
    audit = FunctionType(known.__code__, {**vars(silence), **others}, known.__name__)
    sweeps = [replace(one, operation=audit) if one.operation is known else one for one in periodic.SWEEPS]
    stack.enter_context(patch.object(periodic, "SWEEPS", tuple(sweeps)))


def _audit_does_not_count(stack: ExitStack) -> None:
    """Whom the audit gives up does not count when the brake is judged."""

    async def give_up_uncounted(turn: Any, missed: list[str]) -> int:
        return await workers.give_up(turn, missed, silence.liveness.SILENCE, reachable=False)

    _audit_with(stack, _give_up=give_up_uncounted)


def _audit_knows_no_brake(stack: ExitStack) -> None:
    """The audit does not ask whether the brake is on, or would be put on."""
    judge = silence._judge_silence
    _audit_with(stack, _judge_silence=lambda turn, silent: replace(judge(turn, silent), held=False))


def _brake_covers_others(stack: ExitStack) -> None:
    """A brake whose time is over was put on for whoever is silent by then."""

    def find_all(turn: Any, silent: list[str]) -> list[str]:
        brake_until = turn.presence.brake_until
        return [] if brake_until is None or turn.monotonic < brake_until else silent

    stack.enter_context(patch.object(silence, "_find_waited_for", find_all))


def _grace_begins_early(stack: ExitStack) -> None:
    """The grace after a start begins when the file is read, not when somebody can connect."""

    def begin_early(self: Presence, now: float, *, grace_s: float, timeout_s: float) -> None:
        for seat in self.seats.values():
            seat.heard += grace_s  # since `wake_up`
        self.unsure_until = now + timeout_s

    stack.enter_context(patch.object(Presence, "begin_grace", begin_early))


def _assigned_keeps_place(stack: ExitStack) -> None:
    """Nobody looks whether an assignment has made a place free that was kept for a login."""
    for module in (assignments, workers):
        stack.enter_context(patch.object(module, "kept_place", lambda _: False))


def _failed_keeps_place(stack: ExitStack) -> None:
    """The place that a failed login kept on its worker is given on by the next audit only."""

    async def give_nothing_back(turn: Any, *_: Any) -> None:
        await settle_loads(turn, set())

    stack.enter_context(patch.object(login_ends, "give_back_place", give_nothing_back))


def _wall_clock_alone(stack: ExitStack) -> None:
    """A login ends by the wall clock alone."""

    def find_overdue(self: Presence, now: float, monotonic: float) -> list[str]:
        return [login_id for login_id, expires_at in self.deadlines.items() if expires_at <= now]

    stack.enter_context(patch.object(Presence, "find_overdue", find_overdue))


def _login_asks_no_platform(stack: ExitStack) -> None:
    """A login gives its account to its worker, whether or not that still serves the platform."""

    def may_take_anything(worker: Any, account: Any) -> bool:
        return may_take(replace(worker, capabilities=(*worker.capabilities, account.platform)), account)

    stack.enter_context(patch.object(login_ends, "may_take", may_take_anything))


def _registration_is_no_sign(stack: ExitStack) -> None:
    """A worker that registers is heard after the commit only."""
    bind = workers._bind_socket

    def bind_unheard(turn: Any, worker_id: str) -> None:
        with patch.object(Presence, "hear", lambda *_, **__: None):
            bind(turn, worker_id)

    stack.enter_context(patch.object(workers, "_bind_socket", bind_unheard))


def _no_handover(stack: ExitStack) -> None:
    """A new owner acts at once, whatever the former one has heard."""
    stack.enter_context(patch.object(Presence, "find_wait", lambda *_: 0.0))


def _reckoning_waits_for_no_start(stack: ExitStack) -> None:
    """The laboratory's reckoning does not wait until new owners may act: what it says then is false."""
    stack.enter_context(patch.object(Lab, "_count_waiting_to_act", lambda _: 0))


def _arrivals_are_read_at_once(stack: ExitStack) -> None:
    """The laboratory takes what arrives at a Master that stands still for heard."""

    def hear_at_once(self: Silence, worker_id: str) -> None:
        self.of(worker_id).arrived = self._clock.monotonic()

    stack.enter_context(patch.object(Silence, "note_arrived", hear_at_once))


def _no_brake_begins_anew(stack: ExitStack) -> None:
    """The laboratory allows a brake one timeout only, though Master stood still while it was on."""
    stack.enter_context(patch.object(Silence, "_may_have_been_braked", lambda *_: False))


UNDONE: dict[str, Callable[[ExitStack], None]] = {
    "audit-counts-for-the-brake": _audit_does_not_count,
    "brake-anew-after-a-stall": _no_brake_begins_anew,
    "brake-and-audit": _audit_knows_no_brake,
    "brake-of-others": _brake_covers_others,
    "grace-on-a-slow-disk": _grace_begins_early,
    "kept-place-of-an-assigned": _assigned_keeps_place,
    "kept-place": _failed_keeps_place,
    "login-after-a-step-back": _wall_clock_alone,
    "login-on-unfit-worker": _login_asks_no_platform,
    "read-after-a-stall": _arrivals_are_read_at_once,
    "reckoning-after-the-last-login": _reckoning_waits_for_no_start,
    "registered-and-given-up": _registration_is_no_sign,
    "two-owners": _no_handover,
}
"""Name of a plan -> takes away what mended it."""


@contextmanager
def undone(name: str) -> Iterator[None]:
    """Take a mending away for as long as the context lasts."""
    with ExitStack() as stack:
        UNDONE[name](stack)
        yield
