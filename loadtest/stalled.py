"""`python -m loadtest.stalled`: the cost of one stalled administrator to Master and other peers.

A flood of reports runs twice against a Master of its own, without and with an administrator that
stops reading. Printed are the other peers' p99 of both runs, their ratio, and the most bytes that
were queued for any one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import struct
import sys
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import socketio

from loadtest.target import Target

PLATFORM = "douyin"
MESSAGES = 20
ANSWER_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Figures:
    """One flood's figures. Latencies are milliseconds."""

    heartbeats_ms: list[float] = field(default_factory=list)
    stored: int = 0
    waiting_bytes: float = 0.0
    dropped: float = 0.0

    def p99_ms(self) -> float:
        """Return the p99 of the heartbeats' acknowledgements."""
        ordered = sorted(self.heartbeats_ms)
        return ordered[int(len(ordered) * 0.99)] if ordered else 0.0


async def stall(port: int) -> asyncio.StreamWriter:
    """Join /admin over a raw WebSocket and never read again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    key = base64.b64encode(b"stalled-reader-0").decode()
    writer.write(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    joining = b"40/admin,"
    writer.write(bytes([0x81, 0x80 | len(joining)]) + struct.pack("4x") + joining)
    await writer.drain()
    return writer


async def flood(target: Target, workers: int, seconds: float, name: str) -> Figures:
    """Let workers send reports and heartbeats as fast as Master answers."""
    figures = Figures()
    for number in range(workers):
        target.create_account(PLATFORM, f"{name}-{number}")
    admin = socketio.AsyncClient(reconnection=False)
    await admin.connect(target.url, namespaces=["/admin"], transports=["websocket"])
    until = perf_counter() + seconds
    beating = asyncio.create_task(_watch(target, figures))
    await asyncio.gather(*(_report(target, figures, f"{name}-{n}", until) for n in range(workers)))
    beating.cancel()
    await admin.disconnect()
    return figures


async def _report(target: Target, figures: Figures, worker_id: str, until: float) -> None:
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(target.url, namespaces=["/worker"], transports=["websocket"])

    async def ask(event: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = await client.call(
            event, payload, namespace="/worker", timeout=ANSWER_TIMEOUT_S
        )
        assert answer["success"], answer
        return answer

    registered = await ask(
        "worker:register",
        {
            "workerId": worker_id,
            "capabilities": [PLATFORM],
            "maxAccounts": 1,
            "host": "127.0.0.1",
            "port": 4000,
        },
    )
    # Master accepts messages only from the worker that owns the account
    account_id = registered["accounts"][0]["id"]
    number = 0
    while perf_counter() < until:
        batch = [
            {"platform_comment_id": f"{number}-{step}", "content": "x" * 200, "author_name": "A"}
            for step in range(MESSAGES)
        ]
        answer = await ask(
            "worker:message:detected",
            {"type": "comment", "account_id": account_id, "messages": batch},
        )
        figures.stored += answer["inserted"]
        began = perf_counter()
        await ask("worker:heartbeat", {"workerId": worker_id, "stats": {}})
        figures.heartbeats_ms.append((perf_counter() - began) * 1000)
        number += 1
    await client.disconnect()


async def _watch(target: Target, figures: Figures) -> None:
    """Read Master's metrics every 0.2 s; keep the most queued bytes."""
    while True:
        text = await asyncio.to_thread(target.read_metrics)
        figures.waiting_bytes = max(figures.waiting_bytes, text.get("master_outbound_bytes", 0.0))
        figures.dropped = text.get("master_slow_consumers_total", 0.0)
        await asyncio.sleep(0.2)


async def measure(workers: int, seconds: float) -> int:
    """Run both floods, print the figures and return the exit code.

    It is 1 if the stalled reader was not dropped, or too many bytes were queued for it.
    """
    with Target() as target:
        without = await flood(target, workers, seconds, "without")
        stalled = await stall(target.port)
        beside = await flood(target, workers, seconds, "beside")
        stalled.close()
    print(f"{'':24}{'messages':>10}{'heartbeat p99':>16}{'most waiting':>16}{'dropped':>10}")
    for title, one in (("without", without), ("beside a stalled reader", beside)):
        print(
            f"{title:24}{one.stored:>10}{one.p99_ms():>13.1f} ms"
            f"{one.waiting_bytes:>10.0f} bytes{one.dropped:>10.0f}"
        )
    print(f"ratio of the p99s {beside.p99_ms() / without.p99_ms():.2f}, limit 1048576 bytes")
    return 0 if beside.dropped == 1 and beside.waiting_bytes <= 1.1 * 1024 * 1024 else 1


def main() -> int:
    """Run the measurement that the command line describes and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.stalled", description=__doc__)
    parser.add_argument(
        "--workers", type=int, default=20, help="workers that report (default: %(default)s)"
    )
    parser.add_argument(
        "--time", type=float, default=10.0, help="seconds of each flood (default: %(default)s)"
    )
    options = parser.parse_args()
    return asyncio.run(measure(options.workers, options.time))


if __name__ == "__main__":
    sys.exit(main())
