"""Rules about what a batch sends: which worker an account is assigned to, and which logins end.

An account assigned to a worker that the same turn evicts is revoked at once: the file shows no
trace of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from master.batch import Batch
from master.farm import Farm
from master.model import WorkerStatus
from master.protocol.admin import LoginFailed, LoginSucceeded, QrCodeExpired
from master.protocol.worker import Goodbye, Registered, TaskAssign
from master.turn import Parcel
from simulator.virtual.rules.file_view import AccountRow

CLOSINGS = (LoginSucceeded, LoginFailed, QrCodeExpired)

Broken = tuple[str, str]
"""The broken rule, and the detail."""


def find_mishandled(batch: Batch, before: Mapping[str, AccountRow]) -> Iterator[Broken]:
    """Yield the wrong assignments in each turn; `before` are the accounts before the batch."""
    epochs: dict[str, int] = {}
    for done in batch.done:
        draft = done.turn.draft
        for account_id, account in draft.accounts.changed.items():
            if account is None:
                continue
            row = before.get(account_id)
            known = epochs.get(account_id, 0 if row is None else row.epoch)
            if account.epoch > known + 1:
                yield (
                    "handed_twice",
                    f"{account_id} went from epoch {known} to {account.epoch} in one turn",
                )
            epochs[account_id] = account.epoch
        for handout in done.turn.handouts:
            worker = draft.workers.changed.get(handout.worker_id)
            if handout.epochs and worker is not None and worker.status is WorkerStatus.OFFLINE:
                accounts = ", ".join(sorted(handout.epochs))
                yield (
                    "assigned_to_lost",
                    f"{accounts} assigned to {handout.worker_id}, which the same turn evicts",
                )


def find_turned_away(batch: Batch) -> Iterator[Broken]:
    """Yield the workers that a batch registers and evicts, though they said no goodbye in it."""
    came, left = set[str | None](), set[str]()
    for done in batch.done:
        came |= {
            one.content.workerId for one in done.turn.parcels if isinstance(one.content, Registered)
        }
        left |= {item.event.worker_id for item in done.items if isinstance(item.event, Goodbye)}
    for worker_id in came - left - {None}:
        worker = batch.draft.workers.changed.get(worker_id or "")
        if worker is not None and worker.status is WorkerStatus.OFFLINE:
            yield (
                "evicted_as_it_came",
                f"{worker_id} registered and was evicted as silent at once",
            )


def find_misassigned(parcels: Sequence[Parcel], farm: Farm) -> Iterator[Broken]:
    """Yield the accounts about to be sent to a worker that does not own them in that epoch."""
    for parcel in parcels:
        content = parcel.content
        if isinstance(content, TaskAssign):
            worker_id: str | None = parcel.address.id
        elif isinstance(content, Registered):
            worker_id = content.workerId
        else:
            continue
        for shown in content.accounts or ():
            account = farm.accounts.get(shown["id"])
            if account is None or (account.assigned_worker_id, account.epoch) != (
                worker_id,
                shown["epoch"],
            ):
                yield (
                    "assigned_to_other",
                    f"{shown['id']} of epoch {shown['epoch']} is sent to {worker_id}",
                )


def list_closed(batch: Batch) -> set[str]:
    """Return the logins whose end is announced to administrators."""
    return {
        parcel.content.session_id
        for parcel in batch.parcels
        if isinstance(parcel.content, CLOSINGS)
    }
