"""The steps of an open login that its worker reports; the history tells each new one."""

from __future__ import annotations

from master.decisions.login import fold_status
from master.model import Login
from master.turn import Turn


def note_step(turn: Turn, login: Login, status: str) -> None:
    """Note a step; one that is reported again is not told again."""
    memory, step = turn.draft.memory, fold_status(status)
    if memory.login_steps.get(login.id) == step:
        return
    turn.draft.explain("login_steps", [login.id], step)

    def remember() -> None:
        if memory.farm.logins.get(login.id) is not None:
            memory.login_steps[login.id] = step

    turn.after_commit(remember)
