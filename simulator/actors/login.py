"""A worker's side of QR logins: it sends the code, polls the platform, reports the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from master.model import JsonObject
from simulator.actors.connection import Connection, Refused
from simulator.actors.transport import AckLate, LinkDown
from simulator.actors.world import World
from simulator.chance import draw_backoff
from simulator.truth.login_plans import LoginView

LONGEST_S = 660.0
"""A worker's own limit: Master ends a login 600 s after its creation (LOGIN_MAX_S)."""

TRIES = 8

SCAN = "simulated_scan"
"""The kind of input with which a visitor of the demo says that the code was scanned.

It comes as every other input that a person types: Master relays it and knows nothing of it.
"""

ANY_CODE = "任意数字均可 / any digits will do"

STALE = "stale_epoch"
MISMATCH = "identity_mismatch"
"""The end of a login of another person than the account's."""

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
FindEpoch = Callable[[str], int | None]
"""Returns the epoch of an account that the worker knows; None if it does not own the account."""


class Abandoned(Exception):
    """Master accepts no more reports of this login, or cannot be reached."""


class Logins:
    """The open logins of one worker, one per account."""

    def __init__(
        self, world: World, connection: Connection, rng: Random, spawn: Spawn, find_epoch: FindEpoch
    ) -> None:
        self._world = world
        self._find_epoch = find_epoch
        self._connection = connection
        self._rng = rng
        self._spawn = spawn
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._accounts: dict[str, str] = {}
        self._persons: dict[str, str] = {}
        """Session -> the person whose success it reports."""

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, request: JsonObject) -> None:
        """Begin a login that Master requests; an open one of the same account ends."""
        session_id, account_id = str(request["session_id"]), str(request["account_id"])
        if session_id in self._tasks:
            return
        for other in [name for name, account in self._accounts.items() if account == account_id]:
            self.cancel(other)
        self._accounts[session_id] = account_id
        self._tasks[session_id] = self._spawn(self._log_in(session_id, account_id))

    def cancel(self, session_id: str, reason: str = "") -> None:
        """Close the login page of a session, if it is open.

        Master may say so before it answers the report of a success.
        """
        person = self._persons.get(session_id)
        if reason == MISMATCH and person is not None:
            self._world.tally.counts.mismatches += 1
            self._world.ledger.persons.note_mismatch(self._accounts[session_id], person)
        task = self._tasks.pop(session_id, None)
        if task is not None:
            task.cancel()
        self._forget(session_id)

    def cancel_all(self) -> None:
        """Close every login page."""
        for session_id in list(self._tasks):
            self.cancel(session_id)

    def type_input(self, request: JsonObject) -> None:
        """Type a person's input into the login page."""
        session_id, platform = str(request["session_id"]), self._world.platform
        if request.get("input_type") == SCAN:
            platform.scan_by_hand(session_id)
            return
        if (
            session_id not in self._tasks
            or platform.look_at_login(session_id) is not LoginView.CODE_NEEDED
        ):
            return  # the page expects no input
        if not platform.type_code(session_id, str(request["value"])):
            self._world.ledger.complain(
                "input_changed", f"{session_id}: the typed code differs from the SMS code"
            )

    async def _log_in(self, session_id: str, account_id: str) -> None:
        plan = self._world.platform.begin_login(session_id, account_id)
        try:
            async with asyncio.timeout(LONGEST_S):
                await asyncio.sleep(plan.browser_start_s)
                await self._show_code(session_id, account_id)
                await self._poll(session_id, account_id, plan.error)
        except (Abandoned, TimeoutError):
            pass
        finally:
            self._tasks.pop(session_id, None)
            self._forget(session_id)

    async def _poll(self, session_id: str, account_id: str, error: str) -> None:
        platform = self._world.platform
        told: set[LoginView] = set()
        while True:
            await asyncio.sleep(self._world.scenario.login_poll_s)
            view = platform.look_at_login(session_id)
            if view is LoginView.WAITING and platform.is_code_old(session_id):
                await self._show_code(session_id, account_id)
            elif view is LoginView.CONFIRMED:
                await self._succeed(session_id, account_id)
                return
            elif view is LoginView.FAILED:
                await self._report(session_id, {"status": "failed", "error_message": error})
                return
            elif view not in told:
                told.add(view)
                await self._tell_progress(session_id, view)

    async def _succeed(self, session_id: str, account_id: str) -> None:
        """Report a success; Master may find that it is of another person than the account's."""
        platform, ledger = self._world.platform, self._world.ledger
        profile = platform.read_profile(session_id)
        person = self._persons[session_id] = str(profile["user_info"]["uid"])
        told, cookies = platform.mischief.spoil_login({"status": "success", **profile})
        if "cookies_valid_until" in profile:
            ledger.states.short_lived.add(account_id)
        ledger.note_login_sent(session_id, account_id, list(cookies))
        try:
            ack = await self._report(session_id, told)
            if ack.get("error_type") == MISMATCH:
                self.cancel(session_id, MISMATCH)
                return
            platform.accept_stranger(session_id)
            ledger.note_login_acknowledged(session_id)
            if told["user_info"] == profile["user_info"]:
                ledger.persons.note_success(account_id, person)
            if platform.reports_twice():
                await self._report(session_id, told)
        finally:
            ledger.note_login_over(session_id)

    async def _tell_progress(self, session_id: str, view: LoginView) -> None:
        if view is LoginView.SCANNED:
            await self._report(session_id, {"status": "scanned"})
        elif view is LoginView.CODE_NEEDED:
            words = {"step": "sms_code", "message": "请输入短信验证码"}
            if self._world.platform.is_played(session_id):
                words["message"] += f" ({ANY_CODE})"
            await self._report(session_id, {"status": "sms_input_required", **words})

    async def _show_code(self, session_id: str, account_id: str) -> None:
        code = self._world.draw_code(self._world.platform.fetch_code(session_id))
        self._world.tally.counts.qr_codes += 1
        await self._send(
            "worker:login:qrcode",
            {"session_id": session_id, "account_id": account_id, "qr_code_data": code},
        )

    async def _report(self, session_id: str, words: JsonObject) -> JsonObject:
        account_id = self._accounts[session_id]
        return await self._send(
            "worker:login:status",
            {"session_id": session_id, **words},
            lambda: self._find_epoch(account_id),
        )

    async def _send(
        self, event: str, data: JsonObject, find_epoch: Callable[[], int | None] = lambda: None
    ) -> JsonObject:
        """Send until acknowledged with success, with the epoch known at each try; return that.

        Errors: Abandoned if Master refuses for good or is away too long. A stale epoch is final,
        unless the worker has received a newer one meanwhile.
        """
        for attempt in range(TRIES):
            await self._connection.wait_ready()
            epoch, wait_s = find_epoch(), 0.0
            try:
                return await self._connection.call(
                    event, data if epoch is None else {**data, "epoch": epoch}
                )
            except Refused as refused:
                outdated = refused.code == STALE and find_epoch() not in (None, epoch)
                if not refused.retryable and not outdated:
                    raise Abandoned from refused
                wait_s = refused.wait_s
            except (LinkDown, AckLate):
                pass
            await asyncio.sleep(
                wait_s + draw_backoff(self._rng, attempt, self._world.scenario.retry_wait_s)
            )
        raise Abandoned(event)

    def _forget(self, session_id: str) -> None:
        self._accounts.pop(session_id, None)
        self._persons.pop(session_id, None)
        self._world.platform.end_login(session_id)
