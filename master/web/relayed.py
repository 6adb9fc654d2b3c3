"""Requests that a proxy passed on: which they are, and whose they are behind a trusted proxy.

Each proxy appends the address of its own peer to `X-Forwarded-For` or `Forwarded`, at the right
end; everything further left may be the client's invention. So the client is the right-most address
that is not a trusted proxy's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network

from aiohttp import web
from multidict import CIMultiDictProxy

from master.access import is_within, read_address

RELAYED = (
    "cdn-loop",
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-",
    "x-forwarded",
    "x-original-",
    "x-real-ip",
)
"""Prefixes of headers that proxies add: a peer behind a proxy may be on another machine."""

LONGEST_HOP = 64
"""Characters of the longest entry that is read: an address with its port, and more than that."""

_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"\\]*"|[^;"\s]+)\s*(?=;|$)', re.IGNORECASE)
_WITH_PORT = re.compile(r"\[([0-9a-fA-F:.%\w]+)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5}")


def is_relayed(headers: CIMultiDictProxy[str]) -> bool:
    """Tell whether a proxy passed a request on, as far as its headers say so."""
    return any(name.lower().startswith(RELAYED) for name in headers)


class Relays:
    """The trusted proxies, whose word on the addresses of their clients is believed."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)

    def is_trusted(self, address: str) -> bool:
        """Tell whether an address is a trusted proxy's."""
        return bool(self._trusted) and is_within(address, self._trusted)

    def find_client(self, peer: str, headers: CIMultiDictProxy[str]) -> str:
        """Return the address of the client whose request `peer` sent.

        That is `peer` itself, unless it is a trusted proxy and the request is relayed. If such a
        proxy names no client, or two (it passes on a header that the client sent), the client
        is unknown: a name that is no address, so that no permission of the proxy's is the client's.
        """
        if not self.is_trusted(peer) or not is_relayed(headers):
            return peer
        named = {
            self._find_last(read(headers.getall(name)))
            for name, read in READERS.items()
            if any(headers.getall(name, ()))
        }
        client = named.pop() if len(named) == 1 else None
        return client or f"unknown behind {peer}"

    def _find_last(self, addresses: Sequence[str | None]) -> str | None:
        """Return the right-most untrusted address, else the left-most; None if one is unreadable.

        If all are trusted proxies', the request began at the left-most of them.
        """
        for address in reversed(addresses):
            if address is None or not self.is_trusted(address):
                return address
        return addresses[0]


def name_clients(relays: Relays) -> Callable[[web.Request], None]:
    """Return a function that makes `request.remote` the address of the client."""

    def name_client(request: web.Request) -> None:
        peer = request.remote or ""
        client = relays.find_client(peer, request.headers)
        if client != peer:
            # `clone(remote=...)` does the same to a copy, which the server would not know
            request._cache["remote"] = client

    return name_client


def _read_forwarded_for(lines: Sequence[str]) -> list[str | None]:
    return [_read_hop(hop) for line in lines for hop in line.split(",")]


def _read_forwarded(lines: Sequence[str]) -> list[str | None]:
    """Return the `for` of every element (RFC 7239); None where it is missing or no address."""
    elements = [element for line in lines for element in line.split(",")]
    found = [_FOR.search(element.strip()) for element in elements]
    return [_read_hop(one[1].strip('"')) if one is not None else None for one in found]


READERS = {"X-Forwarded-For": _read_forwarded_for, "Forwarded": _read_forwarded}
"""Header -> the function that returns its addresses, from the client to the last proxy."""


def _read_hop(hop: str) -> str | None:
    """Return the address of one entry, without its port; None if it is no address."""
    text = hop.strip()
    if len(text) > LONGEST_HOP:
        return None
    with_port = _WITH_PORT.fullmatch(text)
    address = read_address((with_port[1] or with_port[2]) if with_port is not None else text)
    return str(address) if address is not None else None
