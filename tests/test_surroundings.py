"""docs/operating.md, "Surroundings": a real process among the surroundings that the table names."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.child import run_child

PAGE = Path(__file__).parents[1] / "docs" / "operating.md"

PROOFS = {
    "signals": "tests/test_command_line.py",
    "log files": "tests/test_command_line.py",
    "stderr, log disk": "tests/test_sinks.py",
    "volume": "tests/disk/test_identity.py",
    "space": "tests/disk/test_troubles.py",
    "open files": "tests/security/test_few_files.py",
    "IPv4, IPv6": "tests/test_surroundings.py",
    "wall clock": "tests/decisions/test_clocks.py",
    "processor": "tests/walks/test_brakes.py",
    "proxy in front": "tests/security/test_relayed.py",
}
"""Row of the table -> the tests that prove it."""


def test_every_row_of_the_table_has_its_proof():
    section = PAGE.read_text(encoding="utf-8").partition("## Surroundings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)[1:]
    assert rows == list(PROOFS)
    assert all((PAGE.parents[1] / path).is_file() for path in PROOFS.values())


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("::1", "[::1]")],
)
async def test_a_worker_process_without_a_command_connects_under_any_host(
    tmp_path, monkeypatch, host, url
):
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("PYTHONPATH", str(PAGE.parents[1]))
    async with run_child(tmp_path) as child, aiohttp.ClientSession() as web:
        api = f"http://{url}:{child.port}/api/v1"
        page = {"Origin": f"http://{url}:{child.port}"}
        body = {"worker_id": "worker-1"}
        async with web.post(f"{api}/worker-configs", json=body, headers=page) as answer:
            assert answer.status == 201, await answer.text()
        async with web.post(f"{api}/workers/worker-1/lifecycle/start") as answer:
            assert answer.status in (200, 202), await answer.text()
        await child.hear("worker_registered", 1)


@pytest.mark.parametrize("names", [("SIGTERM", "SIGTERM"), ("SIGHUP", "SIGUSR1", "SIGQUIT")])
async def test_signals_may_come_one_after_another(tmp_path, names):
    async with run_child(tmp_path) as child:
        for name in names:
            child.send(getattr(signal, name))
        assert await child.wait() == 0
