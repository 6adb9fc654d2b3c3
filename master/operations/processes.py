"""Administrators configure worker processes; the supervisor runs them."""

from __future__ import annotations

import structlog

from master.errors import AlreadyExists, Invalid, Missing, UnknownWorker, Unverified
from master.model import JsonObject, WorkerConfig
from master.operations.notifications import raise_alarm
from master.protocol.answers import Listing, ShownConfig
from master.protocol.equipment import render_worker_config
from master.protocol.http import ById, NewWorkerConfig, WorkerConfigChange
from master.protocol.lists import Page
from master.protocol.processes import FollowLog
from master.record import change
from master.turn import Turn

log = structlog.get_logger(__name__)

SHOWN = 5
"""Most workers that one alarm names."""


def list_configs(event: Page, turn: Turn) -> Listing[ShownConfig]:
    """List worker configurations by worker id."""
    configs = sorted(turn.draft.configs.all(), key=lambda config: config.worker_id)
    page = configs[event.offset : event.offset + event.limit]
    return Listing(
        [render_worker_config(config, turn.caller.scope) for config in page], len(configs)
    )


def find_config(event: ById, turn: Turn) -> WorkerConfig | None:
    """Return a worker's configuration with the values of its environment, or None."""
    return turn.draft.configs.get(event.id)


def find_runnable(event: ById, turn: Turn) -> WorkerConfig | None:
    """Return a worker's configuration for the supervisor to run, or None. Errors: Unverified."""
    config = find_config(event, turn)
    if config is not None:
        _require_verified(config)
    return config


def find_auto_start(event: None, turn: Turn) -> list[WorkerConfig]:
    """Return the configurations that the supervisor starts with Master, by worker id.

    Configurations that this Master has not written are left out; an alarm reports them.
    """
    configs = sorted(turn.draft.configs.all(), key=lambda config: config.worker_id)
    if strange := [config.worker_id for config in configs if not config.verified]:
        log.error("worker_configs_unverified", count=len(strange), workers=strange[:SHOWN])
        raise_alarm(
            turn,
            f"{len(strange)} worker configurations were not written by this Master "
            f"({', '.join(strange[:SHOWN])}): their programs are not run. Find out what writes the "
            "database file or its backup, then remove these configurations and add them again.",
            {"workers": strange[:SHOWN], "count": len(strange)},
        )
    return [config for config in configs if config.auto_start and config.verified]


def show_config(event: ById, turn: Turn) -> ShownConfig:
    """Return one worker's configuration; of its environment only the names."""
    return render_worker_config(_find(turn, event.id), turn.caller.scope)


def add_config(event: NewWorkerConfig, turn: Turn) -> ShownConfig:
    """Add the configuration of a worker; each worker has at most one."""
    if turn.draft.configs.get(event.worker_id) is not None:
        raise AlreadyExists(
            "This worker has a configuration already.", details=[{"id": event.worker_id}]
        )
    _require_proxy(turn, event.proxy_id)
    config = WorkerConfig(
        worker_id=event.worker_id,
        command=event.command,
        args=tuple(event.args),
        env=dict(event.env),
        proxy_id=event.proxy_id,
        max_accounts=event.max_accounts,
        auto_start=event.auto_start,
        auto_restart=event.auto_restart,
        created_at=turn.at,
        updated_at=turn.at,
    )
    turn.draft.configs.put(config)
    log.info("worker_config_added", worker=config.worker_id)
    return render_worker_config(config, turn.caller.scope)


def change_config(event: WorkerConfigChange, turn: Turn) -> ShownConfig:
    """Change a worker's configuration; a running process keeps the old one until its next start."""
    config = _find(turn, event.id)
    _require_verified(config)
    event.require_unchanged(render_worker_config(config, turn.caller.scope))
    values = event.list_named()
    _require_proxy(turn, values.get("proxy_id"))
    if "args" in values:
        values["args"] = tuple(values["args"])
    if values:
        config = change(config, **values, updated_at=turn.at)
        turn.draft.configs.put(config)
    return render_worker_config(config, turn.caller.scope)


def remove_config(event: ById, turn: Turn) -> ShownConfig:
    """Remove a worker's configuration; a running process is not stopped."""
    config = _find(turn, event.id)
    turn.draft.configs.remove(config.worker_id)
    log.info("worker_config_removed", worker=config.worker_id)
    return render_worker_config(config, turn.caller.scope)


def follow_log(event: FollowLog, turn: Turn) -> JsonObject:
    """Follow the output of a worker's process: `process:log` tells it to this socket alone.

    A socket follows one worker at a time. Errors: UnknownWorker.
    """
    sid, worker_id = turn.caller.sid, event.worker_id
    if worker_id is not None and not (
        turn.draft.configs.get(worker_id) or turn.draft.workers.get(worker_id)
    ):
        raise UnknownWorker
    if sid is not None:
        turn.after_commit(lambda: turn.sessions.follow(sid, worker_id))
    return {"worker_id": worker_id}


def _require_verified(config: WorkerConfig) -> None:
    """Refuse a configuration that this Master has not written. Errors: Unverified.

    A change of one part is refused as well: the rest would then pass as Master's own.
    """
    if not config.verified:
        log.error("worker_config_unverified", worker=config.worker_id)
        raise Unverified


def _require_proxy(turn: Turn, proxy_id: str | None) -> None:
    if proxy_id is not None and turn.draft.proxies.get(proxy_id) is None:
        raise Invalid(details=[{"field": "proxy_id", "message": "there is no such proxy"}])


def _find(turn: Turn, worker_id: str) -> WorkerConfig:
    config = turn.draft.configs.get(worker_id)
    if config is None:
        raise Missing("There is no configuration of this worker.")
    return config
