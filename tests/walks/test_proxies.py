"""An account's own proxy: told at once to its worker, used by its logins, kept while in use."""

from __future__ import annotations

import pytest

from master.errors import Conflict, Invalid
from master.operations import accounts, proxies
from master.protocol.http import AccountChange, ById, NewAccount, NewProxy, ProxyChange
from tests.conftest import Bench

SERVERS = {"a": "127.0.0.1:1", "b": "127.0.0.1:2"}


async def add_proxy(bench: Bench, name: str) -> str:
    body = NewProxy(name=name, server=SERVERS[name], password=f"secret-{name}")
    return str((await bench.run(proxies.add_proxy, body))["id"])


async def test_a_running_worker_is_told_of_an_accounts_proxy_at_once(bench: Bench) -> None:
    worker = await bench.connect("worker")
    await worker.ask("worker:register", {"workerId": "w", "capabilities": ["douyin"]})
    a, b = await add_proxy(bench, "a"), await add_proxy(bench, "b")
    body = NewAccount(platform="douyin", account_name="n", proxy_id=a, tags=["x", "x"])
    account = await bench.run(accounts.add_account, body)
    assert (account["proxy_id"], account["tags"]) == (a, ["x"])

    async def hear(number: int) -> object:
        [shown] = (await worker.hear("master:task:assign", number))["accounts"]
        return shown["proxy"] and (shown["proxy"]["server"], shown["proxy"]["password"])

    assert await hear(1) == (SERVERS["a"], "secret-a")
    await bench.run(accounts.change_account, AccountChange(id=account["id"], proxy_id=b))
    assert await hear(2) == (SERVERS["b"], "secret-b")
    await bench.run(proxies.change_proxy, ProxyChange(id=b, server="127.0.0.1:3", password="new"))
    assert await hear(3) == ("127.0.0.1:3", "new")
    await bench.run(proxies.change_proxy, ProxyChange(id=b, status="inactive"))
    assert await hear(4) is None
    await bench.run(proxies.change_proxy, ProxyChange(id=b, name="renamed", status="active"))
    assert await hear(5) == ("127.0.0.1:3", "new")
    with pytest.raises(Conflict, match="1 accounts and 0 worker configurations") as refused:
        await bench.run(proxies.remove_proxy, ById(id=b))
    assert refused.value.details == [{"account_id": account["id"]}]
    await bench.run(accounts.change_account, AccountChange(id=account["id"], proxy_id=None))
    assert await hear(6) is None
    await bench.run(proxies.remove_proxy, ById(id=b))


async def test_a_login_uses_the_accounts_proxy(bench: Bench) -> None:
    worker, admin = await bench.connect("worker"), await bench.connect("admin")
    await worker.ask("worker:register", {"workerId": "w", "capabilities": ["douyin"]})
    body = NewAccount(platform="douyin", account_name="n", proxy_id=await add_proxy(bench, "a"))
    account = await bench.run(accounts.add_account, body)
    await admin.ask("master:login:start", {"account_id": account["id"]})
    started = await worker.hear("master:login:start")
    assert started["proxy"]["server"] == SERVERS["a"]


async def test_an_unknown_proxy_is_refused_by_name(bench: Bench) -> None:
    body = NewAccount(platform="douyin", account_name="n", proxy_id="nobody")
    with pytest.raises(Invalid) as refused:
        await bench.run(accounts.add_account, body)
    assert (refused.value.details or [])[0]["field"] == "proxy_id"
