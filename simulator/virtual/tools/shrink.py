"""Makes a failing run small: fewer faults, actors and seconds, with the same first rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulator.scenario import change_scenario
from simulator.virtual.plan import Plan
from simulator.virtual.run import Outcome

Attempt = Callable[[Plan], Outcome]
Tell = Callable[[str], None]

FEWEST = {"workers": 1, "accounts": 1, "admins": 1, "clients": 0}
SHORTEST_S = 10.0
CUTS = (0.25, 0.5, 0.75, 0.9)


class Shrinking:
    """A search for the smallest plan whose first broken rule is `rule`. `tried` counts the runs."""

    def __init__(self, plan: Plan, rule: str, attempt: Attempt, tell: Tell) -> None:
        self.plan = plan
        self.tried = 0
        self._rule = rule
        self._attempt = attempt
        self._tell = tell

    def run(self) -> Plan:
        """Shrink until no step helps, and return the result."""
        while any([self._drop_faults(), self._drop_actors(), self._drop_time()]):
            pass
        return self.plan

    def _keep_smaller(self, candidate: Plan, how: str) -> bool:
        """Keep a smaller plan if it breaks the same rule first."""
        self.tried += 1
        if self._attempt(candidate).first != self._rule:
            return False
        self.plan = candidate
        self._tell(f"{self._rule} {how}")
        return True

    def _drop_faults(self) -> bool:
        dropped = [
            name
            for name in sorted(self.plan.gaps_s)
            if self._keep_smaller(self.plan.without(name), f"without {name}")
        ]
        return bool(dropped)

    def _drop_actors(self) -> bool:
        smaller = False
        for name, fewest in FEWEST.items():
            count = (
                self.plan.scenario.account_count
                if name == "accounts"
                else getattr(self.plan.scenario, name)
            )
            for fewer in dict.fromkeys((fewest, (fewest + count) // 2, count - 1)):
                if not fewest <= fewer < count:
                    continue
                changed = replace(
                    self.plan, scenario=change_scenario(self.plan.scenario, {name: fewer})
                )
                if self._keep_smaller(changed, f"with {fewer} {name}"):
                    smaller = True
                    break
        return smaller

    def _drop_time(self) -> bool:
        for share in CUTS:
            chaos_s = self.plan.chaos_s * share
            if chaos_s >= SHORTEST_S and self._keep_smaller(
                replace(self.plan, chaos_s=chaos_s), f"within {chaos_s:.0f} s"
            ):
                return True
        return False
