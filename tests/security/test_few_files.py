"""A Master that may open few files: strangers make room, and the start says what is missing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from master.meter import Line
from master.strangers import Strangers
from tests.child import run_child

STRANGERS = 150


async def test_health_answers_beside_more_idle_strangers_than_files(tmp_path):
    async with run_child(tmp_path, files=100) as child:
        await child.hear("few_descriptors", 1)
        idle = []
        for _ in range(STRANGERS):
            idle.append(await asyncio.open_connection("127.0.0.1", child.port))
            if len(idle) % 10 == 0:
                assert (await child.get("/health/live"))[0] == 200
        for _ in range(3):
            assert (await child.get("/health"))[0] == 200
        for _, writer in idle:
            writer.close()
        assert not [line for line in child.lines if '"descriptors_used_up"' in line]


@pytest.mark.parametrize("files", [24, 48])
def test_a_start_with_too_few_files_says_how_many_it_needs(tmp_path: Path, files: int):
    environ = {
        **os.environ,
        "DB_PATH": str(tmp_path / "master.db"),
        "LOG_DIR": str(tmp_path / "logs"),
        "PORT": "0",
        "APP_ENV": "test",
    }
    command = ["/bin/sh", "-c", f"ulimit -n {files}; exec {sys.executable} -m master"]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert f"Only {files} files may be open" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("addresses", "popped"),
    [
        ("", []),
        ("a", []),
        ("ab", ["a0"]),
        ("abb", ["b1", "a0"]),
        ("abbcb", ["b1", "b2", "a0", "c3"]),
    ],
)
def test_strangers_make_room_by_their_crowd_and_age_and_the_last_one_stays(addresses, popped):
    strangers: Strangers[Line] = Strangers(0, 0, 0)
    names = {}
    for number, address in enumerate(addresses):
        line = Line(address, lambda: None)
        names[line] = f"{address}{number}"
        strangers.add(line, number)
    found = []
    while (line := strangers.pop_oldest()) is not None:
        found.append(names[line])
    assert found == popped
