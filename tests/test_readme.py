"""The README must work: its quick start, its links, and a CI that runs the same commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]


def read_quick_start() -> list[str]:
    blocks = re.findall(
        r"^```bash\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S
    )
    assert len(blocks) == 1, (
        "README.md has exactly one bash block: the quick start, which .ci/run reads"
    )
    return blocks[0].splitlines()


def test_the_quick_start_is_two_lines_demo_and_tests():
    assert read_quick_start() == ["python -m pip install nox && nox -s demo", "nox -s test"]


def test_the_quick_start_names_sessions_that_exist():
    sessions = set(
        re.findall(
            r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.M
        )
    )
    words = shlex.split(" ".join(read_quick_start()))
    assert {words[at + 1] for at, word in enumerate(words) if word == "-s"} <= sessions


def test_nox_alone_and_ci_run_the_same_sessions():
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    alone = re.search(r"nox\.options\.sessions = (\[[^]]*\])", noxfile)
    ci = re.search(r"for session in (.*); do", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert alone is not None
    assert ci is not None
    assert set(re.findall(r'"(\w+)"', alone[1])) == {"test", *ci[1].split()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(page: Path):
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
