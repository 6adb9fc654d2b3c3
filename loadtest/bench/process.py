"""Processor time and memory of a process, read from Linux's /proc."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any

TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PROC = Path("/proc")


class BenchFailed(Exception):
    """A measurement could not be made, or its result is wrong; the message is readable."""


def parse_cpu_s(stat: str) -> float:
    """Return user and system seconds of all threads from the text of /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()  # the program's name may contain anything
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def parse_rss_bytes(status: str) -> int:
    """Return the resident memory, in bytes, from the text of /proc/PID/status."""
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchFailed("/proc has no VmRSS: the process has ended.")


def read_cpu_s(pid: int | None) -> float | None:
    """Return the processor seconds that a process has used; None if they are unknown."""
    try:
        return None if pid is None else parse_cpu_s((PROC / str(pid) / "stat").read_text())
    except OSError:
        return None


def read_rss_bytes(pid: int | None) -> int | None:
    """Return the resident memory of a process in bytes; None if it is unknown."""
    try:
        return None if pid is None else parse_rss_bytes((PROC / str(pid) / "status").read_text())
    except OSError:
        return None


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard limit: each socket is an open file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def ask_version(*command: str) -> str | None:
    """Return the first line that a command prints; None if it cannot be run."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    lines = done.stdout.splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


def run_child(
    command: list[str],
    environment: dict[str, str],
    cwd: Path,
    limit_s: float,
) -> dict[str, Any]:
    """Run a program and return the JSON object of its last line. Errors: BenchFailed."""
    lines = run_limited(command, environment, cwd, limit_s).strip().splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return found


def run_limited(command: list[str], environment: dict[str, str], cwd: Path, limit_s: float) -> str:
    """Run a program and return its output. Errors: BenchFailed, also after `limit_s` seconds."""
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{command} took longer than {limit_s:.0f} s.") from None
    if done.returncode != 0:
        raise BenchFailed(f"{command} ended with {done.returncode}:\n{done.stderr[-4_000:]}")
    return done.stdout


def describe_cpu() -> str:
    """Return the processor's model name."""
    try:
        lines = (PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
