"""A write that fails at any step is refused, leaves no trace, and succeeds on retry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from tests.conftest import registration
from tests.disk.disk import Step
from tests.disk.scene import Scene, check_refused
from tests.disk.troubles import IO_ERROR

Act = Callable[[Scene], Awaitable[Callable[[], Awaitable[Any]]]]
"""Prepares a write and returns the function that does it."""


async def prepare_report(scene: Scene) -> Callable[[], Awaitable[Any]]:
    report = scene.make_report("short")
    return lambda: scene.send(report)


async def prepare_registration(scene: Scene) -> Callable[[], Awaitable[Any]]:
    newcomer = await scene.bench.connect("worker")
    payload = registration("newcomer")
    return lambda: newcomer.ask("worker:register", payload)


async def prepare_account(scene: Scene) -> Callable[[], Awaitable[Any]]:
    async def add() -> Any:
        status, headers, content = await scene.add_account("new")
        assert status == 201 or (status, headers["Retry-After"]) == (503, "1")
        error = {**content.get("error", {}), "retryable": status == 503, "retry_after_ms": 1}
        return content if status == 201 else {"success": False, "error": error}

    return add


async def prepare_goodbye(scene: Scene) -> Callable[[], Awaitable[Any]]:
    """A worker leaves; its account goes to another one."""
    await scene.bench.worker("other")
    return lambda: scene.worker.ask("worker:goodbye", {"workerId": "worker-1"})


async def prepare_login(scene: Scene) -> Callable[[], Awaitable[Any]]:
    payload = {"account_id": scene.account_id, "worker_id": "worker-1"}
    return lambda: scene.admin.ask("master:login:start", payload)


async def prepare_login_success(scene: Scene) -> Callable[[], Awaitable[Any]]:
    started = await (await prepare_login(scene))()
    report = {
        "session_id": started["session_id"],
        "status": "success",
        "cookies": [{"name": "a", "value": "b"}],
    }
    return lambda: scene.worker.ask("worker:login:status", report)


ACTS: dict[str, Act] = {
    "report": prepare_report,
    "registration": prepare_registration,
    "account": prepare_account,
    "goodbye": prepare_goodbye,
    "login": prepare_login,
    "login success": prepare_login_success,
}


class Trap:
    """Fails one of the writer's steps: once, or from then on."""

    def __init__(self, position: int, *, for_good: bool) -> None:
        self._left = position
        self._for_good = for_good
        self.sprung = False

    def __call__(self, step: Step) -> str | None:
        """Choose the fault of a step, or None."""
        if not step.writer or (self.sprung and not self._for_good):
            return None
        self._left -= 1
        self.sprung = self.sprung or self._left < 0
        return IO_ERROR if self.sprung else None


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from there on"])
@pytest.mark.parametrize("prepare", ACTS.values(), ids=ACTS)
async def test_a_step_that_fails_leaves_no_trace(
    scene: Scene, prepare: Act, for_good: bool
) -> None:
    """Retry a refused write, failing at the next step, until it succeeds; health recovers."""
    act, before = await prepare(scene), scene.dump()
    for position in count():
        trap = Trap(position, for_good=for_good)
        scene.disk.fault = trap
        answer = await act()
        scene.disk.fault = lambda step: None
        if answer["success"]:
            break
        check_refused(answer)
        assert scene.dump() == before, position
        scene.check_memory()
        assert await scene.is_ready() == (200, None)
    assert not trap.sprung
    assert position >= 3  # begin, the write itself, commit
    assert scene.dump() != before
    scene.check_memory()
