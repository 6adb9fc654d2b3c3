"""`python -m tools.protocol`: write docs/protocol.md, or check whether it is up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tools.protocol.page import EXAMPLES, PAGE, render_protocol


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or check whether it is up to date (the default)."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.protocol", description="docs/protocol.md, from the types"
    )
    parser.add_argument(
        "--write", action="store_true", help="write it; without this, check that it is up to date"
    )
    parser.add_argument(
        "--check", action="store_true", help="check that it is up to date (the default)"
    )
    chosen = parser.parse_args(arguments)
    wanted = render_protocol(EXAMPLES)
    if chosen.write:
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != wanted:
        print(
            f"{PAGE.name} does not match the types; run `python -m tools.protocol --write`.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
