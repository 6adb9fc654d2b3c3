"""A Master process with tokens: the simulator and Master's own worker authenticate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.target import ROOT as REPOSITORY
from loadtest.target import Target
from tests.security.conftest import ANY_WORKER, DEVICE, ROOT, TOKENS
from tests.waiting import PATIENCE_S, block_until


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target(settings={**TOKENS, "LOG_LEVEL": "info"}) as target:
        yield target


def ask(target: Target, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{target.url}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {ROOT}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
        return json.load(answer)["data"]


def simulate(target: Target, **tokens: str) -> subprocess.CompletedProcess[str]:
    flags = [
        "--url",
        target.url,
        "--workers",
        "3",
        "--admins",
        "1",
        "--clients",
        "1",
        "--duration",
        "3",
    ]
    return subprocess.run(
        [sys.executable, "-m", "simulator", *flags, "--quiet", "--json"],
        env={**os.environ, **tokens}, cwd=REPOSITORY, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def test_the_simulators_whole_crew_works_with_tokens(target):
    done = simulate(
        target, MASTER_WORKER_TOKEN=ANY_WORKER, MASTER_ADMIN_TOKEN=ROOT, MASTER_CLIENT_TOKEN=DEVICE
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["violations"] == 0


def test_without_tokens_it_cannot_even_start(target):
    done = simulate(target)
    assert done.returncode == 2
    assert "unauthorized" in done.stderr


def test_a_worker_that_master_starts_comes_with_a_token(target):
    ask(target, "POST", "/worker-configs", {"worker_id": "started-by-master", "max_accounts": 1})
    ask(target, "POST", "/workers/started-by-master/lifecycle/start")
    block_until(
        lambda: "started-by-master" in [worker["id"] for worker in ask(target, "GET", "/workers")]
    )
    assert ask(target, "POST", "/workers/started-by-master/lifecycle/stop")["state"] == "stopped"
