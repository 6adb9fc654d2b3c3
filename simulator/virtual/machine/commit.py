"""Which version of the project plays a run: a seed means the same run only there."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from master import __version__

ROOT = Path(__file__).resolve().parents[2]


@cache
def show_version() -> str:
    """Return the version that is run, with its commit where there is a repository of its own."""
    if not (
        ROOT / ".git"
    ).exists():  # installed: git would tell of whatever repository lies around it
        return __version__
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whatever git there is
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:  # there is none
        return __version__
    commit = done.stdout.strip()
    return f"{__version__} of commit {commit}" if commit else __version__
