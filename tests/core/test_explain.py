"""Explanations and plans say what placement does, over farms of all kinds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from master.model import Account, AccountStatus, LoginStatus, WorkerStatus
from master.operations.accounts import change_account
from master.operations.assignments import place_more, place_what_waits
from master.operations.drains import begin_drain, go_on_draining
from master.operations.explain import explain_account, explain_worker
from master.operations.plans import plan_placement
from master.protocol.drains import DrainWorker
from master.protocol.http import AccountChange, ById, PlanWishes
from master.reasons import Unplaced
from master.turn import Turn
from tests.core.core import Core, hold

PLATFORMS = ("douyin", "xiaohongshu")
WORKERS = ("w0", "w1", "w2")

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine fails no example."""


@st.composite
def farms(draw: Any) -> Core:
    core = Core()
    for name in WORKERS:
        if draw(st.integers(0, 3)) == 0:
            continue
        held = hold(name, *(f"{name}-{number}" for number in range(draw(st.integers(0, 2)))))
        core.add_worker(
            name,
            *held,
            status=draw(st.sampled_from([WorkerStatus.CONNECTED, *WorkerStatus])),
            capabilities=draw(st.sampled_from([("douyin",), PLATFORMS, ("xiaohongshu",)])),
            max_accounts=draw(st.integers(0, 4)),
            drain_since=draw(st.sampled_from([None, None, None, 0])),
        )
    for number in range(draw(st.integers(1, 5))):
        core.add_account(
            f"a{number}",
            platform=draw(st.sampled_from(["douyin", "xiaohongshu", "tiktokk"])),
            status=draw(st.sampled_from([AccountStatus.ACTIVE, *AccountStatus])),
            login_status=draw(st.sampled_from(list(LoginStatus))),
            pinned_worker_id=draw(st.sampled_from([None, None, *WORKERS])),
            created_at=number,
        )
    for number in range(draw(st.integers(0, 2))):
        if core.memory.farm.workers.get(WORKERS[number]) is not None:
            core.add_login(f"a{0}", WORKERS[number])
            break
    return core


def explain(core: Core, account_id: str) -> Any:
    return explain_account(ById(id=account_id), core.begin())


@UNTIMED
@given(farms())
def test_the_verdict_on_an_account_is_what_placement_does_with_it(core: Core):
    for account in list(core.memory.farm.accounts.all()):
        said = explain(core, account.id)
        fitting = {one["worker_id"] for one in said["candidates"] if one["rule"] is None}
        turn = core.begin()
        placed = {one.id: one for one in place_what_waits(turn, only=account.id)}
        if account.id in placed:
            assert said["rule"] in (Unplaced.BEING_PLACED, None)
            assert placed[account.id].assigned_worker_id in fitting
        elif account.is_served and account.assigned_worker_id is None:
            reason = explain_placement(core, account)
            assert reason is not Unplaced.BEING_PLACED or not fitting
            assert said["would_help"] or said["verdict"] == "logging_in"


def test_a_pinned_account_may_use_the_slot_that_its_own_login_keeps():
    core = Core()
    core.add_worker("w0", status=WorkerStatus.CONNECTED, max_accounts=1)
    core.add_account("mine", pinned_worker_id="w0")
    core.add_account("other", pinned_worker_id="w0")
    core.add_login("mine", "w0")
    said = {name: explain(core, name)["rule"] for name in ("mine", "other")}
    assert said == {"mine": Unplaced.BEING_PLACED, "other": Unplaced.PINNED_WORKER_FULL}
    assert [one.id for one in place_what_waits(core.begin())] == ["mine"]


@pytest.mark.parametrize(
    ("workers", "reason"),
    [
        ([(1, 0)], Unplaced.DRAINING),
        ([(0, 0)], Unplaced.DRAINING),
        ([(0, None)], Unplaced.NO_ROOM),
        ([(0, None), (0, 0)], Unplaced.NO_ROOM),
        ([(0, None), (1, 0)], Unplaced.DRAINING),
        ([(1, None), (1, 0)], Unplaced.BEING_PLACED),
    ],
)
def test_the_reason_is_what_would_help_most(workers, reason):
    core = Core()
    for number, (room, drained) in enumerate(workers):
        core.add_worker(f"w{number}", max_accounts=room, drain_since=drained)
    core.add_account("a")
    assert explain(core, "a")["rule"] is reason


def explain_placement(core: Core, account: Account) -> str | None:
    from master.operations.placement import Placements

    return Placements(core.begin().draft).judge(account)["reason"]


@UNTIMED
@given(farms())
def test_a_workers_explanation_agrees_with_its_accounts(core: Core):
    for worker in list(core.memory.farm.workers.all()):
        said = explain_worker(ById(id=worker.id), core.begin())
        for one in said["waiting"]:
            candidates = explain(core, one["account_id"])["candidates"]
            [mine] = [each for each in candidates if each["worker_id"] == worker.id]
            assert mine["rule"] == one["rule"]


@UNTIMED
@given(farms(), st.data())
def test_a_plan_equals_what_then_happens_and_changes_nothing(core: Core, data: Any):
    known = [one.id for one in core.memory.farm.accounts.all()]
    workers = [one.id for one in core.memory.farm.workers.all()]
    if not workers:
        return
    pin = {data.draw(st.sampled_from(known)): data.draw(st.sampled_from([None, *workers]))}
    before = list(core.memory.farm.accounts.all()), core.memory.deadlines.handovers.copy()
    plan = plan_placement(PlanWishes(pin=pin), core.begin())
    assert (list(core.memory.farm.accounts.all()), core.memory.deadlines.handovers) == before
    refused = {one["account_id"] for one in plan["stay"]} & pin.keys()
    owners = {one.id: one.assigned_worker_id for one in before[0]}
    for account_id, worker_id in pin.items():
        if not (refused and _is_refused(core, account_id, worker_id)):
            wish = AccountChange(id=account_id, pinned_worker_id=worker_id)
            core.run(change_account, wish)
    core.run(place_more)
    after = {one.id: one.assigned_worker_id for one in core.memory.farm.accounts.all()}
    moved = {(key, owners[key], after[key]) for key in after if after[key] != owners[key]}
    assert moved == {(one["account_id"], one["from"], one["to"]) for one in plan["moves"]}


@UNTIMED
@given(farms(), st.data())
def test_a_plan_of_a_drain_is_how_the_drain_ends(core: Core, data: Any):
    workers = core.memory.farm.workers.all()
    fit = [one.id for one in workers if one.status is WorkerStatus.CONNECTED and one.takes_accounts]
    if not fit:
        return
    drained = data.draw(st.sampled_from(fit))
    core.run(place_more)
    owners = {one.id: one.assigned_worker_id for one in core.memory.farm.accounts.all()}
    plan = plan_placement(PlanWishes(drain=[drained]), core.begin())
    core.run(begin_drain, DrainWorker(id=drained, deadline_s=60))
    for _ in range(60):
        core.hear_all()
        core.run(go_on_draining)
        core.advance(1)
    after = {one.id: one.assigned_worker_id for one in core.memory.farm.accounts.all()}
    moved = {(key, owners[key], after[key]) for key in after if after[key] != owners[key]}
    assert moved == {(one["account_id"], one["from"], one["to"]) for one in plan["moves"]}
    left = {key for key, owner in after.items() if owner == drained}
    assert left <= {one["account_id"] for one in plan["stay"]}


def _is_refused(core: Core, account_id: str, worker_id: str | None) -> bool:
    from master.errors import Refusal

    turn: Turn = core.begin()
    try:
        change_account(AccountChange(id=account_id, pinned_worker_id=worker_id), turn)
    except Refusal:
        return True
    return False
