"""The plan of one virtual run: everything is drawn from its seed, so a seed determines a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from simulator.chance import open_stream
from simulator.scenario import Scenario
from simulator.virtual.faults import FAULTS, LATER_FAULTS

DAY = Scenario(
    workers=50,
    rate_per_s=0.1,
    monitor_interval_s=60,
    logins_at_once=20,
    admin_look_s=5.0,
    login_poll_s=5.0,
    scan_delay_s=(5.0, 60.0),
    crash_rate_per_min=0.0,
    client_drop_rate_per_min=0.05,
    relogin_rate_per_min=1 / 1440,
    ramp_s=10.0,
)
"""A day of a farm: about forty messages per account, one login a day; faults come on top."""

SHARE_OF_FAULTS = 0.5
"""Share of all faults that one seed of a swarm has; an absent fault lets others come to light."""

SHARE_OF_REBALANCING = 1 / 3
REBALANCE_S = 2.0
"""Share of seeds whose Master evens loads, and the interval, short enough for the reckoning."""

SHARE_OF_SLOW_ADMISSION = 1 / 4
ADMISSION_RATE = 1.0
"""Share of seeds with a rate limit of registrations that a storm exceeds, and that limit."""

TIMES = (2.0, 12.0)
"""Fewest and most times that a fault occurs in a run."""

LONGEST_H = 8_760.0
"""Longest run, in hours."""

SETTABLE = (
    "HEARTBEAT_INTERVAL_S",
    "HEARTBEAT_TIMEOUT_S",
    "HEARTBEAT_CHECK_S",
    "REBALANCE_INTERVAL_S",
    "SCHEDULE_INTERVAL_S",
    "LOGIN_TTL_S",
    "LOGIN_MAX_S",
    "RESTART_GRACE_S",
    "HTTP_REQUESTS_PER_S",
    "SOCKET_EVENTS_PER_S",
    "REGISTRATION_RATE",
    "OUTBOUND_QUEUE_BYTES",
    "WRITE_QUEUE_ITEMS",
)
"""Master's settings that a plan may have; none of them reaches outside the run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `gaps_s`: fault -> mean seconds between two; `settings`: Master's, as text."""

    seed: int
    scenario: Scenario
    chaos_s: float
    gaps_s: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def without(self, fault: str) -> Plan:
        """Return the same plan without one fault; all others keep their random streams."""
        return replace(
            self, gaps_s={name: gap for name, gap in self.gaps_s.items() if name != fault}
        )


def plan_run(scenario: Scenario, hours: float, faults: Sequence[str]) -> Plan:
    """Return the plan of one run; the seed decides how often each named fault occurs."""
    return Plan(
        scenario.seed, scenario, hours * 3600, draw_gaps(scenario.seed, hours * 3600, faults)
    )


def plan_swarm(
    seed: int, faults: Sequence[str] = tuple(FAULTS), hours: float | None = None
) -> Plan:
    """Return one plan of a swarm: few workers, a short time, and a mix of faults of its own."""
    rng = open_stream(seed, "plan")
    workers = rng.randint(1, 6)
    scenario = replace(
        DAY,
        seed=seed,
        workers=workers,
        accounts=rng.randint(1, 4 * workers),
        admins=rng.randint(1, 2),
        clients=rng.randint(0, 2),
        max_accounts=rng.choice((2, 4, 10)),
        monitor_interval_s=rng.choice((10, 30, 60)),
        rate_per_s=rng.choice((0.05, 0.3, 1.0)),
        repeat_rate=rng.choice((0.0, 0.2)),
        relogin_rate_per_min=rng.choice((0.0, 0.1, 0.5)),
        scan_delay_s=rng.choice(((1.0, 10.0), (5.0, 60.0), (1.0, 320.0))),
        reports_at_once=rng.choice((1, 4)),
        ramp_s=rng.choice((0.0, 10.0)),
        admin_look_s=1.0,
    )
    chaos_s = rng.uniform(60.0, 400.0) if hours is None else hours * 3600
    chosen = [
        name for name in faults if name not in LATER_FAULTS and rng.random() < SHARE_OF_FAULTS
    ]
    # from streams of their own: seeds keep their plans when one more comes
    chosen += [
        name
        for name in faults
        if name in LATER_FAULTS and open_stream(seed, "plan", name).random() < SHARE_OF_FAULTS
    ]
    settings = {"LOGIN_TTL_S": str(rng.choice((60, 300)))}
    if open_stream(seed, "plan", "rebalance").random() < SHARE_OF_REBALANCING:
        settings["REBALANCE_INTERVAL_S"] = str(REBALANCE_S)
    if open_stream(seed, "plan", "admission").random() < SHARE_OF_SLOW_ADMISSION:
        settings["REGISTRATION_RATE"] = str(ADMISSION_RATE)
    return Plan(seed, scenario, chaos_s, draw_gaps(seed, chaos_s, chosen), settings)


def draw_gaps(seed: int, chaos_s: float, faults: Sequence[str]) -> dict[str, float]:
    """Return each fault's mean seconds between two occurrences, drawn independently."""
    return {name: chaos_s / open_stream(seed, "gap", name).uniform(*TIMES) for name in faults}
