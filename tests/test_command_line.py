"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from master import __version__
from master.__main__ import main
from master.endpoints import ROOT
from master.store.sqlite.upgrade import check
from tests.child import run_child
from tests.walks.test_backlog import wait_until

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"Master {__version__}\n")


@unix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
async def test_a_signal_ends_master_in_order(tmp_path: Path, name: str) -> None:
    async with run_child(tmp_path) as child:
        child.send(signal.Signals[name])
        assert await child.wait() == 0
        assert '"master_stopped"' in child.lines[-1]
    assert check(tmp_path / "master.db") == []


def is_logged(file: Path, event: str) -> bool:
    """Tell whether a line is in a log file, which a thread of its own writes."""
    return file.exists() and f'"{event}"'.encode() in file.read_bytes()


@unix
@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1"])
async def test_a_signal_opens_the_log_files_anew(tmp_path: Path, name: str) -> None:
    """Rotation from outside: rename, signal, and the old file gets no more lines."""
    logs = tmp_path / "logs"
    async with run_child(tmp_path) as child:
        for count in (1, 2):
            for file in ("master.log", "audit.log"):
                (logs / file).rename(logs / f"{file}-{count}")
            child.send(signal.Signals[name])
            await child.hear("logs_reopened", count)
            await wait_until(lambda: is_logged(logs / "master.log", "logs_reopened"))
            await wait_until((logs / "audit.log").exists)
        former = (logs / "master.log-2").read_bytes()
        status, _ = await child.post(f"{ROOT}/accounts", {"platform": "p", "account_name": "a"})
        assert status == 201
        await wait_until(lambda: is_logged(logs / "master.log", "account_added"))
        assert (logs / "master.log-2").read_bytes() == former
        assert b'"master_started"' in (logs / "master.log-1").read_bytes()
        assert os.stat(logs / "master.log").st_mode & 0o777 == 0o600
