"""Plans: the real operations on a draft that is discarded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from master.changes import changes_of
from master.deadlines import Deadlines
from master.decisions.assignment import wants_worker
from master.draft import Draft
from master.errors import Invalid, Refusal
from master.operations.accounts import change_account
from master.operations.assignments import place_more
from master.operations.draining import find_left
from master.operations.drains import begin_drain, move_drained
from master.operations.placement import Placements
from master.protocol.drains import DrainWorker
from master.protocol.explained import PlacementPlan, PlannedMove, PlannedStay
from master.protocol.http import AccountChange, PlanWishes
from master.reasons import Verdict
from master.record import change
from master.turn import Operation, Turn

DRAIN_S = 86_400
"""Time of a planned drain: a plan says what moves in the end, not when."""

MOST_TURNS = 12
"""Most turns of one plan; each assigns at most a portion. The loop stands still meanwhile."""


class Trial:
    """Runs operations on a draft of its own, each in a turn of its own, and their further turns.

    Neither the farm nor the state beside it changes, and nothing is sent.
    """

    def __init__(self, turn: Turn) -> None:
        memory = replace(turn.draft.memory, deadlines=Deadlines())
        self._turn = turn
        self.draft = Draft(memory)
        self.is_complete = True

    def run(self, operation: Operation, event: Any) -> Any:
        """Run an operation and all that follows from it; return its reply. Errors: Refusal."""
        reply, following = self._run_once(operation, event)
        for _ in range(MOST_TURNS):
            if not following:
                return reply
            operation, event = following.pop(0)
            following += self._run_once(operation, event)[1]
        self.is_complete = False
        return reply

    def _run_once(self, operation: Operation, event: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        turn = replace(
            self._turn,
            draft=self.draft.begin(),
            parcels=[],
            handouts=[],
            effects=[],
            next_turns=[],
            is_placed=False,
        )
        reply = operation(event, turn)
        # a commit would have sent these, and the next turn could send as much again
        turn.draft.told, turn.draft.told_bytes = {}, 0
        self.draft.absorb(turn.draft)
        return reply, turn.next_turns


def plan_placement(event: PlanWishes, turn: Turn) -> PlacementPlan:
    """Say who would move where, and who could not: nothing is changed.

    The real operations run on a draft that is thrown away.
    """
    trial, refused = Trial(turn), list[PlannedStay]()
    for worker_id, most in event.max_accounts.items():
        worker = trial.draft.workers.get(worker_id)
        if worker is None:
            message = f"there is no worker {worker_id}"
            raise Invalid(details=[{"field": "max_accounts", "message": message}])
        trial.draft.workers.put(change(worker, max_accounts=most))
    for worker_id in dict.fromkeys(event.drain):
        try:
            trial.run(begin_drain, DrainWorker(id=worker_id, deadline_s=DRAIN_S))
        except Refusal as refusal:
            message = f"{worker_id}: {refusal}"
            raise Invalid(details=[{"field": "drain", "message": message}]) from refusal
    for account_id, pin in event.pin.items():
        try:
            trial.run(change_account, AccountChange(id=account_id, pinned_worker_id=pin))
        except Refusal as refusal:
            refused.append({"account_id": account_id, "rule": refusal.code})
    if event.drain:
        trial.run(move_drained, event.drain)
    trial.run(place_more, None)
    return {
        "moves": list(_list_moves(trial.draft)),
        "stay": [*refused, *_list_left(trial.draft, event.drain), *_list_waiting(trial.draft)],
        "is_complete": trial.is_complete,
    }


def _list_moves(draft: Draft) -> Iterator[PlannedMove]:
    for before, after in changes_of(draft.memory.farm.accounts, draft.accounts):
        owner = before.assigned_worker_id if before is not None else None
        if after is not None and after.assigned_worker_id != owner:
            yield {"account_id": after.id, "from": owner, "to": after.assigned_worker_id}


def _list_left(draft: Draft, drained: Iterable[str]) -> Iterator[PlannedStay]:
    """Yield what cannot leave the drained workers, and why."""
    for worker_id in dict.fromkeys(drained):
        worker = draft.workers.get(worker_id)
        if worker is not None:
            left = find_left(draft, worker)
            for one in left.stays:
                yield {"account_id": one["account_id"], "rule": one["rule"]}
            for name in sorted(left.logins):
                yield {"account_id": name, "rule": Verdict.LOGGING_IN}


MOST_STAYING = 500
"""Most accounts without a worker that a plan names."""


def _list_waiting(draft: Draft) -> Iterator[PlannedStay]:
    placements, named = Placements(draft), 0
    for key in draft.accounts.list_groups("waiting"):
        for account in draft.accounts.find("waiting", key):
            if named == MOST_STAYING:
                return
            if wants_worker(account):
                named += 1
                yield {"account_id": account.id, "rule": placements.explain(account)}
