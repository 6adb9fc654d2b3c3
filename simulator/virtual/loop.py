"""An event loop whose time jumps to the next timer: it never waits, and nothing in it may use a thread."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

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
    """The loop of a virtual run; `time()` begins at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._jumping.now

    def run_in_executor(  # type: ignore[override]  # the stub's return type depends on the class it is called for
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Refuse: a thread takes no virtual time, so the clock would leap while it works."""
        raise RuntimeError(f"a virtual run has no threads: {func!r}")


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
    with asyncio.Runner(loop_factory=lambda: loop) as runner:

        async def guarded() -> T:
            loop.set_exception_handler(lambda _, context: (faults if faults is not None else []).append(context))
            return await main()

        return runner.run(guarded())
