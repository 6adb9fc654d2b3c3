"""Login links beside their rows: when they end, what their logins ask for, and who waits for news.

Facts of this process; a start rebuilds the ends.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from master.due import Ends


@dataclass(frozen=True, slots=True)
class Prompt:
    """The request to the owner: the worker's last step, and the number of its last code.

    `step` is the step that the page draws, `kind` and `message` are those of a question.
    """

    seq: int = 0
    step_id: int = 0
    step: str | None = None
    kind: str = ""
    message: str = ""


BLANK = Prompt()


@dataclass(slots=True)
class Links:
    """The state of open links beside their rows."""

    ends: Ends = field(default_factory=Ends)
    """Open link -> when it ends."""
    prompts: dict[str, Prompt] = field(default_factory=dict)
    """Open login of a link -> what its worker has reported."""
    _bells: dict[str, list[asyncio.Future[None]]] = field(default_factory=dict)

    def note_code(self, session_id: str) -> None:
        """Record that a login has a new code."""
        before = self.prompts.get(session_id, BLANK)
        self.prompts[session_id] = Prompt(before.seq + 1, before.step_id + 1, "code")

    def note_step(self, session_id: str, step: str, kind: str = "", message: str = "") -> None:
        """Record the step that a login's worker reported; the same one again is the same step."""
        before = self.prompts.get(session_id, BLANK)
        after = replace(before, step=step, kind=kind, message=message)
        if after != before:
            self.prompts[session_id] = replace(after, step_id=before.step_id + 1)

    def wait(self, link_id: str) -> asyncio.Future[None]:
        """Return a future of the next change of a link."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bells.setdefault(link_id, []).append(future)
        return future

    def leave(self, link_id: str, future: asyncio.Future[None]) -> None:
        """Forget one who waited."""
        bells = self._bells.get(link_id, [])
        if future in bells:
            bells.remove(future)
        if not bells:
            self._bells.pop(link_id, None)

    def count_waiting(self, link_id: str) -> int:
        """Return how many wait for news of a link."""
        return len(self._bells.get(link_id, ()))

    def ring(self, link_id: str) -> None:
        """Tell those who wait that a link or its login has changed."""
        for future in self._bells.pop(link_id, ()):
            if not future.done():
                future.set_result(None)

    def ring_all(self) -> None:
        """Tell all who wait: Master stops."""
        for link_id in [*self._bells]:
            self.ring(link_id)
