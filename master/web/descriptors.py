"""File descriptors: how many connections they suffice for, and whether any is left.

Without one the loop drops new connections silently, those for /health too. So connections of
strangers are closed before that, the oldest first.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import sys

import structlog

from master.metrics import Metrics

log = structlog.get_logger(__name__)

LOOK_S = 1.0

SPARE = 32
"""Descriptors kept for files, worker processes, and connections that are accepted in one pass."""

FEWEST = 16
"""Connections without room for which Master does not start."""

FEW = 512
"""Below this many connections, a start logs a warning."""


class TooFewFiles(Exception):
    """The process may open too few files to serve anybody; the message is one readable line."""


def count_connections() -> int:
    """Return for how many connections there are descriptors, when everything else is open.

    Errors: TooFewFiles.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    most = limit - len(os.listdir("/dev/fd")) - SPARE
    if most < FEWEST:
        raise TooFewFiles(
            f"Only {limit} files may be open (ulimit -n, or LimitNOFILE of systemd), and Master "
            f"needs at least {limit - most + FEWEST}."
        )
    if most < FEW:
        log.warning(
            "few_descriptors",
            limit=limit,
            connections=most,
            meaning="strangers' connections are closed past this number; raise LimitNOFILE",
        )
    return most


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
