"""A Master for tests: a child process on a free port; its database and logs are temporary."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

READY_TIMEOUT_S = 30.0
POLL_S = 0.02
STOP_TIMEOUT_S = 20.0
REQUEST_TIMEOUT_S = 10.0
ROOT = Path(__file__).resolve().parent.parent


class TargetFailed(Exception):
    """The Master under test did not start, or did not answer."""


def find_free_port() -> int:
    """Return a port of the loopback interface that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(
    host: str,
    port: int,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    token: str = "",
) -> dict[str, Any]:
    """Send one HTTP request and return its JSON. Errors: TargetFailed unless it succeeds."""
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {token}"} if token else {}
    )
    connection = http.client.HTTPConnection(host, port, timeout=REQUEST_TIMEOUT_S)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException) as fault:
        raise TargetFailed(f"{method} {path}: {fault}") from fault
    finally:
        connection.close()
    if response.status >= 400:
        raise TargetFailed(f"{method} {path}: {response.status} {text[:500]}")
    reply: dict[str, Any] = json.loads(text)
    return reply


class Target:
    """One `python -m master` process; leaving the context manager always stops it.

    `root` is the checkout whose Master is started, `python` the interpreter that has its packages.
    """

    name = "Master"

    def __init__(
        self,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        *,
        root: Path = ROOT,
        python: str = sys.executable,
        ready_timeout_s: float = READY_TIMEOUT_S,
    ) -> None:
        self.port = port or find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.root = root
        self.python = python
        self._ready_timeout_s = ready_timeout_s
        self._settings = dict(settings or {})
        self._folder = tempfile.TemporaryDirectory(prefix="master-target-")
        self._output = Path(self._folder.name) / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._said = ""

    def __enter__(self) -> Target:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Return the process id of the running Master."""
        assert self._process is not None, "start first"
        return self._process.pid

    @property
    def db_path(self) -> Path:
        """Return the path of the database file, which may be made before the start."""
        return Path(self._folder.name) / "master.db"

    def make_command(self) -> list[str]:
        """Return the command line of the process."""
        return [self.python, "-m", "master"]

    def start(self) -> None:
        """Start the process and wait until it is ready. Errors: TargetFailed, with its output."""
        folder = Path(self._folder.name)
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DB_PATH": str(self.db_path),
            "LOG_DIR": str(folder / "logs"),
            "LOG_LEVEL": "warning",
            "HTTP_REQUESTS_PER_S": "0",  # many simulated people share one address
            **self._settings,
        }
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                self.make_command(),
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + self._ready_timeout_s
        while not self._answers():
            if self._ended_within(POLL_S):
                fault = f"{self.name} ended with code {self._process.returncode}"
                raise TargetFailed(f"{fault}:\n{self.read_output()}")
            if time.monotonic() > deadline:
                fault = f"{self.name} was not ready after {self._ready_timeout_s:.0f} s"
                raise TargetFailed(f"{fault}:\n{self.read_output()}")

    def stop(self) -> int | None:
        """Stop the process by SIGTERM and return its exit code; kill it if it does not stop.

        A second call does nothing and returns None.
        """
        process, self._process = self._process, None
        try:
            if process is None:
                return None
            process.terminate()
            try:
                return process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()
        finally:
            self._said = self.read_output()
            self._folder.cleanup()

    def read_output(self, limit: int = 4_000) -> str:
        """Return the end of the process's output, also after it was stopped."""
        return (
            self._output.read_text(errors="replace")[-limit:]
            if self._output.exists()
            else self._said
        )

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one HTTP request and return its JSON. Errors: TargetFailed unless it succeeds."""
        return ask("127.0.0.1", self.port, method, path, body)

    def read_metrics(self) -> dict[str, float]:
        """Return Master's Prometheus metrics without labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_TIMEOUT_S)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        pairs = (
            line.rsplit(" ", 1)
            for line in lines
            if line and not line.startswith("#") and "{" not in line
        )
        return {name: float(figure) for name, figure in pairs}

    def create_account(self, platform: str, name: str) -> str:
        """Create an account over HTTP and return its id."""
        reply = self.ask("POST", "/api/v1/accounts", {"platform": platform, "account_name": name})
        return str(reply["account"]["id"])

    def _answers(self) -> bool:
        try:
            self.ask("GET", "/health/ready")
        except TargetFailed:
            return False
        return True

    def _ended_within(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
