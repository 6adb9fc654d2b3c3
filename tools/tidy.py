"""`python -m tools.tidy`: print the figures that tests/test_tidy.py compares with their limits."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from master.endpoints import ENDPOINTS
from master.store.schema import accounts

ROOT = Path(__file__).parents[1]
PACKAGES = ("master", "simulator", "loadtest", "tools")
LONGEST_FUNCTION = 50
LONGEST_FILE = 400
LONGEST_LINE = 100

EVENT = re.compile(
    r'"((?:worker|admin|client|account|login|message|notification|system):[a-z:_]+)"'
)


@dataclass(frozen=True, slots=True)
class Function:
    """One function; `lines` counts its body without the docstring and inner functions."""

    file: str
    name: str
    lines: int


def list_files(*folders: str) -> list[Path]:
    """Return the Python files of some folders."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def measure_functions(folder: str) -> list[Function]:
    """Return every function of a folder, the shortest first."""
    found = [one for path in list_files(folder) for one in _read_functions(path)]
    return sorted(found, key=lambda one: one.lines)


def _read_functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            inner = sum(
                _count(one) for one in ast.walk(node) if one is not node and _is_function(one)
            )
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            yield Function(str(path.relative_to(ROOT)), node.name, max(0, lines - inner))


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _count(node: ast.AST) -> int:
    return int((node.end_lineno or 0) - node.lineno + 1)  # type: ignore[attr-defined]


def find_p90(functions: list[Function]) -> int:
    """Return how many lines nine of ten functions have at most."""
    return functions[int(len(functions) * 0.9)].lines


def measure_files(*folders: str) -> dict[str, int]:
    """Return the lines of each file."""
    return {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in list_files(*folders)
    }


def find_long_lines(*folders: str) -> list[str]:
    """Return where lines are longer than LONGEST_LINE and do not say why with `noqa: E501`."""
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in list_files(*folders)
        if "migrations" not in path.parts  # the SQL of older versions is not changed
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST_LINE and "noqa: E501" not in line
    ]


def count_event_uses() -> Counter[str]:
    """Return how often each event's name is written in master/."""
    text = "".join(path.read_text(encoding="utf-8") for path in list_files("master"))
    return Counter(EVENT.findall(text))


def count_route_rows() -> Counter[tuple[str, str]]:
    """Return how many rows of the route table each method and path has."""
    return Counter((one.method, one.path) for one in ENDPOINTS)


def count_column_files() -> dict[str, int]:
    """Return how many files of master/ name each column of `accounts`."""
    texts = [path.read_text(encoding="utf-8") for path in list_files("master")]
    return {
        column.name: sum(bool(re.search(rf"\b{column.name}\b", text)) for text in texts)
        for column in accounts.columns
    }


def read_glossary() -> Iterator[tuple[str, str]]:
    """Yield each term of docs/architecture.md, "Words", with what it means."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for row in page.split("\n## Words\n")[1].split("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if row.startswith("| ") and cells[0] != "word":
            for term in re.split(r", | / ", cells[0]):
                yield term, cells[1]


def main() -> None:
    """Print everything."""
    for folder in PACKAGES:
        functions = measure_functions(folder)
        longest = functions[-1]
        print(
            f"{folder}: {len(functions)} functions, {sum(one.lines for one in functions):,} lines "
            f"in their bodies, p90 {find_p90(functions)}, longest {longest.lines} ({longest.name})"
        )
    files = measure_files(*PACKAGES, "tests")
    longest_file = max(files, key=lambda name: files[name])
    print(f"longest file: {longest_file}, {files[longest_file]} lines")
    print(f"lines over {LONGEST_LINE}: {len(find_long_lines(*PACKAGES, 'tests'))}")
    events, routes = count_event_uses(), count_route_rows()
    print(f"{len(events)} events, each written {max(events.values())} times at most")
    print(f"{len(routes)} routes, each one row: {max(routes.values()) == 1}")
    columns = count_column_files()
    print(
        "files that name a column of accounts:", ", ".join(f"{n} {c}" for n, c in columns.items())
    )
    print(f"{len(list(read_glossary()))} terms in the glossary")


if __name__ == "__main__":
    main()
