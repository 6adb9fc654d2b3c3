"""`python -m loadtest`: start a Master, load it, print the figures; exit code 1 past a threshold.

`python -m loadtest bench` measures Master's costs, without thresholds. `python -m loadtest attack`
attacks a Master, and prints whether each attack stays within its budget.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from loadtest.plan import read_plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load test that the command line names and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["bench"]:
        from loadtest.bench.run import main as run_bench

        return run_bench(arguments[1:])
    if arguments[:1] == ["attack"]:
        from loadtest.attack.run import main as run_attacks

        return run_attacks(arguments[1:])
    plan = read_plan(arguments)
    # imported late: Locust replaces parts of the standard library when it is imported
    from loadtest.run import run_plan

    try:
        return run_plan(plan)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
