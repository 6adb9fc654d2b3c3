"""One generator process: reads its job, then one order per line; answers each with a JSON line.

Orders are `prepare`, `run`, `finish N` and `close`; they keep several generators in step.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

from loadtest.bench.loads import LOADS, Job, Load
from loadtest.bench.process import raise_file_limit


def describe_fault(fault: BaseException) -> str:
    """Return the text of a fault; of an exception group, that of its first."""
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return f"{type(fault).__name__}: {fault}"


async def obey(load: Load, order: str) -> dict[str, Any]:
    """Carry out one order and return the answer; an exception becomes one of its faults."""
    name, _, number = order.partition(" ")
    try:
        if name == "prepare":
            await load.prepare()
        elif name == "run":
            await load.run()
        elif name == "finish":
            await load.finish(int(number))
    except Exception as fault:  # the coordinator waits for an answer
        load.outcome.faults.append(describe_fault(fault))
    return load.outcome.to_dict()


async def serve(job: Job) -> None:
    """Carry out orders until there are no more."""
    load = LOADS[job.load](job)
    try:
        while order := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if order == "close":
                return
            print(json.dumps(await obey(load, order)), flush=True)
    finally:
        load.close()


def main() -> int:
    """Run one generator."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator ends it
    raise_file_limit()
    job = Job(**json.loads(sys.stdin.readline()))
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        runner.run(serve(job))
    return 0


if __name__ == "__main__":
    sys.exit(main())
