"""An event loop whose time jumps to the next timer: it never waits, and nothing in it may use a thread."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

from simulator.virtual.life import LIFE, OUTSIDE, Life, find_life, is_buried

T = TypeVar("T")

EPOCH = 1_767_225_600.0
"""Unix seconds at which every virtual run begins: the first of January 2026."""


class Deadlock(Exception):
    """Nothing is ready and nothing is scheduled: whoever waits would wait for ever."""


class _JumpingSelector(selectors.SelectSelector):
    """Looks for real readiness without waiting; where the loop would sleep, the clock jumps instead.

    Only the loop's own wake-up socket is ever registered: a simulation has no files to wait for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return at once; `timeout` is the time to the next timer, None is none at all."""
        if timeout is None:
            ready = super().select(0)
            if not ready:
                raise Deadlock("nothing is ready and nothing is scheduled")
            return ready
        if timeout > 0:
            self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of a virtual run; `time()` begins at 0. It knows which life each callback belongs to (life.py)."""

    _ready: Any
    _scheduled: Any

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self.set_task_factory(_make_task)

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments together, the loop does not care
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call as soon as its life runs; never if it is dead."""
        life = find_life(context)
        if life is None or not (life.stopped or life.dead):
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        if not life.dead:
            life.deferred.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a time, or as soon after as its life runs; never if it is dead."""
        life = find_life(context)
        if life is None:
            return super().call_at(when, callback, *args, context=context)
        cell: list[asyncio.TimerHandle] = []
        timer = super().call_at(when, _fire, life, cell, callback, args, context=context)
        cell.append(timer)
        return timer

    def stop_life(self, life: Life) -> None:
        """Let a life run nothing until `resume_life`, as SIGSTOP does."""
        if life.stopped or life.dead:
            return
        life.stopped = True
        for handle in list(self._ready):
            if not handle.cancelled() and handle._context.get(LIFE) is life:
                life.deferred.append(asyncio.Handle(handle._callback, handle._args, self, handle._context))
                handle.cancel()

    def resume_life(self, life: Life) -> None:
        """Let a stopped life run on: what has become due meanwhile is done at once, in its order."""
        if life.stopped and not life.dead:
            life.stopped = False
            deferred, life.deferred = life.deferred, []
            self._ready.extend(handle for handle in deferred if not handle.cancelled())

    def kill_life(self, life: Life) -> None:
        """Let a life run nothing ever again, as SIGKILL does."""
        life.dead, life.deferred = True, []
        for handle in [*self._ready, *self._scheduled]:
            if not handle.cancelled() and handle._context.get(LIFE) is life:
                handle.cancel()

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._jumping.now

    def run_in_executor(  # type: ignore[override]  # the stub's return type depends on the class it is called for
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Refuse: a thread takes no virtual time, so the clock would leap while it works."""
        raise RuntimeError(f"a virtual run has no threads: {func!r}")


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task, and let its life know of it."""
    task = asyncio.Task(work, loop=loop, **options)
    life = find_life(options.get("context"))
    if life is not None:
        life.tasks[task] = None
        task.add_done_callback(partial(_forget_task, life), context=OUTSIDE)
    return task


def _forget_task(life: Life, task: asyncio.Task[Any]) -> None:
    life.tasks.pop(task, None)


def _fire(life: Life, cell: list[asyncio.TimerHandle], callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Do what a timer was set for, or let it wait for its stopped life; it can still be cancelled then."""
    if life.stopped:
        life.deferred.append(cell[0])
        cell[0]._callback, cell[0]._args = callback, args  # type: ignore[attr-defined]
    elif not life.dead:
        callback(*args)


class VirtualClock:
    """Master's clock in a virtual run. The wall clock can be stepped, as an administrator or NTP would."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: float = EPOCH) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> float:
        """Return virtual Unix seconds."""
        return self._start + self._loop.time()

    def monotonic(self) -> float:
        """Return the virtual seconds since the start."""
        return self._loop.time()

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self._start += seconds


def run_virtually(main: Callable[[], Coroutine[Any, Any, T]], faults: list[Mapping[str, Any]] | None = None) -> T:
    """Run `main` to its end in a loop of its own; exceptions of lost tasks are appended to `faults`."""
    loop = VirtualLoop()
    found = faults if faults is not None else []
    loop.set_exception_handler(lambda _, context: found.append(context))
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            if not is_buried(task):
                found.append({"message": f"a task was left over: {task.get_coro()}"})
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is told of above
        asyncio.set_event_loop(None)
        loop.close()
