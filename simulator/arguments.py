"""What all of the simulator's command lines share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from simulator.scenario import ScenarioTrouble


class Parser(argparse.ArgumentParser):
    """A parser whose refusal is one line, as every other refusal of the command line."""

    def error(self, message: str) -> NoReturn:
        """Refuse what was written. Errors: ScenarioTrouble, always."""
        raise ScenarioTrouble(f"{message} (--help lists what there is)")


def require_between(least: float, most: float, number: float, flag: str) -> float:
    """Return `number` if it is allowed. Errors: ScenarioTrouble."""
    if not least <= number <= most:
        raise ScenarioTrouble(f"{flag} is {number:,}; allowed is {least:,} to {most:,}")
    return number


def require_writable(path: Path) -> Path:
    """Return the path of a file that can be written, before minutes are spent. Errors: ScenarioTrouble."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ScenarioTrouble(f"{path} cannot be written")
    return path


def require_plots() -> ModuleType:
    """Return the module that draws. Errors: ScenarioTrouble if the library for plots is not installed."""
    try:
        from simulator.show import plots
    except ImportError:
        raise ScenarioTrouble("--report draws with plotly: python -m pip install plotly") from None
    return plots


def require_report(path: Path) -> Path:
    """Return the path of a report that can be drawn and written. Errors: ScenarioTrouble."""
    require_plots()
    return require_writable(path)
