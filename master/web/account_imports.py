"""Lists of accounts: each row is a turn of its own, so that one refusal undoes no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

from master.errors import AlreadyExists, Refusal
from master.model import JsonObject
from master.operations.imports import (
    PORTION,
    Trial,
    import_account,
    render_refused,
    render_row,
    try_some,
)
from master.protocol.account_imports import (
    ImportAccounts,
    Imported,
    ShownImport,
    ShownImported,
    read_row,
)
from master.turn import Caller
from master.writer import Turns

AT_ONCE = 50
"""Turns that wait at the same time: other requests must find room in the queue."""


class AccountImports:
    """Answers `accounts/import`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def run_import(self, event: ImportAccounts, caller: Caller) -> ShownImport:
        """Add up to 500 accounts: each is added, is there already, or is refused by itself.

        With `dry_run` nothing is added, and the answer says what would come of each.
        """
        run = self._try if event.dry_run else self._add
        results = await run(event, caller)
        counts = Counter(one["outcome"] for one in results)
        return {
            "dry_run": event.dry_run,
            "results": results,
            "added": counts[Imported.ADDED] + counts[Imported.NEW],
            "exists": counts[Imported.EXISTS],
            "refused": counts[Imported.REFUSED],
        }

    async def _try(self, event: ImportAccounts, caller: Caller) -> list[ShownImported]:
        trial = Trial(event.rows)
        for _ in range(0, len(event.rows), PORTION):
            await self._turns.look(try_some, trial, caller)
            await asyncio.sleep(0)  # a look of memory alone waits for nothing
        return trial.results

    async def _add(self, event: ImportAccounts, caller: Caller) -> list[ShownImported]:
        results: list[ShownImported] = []
        for begin in range(0, len(event.rows), AT_ONCE):
            some = event.rows[begin : begin + AT_ONCE]
            results += await asyncio.gather(*(self._add_one(one, caller) for one in some))
        _name_earlier(results)
        return results

    async def _add_one(self, row: JsonObject, caller: Caller) -> ShownImported:
        assert caller.deed is not None, "the endpoint is a command"
        try:
            account = await self._turns.run(import_account, read_row(row), caller)
        except AlreadyExists as refusal:
            [twin] = refusal.details or []
            return render_row(Imported.EXISTS, twin["id"], twin["same"])
        except Refusal as refusal:
            self._turns.note(replace(caller, deed=replace(caller.deed, refused=refusal.code)))
            return render_refused(refusal)
        return render_row(Imported.ADDED, account["id"])


def _name_earlier(results: list[ShownImported]) -> None:
    """Let each row that was added by an earlier one of the same request name that one."""
    added: dict[str | None, int] = {}
    for position, one in enumerate(results):
        if one["outcome"] is Imported.ADDED:
            added[one["id"]] = position
        else:
            one["same_as"] = added.get(one["id"]) if one["id"] is not None else None
