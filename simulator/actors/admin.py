"""An administrator: creates accounts, starts logins, types SMS codes, cancels and restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from master.model import OPEN_SESSION, JsonObject, LoginStatus
from simulator.actors.connection import TROUBLE, Connection, Refused, live_until
from simulator.actors.world import World
from simulator.chance import draw_backoff, draw_gap, open_stream
from simulator.pace import Signal
from simulator.truth.api import Api, ApiTrouble, list_all

AT_ONCE = 8
"""HTTP requests that an administrator has open at once."""

CLOSING_LIMIT_S = 10.0

MISMATCH = "identity_mismatch"
TAKE_RATE = 0.3
"""How often a person that is not the account's is taken knowingly."""

PNG = "data:image/png;base64,"


class Admin:
    """One administrator in the /admin namespace, who logs in a share of the accounts."""

    def __init__(self, number: int, world: World, share: Sequence[str]) -> None:
        self.name = f"{world.prefix}-admin-{number}"
        self._world = world
        self._share = share
        self._rng = open_stream(world.scenario.seed, "admin", self.name)
        self._limit = max(1, world.scenario.logins_at_once // world.scenario.admins)
        self._open: dict[str, str] = {}
        self._to_cancel: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self._mistaken: set[str] = set()
        """Accounts whose last login was of another person."""
        self._rng_mistakes = open_stream(world.scenario.seed, "mistakes", self.name)
        self._relogin_at: dict[str, float] = {}
        self._wake = Signal()
        self._group: asyncio.TaskGroup | None = None
        listeners = {
            "login:qrcode:ready": self._on_code,
            "login:success": self._on_success,
            "login:failed": self._on_failure,
            "login:qrcode:expired": self._on_expiry,
            "login:status:update": self._on_progress,
            "account:status": self._on_account,
            "notification:new": self._on_notification,
            "notification:confirmed": self._on_confirmation,
        }
        self._connection = Connection("/admin", world, listeners, self._greet, self._rng)

    async def run(self, calm: asyncio.Event, leave: asyncio.Event) -> None:
        """Work until `leave`; once `calm` is set no more logins are started."""
        await live_until(leave, self._connection, self._live(calm))

    async def close_logins(self) -> None:
        """Cancel all open logins and wait up to CLOSING_LIMIT_S until Master reports their ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_LIMIT_S):
                await self._close_logins()

    async def _close_logins(self) -> None:
        while True:
            await self._connection.wait_ready()
            if not self._open:
                return
            # together: one after the other, a hundred logins would take seconds on a busy machine
            await asyncio.gather(*(self._close_login(one) for one in list(self._open)))
            await self._wake.wait(0.25)

    async def _close_login(self, session_id: str) -> None:
        with contextlib.suppress(*TROUBLE):
            await self._connection.call("master:login:cancel", {"session_id": session_id})

    async def _live(self, calm: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._connection.run(self._rng.uniform(0.0, 0.3)))
            group.create_task(self._start_logins(calm))

    async def _greet(self) -> None:
        """Read the open logins: some may have ended or begun while this administrator was away."""
        await self._connection.call("admin:status:request", {})
        answer = await self._connection.call("admin:request:login-sessions", {})
        for session in answer.get("sessions") or []:
            session_id, account_id = str(session["id"]), str(session["account_id"])
            if session["status"] not in OPEN_SESSION:
                self._forget(session_id)
            elif account_id in self._share:
                self._open[session_id] = account_id

    # -- logins ------------------------------------------------------------------------------------

    async def _start_logins(self, calm: asyncio.Event) -> None:
        while not calm.is_set():
            await self._connection.wait_ready()
            for account_id in self._find_waiting():
                if calm.is_set() or len(self._open) >= self._limit:
                    break
                await self._start_login(account_id)
            await self._wake.wait(self._world.scenario.admin_look_s)

    def _find_waiting(self) -> list[str]:
        """Return the accounts that need a login and may be tried now."""
        now = self._world.clock.monotonic()
        return [
            account_id
            for account_id in self._share
            if self._retry_at.get(account_id, 0.0) <= now and self._needs_login(account_id, now)
        ]

    def _needs_login(self, account_id: str, now: float) -> bool:
        """Return whether an account has no login, or its cookies have expired at the platform."""
        state, per_s = (
            self._world.tally.account_states[account_id],
            self._world.scenario.relogin_rate_per_min / 60,
        )
        if state == LoginStatus.LOGGED_IN and per_s > 0:
            if account_id not in self._relogin_at:
                self._relogin_at[account_id] = now + draw_gap(self._rng, per_s)
            return now >= self._relogin_at[account_id]
        self._relogin_at.pop(account_id, None)
        return state not in (LoginStatus.LOGGED_IN, LoginStatus.LOGGING_IN)

    async def _start_login(self, account_id: str) -> None:
        counts = self._world.tally.counts
        words: JsonObject = {"account_id": account_id}
        if account_id in self._mistaken and self._rng_mistakes.random() < TAKE_RATE:
            self._world.ledger.persons.note_taking(account_id)
            words["accept_identity"] = True
        try:
            ack = await self._connection.call("master:login:start", words)
        except Refused as refused:
            counts.logins_refused += 1
            self._retry_later(account_id, refused.wait_s)
            if not refused.retryable:
                self._world.ledger.complain("login_start_refused", f"{account_id}: {refused}")
            return
        except TROUBLE:
            self._retry_later(account_id)
            return
        session_id = str(ack["session_id"])
        counts.logins_started += 1
        self._world.platform.visitors.planned.add(session_id)
        self._open[session_id] = account_id
        self._retry_at[account_id] = self._world.clock.monotonic() + self._rng.uniform(3.0, 8.0)
        self._world.tally.account_states[account_id] = LoginStatus.LOGGING_IN
        mood = self._rng.random()
        if mood < self._world.scenario.cancel_rate:
            self._to_cancel.add(session_id)
        elif mood < self._world.scenario.cancel_rate + self._world.scenario.supersede_rate:
            self._spawn_supersede(session_id, account_id)

    def _retry_later(self, account_id: str, asked_s: float = 0.0) -> None:
        wait_s = asked_s + draw_backoff(self._rng, 2, self._world.scenario.retry_wait_s)
        self._retry_at[account_id] = self._world.clock.monotonic() + wait_s

    def _spawn_supersede(self, session_id: str, account_id: str) -> None:
        async def start_again(wait_s: float) -> None:
            await asyncio.sleep(wait_s)
            if session_id in self._open:
                self._world.tally.tell(f"{self.name} starts {account_id[:8]} again")
                await self._start_login(account_id)

        self._group_now.create_task(start_again(self._rng.uniform(0.5, 2.0)))

    def _on_code(self, data: JsonObject) -> None:
        if not str(data.get("qr_code_data")).startswith(PNG):
            self._world.ledger.complain(
                "qr_code_changed", f"{data.get('session_id')}: the QR code is not a PNG"
            )
        session_id = str(data["session_id"])
        if session_id in self._to_cancel:
            self._to_cancel.discard(session_id)
            self._group_now.create_task(self._cancel(session_id, self._rng.uniform(0.3, 1.5)))

    async def _cancel(self, session_id: str, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        if session_id in self._open:
            try:
                await self._connection.call("master:login:cancel", {"session_id": session_id})
            except TROUBLE:
                return

    def _on_progress(self, data: JsonObject) -> None:
        session_id = str(data["session_id"])
        if data.get("status") == "sms_input_required" and session_id in self._open:
            self._group_now.create_task(self._type_code(session_id, self._rng.uniform(0.5, 2.0)))

    async def _type_code(self, session_id: str, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        code = self._world.platform.read_phone(session_id)
        if code is None:
            return
        try:
            words = {"session_id": session_id, "input_type": "sms_code", "value": code}
            await self._connection.call("master:login:user_input", words)
        except TROUBLE:
            return

    def _on_success(self, data: JsonObject) -> None:
        self._mistaken.discard(str(data.get("account_id")))
        self._close(data, "logins_succeeded")

    def _on_failure(self, data: JsonObject) -> None:
        if data.get("error_type") == MISMATCH:
            self._mistaken.add(str(data.get("account_id")))
        is_cancelled = data.get("error_type") in ("cancelled", "superseded")
        self._close(data, "logins_cancelled" if is_cancelled else "logins_failed")

    def _on_expiry(self, data: JsonObject) -> None:
        self._close(data, "logins_expired")

    def _close(self, data: JsonObject, outcome: str) -> None:
        ledger, tally = self._world.ledger, self._world.tally
        session_id = str(data["session_id"])
        if not ledger.note_closing(self.name, session_id):
            ledger.complain(
                "two_closings", f"{self.name} received two closing events of {session_id}"
            )
        if ledger.note_closing("anyone", session_id):
            setattr(tally.counts, outcome, getattr(tally.counts, outcome) + 1)
            if outcome != "logins_succeeded":
                reason = data.get("error_message") or "the code was not scanned in time"
                tally.tell(f"login {session_id[:8]} {outcome.removeprefix('logins_')}: {reason}")
        self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        self._open.pop(session_id, None)
        self._to_cancel.discard(session_id)
        self._wake.set()

    # -- other events ------------------------------------------------------------------------------

    def _on_account(self, data: JsonObject) -> None:
        states = self._world.tally.account_states
        if data.get("id") in states:
            states[data["id"]] = str(data["login_status"])

    def _on_notification(self, _: JsonObject) -> None:
        self._world.tally.counts.admin_notifications += 1

    def _on_confirmation(self, _: JsonObject) -> None:
        self._world.tally.counts.confirmations += 1

    @property
    def _group_now(self) -> asyncio.TaskGroup:
        assert self._group is not None, "events come only while the administrator works"
        return self._group


async def create_account(api: Api, world: World, run: str, number: int) -> str:
    """Create one of the run's accounts over HTTP and return its id. Errors: ApiTrouble.

    An account that exists already, because an earlier answer was lost, is looked up.
    """
    handle = f"{world.prefix}-{number:05d}"
    platform = world.scenario.platforms[number % len(world.scenario.platforms)]
    body = {
        "platform": platform,
        "account_name": f"模拟账号 {number}",
        "account_id": f"{run}-{handle}",
        "monitor_interval": world.scenario.monitor_interval_s,
    }
    status, answer = await api.ask("POST", "accounts", body=body)
    account: JsonObject | None = answer["account"] if status == 201 else None
    if status == 409:
        rows = [row async for row in list_all(api, "accounts", platform=platform)]
        account = next((row for row in rows if row["account_id"] == body["account_id"]), None)
    if account is None:
        raise ApiTrouble(f"POST accounts answered {status}: {answer.get('error')}")
    account_id = str(account["id"])
    world.ledger.note_account(account_id)
    world.platform.enroll(account_id, handle)
    world.tally.account_states[account_id] = str(
        account.get("login_status", LoginStatus.NOT_LOGGED_IN)
    )
    return account_id


async def create_accounts(api: Api, world: World, run: str) -> list[str]:
    """Create the run's accounts over HTTP and return their ids. Errors: ApiTrouble."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def create_one(number: int) -> str:
        async with gate:
            return await create_account(api, world, run, number)

    return await asyncio.gather(
        *(create_one(number) for number in range(1, world.scenario.account_count + 1))
    )


async def delete_accounts(api: Api, account_ids: Sequence[str]) -> None:
    """Delete accounts over HTTP, to leave a running Master as it was found. Errors: ApiTrouble."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def delete_one(account_id: str) -> None:
        async with gate:
            status, answer = await api.ask("DELETE", f"accounts/{account_id}")
        if status not in (200, 204, 404):
            raise ApiTrouble(
                f"DELETE accounts/{account_id} answered {status}: {answer.get('error')}"
            )

    await asyncio.gather(*(delete_one(account_id) for account_id in account_ids))
