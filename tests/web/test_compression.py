"""Compressed answers: who gets them, in which coding, and which answers never are."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import orjson
import pytest

from master.settings import Settings, load_settings
from master.web.compression import IN_LOOP_BYTES, LEAST_BYTES, choose

READ = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("GZIP", "gzip"),
        ("br", None),
        ("*", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip;q=0, deflate;q=0.0", None),
        ("gzip;q=0.2,deflate;q=0.8", "deflate"),
        ("*;q=0", None),
        ("gzip;q=0, *", "deflate"),
        ("gzip;q=much", None),
        ("identity", None),
        (",;q=,=,;", None),
    ],
)
def test_a_client_gets_the_coding_that_it_prefers(accepted, coding):
    assert choose({} if accepted is None else {"Accept-Encoding": accepted}) == coding


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    environ = {"DB_PATH": str(tmp_path / "master.db"), "LOG_DIR": str(tmp_path / "logs")}
    return load_settings({**environ, "LIST_KEYS": getattr(request, "param", "both")}, None)


async def fetch(site, path, accepted="identity", method="GET"):
    answer = await site.ask(
        method, "/api/v1" + path, headers={"Accept-Encoding": accepted}, auto_decompress=False
    )
    return answer, await answer.read()


@pytest.mark.parametrize("coding", ["gzip", "deflate", None])
@pytest.mark.parametrize("accounts", [0, 3, 60])
async def test_a_page_is_the_same_in_every_coding(site, accounts, coding):
    for number in range(accounts):
        await site.add_account(account_name=f"店 {number}")
    _, plain = await fetch(site, "/accounts")
    answer, body = await fetch(site, "/accounts", coding or "br")
    is_large = len(plain) > LEAST_BYTES
    assert is_large == (accounts > 0)
    assert (len(plain) > IN_LOOP_BYTES) == (accounts == 60), "one of them is compressed in a thread"
    assert answer.headers["Vary"] == "Accept-Encoding, Origin"
    assert answer.headers.get("Content-Encoding") == (coding if is_large else None)
    assert READ[coding if is_large else None](body) == plain
    assert int(answer.headers["Content-Length"]) == len(body)
    assert len(orjson.loads(plain)["data"]) == accounts
    head, nothing = await fetch(site, "/accounts", coding or "br", "HEAD")
    assert (head.status, nothing) == (200, b"")


@pytest.mark.parametrize("settings", ["data", "both"], indirect=True)
async def test_rows_have_the_name_that_pages_in_use_read_only_if_there_are_such_pages(
    site, settings
):
    account = await site.add_account()
    shown = await site.call("GET", "/accounts")
    assert shown["data"] == [account]
    assert shown.get("accounts") == (None if settings.list_keys == "data" else [account])
    assert (await site.call("GET", "/workers")).keys() == shown.keys() - {"accounts"}
