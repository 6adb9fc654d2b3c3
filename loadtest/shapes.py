"""Load shapes: the number of users at each moment."""

from __future__ import annotations

from locust import LoadTestShape

from loadtest.plan import Plan

WAVE_S = 15.0
WAVE_HIGH_S = 10.0
WAVE_LOW_SHARE = 5


class Steady(LoadTestShape):
    """All users come within ten seconds (a quarter of the time of a shorter test) and stay."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def tick(self) -> tuple[int, float] | None:
        """Return the wanted number of users and the most that come per second; None at the end."""
        if self.get_run_time() >= self._plan.time_s:
            return None
        return self._plan.users, self._plan.users / min(10.0, self._plan.time_s / 4)


class Burst(LoadTestShape):
    """A fifth stay; every 15 s the others come within one second, and leave together 10 s later."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def tick(self) -> tuple[int, float] | None:
        """Return the wanted number of users and the most changes per second; None at the end."""
        elapsed_s = self.get_run_time()
        if elapsed_s >= self._plan.time_s:
            return None
        high = elapsed_s % WAVE_S < WAVE_HIGH_S
        users = self._plan.users if high else max(1, self._plan.users // WAVE_LOW_SHARE)
        return users, float(self._plan.users)


def choose_shape(plan: Plan) -> LoadTestShape:
    """Return the shape that the plan names."""
    return Burst(plan) if plan.shape == "burst" else Steady(plan)
