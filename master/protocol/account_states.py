"""The event by which a worker says what it saw of an account that it holds."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from master.protocol.budgets import cut_text
from master.protocol.facts import AnyText
from master.protocol.wire import Fact, Id, Seconds, ShortText

Word = Annotated[str, Field(min_length=1, max_length=64)]
Detail = Annotated[str, cut_text(1_000), AnyText]


class AccountStatusReport(Fact):
    """A worker saw that an account that it holds is logged out, banned, or well again.

    At least one of `login_status` (logged_in, logged_out, expired, needs_verification) and
    `account_status` (active, banned, restricted, error) is given; an unknown word is refused as
    `unknown_status` with the known ones. `observed_at` is when the worker saw it: an observation
    older than the account's last login changes nothing. While a login of the account is open, its
    `login_status` stays `logging_in`; the reported one is that after a login without success.
    """

    identity: ClassVar[frozenset[str]] = frozenset({"account_id", "login_status", "account_status"})

    account_id: Id
    login_status: Word | None = None
    account_status: Word | None = None
    reason: Annotated[ShortText, cut_text(200), AnyText] | None = None
    detail: Detail | None = None
    observed_at: Seconds | None = None
    epoch: Annotated[int, Field(ge=0, le=2**53)] | None = None

    @model_validator(mode="after")
    def _require_a_status(self) -> AccountStatusReport:
        if self.login_status is None and self.account_status is None:
            raise ValueError("login_status or account_status is missing")
        return self
