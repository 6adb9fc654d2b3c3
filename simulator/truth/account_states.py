"""The record of accounts' states: what Master acknowledged, and whether something came later.

An acknowledged state must be the row's, until a report, a login or a person may have changed it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping

from master.model import LOST, AccountStatus, JsonObject, LoginStatus

Complain = Callable[[str, str], None]
Expected = dict[str, dict[str, str]]
"""Account -> column -> value."""

ROWS = {"login_status": "login_status", "account_status": "status"}
"""Field of a report -> column of an account."""


class States:
    """The states that rows of accounts must have; none is known while a report is under way."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._known: Expected = {}
        self._under_way: dict[str, set[Hashable]] = defaultdict(set)
        self.reported: set[str] = set()
        """Accounts of which a worker ever sent a state, acknowledged or not."""
        self.short_lived: set[str] = set()
        """Accounts that ever had cookies that end during the run."""
        self.touched: set[str] = set()
        """Accounts whose status a person ever changed."""

    def begin(self, account_id: str, what: Hashable) -> None:
        """Note that a report, a login or a person's change is under way."""
        self._under_way[account_id].add(what)
        self._known.pop(account_id, None)

    def note_sent(self, account_id: str, report: Hashable) -> None:
        """Note that a report is sent: Master may have it though its acknowledgement is lost."""
        self.reported.add(account_id)
        self.begin(account_id, report)

    def end(self, account_id: str, what: Hashable, states: Mapping[str, str] | None = None) -> None:
        """Note that it is over, and the states that Master acknowledged; None: unknown."""
        self._under_way[account_id].discard(what)
        if not self._under_way[account_id] and states:
            self._known[account_id] = dict(states)

    def note_told(self, account_id: str, told: JsonObject, ack: JsonObject) -> None:
        """Check that an acknowledgement says what was reported, or why it does not."""
        noted = {str(one.get("field")) for one in ack.get("notes") or []}
        for field, column in ROWS.items():
            said, answered = told.get(field), ack.get(column)
            if said in (None, answered) or noted & {field, "observed_at"}:
                continue
            if answered == LoginStatus.LOGGING_IN or said in (
                LoginStatus.LOGGED_IN,
                AccountStatus.ACTIVE,
            ):
                continue  # a login is open, or a person wanted otherwise
            self._complain(
                "status_lost", f"{account_id} was reported as {said}, acknowledged as {answered}"
            )

    def freeze(self) -> Expected:
        """Return what the rows must say now."""
        return {account_id: dict(states) for account_id, states in self._known.items()}

    def compare(self, rows: Mapping[str, JsonObject], expected: Expected) -> None:
        """Check rows against what was known when they were read, and still is."""
        for account_id, states in sorted(expected.items()):
            row = rows.get(account_id)
            if row is None or self._known.get(account_id) != states:
                continue
            for column, value in states.items():
                allowed = {value}
                if column == "login_status":
                    allowed.add(LoginStatus.LOGGING_IN)
                    if account_id in self.short_lived:
                        allowed.add(LoginStatus.EXPIRED)
                if column in row and row[column] not in allowed:
                    self._complain(
                        "status_lost",
                        f"{account_id} was acknowledged with {column} {value}, "
                        f"its row says {row[column]}",
                    )

    def may_be_lost(self, account_id: str, login_status: object) -> bool:
        """Tell whether an account that was logged in may be in this state of a lost session."""
        return login_status in LOST and account_id in self.reported | self.short_lived
