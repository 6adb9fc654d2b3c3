"""The load: workers, administrators and devices, as Locust users over real sockets.

Locust's own rows of Socket.IO calls are ignored (see report.OWN_KINDS): `ask` measures each call
once, and counts an answer without success as a failure.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, ClassVar

import gevent
import socketio
from locust import task
from locust.contrib.fasthttp import FastHttpUser
from locust.contrib.socketio import SocketIOUser
from locust.env import Environment

from loadtest.plan import Plan
from loadtest.report import ACK, CONNECT, PUSH

ANSWER_TIMEOUT_S = 10
PLATFORM = "douyin"
REPEAT_SHARE = 0.1
"""Share of reports that are repeated, as a worker does after a lost acknowledgement."""


class Refused(Exception):
    """Master refused, or its answer breaks the protocol."""


class Stage(Environment):
    """Locust's environment with the state that the users share."""

    def __init__(self, plan: Plan, **options: Any) -> None:
        super().__init__(**options)
        self.plan = plan
        self.free_workers = [f"load-{number:05d}" for number in range(plan.workers, 0, -1)]
        self.names = plan.workers
        self.sent_at: dict[str, float] = {}
        """Platform id -> when the message was reported; until an administrator is notified."""
        self.stored = 0
        self.made = 0

    def claim_name(self) -> str:
        """Return a name that is free again, or a new one: users that leave may still use theirs."""
        if self.free_workers:
            return self.free_workers.pop()
        self.names += 1
        return f"load-{self.names:05d}"


class Peer(SocketIOUser):
    """One connection to one namespace."""

    abstract = True
    options: ClassVar[dict[str, Any]] = {
        "reconnection": False,
        "websocket_extra_options": {"suppress_origin": True},  # like programs other than browsers
    }
    namespace: str
    environment: Stage

    def connect(self) -> None:
        """Open the WebSocket and join the namespace; measured."""
        self.measure(
            CONNECT,
            self.namespace,
            lambda: socketio.Client.connect(
                self.sio,
                self.host,
                transports=["websocket"],
                namespaces=[self.namespace],
                wait_timeout=ANSWER_TIMEOUT_S,
            ),
        )

    def ask(self, event: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """Send an event and return its acknowledgement; None without one, or for a refusal."""

        def call() -> dict[str, Any]:
            if not self.sio.connected:
                raise Refused("not connected")
            try:
                reply = socketio.Client.call(
                    self.sio, event, data, namespace=self.namespace, timeout=ANSWER_TIMEOUT_S
                )
            except socketio.exceptions.TimeoutError:
                raise Refused(f"no acknowledgement within {ANSWER_TIMEOUT_S} s") from None
            if not isinstance(reply, dict) or reply.get("success") is not True:
                raise Refused(str(reply)[:200])
            return reply

        reply: dict[str, Any] | None = self.measure(ACK, event, call)
        return reply

    def measure(self, kind: str, name: str, act: Callable[[], Any]) -> Any:
        """Call `act` and log it as one row; log an exception and return None."""
        started = time.perf_counter()
        result, fault = None, None
        try:
            result = act()
        except Exception as raised:  # any exception fails this request; the user goes on
            fault = raised
        self.log_row(kind, name, time.perf_counter() - started, fault)
        return result

    def log_row(self, kind: str, name: str, seconds: float, fault: Exception | None = None) -> None:
        """Log one measurement with Locust."""
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=fault,
            context={},
        )

    def on_start(self) -> None:
        """Connect."""
        self.connect()

    def on_stop(self) -> None:
        """Close the connection."""
        self.sio.disconnect()


class WorkerUser(Peer):
    """A worker: registers, sends heartbeats, reports messages, some of them twice."""

    namespace = "/worker"

    def on_start(self) -> None:
        """Connect and register under a name that no other user has at the time."""
        self.worker_id = self.environment.claim_name()
        self.owned: list[str] = []
        super().on_start()
        register = {
            "workerId": self.worker_id,
            "capabilities": [PLATFORM],
            "maxAccounts": 10,
            "host": "127.0.0.1",
            "port": 4000,
            "version": "load",
        }
        self.ask("worker:register", register)
        plan, now = self.environment.plan, time.monotonic()
        self.next_heartbeat = now + random.uniform(0, plan.heartbeat_s)
        self.next_report = now + random.uniform(0, plan.report_s)

    def on_stop(self) -> None:
        """Free the name for another user and close the connection, as in a crash or outage."""
        self.environment.free_workers.append(self.worker_id)
        super().on_stop()

    def wait_time(self) -> float:
        """Return the pause until the next heartbeat or report is due, in seconds."""
        return max(0.0, min(self.next_heartbeat, self.next_report) - time.monotonic())

    @task
    def live(self) -> None:
        """Send a heartbeat if one is due, and a report if one is due."""
        plan, now = self.environment.plan, time.monotonic()
        if now >= self.next_heartbeat:
            self.next_heartbeat = now + plan.heartbeat_s
            self.beat()
        if now >= self.next_report:
            self.next_report = now + plan.report_s * random.uniform(0.5, 1.5)
            if plan.batch:
                self.report()

    def beat(self) -> None:
        """Send a heartbeat and keep the account ids of its answer."""
        stats = {"activeAccounts": len(self.owned), "memoryUsage": 256, "cpuUsage": 10}
        heartbeat = {
            "workerId": self.worker_id,
            "stats": stats,
            "timestamp": int(time.time() * 1000),
        }
        reply = self.ask("worker:heartbeat", heartbeat)
        if reply is not None:
            self.owned = list(reply.get("accountIds", []))

    def report(self) -> None:
        """Report new comments of one account; check that Master counts each as new.

        A repeated report must be counted as duplicates.
        """
        stage = self.environment
        if not self.owned:
            return
        account_id = random.choice(self.owned)
        comments = self.make_comments()
        report = {"type": "comment", "account_id": account_id, "messages": comments}
        sent_at = time.perf_counter()
        stage.sent_at.update({item["platform_comment_id"]: sent_at for item in comments})
        self.check(
            self.ask("worker:message:detected", report), inserted=stage.plan.batch, duplicates=0
        )
        if random.random() < REPEAT_SHARE:
            self.check(
                self.ask("worker:message:detected", report), inserted=0, duplicates=stage.plan.batch
            )

    def make_comments(self) -> list[dict[str, Any]]:
        """Return one batch of comments that no worker has reported yet."""
        stage = self.environment
        first, stage.made = stage.made, stage.made + stage.plan.batch
        return [
            {
                "platform_comment_id": f"load-{number}",
                "content": f"Comment number {number}",
                "author_name": "Somebody",
                "author_id": f"author-{number % 97}",
                "post_id": f"post-{number % 13}",
                "post_title": "A post",
            }
            for number in range(first, first + stage.plan.batch)
        ]

    def check(self, reply: dict[str, Any] | None, *, inserted: int, duplicates: int) -> None:
        """Count the messages stored; log a wrong count as a failure of its own."""
        if reply is None:
            return
        self.environment.stored += reply.get("inserted", 0)
        if (reply.get("inserted"), reply.get("duplicates")) != (inserted, duplicates):
            self.log_row(ACK, "worker:message:detected (counts)", 0, Refused(str(reply)[:200]))


class AdminUser(Peer, FastHttpUser):
    """An administrator: requests the status, reads lists, and is notified of every new message."""

    namespace = "/admin"
    lists = (
        "accounts",
        "workers",
        "comments?limit=20",
        "notifications?limit=50",
        "login-sessions",
        "statistics",
    )

    def on_start(self) -> None:
        """Listen and connect."""
        self.sio.on("notification:new", self.hear, namespace=self.namespace)
        super().on_start()

    def wait_time(self) -> float:
        """Return the pause before the next look, in seconds."""
        return random.uniform(1, 3)

    def hear(self, notification: dict[str, Any]) -> None:
        """Measure the time from the worker's report of a message to the first administrator."""
        sent_at = self.environment.sent_at.pop(notification["data"].get("platform_id"), None)
        if sent_at is not None:
            self.log_row(PUSH, "notification:new", time.perf_counter() - sent_at)

    @task(2)
    def look_at_status(self) -> None:
        """Request the counts of everything."""
        self.ask("admin:status:request", {})

    @task(3)
    def look_at_lists(self) -> None:
        """Read one list over HTTP."""
        self.client.get(f"/api/v1/{random.choice(self.lists)}")


class DeviceUser(Peer):
    """A person's device: registers, and fetches new notifications in order."""

    namespace = "/client"

    def on_start(self) -> None:
        """Connect and register; older notifications are not fetched."""
        self.device_id = f"device-{id(self)}"
        super().on_start()
        reply = self.ask("client:register", {"device_id": self.device_id, "device_type": "load"})
        self.seen = int(reply.get("last_seq", 0)) if reply else 0

    def wait_time(self) -> float:
        """Return the pause before the next request, in seconds."""
        return random.uniform(2, 4)

    @task
    def catch_up(self) -> None:
        """Fetch the notifications after the last seen sequence number, page by page."""
        more = True
        while more:
            reply = self.ask(
                "client:sync:request",
                {"device_id": self.device_id, "after_seq": self.seen, "limit": 500},
            )
            if reply is None:
                return
            self.seen = max([self.seen, *(item["seq"] for item in reply.get("notifications", []))])
            more = bool(reply.get("has_more"))
            gevent.sleep(0)
