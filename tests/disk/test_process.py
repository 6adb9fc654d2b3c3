"""Master as a process on a full file system: the kernel itself refuses its writes."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from master.app import Master
from master.endpoints import ROOT
from master.settings import load_settings
from master.store.sqlite.upgrade import DatabaseFault, check
from tests.child import Child, run_child
from tests.conftest import Peer, registration
from tests.disk.disk import Disk
from tests.disk.scene import LONG, check_refused
from tests.disk.troubles import IO_ERROR

resource = pytest.importorskip("resource", reason="limits of a process's files are Unix's")
pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux limits another process's files"
)


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[Child]:
    """A Master as in production, with its log on the same disk as its database."""
    async with run_child(tmp_path) as child:
        yield child


async def test_a_process_whose_files_may_not_grow_refuses_lives_and_recovers(
    child: Child, tmp_path: Path
) -> None:
    _, made = await child.post(f"{ROOT}/accounts", {"platform": "douyin", "account_name": "a"})
    account_id = made["account"]["id"]
    worker, admin = [
        await Peer(namespace).connect(child.port) for namespace in ("/worker", "/admin")
    ]
    assert (await worker.ask("worker:register", registration()))["success"]
    report = {
        "type": "comment",
        "account_id": account_id,
        "messages": [{"platform_comment_id": "c", "content": LONG}],
    }
    child.limit_files(0)
    for _ in range(2):
        check_refused(await worker.ask("worker:message:detected", report))
        beat = await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
        assert beat["accountIds"] == [account_id]
        status, content = await child.get("/health/ready")
        assert (status, "disk" in content["reason"]) == (503, True), content
        assert (await child.get("/health/live"))[0] == 200
    child.limit_files(resource.RLIM_INFINITY)
    assert (await child.get("/health/ready"))[0] == 200
    assert (await worker.ask("worker:message:detected", report))["inserted"] == 1
    assert (await worker.ask("worker:message:detected", report))["duplicates"] == 1
    await admin.hear("notification:new")
    for peer in (worker, admin):
        await peer.close()
    assert await child.stop() == 0
    assert (
        '"master_stopped"'
        in (tmp_path / "logs" / "master.log").read_text(encoding="utf-8").splitlines()[-1]
    )
    assert len(admin.all("notification:new")) == 1
    assert check(tmp_path / "master.db") == []
    with closing(sqlite3.connect(tmp_path / "master.db")) as connection:
        assert connection.execute("SELECT count(*) FROM comments").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM notifications").fetchone() == (1,)


async def test_a_master_that_is_told_to_stop_in_trouble_stops(child: Child) -> None:
    child.limit_files(0)
    status, _ = await child.post(f"{ROOT}/accounts", {"platform": "douyin", "account_name": "a"})
    assert status == 503
    assert await child.stop() == 0


async def test_a_disk_that_fails_at_the_start_is_said_in_words(disk: Disk) -> None:
    master = Master(
        load_settings({"PORT": "0", "DB_PATH": str(disk.path)}, None), connect=disk.connect
    )
    disk.fault = lambda step: IO_ERROR
    with pytest.raises(DatabaseFault, match=IO_ERROR):
        await master.start()
    await master.close()
