"""Many accounts added at once: rows, each judged by itself, and what came of each."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, TypedDict

from pydantic import AfterValidator, Field

from master.errors import Invalid
from master.protocol.decoding import decode
from master.protocol.http import MonitorInterval, NewAccount
from master.protocol.wire import HttpPayload, Id, Json, Name, Platform

MOST_ROWS = 500
"""Most rows of one request: each is a turn of its own."""

ROUNDED = re.compile(r"-?\d+([.,]\d+)?e\+\d+", re.IGNORECASE)
"""How spreadsheets write numbers that are too long for them."""

SHOWN = 100
"""Most characters of an unknown field's name in a refusal."""


MOST_UNKNOWN = 20
"""Most unknown fields that one refusal names."""


def _refuse_rounded(value: str) -> str:
    if ROUNDED.fullmatch(value):
        raise ValueError("a spreadsheet has rounded this id: give its column the format Text")
    return value


class ImportedAccount(HttpPayload):
    """One row: an account to watch; `monitor_interval` is in seconds."""

    platform: Platform
    account_name: Name
    account_id: Annotated[Id, AfterValidator(_refuse_rounded)] | None = None
    monitor_interval: MonitorInterval = 20

    def read_new(self) -> NewAccount:
        """Return the account as a request that adds it alone."""
        return NewAccount(**self.model_dump())


class ImportAccounts(HttpPayload):
    """Up to 500 accounts; each is added, is there already, or is refused by itself.

    With `dry_run` nothing is added.
    """

    rows: Annotated[list[Json], Field(min_length=1, max_length=MOST_ROWS)]
    dry_run: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Tell whether this request only asks what it would do."""
        return self.dry_run


def read_row(row: dict[str, Any]) -> ImportedAccount:
    """Return a row of a request. Errors: Invalid, with one detail per wrong field."""
    known = ImportedAccount.list_fields()
    if unknown := sorted(row.keys() - known.keys()):
        message = f"unknown; known are: {', '.join(known)}"
        raise Invalid(
            details=[{"field": name[:SHOWN], "message": message} for name in unknown[:MOST_UNKNOWN]]
        )
    return decode(ImportedAccount, row)


class Imported(StrEnum):
    """The outcome of a row; in a dry run, `new` is one that would be added."""

    ADDED = "added"
    NEW = "new"
    EXISTS = "exists"
    REFUSED = "refused"


class ShownImported(TypedDict):
    """The outcome of a row; `id` is the account that it added or that was there before it.

    `same` is the field by which the account was known; `same_as` the position of the earlier row
    that stands for the same account.
    """

    outcome: Imported
    id: str | None
    same: str | None
    same_as: int | None
    error: dict[str, Any] | None


class ShownImport(TypedDict):
    """The outcome of an import, in the order of the rows, and how many rows had each outcome.

    In a dry run, `added` counts those that would be.
    """

    dry_run: bool
    results: list[ShownImported]
    added: int
    exists: int
    refused: int
