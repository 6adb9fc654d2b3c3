"""Saved views of the console: what is kept, what is refused, and that nothing else changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from master.protocol.views import MOST_VIEWS, PAGES

CONSOLE = Path(__file__).parents[2] / "master" / "web" / "console"
VIEW = {"name": "Paused", "url": "#/accounts?status=paused&q=%E5%B0%8F+shop"}


async def save(site, **fields):
    return (await site.call("POST", "/console/views", json=VIEW | fields))["view"]


async def names(site):
    return [row["name"] for row in (await site.call("GET", "/console/views"))["data"]]


async def test_a_view_is_saved_renamed_given_another_address_and_deleted(site):
    view = await save(site)
    assert view == VIEW | {
        "id": view["id"], "created_at": view["created_at"], "updated_at": view["created_at"],
    }  # fmt: skip
    site.clock.advance(5)
    path = f"/console/views/{view['id']}"
    changed = (await site.call("PATCH", path, json={"name": " Resting "}))["view"]
    later = view["created_at"] + 5
    assert changed == view | {"name": "Resting", "updated_at": later}
    changed = (await site.call("PUT", path, json=changed | {"url": "#/inbox"}))["view"]
    assert (changed["name"], changed["url"]) == ("Resting", "#/inbox")
    await save(site, name="Another")
    assert await names(site) == ["Another", "Resting"]
    assert (await site.call("GET", "/console/views?limit=1&offset=1"))["data"] == [changed]
    assert (await site.call("DELETE", path))["view"] == changed
    assert await names(site) == ["Another"]
    for method in ("DELETE", "PATCH"):
        body = {} if method == "DELETE" else {"json": {"name": "x"}}
        assert (await site.refused(method, path, 404, **body))["code"] == "not_found"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": None}, "name"),
        ({"colour": "red"}, "colour"),
        ({"url": ""}, "url"),
        ({"url": "/console/#/accounts"}, "url"),
        ({"url": "https://evil.example/#/accounts"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "#/nowhere"}, "url"),
        ({"url": "#/accounts/some-id"}, "url"),
        ({"url": "#signin=0123"}, "url"),
        ({"url": "#/accounts?q=<img>"}, "url"),
        ({"url": "#/accounts?q=小"}, "url"),
        ({"url": "#/accounts?a#b"}, "url"),
        ({"url": "#/accounts\n"}, "url"),
        ({"url": "#/accounts?q=" + "x" * 990}, "url"),
    ],
)
async def test_what_is_no_view_is_refused_and_the_field_named(site, body, field):
    view = await save(site, name="Kept")
    [detail] = (await site.refused("POST", "/console/views", 422, json=VIEW | body))["details"]
    assert detail["field"] == field
    await site.refused("PATCH", f"/console/views/{view['id']}", 422, json=body)
    assert (await site.call("GET", "/console/views"))["data"] == [view]


async def test_two_views_have_two_names(site):
    await save(site)
    error = await site.refused("POST", "/console/views", 409, json=VIEW | {"url": "#/inbox"})
    assert error["code"] == "already_exists"
    other = await save(site, name="Other")
    path = f"/console/views/{other['id']}"
    error = await site.refused("PATCH", path, 409, json={"name": "Paused"})
    assert error["code"] == "already_exists"
    assert (await site.call("PATCH", path, json={"name": "Other"}))["view"]["name"] == "Other"


async def test_an_administrator_has_a_hundred_views_at_most(site):
    ids = [(await save(site, name=f"View {one}"))["id"] for one in range(MOST_VIEWS)]
    error = await site.refused("POST", "/console/views", 409, json=VIEW)
    assert error["code"] == "too_many_views"
    await site.call("DELETE", f"/console/views/{ids[0]}")
    await save(site)
    assert len(await names(site)) == MOST_VIEWS


async def test_a_view_outlives_its_process_and_no_audit_has_it(site):
    view = await save(site)
    assert (await site.call("GET", "/audit"))["data"]["items"] == []
    assert site.parcels.sent == []
    async with site.database.read() as connection:
        from master.store.views import list_views

        [stored], total = await list_views(connection, "", 5, 0)
    assert (stored.id, stored.owner, stored.url, total) == (view["id"], "", VIEW["url"], 1)


def test_the_pages_of_views_are_those_of_the_console():
    source = (CONSOLE / "app.js").read_text(encoding="utf-8")
    table = source[source.index("const PAGES") : source.index("];", source.index("const PAGES"))]
    assert tuple(re.findall(r'^  \["(\w+)",', table, re.MULTILINE)) == PAGES
