"""Safeguards that can be removed: if no rule notices the removal, an invariant is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from master.deadlines import Deadlines
from master.decisions import liveness
from master.operations import account_states, afterwards, drains, logins, plans, silence
from master.sessions import Sessions
from simulator.virtual.tools.safeguards import (
    ack_before_commit,
    apply_before_commit,
    heartbeats_do_not_wait,
    plan_one_by_one,
    publish_before_commit,
    refused_is_kept,
    replaced,
    without_balance,
    without_brake,
    without_brake_end,
    without_capacity,
    without_conversations,
    without_deadline_check,
    without_dedup,
    without_edits,
    without_epochs,
    without_forgiveness,
    without_grace,
    without_handover,
    without_history,
    without_holders,
    without_lease,
    without_loading,
    without_login_owner,
    without_rest,
    without_stale_sockets,
    without_supersede,
    without_transactions,
)


@dataclass(frozen=True, slots=True)
class Ablation:
    """One safeguard: its purpose, and how to remove it."""

    purpose: str
    apply: Callable[[ExitStack], object]

    @contextmanager
    def off(self) -> Iterator[None]:
        """Remove the safeguard while the context lasts."""
        with ExitStack() as stack:
            self.apply(stack)
            yield


ABLATIONS: dict[str, Ablation] = {
    "epoch_check": Ablation(
        "reports of state from an earlier epoch change nothing", without_epochs
    ),
    "dedup_key": Ablation("a message that is reported again is stored once", without_dedup),
    "own_stop": Ablation(
        "a worker that receives nothing stops before Master reassigns its accounts", without_lease
    ),
    "restart_grace": Ablation("no worker is evicted because Master was down", without_grace),
    "brake": Ablation(
        "if most workers fall silent at once, Master is the likely cause", without_brake
    ),
    "transactions": Ablation(
        "changes that belong together are stored together", without_transactions
    ),
    "ack_after_commit": Ablation("an acknowledged event is stored", ack_before_commit),
    "capacity_check": Ablation(
        "no worker is assigned more accounts than it accepts", without_capacity
    ),
    "supersede": Ablation("one open login per account", without_supersede),
    "stale_socket_check": Ablation("only the newest socket's close counts", without_stale_sockets),
    "handover_wait": Ablation(
        "a new owner waits until the former one has stopped", without_handover
    ),
    "memory_after_commit": Ablation("memory never runs ahead of the file", apply_before_commit),
    "login_deadline": Ablation(
        "every login ends", replaced(Deadlines, "find_overdue", lambda *_: [])
    ),
    "least_loaded": Ablation("accounts go to the least loaded worker", without_balance),
    "may_move": Ablation(
        "evening loads moves no pinned account and none with an open login", without_rest
    ),
    "stall_check": Ablation(
        "no worker is evicted because Master itself stalled",
        replaced(Sessions, "list_stalls", lambda *_: []),
    ),
    "hold_end": Ablation(
        "no brake keeps a dead worker forever, however often it is renewed",
        replaced(liveness, "may_be_protected", lambda *_: True),
    ),
    "holders": Ablation(
        "a worker that owns nothing cannot cause a brake",
        replaced(silence, "holds_something", lambda *_: True),
    ),
    "brake_end": Ablation("a worker still silent after the brake is evicted", without_brake_end),
    "deadline_check": Ablation("reports of an expired login are refused", without_deadline_check),
    "login_owner_check": Ablation("only the worker of a login may report it", without_login_owner),
    "holder_check": Ablation(
        "messages are accepted from present and former owners only", without_holders
    ),
    "told_after_commit": Ablation("no announcement is undone by a crash", publish_before_commit),
    "thrown_away_draft": Ablation("a refused event changes nothing", refused_is_kept),
    "heartbeat_waits": Ablation(
        "no heartbeat is answered with state that the batch under way changes",
        heartbeats_do_not_wait,
    ),
    "one_plan": Ablation(
        "no account is assigned to a worker that the same turn evicts", plan_one_by_one
    ),
    "timeline": Ablation("a timeline tells each change of hands", without_history),
    "drain_end": Ablation(
        "a drain ends when its time is up", replaced(drains, "is_over", lambda *_: False)
    ),
    "planned_moves": Ablation(
        "a plan tells each move that then happens", replaced(plans, "move_drained", lambda *_: 0)
    ),
    "loaded_anew": Ablation("after a failed commit, memory equals the file", without_loading),
    "states_stored": Ablation(
        "an acknowledged state of an account is stored",
        replaced(account_states, "_apply", lambda *_: None),
    ),
    "forgiveness": Ablation("no fact is refused for the form of its fields", without_forgiveness),
    "edits": Ablation("the text of an edit is stored beside the first one", without_edits),
    "conversations": Ablation(
        "a message of another conversation is stored though its id is known", without_conversations
    ),
    "identity_check": Ablation(
        "no account becomes another person's by mistake",
        replaced(logins, "find_mismatch", lambda *_: None),
    ),
    "unplaced_told": Ablation(
        "people are told of an account that waits for a worker",
        replaced(afterwards, "TOLD_AFTER_S", math.inf),
    ),
}
"""Name -> safeguard."""
