"""A worker's output is read on from the position where the last reading ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from master.output import START, name_former, read_part


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "worker-1.log"
    path.write_bytes(b"one\ntwo\r\nthree\n")
    return path


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def rotate(path: Path, content: bytes) -> None:
    path.replace(name_former(path))
    path.write_bytes(content)


def test_the_last_lines_come_first_and_then_what_follows(log: Path) -> None:
    first = read_part(log, None, 2)
    assert (first.lines, first.skipped) == (["two", "three"], 0)
    append(log, b"four\n")
    second = read_part(log, first.after, 500)
    assert (second.lines, second.before, second.skipped) == (["four"], first.after, 0)
    third = read_part(log, second.after, 500)
    assert (third.lines, third.before, third.after) == ([], second.after, second.after)


def test_a_line_under_way_waits_if_whole_lines_are_wanted(log: Path) -> None:
    end = read_part(log, None, 0).after
    append(log, b"fo")
    assert read_part(log, end, 500, whole=True).lines == []
    assert read_part(log, end, 500).lines == ["fo"]
    append(log, b"ur\nfive")
    part = read_part(log, end, 500, whole=True)
    assert part.lines == ["four"]
    append(log, b"\n")
    assert read_part(log, part.after, 500, whole=True).lines == ["five"]


def test_a_line_may_span_two_files(log: Path) -> None:
    end = read_part(log, None, 0).after
    append(log, b"four\nfi")
    part = read_part(log, end, 500, whole=True)
    rotate(log, b"ve\nsix\n")
    part = read_part(log, part.after, 500, whole=True)
    assert (part.lines, part.skipped) == (["five", "six"], 0)
    append(log, b"seven\n")
    assert read_part(log, part.after, 500).lines == ["seven"]


def test_after_two_changes_of_the_file_the_number_of_skipped_lines_is_unknown(log: Path) -> None:
    end = read_part(log, None, 0).after
    held = log.open("rb")  # so that no new file gets its number
    rotate(log, b"lost\n")
    rotate(log, b"known\n")
    part = read_part(log, end, 500)
    held.close()
    assert (part.lines, part.skipped) == (["known"], None)


@pytest.mark.parametrize(("lines", "most"), [(3, 10_000), (500, 12), (500, 14)])
def test_the_first_of_too_many_lines_are_skipped_and_counted(
    log: Path, lines: int, most: int
) -> None:
    end = read_part(log, None, 0).after
    append(log, b"".join(b"l%02d\n" % number for number in range(10)))
    part = read_part(log, end, lines, most=most)
    assert part.lines == [f"l{number:02d}" for number in range(10)][-len(part.lines) :]
    assert part.skipped == 10 - len(part.lines) > 0


def test_a_log_that_does_not_exist_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "none.log"
    part = read_part(path, None, 500)
    assert (part.lines, part.after) == ([], START)
    append(path, b"first\n")
    assert read_part(path, part.after, 500).lines == ["first"]


def test_a_line_without_end_is_given_out_in_pieces_that_are_cut(log: Path) -> None:
    end = read_part(log, None, 0).after
    append(log, b"x" * 100_000)
    part = read_part(log, end, 500, whole=True)
    assert [len(line) for line in part.lines] == [10_000]
    assert read_part(log, part.after, 500, whole=True).lines == []


def test_bytes_that_are_no_text_are_shown_as_replacements(log: Path) -> None:
    end = read_part(log, None, 0).after
    append(log, b"\xff\x1b[31mred\x1b[0m\n")
    assert read_part(log, end, 500).lines == ["\ufffd\x1b[31mred\x1b[0m"]
