"""Pages and docstrings name only files, functions, headings and commands that exist."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("master", "simulator", "loadtest", "tools", "tests", "docs", "fixtures", ".ci")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
    ROOT / "loadtest" / "peer" / "README.md",
    ROOT / "tests" / "older" / "README.md",
]
PROGRAMS = [
    ROOT / "noxfile.py",
    *sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("**/*.py")),
]
CODE = r"^```.*?^```$"
PATH = r"\.?[\w-]+(?:/[\w-]+)*"


@cache
def list_paths() -> tuple[str, ...]:
    """Return every file and folder of the project, each after a slash."""
    found = [path for folder in FOLDERS for path in ((ROOT / folder).rglob("*"))]
    return tuple(
        f"/{path.relative_to(ROOT).as_posix()}"
        for path in [*found, *ROOT.iterdir()]
        if "__pycache__" not in path.parts and "node_modules" not in path.parts
    )


def exists(name: str) -> bool:
    return any(path.endswith(f"/{name.rstrip('/')}") for path in list_paths())


def read_page(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def show_path(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=show_path)
def test_files_and_folders_named_in_a_page_exist(page: Path):
    text = read_page(page)
    files = re.findall(rf"\b({PATH}\.(?:py|md|toml|sql|mjs|js))\b", text)
    folders = [
        name
        for name in re.findall(rf"`({PATH}/)`", text)
        if name.split("/")[0] in (*FOLDERS, "operations", "store", "decisions", "virtual")
    ]
    assert [name for name in [*files, *folders] if not exists(name)] == []


def test_files_named_in_docstrings_and_comments_exist():
    missing = []
    for program in PROGRAMS:
        text = program.read_text(encoding="utf-8")
        prose = re.findall(r'"""(.*?)"""', text, re.S) + re.findall(r"^\s*# (.*)$", text, re.M)
        named = re.findall(rf"(?<![\w./<{{])({PATH}\.(?:py|md))\b", "\n".join(prose))
        missing += [(show_path(program), name) for name in named if not exists(name)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=show_path)
def test_functions_and_attributes_named_in_a_page_exist(page: Path):
    prose = re.sub(CODE, "", read_page(page), flags=re.M | re.S)
    named = re.findall(rf"`({PATH})\.([A-Za-z_]\w+)`", prose)
    missing = []
    for owner, name in named:
        if exists(f"{owner}.{name}"):
            continue
        homes = [ROOT / path[1:] for path in list_paths() if path.endswith(f"/{owner}.py")]
        if owner[0].isupper():
            homes = [path for path in PROGRAMS if f"\nclass {owner}" in path.read_text("utf-8")]
        if homes and not any(re.search(rf"\b{name}\b", home.read_text("utf-8")) for home in homes):
            missing.append(f"{owner}.{name}")
    assert missing == []


def test_headings_of_pages_that_a_text_names_exist():
    missing = []
    for path in (*PAGES, *PROGRAMS):
        text = re.sub(r"\s+(?:# )?", " ", path.read_text(encoding="utf-8"))
        missing += [
            (show_path(path), page, heading)
            for page, heading in re.findall(r'\b(?:docs/)?(\w+\.md)\)?, "([^"\\]+)"', text)
            if (ROOT / "docs" / page).exists()
            and not re.search(rf"^#+ {re.escape(heading)}$", read_page(ROOT / "docs" / page), re.M)
        ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=show_path)
def test_commands_named_in_a_page_exist(page: Path):
    text = read_page(page)
    sessions = re.findall(r"^def (\w+)\(session", read_page(ROOT / "noxfile.py"), re.M)
    assert set(re.findall(r"\bnox -s (\w+)", text)) <= set(sessions)
    modules = re.findall(r"\bpython -m ((?:master|simulator|loadtest|tools|tests)[\w.]*)", text)
    assert [name for name in modules if find_spec(name.rstrip(".")) is None] == []
