"""A plan equals what then happens, as long as nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from master.model import OPEN_SESSION, JsonObject, WorkerStatus
from simulator.virtual.rules.deadlines import Complain
from simulator.virtual.rules.file_view import View

Owner = str | None


@dataclass(slots=True)
class Forecast:
    """A plan's forecast of one step: a drain of `worker_id`, or an account's pin.

    `moves`: account -> (from, to), those that have not happened yet.
    """

    moves: dict[str, tuple[Owner, Owner]]
    worker_id: str | None = None
    pin: tuple[str, Owner] | None = None
    has_begun: bool = False


def show_rest(view: View, worker_id: str | None, pinned: str | None) -> tuple[Any, ...]:
    """Return all that decides where accounts go, but for hands, one drain and one pin."""
    return (
        {
            name: (one.platform, one.status, None if name == pinned else one.pinned)
            for name, one in view.accounts.items()
        },
        {
            name: (
                one.status,
                one.capabilities,
                one.max_accounts,
                None if name == worker_id else one.drain_since,
            )
            for name, one in view.workers.items()
        },
        {name: one.account_id for name, one in view.logins.items() if one.status in OPEN_SESSION},
    )


def show_hands(view: View) -> dict[str, Owner]:
    """Return who owns each account."""
    return {name: account.owner for name, account in view.accounts.items()}


class Forecasts:
    """Compares plans with the file. `kept` counts those that came true, `void` the disturbed."""

    def __init__(self, complain: Complain, is_heard: Callable[[str], bool]) -> None:
        self._complain = complain
        self._is_heard = is_heard
        self._open: list[Forecast] = []
        self.view = View()
        """The file after the latest batch."""
        self.kept = self.void = 0

    def expect(
        self,
        plan: JsonObject,
        seen: View,
        *,
        drain: str | None = None,
        pin: tuple[str, Owner] | None = None,
    ) -> None:
        """Expect the moves of a plan; the step itself is asked for now.

        `seen`: the view when the plan was asked for. If something changed since,
        it is unknown whether the plan saw it.
        """
        same = show_rest(seen, None, None) == show_rest(self.view, None, None)
        if plan["is_complete"] and same and show_hands(seen) == show_hands(self.view):
            moves = {one["account_id"]: (one["from"], one["to"]) for one in plan["moves"]}
            self._open.append(Forecast(moves, drain, pin))

    def check(self, before: View, now: View, *, together: bool) -> None:
        """Compare one batch with every open forecast."""
        together = together or before is not self.view
        self.view = now
        for forecast in [*self._open]:
            pinned = forecast.pin[0] if forecast.pin is not None else None
            same = show_rest(before, forecast.worker_id, pinned) == show_rest(
                now, forecast.worker_id, pinned
            )
            moved = {
                name: (owner, show_hands(now).get(name))
                for name, owner in show_hands(before).items()
                if show_hands(now).get(name) != owner
            }
            is_drain = forecast.worker_id is not None
            if not same or together or (is_drain and not self._are_all_heard(now)):
                self._open.remove(forecast)
                self.void += 1
            elif forecast.worker_id is not None:
                self._follow_drain(forecast, forecast.worker_id, moved, now)
            elif forecast.pin is not None:
                self._judge_pin(forecast, forecast.pin, moved, now)

    def _are_all_heard(self, now: View) -> bool:
        return all(
            self._is_heard(name)
            for name, worker in now.workers.items()
            if worker.status == WorkerStatus.CONNECTED
        )

    def _follow_drain(
        self,
        forecast: Forecast,
        worker_id: str,
        moved: Mapping[str, tuple[Owner, Owner]],
        now: View,
    ) -> None:
        """A drain goes by portions: each move is one of the plan's, and at the end all are made."""
        if any(one[0] != worker_id for one in moved.values()):
            self._open.remove(forecast)  # evened loads, or a free slot given
            self.void += 1
            return
        wrong = {
            name: hands for name, hands in moved.items() if forecast.moves.pop(name, None) != hands
        }
        worker = now.workers[worker_id]
        is_done, is_drained = worker.drain_done, worker.drain_since is not None
        if forecast.has_begun and not is_drained:  # its time was up, or a person ended it
            self._open.remove(forecast)
            self.void += 1
            return
        forecast.has_begun = is_drained
        if wrong or (is_done and forecast.moves):
            self._complain(
                "plan_differs", f"drain of {worker_id}: {wrong} happened, {forecast.moves} did not"
            )
        if wrong or is_done:
            self._open.remove(forecast)
            self.kept += not wrong and not forecast.moves

    def _judge_pin(
        self,
        forecast: Forecast,
        pin: tuple[str, Owner],
        moved: Mapping[str, tuple[Owner, Owner]],
        now: View,
    ) -> None:
        """A pin is carried out in one turn."""
        account = now.accounts.get(pin[0])
        if account is None or account.pinned != pin[1]:
            if moved:
                self._open.remove(forecast)
                self.void += 1
            return
        self._open.remove(forecast)
        if moved != forecast.moves:
            self._complain(
                "plan_differs", f"pin of {pin}: {forecast.moves} was planned, {moved} happened"
            )
        else:
            self.kept += 1
