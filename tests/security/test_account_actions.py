"""Actions on many accounts ask for the scope that each would ask for alone, and are audited."""

from __future__ import annotations

from master.operations.afterwards import do_nothing
from tests.security.conftest import MINE, OPERATOR, READER, ROOT, Guarded

PATH = "/api/v1/accounts/actions"


async def test_an_operator_deletes_nothing_and_the_audit_names_each_account(guarded: Guarded):
    await guarded.add_account(MINE)
    for body, status in (
        ({"ids": [MINE], "change": {"status": "paused"}}, 200),
        ({"ids": ["gone"], "change": {"status": "paused"}}, 200),
        ({"ids": [MINE], "delete": True}, 403),
    ):
        assert (await guarded.ask("POST", PATH, OPERATOR, json=body)).status == status
    await guarded.run(do_nothing, None)  # what is noted waits for no answer
    audit = (await (await guarded.ask("GET", "/api/v1/audit", ROOT)).json())["audit"]["items"]
    told = {(one["kind"], one["account_id"], one["reason"]) for one in audit}
    assert ("status", MINE, "changed") in told
    assert ("refused", "gone", "unknown_account") in told
    assert ("account_removed", MINE, None) not in told


async def test_who_may_only_look_imports_nothing_and_asks_nothing(guarded: Guarded):
    rows = [{"platform": "douyin", "account_name": "Shop"}]
    for dry_run in (True, False):
        body = {"rows": rows, "dry_run": dry_run}
        answer = await guarded.ask("POST", "/api/v1/accounts/import", READER, json=body)
        assert answer.status == 403
    body = {"rows": rows}
    answer = await guarded.ask("POST", "/api/v1/accounts/import", OPERATOR, json=body)
    assert (await answer.json())["imported"]["added"] == 1
    audit = (await (await guarded.ask("GET", "/api/v1/audit", ROOT)).json())["audit"]["items"]
    [added] = [one for one in audit if one["kind"] == "account_added"]
    assert added["by"]["name"] == "operator"
