"""`python -m tools.protocol`: write docs/protocol.md and types.d.ts, or check them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tools.protocol.page import EXAMPLES, PAGE, render_protocol
from tools.protocol.typescript import TYPES, render_types


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and the console's types, or check that they are up to date (the default)."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.protocol", description="docs/protocol.md and the console's types"
    )
    parser.add_argument("--write", action="store_true", help="write them; without this, check them")
    parser.add_argument(
        "--check", action="store_true", help="check that they are up to date (the default)"
    )
    chosen = parser.parse_args(arguments)
    stale = []
    for path, wanted in ((PAGE, render_protocol(EXAMPLES)), (TYPES, render_types())):
        if chosen.write:
            path.write_text(wanted, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != wanted:
            stale.append(path.name)
    if stale:
        print(
            f"{' and '.join(stale)}: not as Master's types say; "
            "run `python -m tools.protocol --write`.",
            file=sys.stderr,
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
