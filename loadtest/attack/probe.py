"""A process that repeats GET /health/live; the longest wait is how long Master's loop was blocked.

`python -m loadtest.attack.probe PORT PID` prints a line after its first answer, works until its
standard input ends, and then prints one JSON object.
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


def main() -> None:
    """Probe until standard input ends."""
    port, pid = int(sys.argv[1]), int(sys.argv[2])
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    ask_live(port)
    before = read_rss_bytes(pid) or 0
    print("ready", flush=True)
    threading.Thread(target=wait_for_end, daemon=True).start()
    longest, peak, asked = 0.0, before, 0
    while not ended.is_set():
        longest = max(longest, ask_live(port))
        peak = max(peak, read_rss_bytes(pid) or 0)
        asked += 1
        time.sleep(PAUSE_S)
    after = read_rss_bytes(pid) or 0
    print(
        json.dumps(
            {"longest_s": longest, "before": before, "peak": peak, "after": after, "asked": asked}
        )
    )


if __name__ == "__main__":
    main()
