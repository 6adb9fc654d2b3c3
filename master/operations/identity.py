"""Logins of another person than the account's."""

from __future__ import annotations

from master.decisions.identity import find_ids, is_other_person, name_person
from master.decisions.login import find_platform_user_id
from master.model import Account, Login
from master.operations.link_steps import find_link_of
from master.protocol.worker import LoginReport
from master.turn import Turn


def find_mismatch(turn: Turn, login: Login, account: Account, event: LoginReport) -> str | None:
    """Return a sentence with both names if another person than the account's logged in, else None.

    An administrator may accept the person knowingly (`accept_identity`).
    """
    ids, link = find_ids(event.user_info), find_link_of(turn, login.id)
    scanned = name_person(event.user_info, find_platform_user_id(event.user_info), "another person")
    if link is not None and link.require_uid is not None and link.require_uid not in ids:
        return f"This login is of {scanned}, but its link is for {link.require_uid} alone."
    if login.accept_identity or not ids:
        return None
    if is_other_person(account, event.user_info):
        known = name_person(account.user_info, account.platform_user_id, account.account_name)
        return f"This login is of {scanned}, but the account is of {known}."
    if account.platform_user_id in ids:
        return None
    for user_id in sorted(ids):
        twin = turn.draft.accounts.first("person", (account.platform, user_id))
        if twin is not None and twin.id != account.id:
            return f"This login is of {scanned}, which is account {twin.id} ({twin.account_name})."
    return None
