"""The version of the project that plays a run: a seed gives the same run in one version only."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from master import __version__

ROOT = Path(__file__).resolve().parents[2]


@cache
def show_version() -> str:
    """Return the running version, with its commit if the project has a repository of its own."""
    # installed: git would describe the surrounding repository
    if not (ROOT / ".git").exists():
        return __version__
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - any git on PATH
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:  # git is not installed
        return __version__
    commit = done.stdout.strip()
    return f"{__version__} of commit {commit}" if commit else __version__
