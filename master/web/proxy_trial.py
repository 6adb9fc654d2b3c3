"""Tests of a proxy: a real connection and handshake to the caller's target, in bounded time."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import Awaitable, Callable

import structlog

from master.clock import Clock
from master.model import Proxy
from master.operations.proxies import find_proxy, note_trial
from master.protocol.answers import ShownTrial
from master.protocol.http import ProxyTrial, split_address
from master.protocol.proxies import ShownLastTrial
from master.secret import SealBroken, Secret
from master.turn import Caller
from master.writer import Turns

HTTP = Caller("http")
Password = Secret[str] | None
LONGEST_ANSWER = 16_384

SOCKS_FAULTS = {
    1: "the proxy failed",
    2: "the proxy does not allow this target",
    3: "the proxy cannot reach the target's network",
    4: "the proxy cannot reach the target's host",
    5: "the target refused the connection",
    6: "the route to the target is too long (TTL expired)",
    7: "the proxy does not support CONNECT",
    8: "the proxy does not support this type of address",
}

log = structlog.get_logger(__name__)


class TrialFault(Exception):
    """The proxy does not reach the target; the message says why and has no secret."""


class ProxyTrials:
    """Answers `proxies/{id}/test`."""

    def __init__(self, turns: Turns, clock: Clock) -> None:
        self._turns = turns
        self._clock = clock

    async def run(self, event: ProxyTrial) -> ShownTrial:
        """Test whether the proxy reaches a target of your own.

        Errors: Missing.
        """
        proxy, password = await self._turns.look(find_proxy, event, HTTP)
        result = await try_proxy(proxy, password, event, self._clock)
        trial: ShownLastTrial = {
            "at": int(self._clock.now()),
            "reachable": result["reachable"],
            "latency_ms": result["latency_ms"],
            "target": result["target"],
            "error": result.get("error"),
        }
        await self._turns.look(note_trial, (event.id, trial), HTTP)
        return result


async def try_proxy(
    proxy: Proxy, password: Password, trial: ProxyTrial, clock: Clock
) -> ShownTrial:
    """Connect to `trial.target` through the proxy; return `{reachable, latency_ms, error?}`."""
    started = clock.monotonic()
    error = None
    try:
        async with asyncio.timeout(trial.timeout_s):
            await _reach(proxy, password, trial.target)
    except TrialFault as fault:
        error = str(fault)
    except TimeoutError:
        error = f"no answer within {trial.timeout_s:g} s"
    except SealBroken:
        error = "the proxy's password cannot be decrypted; set it again"
    except UnicodeError:
        error = "the proxy's address is not a valid host name"
    except asyncio.IncompleteReadError:
        error = "the proxy closed the connection"
    except (asyncio.LimitOverrunError, ValueError):
        error = "the proxy speaks another protocol"
    except ssl.SSLError as fault:
        error = f"no TLS with the proxy: {fault.reason or 'its certificate or handshake is wrong'}"
    except OSError as fault:
        error = f"no connection to the proxy: {fault.strerror or type(fault).__name__}"
    result: ShownTrial = {
        "reachable": error is None,
        "latency_ms": round((clock.monotonic() - started) * 1_000, 1),
        "target": trial.target,
    }
    if error is not None:
        result["error"] = error
    return result


async def _reach(proxy: Proxy, password: Password, target: str) -> None:
    """Connect through the proxy to the target.

    Errors: TrialFault, OSError, IncompleteReadError.
    """
    host, port = split_address(proxy.server)
    reader, writer = await asyncio.open_connection(
        host,
        port,
        ssl=ssl.create_default_context() if proxy.protocol == "https" else None,
        limit=LONGEST_ANSWER,
    )
    handshake: Callable[
        [Proxy, Password, str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]
    ]
    handshake = _shake_socks if proxy.protocol == "socks5" else _shake_connect
    try:
        await handshake(proxy, password, target, reader, writer)
    finally:
        # a regular close could wait forever
        writer.transport.abort()


async def _shake_connect(
    proxy: Proxy,
    password: Password,
    target: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Request a tunnel from an HTTP proxy (RFC 9110, section 9.3.6)."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username is not None:
        pair = base64.b64encode(f"{proxy.username}:{_read_password(password)}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {pair}")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await writer.drain()
    version, _, rest = (await reader.readuntil(b"\r\n")).decode("latin-1").partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdecimal():
        raise TrialFault("the proxy speaks another protocol")
    if status == "407":
        raise TrialFault("the proxy does not accept this username and password")
    if not status.startswith("2"):
        raise TrialFault(f"the proxy answered {status}")


async def _shake_socks(
    proxy: Proxy,
    password: Password,
    target: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Request a connection from a SOCKS5 proxy (RFC 1928).

    If the proxy's entry has a username, log in with it and the password (RFC 1929).
    """
    writer.write(b"\x05\x02\x00\x02" if proxy.username is not None else b"\x05\x01\x00")
    version, method = await reader.readexactly(2)
    if version != 5:
        raise TrialFault("the proxy speaks another protocol")
    if method == 2 and proxy.username is not None:
        await _log_in(proxy, password, reader, writer)
    elif method != 0:
        raise TrialFault("the proxy requires a way to log in that this entry does not offer")
    host, port = split_address(target)
    writer.write(b"\x05\x01\x00" + _write_host(host) + port.to_bytes(2, "big"))
    version, reply, *_ = await reader.readexactly(4)
    if version != 5:
        raise TrialFault("the proxy speaks another protocol")
    if reply != 0:
        raise TrialFault(SOCKS_FAULTS.get(reply, "the proxy refused"))


def _read_password(password: Password) -> str:
    return password.reveal() if password is not None else ""


def _write_host(host: str) -> bytes:
    """Return a host as SOCKS5 encodes it: type and address, or a name that the proxy resolves."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode()
        if len(name) > 255:
            raise TrialFault("the target's name is too long for SOCKS5") from None
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


async def _log_in(
    proxy: Proxy, password: Password, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    name, word = (proxy.username or "").encode(), _read_password(password).encode()
    if len(name) > 255 or len(word) > 255:
        raise TrialFault("username or password is too long for SOCKS5")
    writer.write(b"\x01" + bytes([len(name)]) + name + bytes([len(word)]) + word)
    _, status = await reader.readexactly(2)
    if status != 0:
        raise TrialFault("the proxy does not accept this username and password")
