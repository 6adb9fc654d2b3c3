"""A real Master, and the official JavaScript client installed for it, once per test session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.target import Target
from tests.node import install

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scripts and socket.io-client; skips if they cannot be installed."""
    return install(HERE, tmp_path_factory.mktemp("javascript"))


@pytest.fixture(scope="session")
def master() -> Iterator[Target]:
    with Target() as target:
        yield target
        assert target.stop() == 0, "SIGTERM ends Master with code 0"
