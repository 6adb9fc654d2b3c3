"""The state of one worker process, when it is started again, and where its program and log are."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast
from urllib.parse import quote

from master.errors import StartFailed
from master.protocol.answers import ShownProcess

MAX_NAME = 200


class ProcessState(StrEnum):
    """A worker process's state; supervisor.py has the transitions."""

    STOPPED = "stopped"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The status of one worker process.

    `started_at` is Unix seconds, a negative `exit_code` is a signal. `restarts` counts the
    automatic restarts since the last requested start.
    """

    worker_id: str
    state: ProcessState = ProcessState.STOPPED
    pid: int | None = None
    started_at: int | None = None
    restarts: int = 0
    exit_code: int | None = None
    log_path: str | None = None
    config_updated_at: int | None = None

    def to_wire(self) -> ShownProcess:
        """Return it in its HTTP form."""
        return cast(ShownProcess, asdict(self))


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delays before a process that ended by itself is restarted."""

    first_s: float = 1.0
    most_s: float = 60.0
    limit: int = 10
    stable_s: float = 60.0

    def delay_s(self, crashes: int) -> float:
        """Return the delay in seconds after that many crashes in a row, the first being 1."""
        return min(self.most_s, self.first_s * 2.0 ** (min(crashes, 64) - 1))


BACKOFF = Backoff()


def find_program(name: str, path: str | None) -> str:
    """Return the path of an executable program. Errors: StartFailed, which states the reason."""
    found = shutil.which(name, path=path)
    if found is not None:
        return found
    if os.sep not in name:
        hint = "; what follows the program's name belongs into args" if " " in name else ""
        raise StartFailed(f"There is no executable program {name} on the PATH{hint}.")
    program = Path(name)
    if not program.exists():
        raise StartFailed(f"There is no program {name}.")
    raise StartFailed(f"{name} is a folder." if program.is_dir() else f"{name} is not executable.")


def name_log(worker_id: str) -> str:
    """Return the name of a worker's log: each id has its own, and none leaves the folder."""
    name = re.sub(r"^\.", "%2E", quote(worker_id, safe="", errors="backslashreplace"))
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 32]}-{hashlib.sha256(name.encode()).hexdigest()[:31]}"
    return f"{name}.log"
