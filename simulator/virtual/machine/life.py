"""Simulated processes inside one process: all code in a life's context can be stopped for a while,
or killed.

A real process that gets SIGSTOP runs nothing until SIGCONT, its timers included; one that gets
SIGKILL never runs again, not even its `finally`. Both depend on the context that every callback and
task carries, so the code inside a life needs no change.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

GRAVES: list[tuple[dict[asyncio.Task[Any], None], tuple[object, ...]]] = []

OUTSIDE = contextvars.Context()
"""The context of the network and of the laboratory itself: it belongs to no life."""


class Life:
    """One simulated process: it owns the tasks that start in it, and their descendants."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.stopped = False
        self.deferred: list[Any] = []
        """The handles that became due while it was stopped."""
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.context = contextvars.Context()
        self.context.run(LIFE.set, self)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` in this life."""
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())

    def post(self, function: Callable[[], object]) -> None:
        """Call a function in this life once the life runs; a dead life never calls it."""
        asyncio.get_running_loop().call_soon(function, context=self.context.copy())

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in this life at once."""
        return self.context.copy().run(function, *args)


def bury(life: Life, *belongings: object) -> None:
    """Keep a dead life forever, so that none of its code runs again.

    Python resumes a dropped coroutine once, to close it. A simulation that kills thousands must
    therefore run in processes that end from time to time (seeds.py).
    """
    bury_tasks(life.tasks, life, *belongings)


def bury_tasks(tasks: Iterable[asyncio.Task[Any]], *belongings: object) -> None:
    """Keep forever the tasks that must never run again."""
    buried = dict.fromkeys(tasks)
    for task in buried:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch
    if not GRAVES:
        # they stay referenced even at the end of the interpreter
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(GRAVES))
    GRAVES.append((buried, belongings))


def is_buried(task: asyncio.Task[Any]) -> bool:
    """Tell whether a task belongs to a dead life."""
    return any(task in tasks for tasks, _ in GRAVES)


LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


def find_life(context: contextvars.Context | None) -> Life | None:
    """Return the life of a context, or of the present context if None; None outside all lives."""
    return LIFE.get() if context is None else context.get(LIFE)
