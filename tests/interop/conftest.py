"""A real Master, and the official JavaScript client installed beside it, once per test session."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.target import Target

HERE = Path(__file__).parent
INSTALL_TIMEOUT_S = 180
NO_NETWORK = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENOTCACHED")


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the driving scripts and socket.io-client installed; skips where that cannot be."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: the JavaScript client is not tried")
    folder = tmp_path_factory.mktemp("javascript")
    for source in (HERE / "package.json", *HERE.glob("*.mjs")):
        shutil.copy(source, folder)
    install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode and any(code in done.stderr for code in NO_NETWORK):
        pytest.skip(f"npm reaches no registry, so the JavaScript client is not tried: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def master() -> Iterator[Target]:
    with Target() as target:
        yield target
        assert target.stop() == 0, "SIGTERM ends Master with code 0"
