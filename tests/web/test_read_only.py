"""Rows that are sent back: what cannot be changed is accepted as it is, and refused otherwise."""

from __future__ import annotations

import pytest

from master.protocol.http import AccountChange, Change, ProxyChange, WorkerConfigChange

CHANGES: dict[str, type[Change]] = {
    "accounts": AccountChange,
    "proxies": ProxyChange,
    "worker-configs": WorkerConfigChange,
}
CASES = [(noun, name) for noun, kind in CHANGES.items() for name in sorted(kind.list_read_only())]
OTHER = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    str: lambda value: value + "x",
}


async def add(site, noun):
    """Add a row; return its path and the row."""
    if noun == "accounts":
        row = await site.add_account(account_id="dy-1")
    elif noun == "proxies":
        body = {"name": "p", "server": "127.0.0.1:1080"}
        row = (await site.call("POST", "/proxies", 201, json=body))["proxy"]
    else:
        body = {"worker_id": "w"}
        row = (await site.call("POST", "/worker-configs", 201, json=body))["worker_config"]
    site.clock.advance(5)
    return f"/{noun}/{row['id']}", row


def change_value(value):
    return OTHER[type(value)](value) if value is not None else "x"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(("noun", "name"), CASES)
async def test_another_value_of_what_cannot_be_changed_is_refused_by_name(site, noun, name, method):
    path, row = await add(site, noun)
    body = {name: change_value(row[name])}
    if name == "updated_at":  # tells the age of the row, and is no wish
        assert (await site.call(method, path, json=body))["data"]["updated_at"] != body[name]
        return
    [detail] = (await site.refused(method, path, 422, json=body))["details"]
    assert detail["field"] == name
    for known in CHANGES[noun].list_fields():
        assert known in detail["message"]
    assert (await site.call("GET", path))["data"] == row
    assert (await site.call(method, path, json={name: row[name]}))["data"][name] == row[name]


@pytest.mark.parametrize("noun", CHANGES)
async def test_a_row_is_sent_back_as_it_was_read_and_an_older_one_only_says_what_was_read(
    site, noun
):
    path, row = await add(site, noun)
    row = {name: value for name, value in row.items() if name != "env"}  # shown without its values
    again = (await site.call("PUT", path, json=row))["data"]
    assert {name: again[name] for name in row if name != "updated_at"} == {
        name: row[name] for name in row if name != "updated_at"
    }
    names = CHANGES[noun].list_read_only() - CHANGES[noun].own - {"updated_at"}
    older = {name: change_value(row[name]) for name in names} | {"updated_at": row["updated_at"]}
    stale = {**older, "updated_at": row["updated_at"] - 60}
    shown = (await site.call("PATCH", path, json=stale))["data"]
    assert {name: shown[name] for name in names} == {name: row[name] for name in names}
    for name in CHANGES[noun].own:
        [detail] = (await site.refused("PATCH", path, 422, json={**stale, name: "other"}))[
            "details"
        ]
        assert detail["field"] == name


@pytest.mark.parametrize("noun", CHANGES)
@pytest.mark.parametrize("name", ["foo", "{as_read}", "as_read", "{id}"])
async def test_an_unknown_name_is_refused_and_the_known_ones_are_named(site, noun, name):
    path, _ = await add(site, noun)
    [detail] = (await site.refused("PATCH", path, 422, json={name: {}}))["details"]
    assert (detail["field"], "known are" in detail["message"]) == (name, True)


async def test_figures_of_an_accounts_status_may_be_sent_back(site):
    path, row = await add(site, "accounts")
    [shown] = (await site.call("GET", "/accounts/status/all"))["data"]
    changed = await site.call(
        "PATCH", path, json={**shown, "runtime_stats": {"age": 1}, "placement": {}}
    )
    assert changed["data"]["id"] == row["id"]
