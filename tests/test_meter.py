"""The budgets of peers, counted with a manual clock, without peers or a loop."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from master.budgets import (
    FAREWELL_S,
    LOOSE_PER_S,
    MOST_ADDRESSES,
    PATIENCE_S,
    STRANGER_S,
    STRANGERS_PER_S,
    YOUNG_LINE_S,
    Kind,
    make_budgets,
)
from master.clock import ManualClock
from master.errors import TooManyRequests
from master.meter import Flow, Line, Meter

HERE, THERE = "10.0.0.1", "10.0.0.2"


class World:
    def __init__(self, **limits: int) -> None:
        self.clock = ManualClock()
        self.meter = Meter(
            self.clock, make_budgets(500, 7 * 1024 * 1024), requests_per_s=10, **limits
        )
        self.ended: list[str] = []

    def end(self, name: str) -> Callable[[], None]:
        return lambda: self.ended.append(name)

    def connect(self, name: str, address: str = HERE) -> Line:
        return self.meter.connect(address, self.end(name))

    def open(self, name: str, address: str = HERE) -> Flow:
        return self.meter.open(address, self.end(name))

    def wait(self, seconds: float) -> list[str]:
        """Advance the clock; return the connections closed since the last call."""
        self.clock.advance(seconds)
        self.meter.hang_up_late()
        ended, self.ended = self.ended, []
        return ended


@pytest.mark.parametrize("kind", ["connect", "open"])
def test_a_line_and_a_flow_without_a_known_peer_are_hung_up_after_thirty_seconds(
    kind: str,
) -> None:
    world = World()
    getattr(world, kind)("first")
    world.wait(1)
    getattr(world, kind)("second")
    farewell = FAREWELL_S if kind == "connect" else 0
    assert world.wait(STRANGER_S - 1 + farewell) == []
    assert world.wait(0.5) == ["first"]
    assert world.wait(STRANGER_S) == ["second"]
    assert world.wait(1_000) == []


def test_a_known_line_stands_until_its_last_known_peer_has_left() -> None:
    world = World()
    line = world.connect("line")
    world.meter.welcome(line)
    assert world.wait(1_000) == []
    world.meter.suspect(line)
    assert world.wait(STRANGER_S + FAREWELL_S + 1) == ["line"]


def test_a_line_is_known_as_long_as_the_flow_that_comes_over_it() -> None:
    world = World()
    first, second, flow = world.connect("first"), world.connect("second"), world.open("flow")
    world.meter.attach(first, flow)
    world.meter.greet(flow, Kind.WORKER)
    world.meter.attach(second, flow)
    assert world.wait(1_000) == []
    world.meter.leave(second)
    world.meter.close(flow)
    assert world.wait(STRANGER_S) == []
    assert world.wait(FAREWELL_S + 1) == ["first"]
    assert not flow.lines


def test_what_somebody_known_begins_has_a_deadline_of_its_own() -> None:
    world = World()
    line = world.connect("line")
    world.meter.welcome(line)
    world.meter.begin(line)
    assert world.wait(PATIENCE_S) == []
    world.meter.end(line)
    assert world.wait(PATIENCE_S) == []
    world.meter.begin(line)
    assert world.wait(PATIENCE_S + 1) == ["line"]


def test_a_line_that_has_ended_is_never_hung_up() -> None:
    world = World()
    line = world.connect("line")
    world.meter.leave(line)
    world.meter.suspect(line)
    world.meter.begin(line)
    assert world.wait(1_000) == []
    assert world.meter.strange_lines == 0


def test_the_oldest_stranger_of_an_address_makes_room_for_its_newest() -> None:
    world = World(strangers_per_address=2, strange_lines=100)
    world.connect("other", THERE)
    world.meter.welcome(world.connect("known"))
    for number in range(4):
        world.connect(f"stranger {number}")
        world.clock.advance(YOUNG_LINE_S)
    assert world.ended == ["stranger 0", "stranger 1"]


def test_the_address_with_most_strangers_makes_room_for_others() -> None:
    world = World(strangers_per_address=10, strange_lines=4)
    for number in range(4):
        world.connect(f"crowd {number}")
    world.clock.advance(YOUNG_LINE_S)
    for number in range(3):
        world.connect(f"other {number}", f"10.0.1.{number}")
    assert world.ended == ["crowd 0", "crowd 1", "crowd 2"]
    assert world.meter.strange_lines == 4


def test_workers_that_come_all_at_once_from_one_address_are_not_hung_up_for_each_other() -> None:
    world = World(strangers_per_address=2, strange_lines=100)
    lines = [world.connect(f"worker {number}") for number in range(50)]
    assert world.wait(YOUNG_LINE_S / 2) == []
    for line in lines[:45]:
        world.meter.welcome(line)
    assert world.wait(YOUNG_LINE_S / 2) == ["worker 45", "worker 46", "worker 47"]
    assert world.meter.strange_lines == 2


def test_past_the_limit_of_all_the_oldest_of_a_young_crowd_comes_again_and_none_is_kept_out() -> (
    None
):
    world = World(strangers_per_address=2, strange_lines=10)
    for number in range(12):
        world.connect(f"worker {number}")
    assert world.ended == ["worker 0", "worker 1"]


def test_packets_of_one_flow_have_a_pace_of_any_sender() -> None:
    world = World()
    known, stranger = world.open("known"), world.open("stranger")
    world.meter.greet(known, Kind.DEVICE)
    for flow in (known, stranger):
        assert sum(flow.charge_loose() > 0 for _ in range(3 * LOOSE_PER_S)) == 2 * LOOSE_PER_S
    world.clock.advance(3)
    assert known.charge_loose() == 0


def test_strangers_of_one_address_have_a_pace_together_and_all_addresses_too() -> None:
    world = World()

    def count_at_once(address: str) -> int:
        flows = [world.open("", address) for _ in range(20)]
        return sum(flow.charge_loose() == 0 for flow in flows for _ in range(LOOSE_PER_S))

    assert count_at_once(HERE) == STRANGERS_PER_S / 2
    assert count_at_once(THERE) == 0, "all strangers together have used up what there is"
    world.clock.advance(100)
    assert count_at_once(THERE) == STRANGERS_PER_S / 2


def test_the_cost_of_becoming_known_is_refunded_to_the_address() -> None:
    world = World()
    for _ in range(10 * STRANGERS_PER_S):
        assert world.meter.openings.admit_at_once(HERE)
        flow = world.open("")
        assert flow.charge_loose() == 0
        world.meter.greet(flow, Kind.WORKER)


def test_the_largest_budget_of_several_on_one_flow_applies() -> None:
    world = World()
    flow = world.open("")
    sizes = [flow.budget.packet_bytes]
    for kind in (Kind.DEVICE, Kind.WORKER, Kind.ADMINISTRATOR):
        world.meter.greet(flow, kind)
        sizes.append(flow.budget.packet_bytes)
    assert sizes == [16 * 1024, 1024**2, 7 * 1024**2, 7 * 1024**2]


def test_a_flow_is_full_until_what_is_under_way_is_dealt_with() -> None:
    world = World()
    flow = world.open("")
    world.meter.greet(flow, Kind.WORKER)
    freed: list[str] = []
    assert flow.has_room(100 * 1024**2), "one event may be read in any case"
    flow.add_pending(6 * 1024**2)
    assert flow.has_room(2 * 1024**2)
    flow.add_pending(3 * 1024**2)
    assert not flow.has_room()
    flow.call_when_free(lambda: freed.append("room"))
    flow.call_when_free(lambda: freed.append("room for more"), 7 * 1024**2)
    flow.release(1024)
    assert freed == []
    flow.release(3 * 1024**2 - 1024)
    assert freed == ["room"]
    flow.release(6 * 1024**2)
    assert freed == ["room", "room for more"]


def test_requests_of_one_address_have_a_pace_and_say_when_to_return() -> None:
    world = World()
    for _ in range(40):
        world.meter.admit(HERE)
    with pytest.raises(TooManyRequests) as refused:
        world.meter.admit(HERE)
    assert refused.value.retry_after_ms == 101
    world.meter.admit(THERE)
    world.clock.advance(0.2)
    world.meter.admit(HERE)


def test_addresses_are_forgotten_past_a_limit() -> None:
    world = World()
    for number in range(MOST_ADDRESSES + 5):
        world.meter.admit(str(number))
    assert len(world.meter._requests) == MOST_ADDRESSES
