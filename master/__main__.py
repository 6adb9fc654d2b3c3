"""The command line: `python -m master` serves; `db` maintains the database, `keys` its keys."""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from master import __version__
from master.environment import ListenFault, SettingsFault
from master.settings import Settings, load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code.

    0: done; 1: a fault was found; 2: the start failed; 3: the start failed for a reason that may
    pass by itself.
    """
    os.umask(0o077)  # new files contain secrets or names of accounts
    chosen = _build_parser().parse_args(arguments)
    from master.keys import KeyFault
    from master.logs import LogFault, flush_logs
    from master.store.sqlite.upgrade import DatabaseFault

    try:
        settings = load_settings(os.environ)
        if chosen.command == "db":
            return _look_after_database(settings, chosen)
        if chosen.command == "keys":
            return _look_after_keys(settings, chosen.action)
        if chosen.command == "console":
            return _print_signin(settings, chosen.name, chosen.url)
        return _serve(settings)
    except (SettingsFault, DatabaseFault, KeyFault, LogFault, ListenFault) as fault:
        flush_logs()  # its thread writes to stderr as well
        print(fault, file=sys.stderr)
        return 3 if _may_pass(fault) else 2
    except OSError as fault:
        flush_logs()
        print(f"Master cannot run: {fault}.", file=sys.stderr)
        return 3 if _may_pass(fault) else 2


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m master", description=__doc__)
    parser.add_argument("--version", action="version", version=f"Master {__version__}")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="run the coordinator (the default)")
    database = commands.add_parser("db", help="maintain the database file").add_subparsers(
        dest="action", required=True
    )
    database.add_parser("upgrade", help="create it, or upgrade it to this program's version")
    database.add_parser("check", help="list its faults")
    reset = database.add_parser("reset", help="remove it and create an empty one")
    reset.add_argument("--yes", action="store_true", help="skip the confirmation")
    backup = database.add_parser("backup", help="copy it to a new file; Master may run")
    backup.add_argument("file", type=Path)
    restore = database.add_parser("restore", help="replace it by a backup; the old file is kept")
    restore.add_argument("file", type=Path)
    keys = commands.add_parser("keys", help="maintain the vault's keys").add_subparsers(
        dest="action", required=True
    )
    keys.add_parser("list", help="list them, and how many values each has sealed")
    keys.add_parser("rotate", help="seal every value with a new key; Master may run")
    console = commands.add_parser("console", help="open the console").add_subparsers(
        dest="action", required=True
    )
    signin = console.add_parser("signin", help="print a link that signs in once, within a minute")
    signin.add_argument("name", nargs="?", help="name of a token in ADMIN_TOKENS; the first one")
    signin.add_argument("--url", help="address at which browsers reach Master, if not HOST:PORT")
    return parser


PASSING = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM
}  # fmt: skip
PASSING_SQLITE = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
}  # fmt: skip


def _may_pass(fault: BaseException | None) -> bool:
    """Return whether a fault of the disk or the machine may pass without a change of settings."""
    while fault is not None:
        if isinstance(fault, OSError) and fault.errno in PASSING:
            return True
        said = getattr(fault, "orig", fault)  # SQLAlchemy wraps the driver's error
        if (
            isinstance(said, sqlite3.Error)
            and getattr(said, "sqlite_errorcode", 0) & 0xFF in PASSING_SQLITE
        ):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _serve(settings: Settings) -> int:
    from master.app import require_tokens
    from master.logs import configure_logs

    require_tokens(settings)
    configure_logs(
        settings.log_level,
        settings.log_dir,
        development=settings.app_env == "development",
        for_good=True,
    )
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:  # uvloop does not support Windows; asyncio's own loop is only slower
        runner = asyncio.Runner()
    with runner:
        runner.run(_serve_until_told(settings))
    return 0


async def _serve_until_told(settings: Settings) -> None:
    from master.app import Master, rest_collector, tune_process
    from master.logs import reopen_logs

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, told.set)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, reopen_logs)
    rest_collector()
    master = Master(settings)
    try:
        await master.start()
        tune_process()
        await told.wait()
    finally:
        await master.close()


def _look_after_database(settings: Settings, chosen: argparse.Namespace) -> int:
    from master.clock import SystemClock
    from master.store.sqlite.backup import back_up, describe_restore, restore
    from master.store.sqlite.keyring import prepare_database
    from master.store.sqlite.notes import note_backup
    from master.store.sqlite.upgrade import check, lock_database, reset
    from master.vault import Vault

    gc.enable()
    path = settings.db_path
    if chosen.action == "check":
        faults = check(path)
        print("\n".join(faults) or f"{path} is in order.")
        return 1 if faults else 0
    if chosen.action == "backup":
        version = back_up(path, chosen.file)
        note_backup(path, chosen.file, SystemClock().now())
        print(
            f"{chosen.file} is a copy of {path} at version {version}. It does not contain the keys."
        )
        return 0
    if chosen.action == "restore":
        done = restore(path, chosen.file, settings.read_keys(), SystemClock().now())
        print("\n".join(describe_restore(done, path, chosen.file)))
        return 0
    if (
        chosen.action == "reset"
        and not chosen.yes
        and not _is_sure(f"Remove everything in {path}? Type yes: ")
    ):
        print("Nothing was changed.")
        return 1
    with lock_database(path):
        if chosen.action == "reset":
            reset(path)
        print(f"{path} is at version {prepare_database(path, Vault(), settings.read_keys())}.")
    return 0


def _look_after_keys(settings: Settings, action: str) -> int:
    from master.keys import locate_key_file
    from master.store.sqlite.keyring import describe_keys
    from master.store.sqlite.rotation import describe_rotation, rotate_key_file, rotate_to_first

    gc.enable()
    path, keys = settings.db_path, settings.read_keys()
    key_file = None if keys else locate_key_file(path)
    if action == "list":
        lines, broken = describe_keys(path, keys)
        print("\n".join([f"Keys of {path}, in {key_file or 'MASTER_KEYS'}:", *lines]))
        if broken:
            print(f"Values that do not open: {broken}.")
        return 1 if broken else 0
    done = rotate_to_first(path, keys, os.urandom) if keys else rotate_key_file(path, os.urandom)
    print("\n".join(describe_rotation(done, key_file=key_file)))
    return 1 if done.broken or done.kept else 0


def _print_signin(settings: Settings, name: str | None, url: str | None) -> int:
    from master.clock import SystemClock
    from master.signins import LINK_S, make_link

    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    page = f"{(url or f'http://{host}:{settings.port}').rstrip('/')}/console/"
    if not (settings.admin_tokens or settings.worker_tokens or settings.client_tokens):
        print(f"{page}\nNo token is set, so no sign-in is needed.")
        return 0
    names = [token.grant.name for token in settings.admin_tokens]
    if not names or (name is not None and name not in names):
        known = ", ".join(names) or "none"
        print(f"ADMIN_TOKENS has no token of this name; it has: {known}.", file=sys.stderr)
        return 2
    owner = name or names[0]
    secret = make_link(settings.db_path, owner, SystemClock().now(), os.urandom)
    print(f"{page}#signin={secret}")
    print(f"It signs {owner} in once, within {LINK_S} seconds.", file=sys.stderr)
    return 0


def _is_sure(question: str) -> bool:
    try:
        return input(question).strip().lower() == "yes"
    except EOFError:  # there is no terminal
        print()
        return False


if __name__ == "__main__":
    # modules are permanent objects: to look for garbage among them takes a quarter of their import
    gc.disable()
    sys.exit(main())
