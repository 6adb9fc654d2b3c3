"""Whether the person that logged in is the account's.

Source: protocol.md section 4. The wrong phone scans: an account would become another person, or one
person would be watched twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from master.decisions.login import PLATFORM_IDS, read_id
from master.model import Account

NAMES = ("nickname", "name", "display_name", "username")


def find_ids(profile: Mapping[str, object] | None) -> set[str]:
    """Return every id on the platform that a profile has."""
    found = (read_id((profile or {}).get(name)) for name in PLATFORM_IDS)
    return {one for one in found if one is not None}


def is_other_person(account: Account, profile: Mapping[str, object] | None) -> bool:
    """Tell whether a profile is surely not the account's: both have ids, and none in common.

    A platform has several ids for a person, and a worker may report another one than last time.
    """
    known = find_ids(account.user_info) | ({account.platform_user_id} - {None})
    found = find_ids(profile)
    return bool(known) and bool(found) and known.isdisjoint(found)


def name_person(profile: Mapping[str, object] | None, user_id: str | None, other: str = "") -> str:
    """Return a person's name and id, as far as they are known; `other` is the name otherwise."""
    found = ((profile or {}).get(name) for name in NAMES)
    name = next((one for one in found if isinstance(one, str) and one), other)
    return f"{name} ({user_id})" if user_id is not None else name
