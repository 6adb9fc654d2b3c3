"""A list of accounts: each row is added, is there already, or is refused by itself."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest

from master.operations.afterwards import do_nothing
from master.operations.logins import apply_report
from master.protocol.account_imports import MOST_ROWS
from master.protocol.worker import LoginReport

PATH = "/accounts/import"


def row(name: str, account_id: str | None = None, **more: Any) -> dict[str, Any]:
    known = {} if account_id is None else {"account_id": account_id}
    return {"platform": "douyin", "account_name": name, **known, **more}


async def send(site: Any, *rows: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
    """Return what came of an import, or what would."""
    body = {"rows": list(rows), **({"dry_run": True} if dry_run else {})}
    return dict((await site.call("POST", PATH, json=body))["imported"])


async def read_all(site: Any) -> list[dict[str, Any]]:
    return list((await site.call("GET", "/accounts?limit=500"))["data"])


def outcomes(imported: dict[str, Any]) -> list[str]:
    return [one["outcome"] for one in imported["results"]]


async def test_a_list_is_added_and_assigned_and_a_second_time_adds_nothing(site):
    await site.register_worker("worker-1")
    rows = [row("Shop", "7001"), row("Cafe", monitor_interval="60"), row(" 小店 ", "7002")]
    first = await send(site, *rows)
    assert (outcomes(first), first["added"]) == (["added"] * 3, 3)
    known = await read_all(site)
    assert [one["id"] for one in first["results"]] == [one["id"] for one in known]
    assert [one["account_name"] for one in known] == ["Shop", "Cafe", "小店"]
    assert [one["monitor_interval"] for one in known] == [20, 60, 20]
    assert {one["assigned_worker_id"] for one in known} == {"worker-1"}
    again = await send(site, *rows)
    assert (outcomes(again), again["exists"]) == (["exists"] * 3, 3)
    assert [one["id"] for one in again["results"]] == [one["id"] for one in known]
    assert [one["same"] for one in again["results"]] == ["account_id", "account_name", "account_id"]
    assert await read_all(site) == known


async def test_two_imports_at_once_add_each_account_once(site):
    rows = [row(f"n-{n}", f"id-{n}" if n % 2 else None) for n in range(120)]
    one, other = await asyncio.gather(send(site, *rows), send(site, *rows))
    assert one["added"] + other["added"] == one["exists"] + other["exists"] == 120
    assert len(await read_all(site)) == 120


async def test_a_dry_run_says_the_same_and_adds_nothing(site):
    await site.add_account(account_name="There", account_id="7000")
    rows = [
        row("There", "7000"),
        row("New", "7001"),
        row("Other name", "7001"),
        row("New"),
        row("Bad", monitor_interval="soon"),
        row("Two"),
        row("Two"),
    ]
    before = await read_all(site)
    asked = await send(site, *rows, dry_run=True)
    assert await read_all(site) == before
    assert outcomes(asked) == ["exists", "new", "exists", "exists", "refused", "new", "exists"]
    assert [one["same_as"] for one in asked["results"]] == [None, None, 1, 1, None, None, 5]
    assert [one["id"] for one in asked["results"]] == [before[0]["id"], *[None] * 6]
    done = await send(site, *rows)
    assert outcomes(done) == [one.replace("new", "added") for one in outcomes(asked)]
    assert [one["same_as"] for one in done["results"]] == [
        one["same_as"] for one in asked["results"]
    ]
    for one in (asked, done):
        assert (one["added"], one["exists"], one["refused"]) == (2, 4, 1)


@pytest.mark.parametrize(
    ("known", "asked", "same"),
    [
        (("Shop", "1"), ("Shop", "1"), "account_id"),
        (("Shop", "1"), ("Other", "1"), "account_id"),
        (("Shop", "1"), ("Shop", "2"), None),
        (("Shop", "1"), ("Shop", None), "account_name"),
        (("Shop", None), ("Shop", None), "account_name"),
        (("Shop", None), ("Shop", "1"), "account_name"),
        (("Shop", None), ("Other", None), None),
        (("Shop", None), ("shop", None), None),
    ],
)
async def test_ids_tell_what_is_there_and_names_where_there_is_no_id(site, known, asked, same):
    name, account_id = known
    await site.add_account(account_name=name, account_id=account_id)
    [result] = (await send(site, row(*asked)))["results"]
    assert result["same"] == same
    assert result["outcome"] == ("exists" if same else "added")


async def test_the_id_of_an_accounts_login_tells_it_as_well(site):
    worker = await site.register_worker("worker-1")
    account = await site.add_account(account_name="Shop")
    path = f"/accounts/{account['id']}/login"
    login = (await site.call("POST", path))["login_session"]["session_id"]
    await site.show_code(worker, login, "data:image/png;base64,iVBORw0KGgo=")
    cookies = [{"name": "sessionid", "value": "1"}]
    report = LoginReport(
        session_id=login, status="success", cookies=cookies, user_info={"uid": "7001"}
    )
    await site.turns.run(apply_report, report, worker)
    [result] = (await send(site, row("Another name", "7001")))["results"]
    assert (result["outcome"], result["id"]) == ("exists", account["id"])


@pytest.mark.parametrize(
    ("bad", "field", "said"),
    [
        ({"account_name": "n"}, "platform", "required"),
        ({"platform": "douyin"}, "account_name", "required"),
        (row("n") | {"platform": "抖音"}, "platform", "begins with a letter or a digit"),
        (row(" "), "account_name", "at least 1"),
        (row("n" * 257), "account_name", "at most 256"),
        (row("n", "7.12346E+18"), "account_id", "a spreadsheet has rounded this id"),
        (row("n", "7,12346e+18"), "account_id", "a spreadsheet has rounded this id"),
        (row("n", "a\u0000b"), "account_id", "control characters"),
        (row("n", monitor_interval="0"), "monitor_interval", "greater than or equal to 1"),
        (row("n", monitor_interval="20 s"), "monitor_interval", "integer"),
        (row("n", interval="20"), "interval", "unknown; known are: platform, account_name"),
        (row("n", status="paused"), "status", "unknown"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_bad_row_is_refused_with_its_field_and_the_others_are_added(
    site, bad, field, said, dry_run
):
    imported = await send(site, row("first"), bad, row("last"), dry_run=dry_run)
    good = "new" if dry_run else "added"
    assert outcomes(imported) == [good, "refused", good]
    error = imported["results"][1]["error"]
    assert error["code"] == "invalid"
    assert field in [one["field"] for one in error["details"]]
    assert said in repr(error["details"])
    assert [one["account_name"] for one in await read_all(site)] == [
        name for name in ("first", "last") if not dry_run
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "rows"),
        ({"rows": []}, "rows"),
        ({"rows": [row("n")] * (MOST_ROWS + 1)}, "at most 500"),
        ({"rows": ["douyin,Shop"]}, "rows.0"),
        ({"rows": [row("n")], "dry_run": "perhaps"}, "dry_run"),
        ({"rows": [row("n")], "csv": "x"}, "unknown; known are: rows, dry_run"),
    ],
)
async def test_a_wrong_request_adds_nothing_and_says_why(site, body, said):
    error = await site.refused("POST", PATH, 422, json=body)
    assert (error["code"], said in repr(error["details"])) == ("invalid", True)
    assert await read_all(site) == []


async def test_a_body_that_is_too_large_is_refused_by_its_size(site, settings):
    rows = [row("n" * 200)] * (settings.max_body_bytes // 200)
    body = io.BytesIO(json.dumps({"rows": rows}).encode())
    error = await site.refused("POST", PATH, 413, data=body)
    assert error["code"] == "too_large"


async def test_a_refusal_names_some_of_many_unknown_fields(site):
    strange = {f"column {n} {'x' * 500}": "y" for n in range(1_000)}
    [result] = (await send(site, row("n", **strange)))["results"]
    details = result["error"]["details"]
    assert (len(details), max(len(one["field"]) for one in details)) == (20, 100)


async def test_the_audit_has_each_account_and_nothing_of_a_dry_run(site):
    async def read_audit() -> list[tuple[str, str | None]]:
        await site.turns.run(do_nothing, None)  # what is noted waits for no answer
        items = (await site.call("GET", "/audit?limit=500"))["audit"]["items"]
        return [(one["kind"], one["reason"]) for one in items]

    rows = [row("Shop", "1"), row("Bad", monitor_interval="0")]
    await send(site, *rows, dry_run=True)
    assert await read_audit() == []
    await send(site, *rows)
    assert sorted(await read_audit()) == [
        ("account_added", "added"),
        ("command", None),
        ("refused", "invalid"),
    ]
