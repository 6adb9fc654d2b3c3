"""Parts that the simulator's command lines share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from simulator.scenario import ScenarioTrouble


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a usage error as one line, like every other refusal."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments. Errors: ScenarioTrouble, always."""
        raise ScenarioTrouble(f"{message} (see --help)")


def require_between(least: float, most: float, number: float, flag: str) -> float:
    """Return `number` if it is from `least` to `most`. Errors: ScenarioTrouble."""
    if not least <= number <= most:
        raise ScenarioTrouble(f"{flag} is {number:,}; allowed is {least:,} to {most:,}")
    return number


def require_writable(path: Path) -> Path:
    """Return `path` if it can be written, checked before a long run. Errors: ScenarioTrouble."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ScenarioTrouble(f"{path} cannot be written")
    return path


def require_plots() -> ModuleType:
    """Return the module for plots. Errors: ScenarioTrouble if plotly is not installed."""
    try:
        from simulator.display import plots
    except ImportError:
        raise ScenarioTrouble("--report needs plotly: python -m pip install plotly") from None
    return plots


def require_report(path: Path) -> Path:
    """Return `path` if a report can be drawn and written there. Errors: ScenarioTrouble."""
    require_plots()
    return require_writable(path)
