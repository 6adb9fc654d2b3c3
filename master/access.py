"""Authentication: tokens, trusted addresses, and a limit on guesses per address.

Without any token Master is open, but only to loopback connections. With tokens it is guarded: every
peer authenticates, once per connection or HTTP request. A correct token always passes, whatever
other peers behind the same address do; only wrong tokens wait. Open or not, a worker id that a
configuration runs as a process belongs to that process.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import NoReturn, TypeVar

import structlog

from master.budgets import MOST_ADDRESSES
from master.clock import Clock
from master.decisions.attempts import Attempts, find_wait, note_wrong
from master.errors import Forbidden, TooManyAttempts, Unauthorized
from master.logs import AUDIT, KNOWN
from master.model import Grant, Scope, WorkerConfig
from master.settings import Settings
from master.signins import Signins
from master.tokens import ANY_WORKER, hash_secret, mark_secret

log = structlog.get_logger(AUDIT)

K = TypeVar("K")
V = TypeVar("V")


class Access:
    """Stores tokens as hashes with a random key, which are worthless outside this process."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        find_config: Callable[[str], WorkerConfig | None] = lambda _: None,
    ) -> None:
        tokens = (*settings.worker_tokens, *settings.admin_tokens, *settings.client_tokens)
        self.guarded = bool(tokens)
        self._clock = clock
        self._random_bytes = random_bytes
        self._key = random_bytes(32)
        self._grants = {self._seal(token.digest): token.grant for token in tokens}
        self._issued: dict[str, tuple[bytes, int]] = {}
        """Worker id -> the sealed digest and the mark of the token issued to its process."""
        for token in tokens:
            KNOWN.add(token.mark)
        self._find_config = find_config
        self._started: set[str] = set()
        """Workers that were started as processes of this Master."""
        self._reserved = {token.grant.name for token in settings.worker_tokens} - {ANY_WORKER}
        self._trusted = settings.trusted_workers
        self._attempts: OrderedDict[str, Attempts] = OrderedDict()
        self.signins = Signins(clock, random_bytes)

    def identify(self, kind: str, token: str | None, address: str) -> Grant:
        """Return the grant of a peer that connects as `kind` (worker, admin or client).

        Errors: Unauthorized without a token or with a wrong one; Forbidden with a token of another
        kind, or for a peer of another machine if Master is open; TooManyAttempts after wrong
        tokens.
        """
        if not self.guarded:
            self.require_near(address)
            issued = self._find(token) if kind == "worker" and token else None
            return issued or Grant(kind, "", Scope.ADMIN if kind == "admin" else Scope.READ)
        if not token:
            if kind == "worker" and self._is_trusted(address):
                return Grant(kind, "", Scope.READ)
            raise Unauthorized
        grant = self._look_up(token, address)
        if grant.kind != kind:
            raise Forbidden(f"This token is not for {kind}s.")
        return grant

    def require_near(self, address: str) -> None:
        """Refuse peers of other machines while no token is set. Errors: Forbidden."""
        if not self.guarded and not is_loopback(address):
            raise Forbidden("Without tokens Master accepts loopback connections only.")

    def require_worker(self, name: str, worker_id: str) -> None:
        """Refuse a worker id that the grant called `name` does not cover. Errors: Forbidden.

        An id with its own token belongs to that token. An id with a configuration belongs to the
        process that Master starts by it, even while that does not run. A grant for any worker
        covers neither. Without tokens, a configuration that names no program and was never started
        reserves nothing: it may exist for a proxy alone, and a worker elsewhere could not get a
        token.
        """
        if name == worker_id and name != ANY_WORKER:
            return
        if name not in ("", ANY_WORKER) or self._is_reserved(worker_id):
            raise Forbidden("This worker id needs its own token.")

    def _is_reserved(self, worker_id: str) -> bool:
        if worker_id in self._reserved or worker_id in self._issued:
            return True
        config = self._find_config(worker_id)
        if config is None:
            return False
        return (
            self.guarded
            or config.command is not None
            or config.auto_start
            or worker_id in self._started
        )

    def issue_worker_token(self, worker_id: str) -> str:
        """Return a new token for a worker process of this Master; it replaces the former one.

        It exists in memory only, until `withdraw_worker_token` or Master's end. An open Master also
        identifies the process by it: no other peer gets its id.
        """
        secret = self._random_bytes(32).hex()
        self.withdraw_worker_token(worker_id)
        digest, mark = self._seal(hash_secret(secret)), mark_secret(secret)
        self._started.add(worker_id)
        self._issued[worker_id] = digest, mark
        self._grants[digest] = Grant("worker", worker_id, Scope.READ)
        KNOWN.add(mark)
        return secret

    def withdraw_worker_token(self, worker_id: str) -> None:
        """End the token issued to a worker process; an open connection is not affected."""
        issued = self._issued.pop(worker_id, None)
        if issued is not None:
            del self._grants[issued[0]]
            KNOWN.drop(issued[1])

    def _look_up(self, token: str, remote: str) -> Grant:
        """Return a token's grant. Errors: Unauthorized; after several, TooManyAttempts instead."""
        found = self._find(token)
        if found is None:
            self.refuse_guess(remote)
        return found

    def refuse_guess(self, remote: str) -> NoReturn:
        """Count and refuse a wrong secret. Errors: Unauthorized, TooManyAttempts."""
        self.note_guess(remote)
        raise Unauthorized("This token is not known.")

    def note_guess(self, remote: str, what: str = "wrong_token") -> None:
        """Count a wrong secret of an address. Errors: TooManyAttempts.

        After several, the address is told to wait instead of whether a further one is wrong.
        """
        now, address = self._clock.monotonic(), name_address(remote)
        wait_s = find_wait(self._attempts.get(address), now)
        if wait_s:
            raise TooManyAttempts(retry_after_ms=round(wait_s * 1000) + 1)
        attempts = note_wrong(self._attempts.get(address), now)
        _remember(self._attempts, address, attempts)
        log.warning(what, address=remote, wrong=attempts.wrong)

    def _find(self, token: str) -> Grant | None:
        """Return a token's grant, or None.

        The lookup uses an HMAC under a key of this process: its duration reveals nothing of any
        token.
        """
        return self._grants.get(self._seal(hash_secret(token)))

    def _seal(self, digest: bytes) -> bytes:
        return hmac.digest(self._key, digest, "sha256")

    def find_admin(self, name: str) -> Grant | None:
        """Return the grant of the administrator's token called `name`, or None."""
        admins = (grant for grant in self._grants.values() if grant.kind == "admin")
        return next((grant for grant in admins if grant.name == name), None)

    def needs_token(self, address: str) -> bool:
        """Tell whether every peer at an address needs a token, whatever it wants."""
        return self.guarded and not self._is_trusted(address)

    def _is_trusted(self, address: str) -> bool:
        return is_within(address, self._trusted)


def read_bearer(header: str | None) -> str | None:
    """Return the token of an `Authorization` header (RFC 6750), or None if it has none."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def is_within(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return whether an address is in one of the networks; False for invalid addresses."""
    peer = read_address(address)
    return peer is not None and any(
        peer.version == network.version and peer in network for network in networks
    )


def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own; False for invalid addresses."""
    peer = read_address(address)
    return peer is not None and peer.is_loopback


@lru_cache(maxsize=MOST_ADDRESSES)
def name_address(remote: str) -> str:
    """Return a peer's address as it is counted: itself, or the /64 that an IPv6 customer owns."""
    peer = read_address(remote)
    if peer is None or peer.version == 4 or peer.is_loopback:
        return str(peer or remote)
    return str(ipaddress.ip_network((peer, 64), strict=False))


@lru_cache(maxsize=MOST_ADDRESSES)
def read_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, or None if invalid; an IPv6 form `::ffff:a.b.c.d` becomes IPv4."""
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (peer.ipv4_mapped or peer) if isinstance(peer, ipaddress.IPv6Address) else peer


def _remember(table: OrderedDict[K, V], key: K, value: V) -> None:
    """Put an entry at the young end of a table, and drop the oldest past the limit."""
    table[key] = value
    table.move_to_end(key)
    if len(table) > MOST_ADDRESSES:
        table.popitem(last=False)
