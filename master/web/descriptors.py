"""Detects when no file descriptor is left: the loop then drops new connections silently."""

from __future__ import annotations

import asyncio
import errno
import os
import resource

import structlog

from master.metrics import Metrics

log = structlog.get_logger(__name__)

LOOK_S = 1.0


class Descriptors:
    """Checks once a second; logs one line when none is left, and one when there are some again."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._are_short = False

    def look(self) -> bool:
        """Return whether no descriptor is left; if so, count it. Log a shortage's begin and end."""
        are_short = _are_used_up()
        if are_short:
            self._metrics.descriptor_shortages.inc()
        if are_short and not self._are_short:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.error(
                "descriptors_used_up",
                limit=limit,
                meaning="new connections are dropped; raise LimitNOFILE",
            )
        elif self._are_short and not are_short:
            log.info("descriptors_left_again")
        self._are_short = are_short
        return are_short

    async def look_for_ever(self) -> None:
        """Call `look` once a second."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()


def _are_used_up() -> bool:
    try:
        os.close(os.dup(0))
    except OSError as fault:
        return fault.errno in (errno.EMFILE, errno.ENFILE)
    return False
