"""Whether file descriptors are left for new connections: without any, the loop turns peers away and says nothing."""

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
    """Looks once a second; says in one line when none is left, and in another when there are some again."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._are_short = False

    def look(self) -> bool:
        """Return whether no descriptor is left; count it, and say so where that is new."""
        are_short = _are_used_up()
        if are_short:
            self._metrics.descriptor_shortages.inc()
        if are_short and not self._are_short:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.error(
                "descriptors_used_up",
                limit=limit,
                meaning="new connections are turned away; raise LimitNOFILE",
            )
        elif self._are_short and not are_short:
            log.info("descriptors_left_again")
        self._are_short = are_short
        return are_short

    async def look_for_ever(self) -> None:
        """Look once a second."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()


def _are_used_up() -> bool:
    try:
        os.close(os.dup(0))
    except OSError as fault:
        return fault.errno in (errno.EMFILE, errno.ENFILE)
    return False
