"""A small attack played from end to end, and its judgement by the budgets."""

from __future__ import annotations

import pytest

from loadtest.attack.acts import Act, Budget, Stage
from loadtest.attack.run import ACTS, Cost, judge, play, read_plan, render


def find(name: str) -> Act:
    return next(act for act in ACTS if act.name == name)


def test_a_small_attack_of_a_stranger_is_played_from_end_to_end() -> None:
    cost = play(find("post-acks"), size=0.21)
    assert cost.notes == {"posts": 1, "refused": 1}
    assert cost.log_bytes <= 1_000
    assert "post-acks" in render([cost])


def test_a_small_attack_with_a_token_is_played_from_end_to_end() -> None:
    assert play(find("attachments"), size=0.04).notes["refused"] == 1


async def nothing(stage: Stage) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("wait", "growth", "held", "log", "exceeded"),
    [
        (99, 31, 0, 1_000, []),
        (101, 33, 1, 70_000, ["wait", "new", "growth", "held", "log"]),
        (99, 31, None, 70_000, ["log"]),
    ],
)
def test_what_is_over_a_budget_is_named(
    wait: float, growth: float, held: int | None, log: int, exceeded: list[str]
) -> None:
    act = Act("a", "F0", "stranger", "nothing", nothing, Budget(held=0))
    cost = Cost("a", "F0", "stranger", "nothing", wait, wait, growth, 0.0, held, log, {})
    assert judge(act, cost) == exceeded


def test_some_of_the_attacks_can_be_chosen_and_an_unknown_one_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [act.name for act in read_plan(["--only", "junk,hold"]).acts] == ["hold", "junk"]
    assert len(read_plan([]).acts) == len(ACTS)
    with pytest.raises(SystemExit):
        read_plan(["--only", "nothing-of-the-kind"])
    assert "nothing-of-the-kind" in capsys.readouterr().err
