"""One action on many accounts: what people ask for, and what came of it, account by account."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from pydantic import Field, model_validator

from master.protocol.http import AccountChange
from master.protocol.wire import HttpPayload, Id, Json

MOST_ACCOUNTS = 200
"""Most accounts of one request: each is a turn of its own."""


class ActOnAccounts(HttpPayload):
    """One action on up to 200 accounts; each succeeds or is refused by itself."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_ACCOUNTS)]
    change: Json | None = None
    delete: bool = False

    @model_validator(mode="after")
    def _require_one(self) -> ActOnAccounts:
        if (self.change is None) is not self.delete:
            raise ValueError("send either change or delete")
        if self.change is not None:
            unknown = sorted(self.change.keys() - AccountChange.list_fields().keys())
            if unknown:
                raise ValueError(f"change has no field {', '.join(unknown)[:SHOWN]}")
            self.read_change(self.ids[0])
        return self

    def read_change(self, account_id: str) -> AccountChange:
        """Return the change of one account. Errors: ValidationError."""
        return AccountChange.model_validate({**(self.change or {}), "{id}": account_id})


SHOWN = 200
"""Most characters of a refusal about unknown fields."""


class ShownActed(TypedDict):
    """The outcome for one account: `error` is that of a refusal, null if it was done."""

    id: str
    ok: bool
    error: dict[str, Any] | None


class ShownActs(TypedDict):
    """The outcome of an action, in the order of the ids; `done` counts those without an error."""

    results: list[ShownActed]
    done: int
