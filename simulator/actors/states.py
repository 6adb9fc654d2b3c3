"""A worker's eye on its accounts: it tells Master who is logged out, banned, or well again."""

from __future__ import annotations

from master.model import LOST, AccountStatus, JsonObject, LoginStatus
from simulator.actors.outbox import Outbox, StateReport
from simulator.actors.world import World
from simulator.truth.holdings import Holdings
from simulator.truth.standing import REASONS

FINAL = frozenset({"not_yours", "stale_epoch"})
"""Refusals after which a report is dropped: the account's next owner sees the state itself."""


class StateEye:
    """Compares what looks show with what Master knows; at most one report per account waits."""

    def __init__(self, world: World, holdings: Holdings, outbox: Outbox) -> None:
        self._world = world
        self._holdings = holdings
        self._outbox = outbox
        self._answered: dict[str, tuple[JsonObject, str, str]] = {}
        """Account -> its description at the latest answer, and the states in that answer."""

    def see(self, account_id: str, account: JsonObject) -> bool:
        """Return whether an account can be watched; tell Master if it believes otherwise."""
        login, status = self._world.platform.standings.look(account_id)
        known_login, known_status = self._find_known(account_id, account)
        told: JsonObject = {}
        if login != known_login and (login in LOST or known_login in LOST):
            told |= {"login_status": login.value, "reason": REASONS[login]}
        if known_status not in (status, AccountStatus.PAUSED):
            told |= {"account_status": status.value}
            told.setdefault("reason", f"shown_as_{status.value}")
        if told and not self._outbox.has_state(account_id):
            self._put(account_id, told)
        return login is LoginStatus.LOGGED_IN and status is not AccountStatus.BANNED

    def note_answer(self, report: StateReport, ack: JsonObject) -> None:
        """Keep the states that Master answered: the next look is compared with them."""
        account, states = self._holdings.find(report.account_id), self._world.ledger.states
        answered = {"login_status": str(ack["login_status"]), "status": str(ack["status"])}
        if account is not None:
            known = (account, answered["login_status"], answered["status"])
            self._answered[report.account_id] = known
        ended = answered["login_status"] != LoginStatus.LOGGING_IN
        states.note_told(report.account_id, report.told, ack)
        states.end(report.account_id, id(report), answered if ended else None)
        if ack.get("changed"):
            shown = " and ".join(answered.values()).replace("_", " ")
            self._world.tally.tell(f"account {report.account_id[:8]} is {shown} now")
        self._world.tally.counts.states_told += 1

    def note_refusal(self, report: StateReport, ack: JsonObject) -> bool:
        """Return whether a final refusal is one that a worker expects."""
        self._world.ledger.states.end(report.account_id, id(report))
        return (ack.get("error") or {}).get("code") in FINAL

    def _find_known(self, account_id: str, account: JsonObject) -> tuple[str, str]:
        known = self._answered.get(account_id)
        if known is not None and known[0] is account:
            return known[1], known[2]
        return str(account.get("login_status")), str(account.get("status", AccountStatus.ACTIVE))

    def _put(self, account_id: str, told: JsonObject) -> None:
        now = self._world.clock.now()
        told["observed_at"] = int(now)
        if self._world.platform.mischief.odd is not None:
            told |= {"observed_at": int(now * 1_000), "detail": {"page": "home", "code": 7}}
        report = StateReport(account_id, told, self._holdings.find_epoch(account_id))
        self._outbox.put(report, self._world.clock.monotonic())
