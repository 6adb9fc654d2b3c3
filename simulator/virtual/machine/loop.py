"""An event loop whose time jumps to the next timer: it never waits, and it refuses threads."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from functools import partial
from typing import Any, TypeVar

from simulator.virtual.machine.life import LIFE, OUTSIDE, Life, bury_tasks, find_life, is_buried

T = TypeVar("T")

EPOCH = 1_767_225_600.0
"""Unix seconds at which every virtual run begins: 1 January 2026."""


class Deadlock(Exception):
    """Nothing is ready and no timer is set: the waiting tasks would wait forever."""


class Interrupted(Exception):
    """The laboratory ended the run early."""


class Handle:
    """One scheduled call and its life; asyncio's handle without the parts not needed here."""

    __slots__ = ("args", "callback", "context", "life", "moment")

    def __init__(
        self, callback: Any, args: tuple[Any, ...], context: Context | None, moment: float
    ) -> None:
        self.callback: Any = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.life: Life | None = self.context.get(LIFE)
        self.moment = moment

    def when(self) -> float:
        """Return the virtual seconds at which it is due."""
        return self.moment

    def cancel(self) -> None:
        """Cancel the call."""
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        """Tell whether the call was cancelled."""
        return self.callback is None


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of a virtual run; `time()` begins at 0. It knows the life of each callback
    (life.py).

    It has no selector: a simulation has no files and no threads to wait for. Its loop step and its
    handles replace asyncio's, which take a third longer.
    """

    _ready: Any

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()
        self._interrupted = False
        self.set_task_factory(_make_task)

    def interrupt(self) -> None:
        """End the run after the ready calls: `run_virtually` raises Interrupted."""
        self._interrupted = True

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments together
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """Call as soon as its life runs; a dead life never calls it."""
        handle = Handle(callback, args, context, self._now)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """Call at a time, or once its life runs again. Timers of one instant keep their order."""
        handle = Handle(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """Call after so many seconds, as `call_at` does."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def stop_life(self, life: Life) -> None:
        """Stop a life until `resume_life`, as SIGSTOP does."""
        life.stopped = not life.dead

    def resume_life(self, life: Life) -> None:
        """Let a stopped life continue: its overdue calls run at once, in order."""
        life.stopped = False
        deferred, life.deferred = life.deferred, []
        self._ready.extendleft(reversed(deferred))

    def kill_life(self, life: Life) -> None:
        """End a life, as SIGKILL does: it never runs again."""
        life.dead, life.stopped, life.deferred = True, False, []

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._now

    def _run_once(self) -> None:
        """Call the ready handles; if there are none, advance time to the next timer.

        Errors: Deadlock; Interrupted.
        """
        if self._interrupted:
            raise Interrupted
        ready, timers, now = self._ready, self._timers, self._now
        while timers and (timers[0][0] <= now or not ready):
            when, _, handle = heapq.heappop(timers)
            if handle.callback is not None:
                now = max(now, when)
                ready.append(handle)
        self._now = now
        if not ready:
            raise Deadlock("nothing is ready and nothing is scheduled")
        for _ in range(len(ready)):
            handle = ready.popleft()
            life = handle.life
            if handle.callback is None or (life is not None and (life.dead or life.stopped)):
                if life is not None and life.stopped:
                    life.deferred.append(handle)
                continue
            try:
                handle.context.run(handle.callback, *handle.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as fault:
                what = f"exception in callback {handle.callback!r}"
                self.call_exception_handler({"message": what, "exception": fault, "handle": handle})

    def run_in_executor(  # type: ignore[override]  # the stub's return type depends on the class
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Refuse: a thread consumes no virtual time, so the clock would leap while it works."""
        raise RuntimeError(f"a virtual run has no threads: {func!r}")


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task and register it with its life."""
    task = asyncio.Task(work, loop=loop, **options)
    life = find_life(options.get("context"))
    if life is not None:
        life.tasks[task] = None
        task.add_done_callback(partial(_forget_task, life), context=OUTSIDE)
    return task


def _forget_task(life: Life, task: asyncio.Task[Any]) -> None:
    life.tasks.pop(task, None)


class VirtualClock:
    """Master's clock in a virtual run. Its wall clock can be stepped, as by NTP."""

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


def run_virtually(
    main: Callable[[], Coroutine[Any, Any, T]],
    note: Callable[[Mapping[str, Any]], object] = lambda _: None,
) -> T:
    """Run `main` to its end in a loop of its own; `note` receives each unhandled exception as it
    occurs.

    Errors: Deadlock; Interrupted; those of `main`. Tasks still running after an error are kept
    forever (life.py, `bury`), not reported as left over.
    """
    loop = VirtualLoop()
    loop.set_exception_handler(lambda _, context: note(context))
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main())
    except BaseException:  # Ctrl-C is one
        bury_tasks(asyncio.all_tasks(loop), loop)
        raise
    finally:
        for task in asyncio.all_tasks(loop):
            if not is_buried(task):
                note({"message": f"a task was left over: {task.get_coro()}"})
                task._log_destroy_pending = False  # type: ignore[attr-defined]
        asyncio.set_event_loop(None)
        loop.close()
