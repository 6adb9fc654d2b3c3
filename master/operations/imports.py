"""Accounts of a list are added, each unless it is there already: a list may come twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from master.draft import Draft
from master.errors import AlreadyExists, Refusal
from master.model import Account, JsonObject
from master.operations.accounts import add_account, enter_account
from master.protocol.account_imports import Imported, ImportedAccount, ShownImported, read_row
from master.protocol.answers import ShownAccount
from master.turn import Turn

PORTION = 100
"""Rows that are tried in one stretch; heartbeats must not wait for the longest list."""


@dataclass(slots=True)
class Trial:
    """Rows that are tried, and what would come of those that were; nothing of it is stored.

    `draft` has the accounts that earlier portions would add; `entered` is account -> its row.
    """

    rows: Sequence[JsonObject]
    results: list[ShownImported] = field(default_factory=list)
    draft: Draft | None = None
    entered: dict[str, int] = field(default_factory=dict)


def import_account(event: ImportedAccount, turn: Turn) -> ShownAccount:
    """Add the account of a row, and assign it at once if a worker fits.

    Errors: AlreadyExists, whose detail has the `id` of the account that is there and the field by
    which it is the `same`.
    """
    twin = find_twin(turn, event)
    if twin is not None:
        account, same = twin
        raise AlreadyExists(
            "This account is there already.", details=[{"id": account.id, "same": same}]
        )
    return add_account(event.read_new(), turn)


def try_some(trial: Trial, turn: Turn) -> None:
    """Try the next portion of rows; nothing is assigned."""
    if trial.draft is None:
        trial.draft = turn.draft
    own = replace(turn, draft=trial.draft)
    begin = len(trial.results)
    for row in trial.rows[begin : begin + PORTION]:
        try:
            trial.results.append(_try_row(row, trial, own))
        except Refusal as refusal:
            trial.results.append(render_refused(refusal))


def _try_row(row: JsonObject, trial: Trial, turn: Turn) -> ShownImported:
    """Return what would come of a row. Errors: Invalid."""
    wanted = read_row(row)
    twin = find_twin(turn, wanted)
    if twin is None:
        entered = enter_account(wanted.read_new(), turn)
        trial.entered[entered.id] = len(trial.results)
        return render_row(Imported.NEW)
    account, same = twin
    earlier = trial.entered.get(account.id)  # such an account has no id yet
    return render_row(Imported.EXISTS, account.id if earlier is None else None, same, earlier)


def find_twin(turn: Turn, event: ImportedAccount) -> tuple[Account, str] | None:
    """Return the account that a row stands for and the field that tells it, or None.

    Ids tell it. If one of the two has none, equal names do: an account that is watched twice gets
    banned, so that in doubt it is the same one.
    """
    accounts, uid = turn.draft.accounts, event.account_id
    if uid is not None:
        for index in ("name", "person"):
            twin = accounts.first(index, (event.platform, uid))
            if twin is not None:
                return twin, "account_id"
    for one in accounts.find("title", (event.platform, event.account_name)):
        if uid is None or one.account_id is None:
            return one, "account_name"
    return None


def render_row(
    outcome: Imported,
    account_id: str | None = None,
    same: str | None = None,
    same_as: int | None = None,
) -> ShownImported:
    """Return what came of a row that was not refused."""
    return {
        "outcome": outcome,
        "id": account_id,
        "same": same,
        "same_as": same_as,
        "error": None,
    }


def render_refused(refusal: Refusal) -> ShownImported:
    """Return what came of a row that was refused."""
    return {**render_row(Imported.REFUSED), "error": refusal.to_wire()}
