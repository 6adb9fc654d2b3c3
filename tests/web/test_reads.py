"""What strangers send waits for later passes of the loop; what others send does not."""

from __future__ import annotations

import asyncio

from master.web import reads
from master.web.reads import READS_PER_PASS, StrangersReads


class Crowd:
    """Connections that write down what was processed."""

    def __init__(self) -> None:
        self.reads = StrangersReads()
        self.processed: list[bytes] = []

    def say(self, connection: str, data: bytes) -> None:
        """Do with a read what a connection does."""
        if self.reads.admit(connection):
            self.processed.append(data)
        else:
            self.reads.defer(connection, data, self.processed.append)


async def test_a_pass_processes_a_few_reads_and_the_next_ones_the_others_in_their_order() -> None:
    crowd = Crowd()
    said = [str(number).encode() for number in range(3 * READS_PER_PASS + 1)]
    for data in said:
        crowd.say(data.decode(), data)
    for passed in range(1, 5):
        assert crowd.processed == said[: passed * READS_PER_PASS]
        await asyncio.sleep(0)
    assert len(crowd.reads) == 0


async def test_the_next_read_of_a_connection_stays_behind_its_earlier_one() -> None:
    crowd = Crowd()
    for number in range(READS_PER_PASS):
        crowd.say(f"other {number}", b"")
    crowd.say("one", b"first ")
    crowd.say("two", b"between")
    crowd.say("one", b"second")
    await asyncio.sleep(0)
    assert crowd.processed[READS_PER_PASS:] == [b"first second", b"between"]


async def test_a_lost_connection_leaves_nothing() -> None:
    crowd = Crowd()
    for number in range(READS_PER_PASS + 2):
        crowd.say(str(number), b"x")
    crowd.reads.drop(str(READS_PER_PASS))
    crowd.reads.drop("0")  # it has nothing that waits
    await asyncio.sleep(0)
    assert (len(crowd.processed), len(crowd.reads)) == (READS_PER_PASS + 1, 0)


async def test_beyond_the_limit_of_bytes_reads_are_processed_at_once_but_never_out_of_order(
    monkeypatch,
) -> None:
    monkeypatch.setattr(reads, "DEFERRED_BYTES", 10)
    crowd = Crowd()
    for number in range(READS_PER_PASS):
        crowd.say(str(number), b"")
    crowd.say("one", b"a" * 11)
    crowd.say("two", b"at once")
    crowd.say("one", b"b")
    assert crowd.processed[READS_PER_PASS:] == [b"at once"]
    await asyncio.sleep(0)
    assert crowd.processed[READS_PER_PASS + 1 :] == [b"a" * 11 + b"b"]
    crowd.say("three", b"c")
    assert crowd.processed[-1] == b"c"
