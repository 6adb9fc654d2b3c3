"""What can be run in this repository; `nox` without arguments is exactly what CI runs.

    nox -s demo -- --seed 7     Master with 50 simulated workers, until Ctrl-C
    nox -s test -- -k login     all tests, or those that you name
    nox -s coverage             the same, and how many lines and branches they reach; not part of CI
    nox -s crash                Master is killed twelve times while everybody works; `-- --kills 1000` is the long form
    nox -s simulate             200 seeds of the virtual laboratory with all faults; `-- --seeds 0..9999` for more
    nox -s browser              the page of a run, looked at in a real browser
    nox -s restart              Master is killed and started again under 2,000 workers; not part of CI
    nox -s load -- --workers 500 a minute of load against a Master of its own; not part of CI
    nox -s bench -- --peer auto Master's costs beside a small Node server; not part of CI

What follows `--` goes to the program that the session runs.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.envdir = os.environ.get("NOX_ENVDIR", ".nox")  # .ci/run starts from an empty one
nox.options.sessions = [
    "lint",
    "types",
    "contracts",
    "test",
    "simulate",
    "crash",
    "browser",
    "docs",
]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PARALLEL = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")
"""Tests run in as many processes as there are cores, each file in one of them; `-- -n0` is one process."""
SUMMARY_TIMEOUT_S = 30
"""How long after Ctrl-C the demo and the load test may take to stop their processes and print a summary."""


def install(session: nox.Session, *groups: str, project: bool = True) -> None:
    """Install the project, editable, and the dependency groups named; both resolved at once."""
    wanted = nox.project.dependency_groups(PYPROJECT, *groups) if groups else ()
    session.install("--quiet", *(("-e", ".") if project else ()), *wanted)


def run_trial(session: nox.Session, name: str, *defaults: str) -> None:
    """Run one of the simulator's trials with what the command line gives; Ctrl-C lets it sum up."""
    session.run(
        "python", "-m", "simulator", name, *defaults, *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip


@nox.session
def demo(session: nox.Session) -> None:
    """Run Master, 50 simulated workers and 2 admins with a live view; Ctrl-C ends it with a summary."""
    install(session)
    session.run(
        "python", "-m", "simulator", "--workers", "50", *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests in random order, warnings being errors."""
    install(session, "test")
    session.run("pytest", "-q", *PARALLEL, *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Run the tests once more and say how many lines and branches they reach; the tracer takes half as long again."""
    install(session, "test")
    session.run("pytest", "-q", *PARALLEL, "--cov", "--cov-report=", *session.posargs)
    total = session.run("coverage", "report", "--format=total", silent=True)
    session.log(f"Lines and branches covered: {str(total).strip()} %")


@nox.session
def simulate(session: nox.Session) -> None:
    """Play many seeds of the virtual laboratory with all faults; no invariant may be violated."""
    install(session)
    run_trial(
        session, "virtual", *([] if session.posargs else ["--seeds", "0..199", "--jobs", "2"])
    )


@nox.session
def crash(session: nox.Session) -> None:
    """Kill Master at chosen moments while workers report and admins log in; nothing may be lost or doubled."""
    install(session)
    run_trial(session, "crash")


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the page that a run writes in a real browser, fetched from npm."""
    install(session, "test")
    session.run("pytest", "-q", "-m", "browser", "tests/browser", *session.posargs)


@nox.session(default=False)
def restart(session: nox.Session) -> None:
    """Restart Master under 2,000 workers: all must be back within 30 s, and no account may change hands."""
    install(session)
    run_trial(session, "restart")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code's style and format."""
    install(session, "lint", project=False)
    session.run("ruff", "check", "--quiet", ".")
    session.run("ruff", "format", "--check", "--quiet", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly."""
    install(session, "types")
    session.run("mypy")


@nox.session
def contracts(session: nox.Session) -> None:
    """Check who imports whom against the layers that docs/architecture.md draws."""
    install(session, "contracts", project=False)
    session.run("lint-imports", "--no-logo")


@nox.session
def docs(session: nox.Session) -> None:
    """Check that docs/protocol.md says what the types say, and that nothing is left undocumented."""
    install(session, "test")
    session.run("python", "-m", "tools.protocol", "--check")
    if Path("tests/test_docs.py").exists():
        session.run("pytest", "-q", "tests/test_docs.py")


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Ask the advisory database about everything that Master needs; needs a network."""
    install(session)
    session.install("--quiet", "pip-audit")
    session.run("pip-audit", "--skip-editable", *session.posargs)


@nox.session(default=False)
def picture(session: nox.Session) -> None:
    """Draw docs/demo.svg anew from a minute of the demo."""
    install(session)
    session.run("python", "docs/draw_demo.py")


@nox.session(default=False)
def load(session: nox.Session) -> None:
    """Put a minute of load on a Master of its own; fails past the thresholds (--help lists the options)."""
    install(session, "load")
    session.run(
        "python", "-m", "loadtest", *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure Master's costs, with `-- --peer auto` beside a small Node server; judges nothing."""
    install(session)
    session.run(
        "python", "-m", "loadtest", "bench", *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip
