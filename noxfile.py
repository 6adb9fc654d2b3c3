"""Sessions of this repository; `nox` without arguments runs what CI runs, without its restart.

    nox -s demo -- --seed 7     Master with 50 simulated workers, until Ctrl-C
    nox -s test -- -k login     all tests, or those that you select
    nox -s coverage             the same, with line and branch coverage; not part of CI
    nox -s crash                Master is killed twelve times under load; `-- --kills 1000` for more
    nox -s simulate             200 seeds of the virtual laboratory; `-- --seeds 0..9999` for more
    nox -s browser              the console and the page of a run, checked in a real browser
    nox -s pictures -- --into x pictures of each page of the console with a simulated farm
    nox -s restart              Master is restarted under 2,000 workers; CI has 200
    nox -s load -- --workers 500    a minute of load on a Master of its own; not part of CI
    nox -s bench -- --peer auto     Master's costs beside a small Node server; not part of CI

Arguments after `--` go to the program that the session runs.
"""

from __future__ import annotations

import os
import shutil
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

# the tests start some hundred processes, each of which would compile Master anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PARALLEL = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")
"""Tests run in up to four processes, each file in one of them; `-- -n0` is one process."""
MEMORY_FOLDER, MEMORY_BYTES = Path("/dev/shm"), 1024**3  # noqa: S108 - named only
"""Tests keep their files in this file system in memory if so much is free: a commit waits for no
disk, which is a third of the time. They pass on a disk as well: `TMPDIR=/tmp nox -s test`."""
SUMMARY_TIMEOUT_S = 30
"""Seconds after Ctrl-C for the demo and the load test to stop and to print a summary."""


def install(session: nox.Session, *groups: str, project: bool = True) -> None:
    """Install the project, editable, and the named dependency groups, resolved together.

    An environment that has them already is used as it is: pip would check packages for seconds.
    """
    wanted = nox.project.dependency_groups(PYPROJECT, *groups) if groups else ()
    packages = (*(("-e", ".") if project else ()), *wanted)
    stamp = Path(session.bin).parent / "installed.txt"
    content = "\n".join((Path("pyproject.toml").read_text(encoding="utf-8"), *packages))
    if stamp.exists() and stamp.read_text(encoding="utf-8") == content:
        return
    stamp.unlink(missing_ok=True)
    session.log(
        "Installing what this needs: about a minute, and only after pyproject.toml has changed."
    )
    session.install("--quiet", *packages)
    stamp.write_text(content, encoding="utf-8")


def choose_folder() -> dict[str, str]:
    """Return the environment by which temporary files are in memory, unless TMPDIR is set."""
    if "TMPDIR" in os.environ or not os.access(MEMORY_FOLDER, os.W_OK | os.X_OK):
        return {}
    free = shutil.disk_usage(MEMORY_FOLDER).free
    return {"TMPDIR": str(MEMORY_FOLDER)} if free >= MEMORY_BYTES else {}


def run_trial(session: nox.Session, name: str, *defaults: str) -> None:
    """Run one of the simulator's trials with the given arguments; Ctrl-C makes it sum up."""
    session.run(
        "python", "-m", "simulator", name, *defaults, *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip


@nox.session
def demo(session: nox.Session) -> None:
    """Run Master, 50 simulated workers and 2 administrators with a live view, until Ctrl-C."""
    install(session)
    session.run(
        "python", "-m", "simulator", "--workers", "50", *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests in random order, with warnings as errors."""
    install(session, "test")
    session.run("pytest", "-q", *PARALLEL, *session.posargs, env=choose_folder())


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Run the tests with line and branch coverage; the tracer takes half as long again."""
    install(session, "test")
    session.run("pytest", "-q", *PARALLEL, "--cov", "--cov-report=", *session.posargs)
    total = session.run("coverage", "report", "--format=total", silent=True)
    session.log(f"Lines and branches covered: {str(total).strip()} %")


@nox.session
def simulate(session: nox.Session) -> None:
    """Run many seeds of the virtual laboratory with all faults; no invariant may be violated."""
    install(session)
    run_trial(
        session, "virtual", *([] if session.posargs else ["--seeds", "0..199", "--jobs", "2"])
    )


@nox.session
def crash(session: nox.Session) -> None:
    """Kill Master at chosen moments of reports and logins; nothing may be lost or duplicated."""
    install(session)
    run_trial(session, "crash")


@nox.session
def browser(session: nox.Session) -> None:
    """Check the console, and the page that a run writes, in a real browser, fetched from npm."""
    install(session, "browser")
    session.run(
        "pytest", "-q", *PARALLEL, "-m", "browser", "tests/browser", *session.posargs,
        env=choose_folder(),
    )  # fmt: skip


@nox.session(default=False)
def restart(session: nox.Session) -> None:
    """Restart Master under 2,000 workers: all return within 30 s, and no account changes hands."""
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
    """Check the imports against the layers in docs/architecture.md."""
    install(session, "contracts", project=False)
    session.run("lint-imports", "--no-logo")


@nox.session
def docs(session: nox.Session) -> None:
    """Check that docs/protocol.md matches the types, and that everything is documented."""
    install(session, "test")
    session.run("python", "-m", "tools.protocol", "--check")
    if Path("tests/test_docs.py").exists():
        session.run("pytest", "-q", "tests/test_docs.py")


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Check every dependency against the advisory database; needs a network."""
    install(session)
    session.install("--quiet", "pip-audit")
    session.run("pip-audit", "--skip-editable", *session.posargs)


@nox.session(default=False)
def picture(session: nox.Session) -> None:
    """Redraw docs/demo.svg from a minute of the demo."""
    install(session)
    session.run("python", "docs/draw_demo.py")


@nox.session(default=False)
def pictures(session: nox.Session) -> None:
    """Take pictures of each page of the console; `-- --docs` replaces docs/console.png."""
    install(session, "browser")
    session.run("python", "-m", "tools.pictures", *session.posargs)


@nox.session(default=False)
def load(session: nox.Session) -> None:
    """Put a minute of load on a Master; fails past the thresholds (--help lists the options)."""
    install(session, "load")
    session.run(
        "python", "-m", "loadtest", *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure Master's costs, with `-- --peer auto` beside a small Node server; no thresholds."""
    install(session)
    session.run(
        "python", "-m", "loadtest", "bench", *session.posargs,
        interrupt_timeout=SUMMARY_TIMEOUT_S, terminate_timeout=SUMMARY_TIMEOUT_S,
    )  # fmt: skip
