"""Actions on many accounts, each in a turn of its own, so that one refusal undoes no other."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from master.errors import Forbidden, Refusal
from master.model import Scope
from master.operations.accounts import change_account, remove_account
from master.protocol.account_actions import ActOnAccounts, ShownActed, ShownActs
from master.protocol.http import ById
from master.turn import Caller
from master.writer import Turns

AT_ONCE = 50
"""Turns that wait at the same time: other requests must find room in the queue."""


class AccountActions:
    """Answers `accounts/actions`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def run(self, event: ActOnAccounts, caller: Caller) -> ShownActs:
        """Change or delete up to 200 accounts: each is done, or refused with its own error.

        To delete needs the scope admin. Errors: Forbidden.
        """
        if event.delete and caller.scope < Scope.ADMIN:
            raise Forbidden
        ids, results = list(dict.fromkeys(event.ids)), list[ShownActed]()
        for begin in range(0, len(ids), AT_ONCE):
            some = ids[begin : begin + AT_ONCE]
            results += await asyncio.gather(*(self._act(one, event, caller) for one in some))
        return {"results": results, "done": sum(one["ok"] for one in results)}

    async def _act(self, account_id: str, event: ActOnAccounts, caller: Caller) -> ShownActed:
        assert caller.deed is not None, "the endpoint is a command"
        deed = replace(caller.deed, account_id=account_id)
        own = replace(caller, deed=deed)
        try:
            if event.delete:
                await self._turns.run(
                    remove_account, ById.model_validate({"{id}": account_id}), own
                )
            else:
                await self._turns.run(change_account, event.read_change(account_id), own)
        except Refusal as refusal:
            self._turns.note(replace(caller, deed=replace(deed, refused=refusal.code)))
            return {"id": account_id, "ok": False, "error": refusal.to_wire()}
        return {"id": account_id, "ok": True, "error": None}
