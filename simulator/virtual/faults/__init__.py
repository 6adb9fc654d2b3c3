"""The faults of a virtual run; each has a name, a random stream and a rate of its own."""

from __future__ import annotations

from simulator.virtual.faults.base import Fault
from simulator.virtual.faults.field import FIELD_FAULTS
from simulator.virtual.faults.links import LINK_FAULTS
from simulator.virtual.faults.nuisances import NUISANCE_FAULTS
from simulator.virtual.faults.people import PEOPLE_FAULTS
from simulator.virtual.faults.processes import PROCESS_FAULTS
from simulator.virtual.faults.service import SERVICE_FAULTS

LATER_FAULTS: dict[str, Fault] = {**FIELD_FAULTS, **SERVICE_FAULTS}
"""Faults that draw from streams of their own, also whether a seed has them."""

FAULTS: dict[str, Fault] = {
    **PROCESS_FAULTS,
    **LINK_FAULTS,
    **PEOPLE_FAULTS,
    **NUISANCE_FAULTS,
    **LATER_FAULTS,
}
"""Name -> fault; one call plays the fault once, from beginning to end."""

__all__ = ["FAULTS", "FIELD_FAULTS", "LATER_FAULTS", "Fault"]
