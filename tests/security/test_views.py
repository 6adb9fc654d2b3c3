"""Saved views belong to one administrator each, and a reader may have some."""

from __future__ import annotations

from master.endpoints import ROOT as API
from tests.security.conftest import OPERATOR, READER, ROOT

VIEWS = f"{API}/console/views"
VIEW = {"name": "Mine", "url": "#/accounts?unread=1"}


async def read(guarded, token):
    return (await (await guarded.ask("GET", VIEWS, token)).json())["data"]


async def test_each_administrator_has_their_own_views_and_sees_no_others(guarded):
    made = {}
    for token in (READER, OPERATOR, ROOT):
        answer = await guarded.ask("POST", VIEWS, token, json=VIEW)
        made[token] = (await answer.json())["view"]
        assert answer.status == 200
    for token, view in made.items():
        assert await read(guarded, token) == [view]
    path = f"{VIEWS}/{made[READER]['id']}"
    for token in (OPERATOR, ROOT):
        body = {"json": {"name": "Taken"}}
        assert await guarded.code("PATCH", path, token, **body) == (404, "not_found")
        assert await guarded.code("DELETE", path, token) == (404, "not_found")
    assert await read(guarded, READER) == [made[READER]]
    answer = await guarded.ask("PATCH", path, READER, json={"name": "Unread"})
    assert (await answer.json())["view"]["name"] == "Unread"
    assert (await guarded.ask("DELETE", path, READER)).status == 200
    assert await read(guarded, READER) == []
    assert await read(guarded, ROOT) == [made[ROOT]]
