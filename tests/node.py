"""JavaScript programs beside the tests, with their packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_TIMEOUT_S = 180
NO_NETWORK = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENOTCACHED")


def install(source: Path, folder: Path) -> Path:
    """Copy the scripts of `source` to `folder` and install their packages; skip if that fails."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: {source.name} is not tried")
    for file in (source / "package.json", *source.glob("*.mjs")):
        shutil.copy(file, folder)
    command = [
        "npm",
        "install",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode and any(code in done.stderr for code in NO_NETWORK):
        pytest.skip(
            f"npm reaches no registry, so {source.name} is not tried: {done.stderr.strip()[:200]}"
        )
    assert done.returncode == 0, done.stderr
    return folder
