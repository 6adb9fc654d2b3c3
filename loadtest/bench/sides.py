"""The two sides that are compared: the Master of a checkout, and the Node peer."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from loadtest.bench.farm import PEER, copy_file, fill_accounts, make_master_file, make_peer_file
from loadtest.bench.loads import PLATFORM
from loadtest.bench.process import BenchFailed, ask_version, run_limited
from loadtest.target import Target, TargetFailed, ask

OURS, NODE = "ours", "node"
INSTALL_TIMEOUT_S = 900
"""Without a ready-made binary better-sqlite3 is compiled, which takes minutes."""

START_TIMEOUT_S = 300.0
PEER_FILES = ("package.json", ".npmrc", "server.js", "schema.sql")

SETTINGS = {
    "LOG_LEVEL": "warning",
    "SOCKET_EVENTS_PER_S": "0",
    "REGISTRATION_RATE": "0",
    "HTTP_REQUESTS_PER_S": "0",
    "WRITE_QUEUE_ITEMS": "1000000",
}
"""Master's settings under load: no limits; durability is Master's default, synchronous=FULL."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running server; `pid` is None if the bench has not started it."""

    host: str
    port: int
    pid: int | None

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one HTTP request and return its JSON. Errors: BenchFailed."""
        try:
            return ask(self.host, self.port, method, path, body)
        except TargetFailed as fault:
            raise BenchFailed(str(fault)) from fault

    def count_comments(self) -> int:
        """Return how many comments the server lists."""
        return int(self.ask("GET", "/api/v1/comments?limit=1")["total"])


class Side(Protocol):
    """One side: each measurement gets a server of its own where that is possible."""

    name: str

    def open(self, accounts: int) -> AbstractContextManager[Running]:
        """Return a context manager of a running server with this many waiting accounts."""
        ...


class Ours:
    """The Master of a checkout, each time a new process with a new database."""

    name = OURS

    def __init__(self, root: Path, python: str, folder: Path) -> None:
        self.root, self.python = root, python
        self.template = folder / "master.db"
        make_master_file(self.template, python, root)

    def make_target(self) -> Target:
        """Return a Master that is not started yet; its database file is empty."""
        target = Target(
            settings=SETTINGS,
            root=self.root,
            python=self.python,
            ready_timeout_s=START_TIMEOUT_S,
        )
        copy_file(self.template, target.db_path)
        return target

    @contextmanager
    def open(self, accounts: int) -> Iterator[Running]:
        """Yield a Master with this many waiting accounts. Errors: BenchFailed."""
        target = self.make_target()
        try:
            fill_accounts(target.db_path, accounts)
            target.start()
            yield Running("127.0.0.1", target.port, target.pid)
        except TargetFailed as fault:
            raise BenchFailed(str(fault)) from fault
        finally:
            target.stop()


class NodeTarget(Target):
    """One process of the Node peer."""

    name = "The Node peer"

    def __init__(self, folder: Path) -> None:
        super().__init__(settings={"NODE_ENV": "production"})
        self._program = folder / "server.js"

    def make_command(self) -> list[str]:
        """Return the command line of the process."""
        return ["node", str(self._program)]


class NodePeer:
    """The peer of loadtest/peer, installed outside the checkout; each time a new process."""

    name = NODE

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def open(self, accounts: int) -> Iterator[Running]:
        """Yield a peer with this many waiting accounts. Errors: BenchFailed."""
        target = NodeTarget(self._folder)
        try:
            make_peer_file(target.db_path)
            fill_accounts(target.db_path, accounts)
            target.start()
            yield Running("127.0.0.1", target.port, target.pid)
        except TargetFailed as fault:
            raise BenchFailed(str(fault)) from fault
        finally:
            target.stop()


class RemotePeer:
    """A peer that is running already: its memory and processor time are unknown."""

    name = NODE

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise BenchFailed(f"--peer {url}: an address such as http://127.0.0.1:3100 is needed.")
        self._running = Running(parts.hostname, parts.port or 80, None)

    @contextmanager
    def open(self, accounts: int) -> Iterator[Running]:
        """Add this many accounts to the peer and yield it. Errors: BenchFailed."""
        for number in range(accounts):
            body = {"platform": PLATFORM, "account_name": f"Account {number}"}
            self._running.ask("POST", "/api/v1/accounts", body)
        yield self._running


def find_cache() -> Path:
    """Return the user's cache folder."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    return Path(chosen) if chosen else Path.home() / ".cache"


def install_peer(cache: Path | None = None) -> Path:
    """Install the Node peer with npm, once per version; return its folder.

    Errors: BenchFailed if there is no Node, or npm fails.
    """
    node = ask_version("node", "--version")
    if node is None or shutil.which("npm") is None:
        raise BenchFailed("--peer auto needs node and npm.")
    wanted = (PEER / "package.json").read_text(encoding="utf-8") + node
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    folder = (cache or find_cache()) / "master-bench" / f"peer-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
        try:
            _install_into(draft)
            draft.rename(folder)  # whole or not at all
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    for name in PEER_FILES:  # the packages stay, the program may have changed
        shutil.copy(PEER / name, folder)
    return folder


def _install_into(folder: Path) -> None:
    for name in PEER_FILES:
        shutil.copy(PEER / name, folder)
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    run_limited([*command, "--no-update-notifier"], {}, folder, INSTALL_TIMEOUT_S)
