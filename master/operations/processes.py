"""How workers are run as child processes is set by people; the supervisor does it."""

from __future__ import annotations

from typing import Any

import structlog

from master.errors import AlreadyExists, Invalid, Missing
from master.model import JsonObject, WorkerConfig
from master.protocol.admin import show_worker_config
from master.protocol.http import Listing, NewWorkerConfig, NoQuery, Page, Request, WorkerConfigChange
from master.store import worker_configs as rows
from master.store.proxies import find_proxy
from master.turn import Turn

log = structlog.get_logger(__name__)


async def list_configs(event: Request[Page, None], turn: Turn) -> Listing:
    """List worker configurations by worker id."""
    found, total = await rows.list_configs(turn.connection, limit=event.query.limit, offset=event.query.offset)
    return Listing([show_worker_config(config) for config in found], total)


async def find_config(event: Request[Any, None], turn: Turn) -> WorkerConfig | None:
    """Return how the named worker is run, with the values of its environment, or None: for the supervisor."""
    return await rows.find_config(turn.connection, event.path["id"])


async def find_auto_start(event: None, turn: Turn) -> list[WorkerConfig]:
    """Return the configurations of the workers that start with Master: for the supervisor."""
    return await rows.find_auto_start(turn.connection)


async def show_config(event: Request[NoQuery, None], turn: Turn) -> JsonObject:
    """Show how one worker is run."""
    return show_worker_config(await _find(turn, event.path["id"]))


async def add_config(event: Request[NoQuery, NewWorkerConfig], turn: Turn) -> JsonObject:
    """Say how a worker is run; each worker has one configuration."""
    body = event.body
    if await rows.find_config(turn.connection, body.worker_id) is not None:
        raise AlreadyExists("This worker has a configuration already.", details=[{"id": body.worker_id}])
    await _require_proxy(turn, body.proxy_id)
    config = WorkerConfig(
        worker_id=body.worker_id,
        command=body.command,
        args=tuple(body.args),
        env=dict(body.env),
        proxy_id=body.proxy_id,
        max_accounts=body.max_accounts,
        auto_start=body.auto_start,
        auto_restart=body.auto_restart,
        created_at=turn.at,
        updated_at=turn.at,
    )
    await rows.add_config(turn.connection, config)
    log.info("worker_config_added", worker=config.worker_id)
    return show_worker_config(config)


async def change_config(event: Request[NoQuery, WorkerConfigChange], turn: Turn) -> JsonObject:
    """Change what was given of a worker's configuration; a running process keeps the old one until it is restarted."""
    config = await _find(turn, event.path["id"])
    values = {name: getattr(event.body, name) for name in sorted(event.body.model_fields_set)}
    await _require_proxy(turn, values.get("proxy_id"))
    if values:
        await rows.change_config(turn.connection, config.worker_id, values, turn.at)
    return show_worker_config(await _find(turn, config.worker_id))


async def remove_config(event: Request[NoQuery, None], turn: Turn) -> JsonObject:
    """Forget how a worker is run."""
    config = await _find(turn, event.path["id"])
    await rows.remove_config(turn.connection, config.worker_id)
    log.info("worker_config_removed", worker=config.worker_id)
    return show_worker_config(config)


async def _require_proxy(turn: Turn, proxy_id: str | None) -> None:
    if proxy_id is not None and await find_proxy(turn.connection, proxy_id) is None:
        raise Invalid(details=[{"field": "proxy_id", "message": "there is no such proxy"}])


async def _find(turn: Turn, worker_id: str) -> WorkerConfig:
    config = await rows.find_config(turn.connection, worker_id)
    if config is None:
        raise Missing("There is no configuration of this worker.")
    return config
