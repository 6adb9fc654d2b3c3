"""`python -m loadtest`: start a Master, put load on it, print what it did; exit code 1 past a threshold.

`python -m loadtest bench` measures what Master costs, and passes no judgement. `python -m loadtest attack` plays
attacks on it, and says whether each keeps its budget.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from loadtest.plan import read_plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load test that the command line asks for and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["bench"]:
        from loadtest.bench.run import main as run_bench

        return run_bench(arguments[1:])
    if arguments[:1] == ["attack"]:
        from loadtest.attack.run import main as run_attacks

        return run_attacks(arguments[1:])
    plan = read_plan(arguments)
    from loadtest.run import (
        run_plan,
    )  # Locust replaces parts of the standard library when it is imported

    try:
        return run_plan(plan)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
