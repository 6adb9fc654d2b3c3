"""A store for tests that need a real file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from master.draft import Draft
from tests.core.store import Store
from tests.fresh import FreshFiles
from tests.records import (
    make_account,
    make_config,
    make_device,
    make_login,
    make_proxy,
    make_worker,
)


@pytest.fixture
async def store(tmp_path: Path, fresh_files: FreshFiles) -> AsyncIterator[Store]:
    store = Store(fresh_files.lay_empty(tmp_path / "master.db"))
    yield store
    await store.database.close()


@pytest.fixture
async def filled(store: Store) -> Store:
    """Two workers, an account with an open login, an unassigned one, and one of each other noun."""
    draft = Draft(store.memory)
    for record in (make_worker("w1", 1), make_worker("w2")):
        draft.workers.put(record)
    draft.proxies.put(make_proxy("p"))
    draft.configs.put(make_config("w1", proxy_id="p"))
    draft.accounts.put(make_account("held", assigned_worker_id="w1", epoch=3))
    draft.accounts.put(make_account("waits", created_at=1))
    draft.logins.put(make_login("login", "held", "w1"))
    draft.devices.put(make_device("d"))
    await store.commit(draft)
    return store
