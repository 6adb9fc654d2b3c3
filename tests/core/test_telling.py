"""A worker is assigned, and sent at once, no more accounts than its reader can receive."""

from __future__ import annotations

from collections.abc import Callable

from master.model import Account
from master.operations import assignments, telling, workers
from master.operations.telling import AHEAD_BYTES, BATCH_BYTES, PORTION_BYTES
from master.protocol.decoding import decode
from master.protocol.worker import Register
from master.record import change
from master.turn import Caller, Turn
from tests.core.core import Core, hold, told_to_stop, told_to_watch

COOKIES = 5_000


class Readers:
    """Bytes waiting for each socket, as the sockets' server reports them."""

    def __init__(self, core: Core) -> None:
        self.waiting: dict[str, int] = {}
        self.asked: dict[str, Callable[[], object]] = {}
        core.memory.sessions.outlets = self

    def measure_waiting(self, sid: str) -> int:
        return self.waiting.get(sid, 0)

    def call_when_caught_up(self, sid: str, callback: Callable[[], object]) -> None:
        self.asked[sid] = callback


def register(core: Core, worker_id: str, most: int = 10_000) -> list[Turn]:
    """Connect a worker on a new socket."""
    sid = f"new socket of {worker_id}"
    core.memory.sessions.worker_sockets.add(sid)
    event = decode(
        Register, {"workerId": worker_id, "capabilities": ["douyin"], "maxAccounts": most}
    )
    return core.run(workers.register_worker, event, Caller("worker", sid))


def measure_told(turns: list[Turn]) -> list[int]:
    """Return how many bytes each turn sends in all."""
    return [turn.draft.told_bytes for turn in turns]


def test_a_worker_with_many_accounts_is_answered_with_a_few_and_told_of_all_the_others():
    core = Core()
    held = hold("w", *(f"a{number:04}" for number in range(4_000)), stored_bytes=COOKIES)
    core.add_worker("w", *held, max_accounts=10_000)
    turns = register(core, "w")
    answered = turns[0].handouts[0].epochs
    assert 0 < len(answered) * COOKIES <= PORTION_BYTES // 2
    told = [told_to_watch(turn) for turn in turns]
    assert sum(map(len, told)) + len(answered) == 4_000
    assert {*answered}.union(*told) == {account.id for account in held}
    assert max(measure_told(turns)) <= PORTION_BYTES
    assert not core.memory.sessions.untold


def test_an_account_larger_than_any_portion_is_told_alone_and_when_nothing_else_waits():
    core = Core()
    readers = Readers(core)
    core.add_worker("w", *hold("w", "a", "b", stored_bytes=12_000_000), *hold("w", "c"))
    turns = register(core, "w")
    assert [*turns[0].handouts[0].epochs] == ["c"]
    assert [told_to_watch(turn) for turn in turns] == [{}, {"a": "w"}, {"b": "w"}]
    assert readers.asked == {}


def test_who_reads_slowly_is_told_of_the_next_once_what_waited_is_read():
    core = Core()
    readers = Readers(core)
    core.add_worker(
        "w",
        *hold("w", *(f"a{number:03}" for number in range(300)), stored_bytes=COOKIES),
        max_accounts=500,
    )
    sid = "new socket of w"
    readers.waiting[sid] = PORTION_BYTES
    turns = register(core, "w")
    assert sum(len(told_to_watch(turn)) for turn in turns) == 0
    assert len(core.memory.sessions.untold["w"].sizes) == 300
    came: list[str] = []
    core.memory.sessions.tell_on = came.append
    readers.asked.pop(sid)()
    assert came == ["w"]
    readers.waiting[sid] = 0
    told = core.run(assignments.tell_more, "w")
    assert sum(len(told_to_watch(turn)) for turn in told) == 300
    assert max(measure_told(told)) <= PORTION_BYTES


def test_what_is_revoked_before_a_worker_was_told_is_not_told_any_more():
    core = Core()
    readers = Readers(core)
    core.add_worker("w", *hold("w", "a", "b", stored_bytes=PORTION_BYTES))
    readers.waiting["new socket of w"] = PORTION_BYTES
    register(core, "w")
    assert set(core.memory.sessions.untold["w"].sizes) == {"a", "b"}

    def revoke(event: None, turn: Turn) -> int:
        account = turn.draft.accounts.get("a")
        assert account is not None
        turn.draft.accounts.put(change(account, pinned_worker_id="other"))
        return len(
            assignments.revoke_accounts(
                turn, [turn.draft.accounts.get("a")], "w", "pinned_elsewhere"
            )
        )

    [turn] = core.run(revoke)
    assert told_to_stop(turn) == {"w": ["a"]}
    readers.waiting["new socket of w"] = 0
    told = core.run(assignments.tell_more, "w")
    assert next(told_to_watch(one) for one in told) == {"b": "w"}
    assert not core.memory.sessions.untold


def hand_out(event: dict[str, list[Account]], turn: Turn) -> int:
    assignments.hand_out(turn, event)
    return len(event)


def test_a_batch_tells_no_more_than_it_may_keep_in_memory():
    core = Core()
    draft = core.begin().draft
    for number in range(100):
        accounts = hold(
            f"w{number}", *(f"a{number}-{step}" for step in range(50)), stored_bytes=COOKIES
        )
        core.add_worker(f"w{number}", *accounts)
        turn, _ = core.decide(hand_out, {f"w{number}": accounts}, draft=draft)
        draft.absorb(turn.draft)
    assert 0 < draft.told_bytes <= BATCH_BYTES


def test_a_worker_is_assigned_no_more_than_it_can_be_told_of_and_more_as_it_is_told():
    core = Core()
    readers = Readers(core)
    sid = "new socket of w"
    readers.waiting[sid] = PORTION_BYTES
    for number in range(60):
        core.add_account(f"a{number:02}", stored_bytes=1024 * 1024)
    register(core, "w")
    core.run(assignments.place_more)
    worker = core.memory.farm.workers.get("w")
    assert worker.assigned_accounts == AHEAD_BYTES // (1024 * 1024)
    for _ in range(200):
        untold = core.memory.sessions.untold
        if not untold:
            break
        readers.waiting[sid] = 0
        core.run(assignments.tell_more, "w")
        assert sum(one.bytes for one in untold.values()) <= AHEAD_BYTES + 1024 * 1024 + 1_000
    worker = core.memory.farm.workers.get("w")
    assert worker.assigned_accounts == 60
    core.check_loads()


def test_what_is_told_of_an_account_is_weighed_by_what_is_stored_of_it():
    plain = hold("w", "a")[0]
    assert telling.measure_account(change(plain, stored_bytes=4_000_000)) > 4_000_000
    shown: Account = change(plain, user_info={"nickname": "n" * 100})
    assert telling.measure_account(shown) > telling.measure_account(plain) + 100
