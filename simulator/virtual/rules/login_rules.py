"""Rules about logins: their changes, their ends, and reports after their deadlines."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from master.memory import Memory
from master.model import OPEN_SESSION, SessionStatus
from simulator.truth.ownership import Complain
from simulator.virtual.rules.deadlines import Moment
from simulator.virtual.rules.file_view import LoginRow, View

ARROWS = {
    SessionStatus.PENDING: {
        SessionStatus.SCANNING,
        SessionStatus.SUCCESS,
        SessionStatus.FAILED,
        SessionStatus.EXPIRED,
    },
    SessionStatus.SCANNING: {SessionStatus.SUCCESS, SessionStatus.FAILED, SessionStatus.EXPIRED},
}
"""The allowed changes of a login's status; none from an ended one."""


def check_logins(memory: Memory, now: View, complain: Complain) -> None:
    """Check that memory and file have the same open logins and deadlines."""
    known = {
        one.id: (one.account_id, one.status.value, one.expires_at)
        for one in memory.farm.logins.all()
    }
    rows = {
        name: (login.account_id, login.status, login.expires_at)
        for name, login in now.logins.items()
    }
    if known != rows:
        apart = sorted({*known.items()} ^ {*rows.items()})
        complain("memory_differs", f"logins of memory or file alone: {apart}")
    if memory.deadlines.expiries != {name: login.expires_at for name, login in now.logins.items()}:
        complain(
            "memory_differs",
            f"open logins end at {memory.deadlines.expiries}, by the file {rows}",
        )


def check_sessions(
    before: View,
    now: View,
    reported: Mapping[str, int | None],
    closed: Collection[str] | None,
    complain: Complain,
) -> None:
    """Check the changes of login sessions, and drop ended ones from the view.

    `reported` is session -> epoch of each reported success. `closed` are the sessions whose end a
    parcel announces; None if that is unknown.
    """
    opened: dict[str, str] = {}
    for session_id, login in list(now.logins.items()):
        account_id, status, old = login.account_id, login.status, before.logins.get(session_id)
        was = SessionStatus.PENDING.value if old is None else old.status
        if status != was and SessionStatus(status) not in ARROWS.get(SessionStatus(was), set()):
            complain("login_arrow", f"{session_id} went from {was} to {status}")
        if status == SessionStatus.SUCCESS and session_id not in reported:
            complain(
                "success_of_another",
                f"{session_id} is a success that {login.worker_id} never reported",
            )
        account, epoch = before.accounts.get(account_id), reported.get(session_id)
        if (
            status == SessionStatus.SUCCESS
            and account is not None
            and epoch is not None
            and epoch < account.epoch
        ):
            complain(
                "old_epoch_taken",
                f"{session_id}: epoch {epoch} of {account_id}, which is {account.epoch}",
            )
        if status not in OPEN_SESSION:
            if closed is not None and session_id not in closed:
                complain(
                    "login_untold",
                    f"{session_id} of {account_id} is {status}, and no parcel announces it",
                )
            del now.logins[session_id]
            continue
        if account_id in opened:
            complain("two_open_logins", f"{account_id}: {opened[account_id]} and {session_id}")
        opened[account_id] = session_id


def find_accepted_late(
    before: Mapping[str, LoginRow], now: Mapping[str, LoginRow], began: Moment, ended: Moment
) -> list[str]:
    """Return the reports accepted for logins that had expired, by Master's wall clock, before their
    batch began.

    A batch during which that clock was stepped cannot be judged.
    """
    if abs((ended.wall - began.wall) - (ended.monotonic - began.monotonic)) > 1e-3:
        return []
    accepted = []
    for session_id, login in now.items():
        old = before.get(session_id)
        if old is None or began.wall < old.expires_at:
            continue
        if login.status != old.status and login.status in (
            SessionStatus.SCANNING,
            SessionStatus.SUCCESS,
        ):
            accepted.append(
                f"{session_id} became {login.status} "
                f"{began.wall - old.expires_at:.3f} s after its deadline"
            )
        elif login.expires_at > old.expires_at:
            accepted.append(
                f"{session_id} was extended {began.wall - old.expires_at:.3f} s after its deadline"
            )
    return accepted
