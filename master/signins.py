"""Sessions of people in the console, and the one-use links with which one begins.

A session is a random secret in a person's browser; only its hash is kept, in memory: sessions end
with the process. A link is a private file beside the database, because the command that makes it is
another process; write access there includes the keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from master.clock import Clock
from master.files import make_private
from master.model import Grant
from master.tokens import hash_secret

IDLE_S = 12 * 3_600
"""Seconds without a request or an open socket after which a session ends."""

LONGEST_S = 7 * 86_400
"""Seconds after which a session ends in any case."""

MOST_SESSIONS = 1_000
LINK_S = 60
"""Seconds for which a link can be used."""

SIGNIN = "master.signin"
"""Key of a connection's session in its environ."""

RandomBytes = Callable[[int], bytes]


@dataclass(slots=True)
class Session:
    """One sign-in; `id` names it to people and opens nothing. Times of the day are Unix seconds."""

    id: str
    grant: Grant
    address: str
    agent: str
    created_at: int
    expires_at: int
    seen_at: int
    digest: bytes = field(repr=False)
    ends: float = 0
    heard: float = 0
    sockets: set[str] = field(default_factory=set)


class Signins:
    """The open sessions, by the hash of their secret; the one longest unseen makes room."""

    def __init__(self, clock: Clock, random_bytes: RandomBytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._sessions: dict[bytes, Session] = {}
        self.hang_up: Callable[[str], object] = lambda sid: None
        """Closes a socket of an ended session."""

    def open(self, grant: Grant, address: str, agent: str) -> tuple[str, Session]:
        """Return the secret of a new session, and the session."""
        self.end_late()
        if len(self._sessions) >= MOST_SESSIONS:
            self._end(min(self._sessions.values(), key=lambda one: one.heard))
        secret, at, now = self._random_bytes(32).hex(), int(self._clock.now()), self._now()
        session = Session(
            id=self._random_bytes(8).hex(),
            grant=grant,
            address=address,
            agent=agent[:200],
            created_at=at,
            expires_at=at + LONGEST_S,
            seen_at=at,
            digest=hash_secret(secret),
            ends=now + LONGEST_S,
            heard=now,
        )
        self._sessions[session.digest] = session
        return secret, session

    def find(self, secret: str) -> Session | None:
        """Return the open session of a secret, which counts as seen now; None without one."""
        session = self._sessions.get(hash_secret(secret))
        if session is None:
            return None
        if self._is_late(session):
            self._end(session)
            return None
        session.heard, session.seen_at = self._now(), int(self._clock.now())
        return session

    def list(self) -> list[Session]:
        """Return the open sessions, the newest first."""
        self.end_late()
        return list(reversed(self._sessions.values()))

    def end(self, session_id: str) -> bool:
        """End the session of an id, and close its sockets; return whether there was one."""
        for session in self._sessions.values():
            if session.id == session_id:
                self._end(session)
                return True
        return False

    def end_late(self) -> None:
        """End the sessions whose time is up, and close their sockets."""
        for session in [one for one in self._sessions.values() if self._is_late(one)]:
            self._end(session)

    def join(self, environ: Mapping[str, Any], sid: str) -> bool:
        """Add a socket to the session that opened its connection; return whether that is open."""
        session: Session | None = environ.get(SIGNIN)
        if session is None or self._sessions.get(session.digest) is not session:
            return False
        session.sockets.add(sid)
        return True

    def leave(self, sid: str) -> None:
        """Forget a closed socket; its session was in use until now."""
        for session in self._sessions.values():
            if sid in session.sockets:
                session.sockets.discard(sid)
                session.heard, session.seen_at = self._now(), int(self._clock.now())

    def _end(self, session: Session) -> None:
        del self._sessions[session.digest]
        for sid in session.sockets:
            self.hang_up(sid)

    def _is_late(self, session: Session) -> bool:
        now = self._now()
        idle = not session.sockets and now - session.heard >= IDLE_S
        return idle or now >= session.ends

    def _now(self) -> float:
        return self._clock.monotonic()


def make_link(db_path: Path, name: str, now: float, random_bytes: RandomBytes) -> str:
    """Return the secret of a new link for the administrator's token called `name`.

    Errors: OSError.
    """
    for old in db_path.parent.glob(f"{db_path.name}.signin-*"):
        with suppress(OSError, ValueError):
            if json.loads(old.read_text(encoding="utf-8"))["until"] < now:
                old.unlink(missing_ok=True)
    secret = random_bytes(32).hex()
    path = _name_link(db_path, secret)
    make_private(path)
    content = json.dumps({"name": name, "until": now + LINK_S})
    path.write_text(content, encoding="utf-8")
    return secret


def redeem_link(db_path: Path, secret: str, now: float) -> str | None:
    """Return the name that a link is for, and use the link up; None if it cannot be used."""
    path = _name_link(db_path, secret)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()  # fails for all callers but the first
        return str(content["name"]) if now < content["until"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _name_link(db_path: Path, secret: str) -> Path:
    return db_path.with_name(f"{db_path.name}.signin-{hash_secret(secret).hex()}")
