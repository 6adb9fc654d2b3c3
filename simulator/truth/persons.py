"""The persons of accounts, by the logins that Master acknowledged."""

from __future__ import annotations

from collections.abc import Callable

Complain = Callable[[str, str], None]


class Persons:
    """The person of each account by the acknowledged logins, while no administrator takes others.

    An account whose administrator ever took the person knowingly is not judged from then on.
    """

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._known: dict[str, str] = {}
        self._taking: set[str] = set()

    def note_taking(self, account_id: str) -> None:
        """Note that an administrator starts a login that accepts any person."""
        self._taking.add(account_id)

    def note_success(self, account_id: str, person: str) -> None:
        """Note that Master acknowledged a success of this person."""
        known = self._known.setdefault(account_id, person)
        if known != person and account_id not in self._taking:
            self._complain(
                "identity_taken", f"{account_id} is of {known}, and a login of {person} was taken"
            )
        self._known[account_id] = person

    def note_mismatch(self, account_id: str, person: str) -> None:
        """Note that Master refused a login as one of another person."""
        if self._known.get(account_id) == person and account_id not in self._taking:
            self._complain(
                "login_lost", f"{account_id} is of {person}, whose login was refused as another's"
            )
