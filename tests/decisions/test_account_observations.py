"""Whether what a worker saw of an account is older than the account's last login."""

from __future__ import annotations

import pytest

from master.decisions.account_state import is_outdated
from tests.records import make_account


@pytest.mark.parametrize(
    ("observed_at", "last_login", "now", "outdated"),
    [
        (1_000, None, 1_010, False),
        (None, 1_005, 1_010, False),
        (1_000, 1_005, 1_010, True),
        (1_005, 1_005, 1_010, False),
        (1_006, 1_005, 1_010, False),
        # the wall clock was set back by an hour since the login, which proves nothing now
        (1_000, 4_600, 1_010, False),
    ],
)
def test_an_observation_is_outdated_by_a_later_login_in_the_past(
    observed_at, last_login, now, outdated
):
    account = make_account("a", last_login_time=last_login)
    assert is_outdated(observed_at, account, now) is outdated
