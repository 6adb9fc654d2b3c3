"""The official JavaScript client authenticates: in the `auth` object, and by `admin:auth`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.target import Target

WORKER, ADMIN = "javascript-worker-token", "javascript-admin-token"
WALK_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def guarded() -> Iterator[Target]:
    with Target(
        settings={"WORKER_TOKENS": f"js-worker:{WORKER}", "ADMIN_TOKENS": f"anna:{ADMIN}"}
    ) as target:
        yield target


@pytest.fixture(scope="module", params=["polling", "websocket", "polling,websocket"])
def seen(request: pytest.FixtureRequest, javascript: Path, guarded: Target) -> dict[str, Any]:
    walk = subprocess.run(
        ["node", "guarded.mjs", guarded.url, request.param],
        cwd=javascript, capture_output=True, text=True, timeout=WALK_TIMEOUT_S, check=False,
        env={**os.environ, "WORKER_TOKEN": WORKER, "ADMIN_TOKEN": ADMIN},
    )  # fmt: skip
    assert walk.returncode == 0, walk.stderr
    results: dict[str, Any] = json.loads(walk.stdout.splitlines()[-1])
    return results


def test_a_refused_client_is_told_why_in_its_connect_error(seen):
    for name in ("nobody", "wrong"):
        assert (seen[name]["connected"], seen[name]["data"]["code"]) == (False, "unauthorized")
        assert seen[name]["message"] == seen[name]["data"]["message"]


def test_a_worker_registers_under_its_tokens_name_and_no_other(seen):
    assert seen["registered"]["success"] is True
    assert seen["foreign"]["error"]["code"] == "forbidden"


def test_an_administrator_comes_in_by_either_way(seen):
    assert seen["early"]["error"]["code"] == "unauthorized"
    assert (seen["authenticated"]["success"], seen["authenticated"]["userId"]) == (True, "anna")
    assert seen["status"]["success"] is True
    assert seen["direct"] is True
