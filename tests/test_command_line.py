"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import pytest

from master import __version__
from master.__main__ import main


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"Master {__version__}\n")
