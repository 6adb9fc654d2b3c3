"""The programs of docs/examples, which docs/protocol.md shows, run against a real Master."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
import socketio

from loadtest.target import Target
from tests.waiting import PATIENCE_S, block_until

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def quick() -> Iterator[Target]:
    """A Master whose timeouts are short, so that new owners do not wait for long."""
    with Target(settings={"HEARTBEAT_TIMEOUT_S": "6", "HEARTBEAT_INTERVAL_S": "2"}) as target:
        yield target


@pytest.fixture(scope="module")
def scripts(javascript: Path) -> Path:
    for file in EXAMPLES.glob("*.mjs"):
        shutil.copy(file, javascript)
    return javascript


@contextmanager
def running(*command: str | Path, cwd: Path, worker_id: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "WORKER_ID": worker_id},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["first-worker.mjs", "worker.mjs", "worker.py"])
def test_the_example_worker_logs_an_account_in_watches_it_and_leaves(
    kind: str, quick: Target, request: pytest.FixtureRequest
) -> None:
    scripts: Path = request.getfixturevalue("scripts")
    account = quick.create_account("douyin", kind)
    command = (
        (sys.executable, EXAMPLES / kind, quick.url)
        if kind.endswith(".py")
        else ("node", scripts / kind, quick.url)
    )

    def is_worker(status: str) -> bool:
        workers = quick.ask("GET", "/api/v1/workers")["data"]
        return (kind, status) in {(one["id"], one["status"]) for one in workers}

    with (
        running("node", scripts / "client.mjs", quick.url, cwd=scripts, worker_id="") as device,
        running(*command, cwd=scripts, worker_id=kind) as worker,
    ):
        block_until(lambda: is_worker("connected"))
        admin = subprocess.run(
            ["node", scripts / "admin.mjs", quick.url, account],
            cwd=scripts, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert admin.returncode == 0, admin.stdout + admin.stderr
        assert admin.stdout.startswith("scan data:image/png;base64,")
        row = quick.ask("GET", f"/api/v1/accounts/{account}")["account"]
        assert (row["login_status"], row["assigned_worker_id"]) == ("logged_in", kind)
        comments = f"/api/v1/comments?account_id={account}"
        block_until(lambda: quick.ask("GET", comments)["total"] == 1)
        registered_at = quick.ask("GET", f"/api/v1/workers/{kind}")["worker"]["started_at"]
        block_until(
            lambda: (
                quick.ask("GET", f"/api/v1/workers/{kind}")["worker"]["last_heartbeat"]
                > registered_at + 6
            )  # later than the timeout: its heartbeats are heard
        )
        assert is_worker("connected")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == (-signal.SIGTERM if kind.startswith("first") else 0)
        block_until(lambda: not is_worker("connected"))
        assert kind.startswith("first") or is_worker("offline"), "the others say goodbye"
        device.kill()
        assert "多少钱?" in device.communicate()[0]
    quick.ask("DELETE", f"/api/v1/accounts/{account}")


def test_the_walk_through_the_http_api_works(quick: Target) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.skip("bash or curl is not installed")
    walk = subprocess.run(
        ["bash", EXAMPLES / "walk.sh", quick.url],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert walk.returncode == 0, walk.stderr
    refused = [line for line in walk.stdout.splitlines() if '"success":true' not in line]
    assert ["no_worker" in line for line in refused] == [True]
    assert quick.ask("GET", "/api/v1/accounts")["total"] == 0


async def report_comments(url: str, account: str, count: int) -> None:
    async with socketio.AsyncSimpleClient() as worker:
        await worker.connect(url, namespace="/worker", transports=["websocket"])
        registration = {"workerId": "worker-1", "capabilities": ["douyin"], "maxAccounts": 1}
        assert (await worker.call("worker:register", registration))["success"]
        comments = [
            {"platform_comment_id": f"c-{number}", "content": f"text {number}"}
            for number in range(count)
        ]
        report = {"type": "comment", "account_id": account, "messages": comments}
        assert (await worker.call("worker:message:detected", report))["inserted"] == count


def test_the_example_device_shows_all_that_it_is_owed_however_much_it_is(scripts: Path) -> None:
    with Target(settings={"OUTBOUND_QUEUE_BYTES": "100000"}) as target:
        account = target.create_account("douyin", "shop")
        asyncio.run(report_comments(target.url, account, count=600))
        with running(
            "node", scripts / "client.mjs", target.url, cwd=scripts, worker_id=""
        ) as device:
            giving_up = threading.Timer(PATIENCE_S, device.kill)
            giving_up.start()
            assert device.stdout is not None
            shown = [line.split()[0] for line in islice(device.stdout, 600)]
            giving_up.cancel()
        assert sorted(map(int, shown)) == list(range(1, 601)), "each once"
        assert target.read_metrics()["master_sync_hints_total"] > 0
