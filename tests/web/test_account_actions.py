"""One action on many accounts: each is done or refused by itself."""

from __future__ import annotations

from typing import Any

import pytest


async def act(site: Any, ids: list[str], **wanted: Any) -> dict[str, Any]:
    """Return what came of a change of accounts, or of their removal."""
    body = {"ids": ids, **(wanted if "delete" in wanted else {"change": wanted})}
    return dict((await site.call("POST", "/accounts/actions", json=body))["acted"])


async def read_all(site: Any) -> dict[str, Any]:
    """Return the accounts by id."""
    return {one["id"]: one for one in (await site.call("GET", "/accounts"))["data"]}


@pytest.fixture
async def two(site) -> list[str]:
    await site.register_worker("worker-1")
    await site.register_worker("worker-2")
    return [(await site.add_account(account_name=name))["id"] for name in "ab"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "paused"}, "status"),
        ({"pinned_worker_id": "worker-2"}, "assigned_worker_id"),
        ({"pinned_worker_id": "worker-2"}, "pinned_worker_id"),
        ({"monitor_interval": 77}, "monitor_interval"),
        ({"tags": ["vip"], "note": "ask Li"}, "tags"),
    ],
)
async def test_a_change_is_made_to_each_account(site, two, change, field):
    acted = await act(site, two, **change)
    assert acted == {"results": [{"id": one, "ok": True, "error": None} for one in two], "done": 2}
    [wanted, *_] = change.values()
    assert [(await read_all(site))[one][field] for one in two] == [wanted, wanted]


async def test_what_a_change_did_another_takes_back(site, two):
    await act(site, two, status="paused", pinned_worker_id="worker-2")
    assert (await act(site, two, status="active", pinned_worker_id=None))["done"] == 2
    rows = await read_all(site)
    assert {(rows[one]["status"], rows[one]["pinned_worker_id"]) for one in two} == {
        ("active", None)
    }


async def test_a_refused_account_undoes_no_other(site, two):
    acted = await act(site, [two[0], "gone", two[1], two[0]], delete=True)
    assert [(one["id"], one["ok"]) for one in acted["results"]] == [
        (two[0], True),
        ("gone", False),
        (two[1], True),
    ]
    assert acted["results"][1]["error"]["code"] == "unknown_account"
    assert acted["done"] == 2
    assert await read_all(site) == {}


async def test_two_hundred_accounts_are_paused_at_once(site):
    ids = [(await site.add_account(account_name=f"n-{n}"))["id"] for n in range(200)]
    assert (await act(site, ids, status="paused"))["done"] == 200
    assert {one["status"] for one in (await read_all(site)).values()} == {"paused"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"ids": [], "delete": True}, "ids"),
        ({"ids": ["a"] * 201, "delete": True}, "ids"),
        ({"ids": ["a"]}, "either change or delete"),
        ({"ids": ["a"], "delete": True, "change": {"status": "paused"}}, "either change or delete"),
        ({"ids": ["a"], "change": {"status": "asleep"}}, "status"),
        ({"ids": ["a"], "change": {"worker": "w"}}, "no field worker"),
        ({"ids": ["a"], "change": {"id": "b"}}, "no field id"),
        ({"ids": ["a"], "change": []}, "change"),
        ({"ids": ["a"], "action": "pause"}, "action"),
    ],
)
async def test_a_wrong_action_changes_nothing_and_says_why(site, two, body, said):
    before = await read_all(site)
    error = await site.refused("POST", "/accounts/actions", 422, json=body)
    assert error["code"] == "invalid"
    assert said in repr(error["details"])
    assert await read_all(site) == before
