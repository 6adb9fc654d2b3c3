"""Broken Socket.IO and Engine.IO packets: survived, and acknowledged if they have an id."""

from __future__ import annotations

import pytest

from master.routes import NAMESPACES
from tests.conftest import Bench
from tests.hostile.conftest import Errors
from tests.hostile.peers import RawPeer, check_answer, join
from tests.hostile.world import Bystanders, count_kept, wait_until_gone

Frames = tuple[str | bytes, ...]

BROKEN = [
    '42{ns},1["{event}"',
    '42{ns},1["{event}",',
    '42{ns},1["{event}",{"a":',
    '42{ns},1["{event}",{"a":1}',
    '42{ns},1["{event}",{}]]',
    '42{ns},1["{event}",{}]more',
    '42{ns},1["{event}",{}]\x00',
    '42{ns},1["{event}",{},]',
    "42{ns},1['{event}',{}]",
    '42{ns},1["{event}",NaN]',
    '42{ns},1["{event}","a\tb\nc"]',
    '42{ns},1["{event}","\\x"]',
    '42{ns},1["{event}","\\ud83d"]',
    '42{ns},1["{event}\\ud83d",{}]',
    '42{ns},1[["{event}"],{}]',
    '42{ns},1[{"{event}":1},{}]',
    '42{ns},1{"{event}":{}}',
    '42{ns},1"{event}"',
    "42{ns},1",
    "42{ns},1null",
    "42{ns},1true",
    "42{ns},1[]",
    "42{ns},1[null]",
    "42{ns},1[7,{}]",
    "42{ns},1[true]",
    "42{ns},1[" + "[" * 100_000,
    '450-{ns},1["{event}",[]]',
    '450-{ns},1["{event}",[{hole}]]',
    '450-{ns},1["{event}"',
    '4565-{ns},1["{event}",{hole}]',
    '4599999-{ns},1["{event}",{hole}]',
    '4599999999999999999999-{ns},1["{event}",{hole}]',
]
"""Packets that request acknowledgement 1; `{hole}` stands for a binary attachment."""

NO_COUNT = [
    '45-{ns},1["{event}",{hole}]',
    '45x-{ns},1["{event}",{hole}]',
    '45-1-{ns},1["{event}",{hole}]',
    '451{ns},1["{event}",{hole}]',
]
"""Binary packets without a count of attachments."""

UNFINISHED: list[Frames] = [
    ('451-{ns},1["{event}",{hole}]',),
    ('452-{ns},1["{event}",{hole}]', b"one of two"),
    ('451-{ns},1["{event}"]',),
    ('4564-{ns},1["{event}"]', *([b"x"] * 63)),
    ('451-{ns},1["{event}",{hole},{hole}]', b"x"),
    ('451-{ns},1["{event}",[{"_placeholder":true,"num":-1}]]', b"x"),
    ('451-{ns},1["{event}",{"_placeholder":true,"num":1}]', b"x"),
    ('451-{ns},1["{event}",{"_placeholder":true,"num":1.5}]', b"x"),
    ('451-{ns},1["{event}",{"_placeholder":true,"num":null}]', b"x"),
    ('451-{ns},1["{event}",{"_placeholder":true,"num":[]}]', b"x"),
    ('451-{ns},1["{event}",[{"_placeholder":true}]]', b"x"),
    ('451-{ns},1["{event}",[{"_placeholder":1,"num":0}]]', b"x"),
    ('451-{ns},1["{event}",[[[[{hole}]]]]]', b"x"),
    ('452-{ns},1["{event}",{hole}]', b"x", b"never named"),
    ('451-{ns},1["{event}",{hole}]', b"x", b"one too many"),
    ('451-{ns},1["{event}",{hole}]', '4{"no":"packet"}'),
    ('451-{ns},1["{event}",{hole}]', "40{ns},", b"late"),
    ('451-{ns},1["{event}",{hole}]', '451-{ns},2["{event}",{hole}]', b"x"),
    ("451-{ns},1[{hole},{}]", b"an event's name"),
    ("451-{ns},1{hole}", b"x"),
    ("451-{ns},1[]", b"x"),
    ("451-{ns},1", b"x"),
    ("451-{ns},1null", b"x"),
]
"""Binary packets that request acknowledgement 1, with the frames that follow."""

NO_QUESTION: list[Frames] = [
    *((frame,) for frame in (
        "3", "5", "bAAAA", "b", b"\x04", b"\xff" * 1_000,
        "4", "4x", "4²", "4{", '4{"a":1}', "4[1]", "4NaN", '4"x"', "4" + "[" * 100_000,
        "4" * 10_000, "40", "40/", "40,", "40/nowhere,", "40{ns}", "40{ns},{", "40{ns},[1]",
        '40{ns},"x"', "40{ns},1", "40{ns},null", '40{ns},{"token":{"a":[[[]]]}}',
        '40{ns},{"token":"\\ud83d"}', "40{ns}," + "[" * 100_000, "40/nowhere,{", "41",
        "41/nowhere,", "42", "42/nowhere,", "42{ns}", "42{ns},", "42{ns},x", '42["a"]',
        '42/nowhere,["a"]', '42/,["a"]', '42{ns},²["a"]', "42{ns}," + "1" * 5_000 + '["a"]',
        '42{ns},-1["a"]', '42{ns},1.5["a"]', "42{ns},[" + "[" * 100_000, '42{ns},["a",{}]',
        '42/NS,3["a"]', '42/nowhere,3["a"]', '423["a"]', "43", "43{ns},", "43{ns},1", "43{ns},1[]",
        "43{ns},999[1]", "43{ns},[1]", "43{ns},1{", "43/nowhere,1[1]", "44", "44{ns},{}",
        '44{ns},{"message":1}', "45", "45-", "451-", '451-["a"]', '451-/nowhere,1["a",{hole}]',
        "46", '461-{ns},1["a"]', "460-{ns},1[]", '461-{ns},1[{hole}]', "47", "48", "49{ns},1[]",
    )),
    ('461-{ns},1[{hole}]', b"x"),
    ('451-/nowhere,1["a",{hole}]', b"x"),
    ("40{ns},",) * 50,
    ("40/worker,", "40/admin,", "40/client,", "41/worker,", "40/worker,", "41/admin,", "40{ns},"),
    ("41{ns},", "41{ns},", "40{ns},"),
    ("41{ns},", '42{ns},3["a"]', "40{ns},"),
    ("5",) * 200,
    ("3",) * 200,
    (b"x",) * 200,
]  # fmt: skip
"""Packets without an acknowledgement id, or unreadable; the connection stays usable after them."""

NO_PACKET = ["0", "2", "2probe", "6", "7", "8", "9", "x", "\x00", "²", "bA"]
"""Frames that are no Engine.IO packet, or none that a client may send."""

DEATHS: list[Frames] = [
    ("1",),
    ("41{ns},", "1"),
    ("1", "40{ns},", "40/admin,"),
    ('451-{ns},1["a",{hole}]', "1"),
    ('42{ns},1["{event}",[]]', "1"),
    ("42" + "x" * 17_000_000,),
    (b"x" * 17_000_000,),
]
"""Ends of a connection at a bad moment: a goodbye, or a packet over the limit."""


def fill(frame: str | bytes, namespace: str, event: str) -> str | bytes:
    """Return a frame with its names filled in."""
    if isinstance(frame, bytes):
        return frame
    hole = '{"_placeholder":true,"num":0}'
    return frame.replace("{ns}", namespace).replace("{event}", event).replace("{hole}", hole)


async def ask_again(peer: RawPeer) -> dict[int, object]:
    """Check with a valid event that the connection works; return the packets received before."""
    event = next(iter(NAMESPACES[peer.namespace[1:]]))
    await peer.say(f'42{peer.namespace},77["{event}",[]]')
    answers = await peer.answers_before(77)
    assert answers[77]["error"]["code"] == "unreadable"
    return answers


@pytest.mark.parametrize("name", NAMESPACES)
async def test_a_broken_packet_of_any_event_is_answered(
    bench: Bench, bystanders: Bystanders, name: str
) -> None:
    before = count_kept(bench)
    async with join(bench.master.port, f"/{name}") as peer:
        for event in NAMESPACES[name]:
            for frame in BROKEN:
                await peer.say(fill(frame, peer.namespace, event))
                check_answer(await peer.acknowledged(1))
        await ask_again(peer)
    await wait_until_gone(bench, before)
    await bystanders.work()


@pytest.mark.parametrize("name", NAMESPACES)
async def test_a_binary_packet_without_all_its_parts_is_answered(
    bench: Bench, bystanders: Bystanders, name: str
) -> None:
    before = count_kept(bench)
    async with join(bench.master.port, f"/{name}") as peer:
        for event in NAMESPACES[name]:
            for frames in UNFINISHED:
                await peer.say(*(fill(frame, peer.namespace, event) for frame in frames))
                assert 1 in await ask_again(peer), frames
    await wait_until_gone(bench, before)
    await bystanders.work()


@pytest.mark.parametrize("name", NAMESPACES)
async def test_packets_that_ask_for_nothing_do_no_harm(
    bench: Bench, bystanders: Bystanders, name: str
) -> None:
    before = count_kept(bench)
    for frames in NO_QUESTION:
        async with join(bench.master.port, f"/{name}") as peer:
            await peer.say(*(fill(frame, peer.namespace, "a") for frame in frames))
            await ask_again(peer)
    await wait_until_gone(bench, before)
    await bystanders.work()


async def test_nothing_is_left_of_a_connection_that_ends_in_the_middle(
    bench: Bench, bystanders: Bystanders
) -> None:
    before = count_kept(bench)
    for frames in DEATHS:
        async with join(bench.master.port, "/worker") as peer:
            await peer.say_to_the_end(
                *(fill(frame, peer.namespace, "worker:heartbeat") for frame in frames)
            )
        await wait_until_gone(bench, before)
    await bystanders.work()


async def test_a_frame_that_is_no_packet_is_skipped(bench: Bench, errors: Errors) -> None:
    before = count_kept(bench)
    async with join(bench.master.port, "/worker") as peer:
        for frame in NO_PACKET:
            await peer.say(frame)
            await ask_again(peer)
    await wait_until_gone(bench, before)
    assert errors.pop_all() == []


async def test_an_empty_frame_is_not_the_end(bench: Bench) -> None:
    async with join(bench.master.port, "/worker") as peer:
        await peer.say(
            "", b"", fill('451-{ns},1["{event}",{hole}]', peer.namespace, "worker:heartbeat"), b""
        )
        assert 1 in await ask_again(peer)


async def test_a_binary_packet_without_a_count_is_answered(bench: Bench) -> None:
    async with join(bench.master.port, "/worker") as peer:
        for frame in NO_COUNT:
            await peer.say(fill(frame, peer.namespace, "worker:heartbeat"))
            assert 1 in await ask_again(peer), frame
