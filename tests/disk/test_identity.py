"""A database file that is replaced or removed while Master runs: nothing more counts as stored."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from master import logs
from master.app import Master
from master.clock import ManualClock
from master.settings import load_settings
from master.store.sqlite.identity import Identity
from tests.conftest import Bench
from tests.disk.disk import Disk
from tests.disk.scene import Scene, check_refused


@pytest.fixture
async def bench(disk: Disk, environ: dict[str, str]) -> AsyncIterator[Bench]:
    """A Master with the connections that it has in production."""
    clock = ManualClock()
    settings = load_settings({"PORT": "0", "DB_PATH": str(disk.path), **environ}, None)
    bench = Bench(Master(settings, clock=clock), clock)
    await bench.master.start(sweeps=False)
    yield bench
    for peer in bench.peers:
        await peer.close()
    await bench.master.close()


def replace(path: Path) -> None:
    """Replace the file by a complete copy, as a restore by hand would."""
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.replace(path)


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


CHANGES = [replace, move, Path.unlink]


def name(change: Callable[[Path], object]) -> str:
    return change.__name__


@pytest.mark.parametrize("change", CHANGES, ids=name)
async def test_a_report_is_refused_once_the_file_is_another_or_none(
    scene: Scene, change: Callable[[Path], object]
) -> None:
    path = scene.disk.path
    change(path)
    report = scene.make_report()
    for _ in range(2):
        check_refused(await scene.send(report))
    assert not path.exists() or scene.stored(report) == (0, 0)
    assert path.exists() == (change is replace), "Master makes no new file"


@pytest.mark.parametrize("change", CHANGES, ids=name)
async def test_health_finds_the_change_without_any_write(
    scene: Scene, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    logs.configure_logs("info", tmp_path / "logs", development=False)
    try:
        change(scene.disk.path)
        for _ in range(2):
            status, reason = await scene.is_ready()
            assert status == 503
            assert "master.db was replaced or removed while Master runs" in str(reason)
        assert (await scene.call("GET", "/health/live"))[0] == 200
    finally:
        logs.close_logs()
    lines = (tmp_path / "logs" / "master.log").read_text(encoding="utf-8").splitlines()
    [line] = [one for one in map(json.loads, lines) if one["event"] == "database_file_lost"]
    assert line["level"] == "error"


async def test_a_file_that_comes_back_heals_nothing_until_a_restart(scene: Scene) -> None:
    path = scene.disk.path
    aside = path.with_name("aside.db")
    path.rename(aside)
    report = scene.make_report()
    check_refused(await scene.send(report))
    aside.rename(path)
    check_refused(await scene.send(report))
    assert (await scene.is_ready())[0] == 503


def test_a_path_that_cannot_be_looked_at_is_a_fault_that_may_pass(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "master.db"
    path.parent.mkdir()
    path.touch()
    identity = Identity(path)
    identity.check()
    path.parent.rename(tmp_path / "aside")
    path.parent.touch()  # a file where the folder was: the path cannot be followed
    with pytest.raises(sqlite3.OperationalError, match="Not a directory"):
        identity.check()
    path.parent.unlink()
    (tmp_path / "aside").rename(path.parent)
    identity.check()


def test_a_file_that_another_one_replaces_is_lost_for_good(tmp_path: Path) -> None:
    path, other = tmp_path / "master.db", tmp_path / "other.db"
    path.touch()
    identity = Identity(path)
    identity.check()
    os.link(path, tmp_path / "same.db")
    shutil.copy(path, other)
    other.replace(path)
    with pytest.raises(sqlite3.OperationalError, match="replaced or removed"):
        identity.check()
    (tmp_path / "same.db").replace(path)
    with pytest.raises(sqlite3.OperationalError, match="replaced or removed"):
        identity.check()
