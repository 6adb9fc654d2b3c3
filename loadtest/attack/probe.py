"""A process that sends requests all the time, over one standing connection and over new ones.

The longest wait over the standing connection is how long Master's loop was blocked; a new one also
waits behind those that came before it. `python -m loadtest.attack.probe PORT PID TOKEN` prints a
line after its first answers, works until its standard input ends, and then prints one JSON object.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time

from loadtest.bench.process import read_rss_bytes

PAUSE_S = 0.01
TIMEOUT_S = 120.0


def ask_live(port: int) -> float:
    """Return the seconds until an answer; retries after a failed connection count as waiting."""
    began = time.monotonic()
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", "/health/live")
            if connection.getresponse().read():
                return time.monotonic() - began
        except (OSError, http.client.HTTPException):
            if time.monotonic() - began > TIMEOUT_S:
                return time.monotonic() - began
            time.sleep(PAUSE_S)
        finally:
            connection.close()


class Standing:
    """One connection that a token has authenticated, and that stays open."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self.longest_s = 0.0
        self._ask("/api/v1/status", {"Authorization": f"Bearer {token}"})

    def ask(self) -> None:
        """Request a path that waits for nothing but the loop. Errors: RuntimeError."""
        began = time.monotonic()
        self._ask("/health/live", {})
        self.longest_s = max(self.longest_s, time.monotonic() - began)

    def _ask(self, path: str, headers: dict[str, str]) -> None:
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200 or answer.will_close:
            raise RuntimeError(f"{path} on the standing connection: {answer.status}, or closed")

    def ask_until(self, ended: threading.Event) -> None:
        """Ask until the end."""
        while not ended.wait(PAUSE_S):
            self.ask()


def main() -> None:
    """Probe until standard input ends."""
    port, pid, token = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ended = threading.Event()
    standing = Standing(port, token)

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    ask_live(port)
    standing.ask()
    before = read_rss_bytes(pid) or 0
    print("ready", flush=True)
    threading.Thread(target=wait_for_end, daemon=True).start()
    beside = threading.Thread(target=standing.ask_until, args=(ended,))
    beside.start()
    longest, peak, asked = 0.0, before, 0
    while not ended.is_set():
        longest = max(longest, ask_live(port))
        peak = max(peak, read_rss_bytes(pid) or 0)
        asked += 1
        time.sleep(PAUSE_S)
    beside.join()
    seen = {
        "longest_s": standing.longest_s,
        "new_s": longest,
        "before": before,
        "peak": peak,
        "after": read_rss_bytes(pid) or 0,
        "asked": asked,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
