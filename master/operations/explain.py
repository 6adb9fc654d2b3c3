"""Answers to "why": why an account is where it is, and what a worker has or lacks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from master.decisions.assignment import wants_worker
from master.decisions.explain import Candidate, Remedy, find_remedies, find_rule
from master.errors import UnknownAccount, UnknownWorker
from master.model import Account, LoginStatus, Worker, WorkerStatus
from master.operations.placement import Placements
from master.protocol.explained import (
    AccountExplained,
    ExplainedCandidate,
    ExplainedRemedy,
    ExplainedWaiting,
    WorkerExplained,
)
from master.protocol.http import ById
from master.reasons import Action, Rule, Unplaced, Verdict
from master.record import change
from master.turn import Turn

MOST_SHOWN = 50
"""Most waiting accounts that a worker's explanation names."""


def explain_account(event: ById, turn: Turn) -> AccountExplained:
    """Explain why an account is where it is: every worker with the rule that excludes it."""
    account = turn.draft.accounts.get(event.id)
    if account is None:
        raise UnknownAccount
    candidates = list_candidates(turn, account)
    placements = Placements(turn.draft)
    placement = placements.judge(account)
    verdict, rule = _judge(account, placement["reason"])
    remedies: list[Remedy] = []
    if wants_worker(account):
        remedies = find_remedies(account, placements.explain(account), candidates)
    elif verdict is Verdict.PAUSED:
        remedies = [(Action.ACTIVATE, {})]
    elif verdict is Verdict.NOT_WATCHED:
        remedies = [(Action.LOG_IN, {})]
    owner = account.assigned_worker_id
    wait_s = turn.deadlines.find_wait(account.id, owner, turn.monotonic) if owner else 0.0
    return {
        "account_id": account.id,
        "verdict": verdict,
        "worker_id": owner,
        "rule": rule,
        "since": placement["since"] if verdict is Verdict.NOWHERE else account.state_since,
        "sentence": _say(account, verdict, rule, candidates),
        "starts_in_ms": int(wait_s * 1000),
        "candidates": [_render_candidate(account, one) for one in candidates],
        "would_help": [_render_remedy(one) for one in remedies],
    }


def list_candidates(turn: Turn, account: Account) -> list[Candidate]:
    """Return every worker as a candidate: the owner, fitting ones, then the others."""
    keeper = turn.draft.keeper_of(account.id)
    candidates = []
    for worker in turn.draft.workers.all():
        reserved = turn.draft.count_reserved(worker.id)
        loaded = change(worker, assigned_accounts=worker.assigned_accounts + reserved)
        keeps = worker.id in (account.assigned_worker_id, keeper)
        rule = find_rule(account, loaded, keeps_slot=keeps)
        candidates.append(Candidate(worker, worker.assigned_accounts, reserved, rule))

    def rank(one: Candidate) -> tuple[bool, bool, int, str]:
        owns = one.worker.id == account.assigned_worker_id
        return not owns, one.rule is not None, one.held + one.reserved, one.worker.id

    return sorted(candidates, key=rank)


def _judge(account: Account, reason: str | None) -> tuple[Verdict, str | None]:
    if not account.is_served:
        return Verdict.PAUSED, reason
    if account.login_status is LoginStatus.LOGGING_IN:
        return Verdict.LOGGING_IN, None
    if account.assigned_worker_id is None:
        return Verdict.NOWHERE, reason
    if account.login_status is not LoginStatus.LOGGED_IN:
        return Verdict.NOT_WATCHED, account.login_status
    return Verdict.WATCHED, None


SENTENCES = {
    Verdict.WATCHED: "Worker {worker} watches it.",
    Verdict.LOGGING_IN: "It is being logged in.",
    Verdict.NOT_WATCHED: "Worker {worker} has it, but it is {rule}; log it in.",
    Verdict.PAUSED: "Its status is {status}: it is not to be watched.",
    Verdict.NOWHERE: "No worker has it ({rule}): of {known} workers, {able} have {platform}, "
    "{connected} of these are connected, and {free} have room.",
}


def _say(
    account: Account, verdict: Verdict, rule: str | None, candidates: Iterable[Candidate]
) -> dict[str, object]:
    """Return the explanation as a code, its parameters and an English sentence."""
    known = list(candidates)
    able = [one for one in known if one.worker.supports(account.platform)]
    connected = [one for one in able if one.worker.status is WorkerStatus.CONNECTED]
    free = [
        one
        for one in connected
        if one.worker.takes_accounts and one.worker.max_accounts > one.held + one.reserved
    ]
    params: dict[str, object] = {
        "worker": account.assigned_worker_id,
        "rule": rule,
        "status": account.status,
        "platform": account.platform,
        "known": len(known),
        "able": len(able),
        "connected": len(connected),
        "free": len(free),
        "pinned": account.pinned_worker_id,
    }
    code = verdict if rule is None else f"{verdict}.{rule}"
    return {"code": code, "params": params, "text": SENTENCES[verdict].format(**params)}


def _render_candidate(account: Account, one: Candidate) -> ExplainedCandidate:
    worker = one.worker
    owns = worker.id == account.assigned_worker_id
    return {
        "worker_id": worker.id,
        "verdict": "owner" if owns else "fits" if one.rule is None else "excluded",
        "rule": one.rule,
        "connected": worker.status is WorkerStatus.CONNECTED,
        "platform": worker.supports(account.platform),
        "pinned": account.pinned_worker_id == worker.id,
        "held": one.held,
        "reserved": one.reserved,
        "max": worker.max_accounts,
    }


def _render_remedy(remedy: Remedy) -> ExplainedRemedy:
    action, params = remedy
    return {"action": action, "params": params}


def explain_worker(event: ById, turn: Turn) -> WorkerExplained:
    """Explain what a worker has, and why it is not given the accounts that wait."""
    worker = turn.draft.workers.get(event.id)
    if worker is None:
        raise UnknownWorker
    reserved = turn.draft.count_reserved(worker.id)
    loaded = change(worker, assigned_accounts=worker.assigned_accounts + reserved)
    waiting = [
        account
        for key in turn.draft.accounts.list_groups("waiting")
        for account in islice(turn.draft.accounts.find("waiting", key), MOST_SHOWN)
    ]
    shown = [_render_waiting(account, _rule_for(turn, account, loaded)) for account in waiting]
    shown.sort(key=lambda one: (one["rule"] is not None, one["account_id"]))
    return {
        "worker_id": worker.id,
        "verdict": _judge_worker(turn, loaded, shown),
        "held": worker.assigned_accounts,
        "reserved": reserved,
        "max": worker.max_accounts,
        "platforms": list(worker.capabilities),
        "waiting": shown[:MOST_SHOWN],
        "waiting_total": sum(
            turn.draft.memory.farm.accounts.measure("waiting", key)
            for key in turn.draft.memory.farm.accounts.list_groups("waiting")
        ),
    }


def _rule_for(turn: Turn, account: Account, worker: Worker) -> Rule | None:
    keeps = turn.draft.keeper_of(account.id) == worker.id
    return find_rule(account, worker, keeps_slot=keeps)


def _render_waiting(account: Account, rule: Rule | None) -> ExplainedWaiting:
    return {"account_id": account.id, "platform": account.platform, "rule": rule}


def _judge_worker(turn: Turn, worker: Worker, waiting: Iterable[ExplainedWaiting]) -> str:
    """Return why it is given nothing, `next` (it is given more) or `enough` (none waits for it)."""
    if turn.draft.maintenance is not None:
        return Unplaced.MAINTENANCE
    if worker.status is not WorkerStatus.CONNECTED:
        return Rule.NOT_CONNECTED
    if not worker.takes_accounts:
        return Rule.DRAINING
    if worker.room <= 0:
        return Rule.FULL
    return "next" if any(one["rule"] is None for one in waiting) else "enough"
