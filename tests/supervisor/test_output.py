"""The output of worker processes is kept, and its end can be read."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from master.output import LOG_BYTES
from master.supervisor import Supervisor
from tests.supervisor.children import Bench, config
from tests.waiting import PATIENCE_S


async def wait_for_lines(supervisor: Supervisor, lines: list[str]) -> None:
    """Wait until the log has these lines: Master reads the pipe after the process has written."""
    async with asyncio.timeout(PATIENCE_S):
        while await supervisor.tail_log("worker-1", 100) != lines:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_what_processes_write_is_kept_across_restarts(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config())
    await bench.bell.rung()
    status = await supervisor.restart(config())
    await bench.bell.rung()
    await wait_for_lines(supervisor, ["out worker-1", "err worker-1"] * 2)
    assert await supervisor.tail_log("worker-1", 1) == ["err worker-1"]
    assert status.log_path == str(bench.folder / "workers" / "worker-1.log")


@pytest.mark.parametrize(
    ("content", "lines", "tail"),
    [
        (b"", 5, []),
        (b"a\nb\nc\n", 0, []),
        (b"a\nb\nc\n", 2, ["b", "c"]),
        (b"a\nb\nc", 2, ["b", "c"]),
        (b"a\n\n", 5, ["a", ""]),
        (b"a\r\nb\x0bc\xff\r\n", 5, ["a", "b\x0bc\ufffd"]),
        (b"x" * 99 + b"\n" + b"line\n" * 100_000, 3, ["line"] * 3),
        (b"y" * 3_000_000 + b"\nlast\n", 2, ["y" * (1024 * 1024 - 6), "last"]),
    ],
    ids=["empty", "none", "some", "unfinished", "blank", "bytes", "long", "longer-than-the-limit"],
)
async def test_the_tail_is_read_from_the_end(
    bench: Bench, content: bytes, lines: int, tail: list[str]
) -> None:
    folder = bench.folder / "workers"
    folder.mkdir()
    (folder / "worker-1.log").write_bytes(content)
    assert await bench.supervisor().tail_log("worker-1", lines) == tail


async def test_a_worker_that_never_wrote_has_no_lines(bench: Bench) -> None:
    assert await bench.supervisor().tail_log("nobody", 10) == []


async def test_a_large_log_is_set_aside_at_the_next_start(bench: Bench) -> None:
    path = bench.folder / "workers" / "worker-1.log"
    path.parent.mkdir()
    path.touch()
    os.truncate(path, LOG_BYTES + 1)
    supervisor = bench.supervisor()
    await supervisor.start(config())
    await bench.bell.rung()
    await wait_for_lines(supervisor, ["out worker-1", "err worker-1"])
    assert path.with_name("worker-1.log.1").stat().st_size == LOG_BYTES + 1


async def test_no_worker_id_leads_out_of_the_folder_or_to_the_log_of_another(bench: Bench) -> None:
    supervisor = bench.supervisor()
    ids = [
        ".",
        "..",
        "../x",
        "/etc/x",
        "a/b",
        "a_b",
        "a%2Fb",
        "a\\b",
        "",
        " ",
        "工人",
        "\ud800",
        "é" * 128,
        "é" * 127,
    ]
    paths = [Path(supervisor.status(worker_id).log_path or "") for worker_id in ids]
    assert {path.parent for path in paths} == {bench.folder / "workers"}
    assert len({path.name for path in paths}) == len(ids)
    assert not any(
        path.name.startswith(".") and worker_id for path, worker_id in zip(paths, ids, strict=True)
    )
    assert max(len(path.name) for path in paths) < 255
