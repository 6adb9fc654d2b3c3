"""What people install: the wheel has every file of the console, and a Master of it serves them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest

from simulator.trials.master_process import MasterProcess, choose_port

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PAGES = ("console", "l")
IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
NAMED = re.compile(r'(?:src|href)="(files/[^"]+)"')


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheels = pytest.importorskip("hatchling.builders.wheel")
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(wheels.WheelBuilder(str(ROOT)).build(directory=str(folder))))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs, and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    tools = {"uv": shutil.which("uv"), "pip": find_spec("pip") and sys.executable}
    if not any(tools.values()):
        pytest.skip("neither pip nor uv is there to install the wheel")
    program = [sys.executable, "-m", "pip"] if tools["pip"] else ["uv", "pip"]
    command = [*program, "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def list_files(folder: Path) -> set[str]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(one.relative_to(folder).as_posix()) for one in found if "__pycache__" not in str(one)
    }


@pytest.mark.parametrize("name", PAGES)
def test_the_wheel_has_every_file_of_a_page_and_no_other(wheel: Path, name: str):
    start = f"master/web/{name}/"
    names = zipfile.ZipFile(wheel).namelist()
    packed = {one.removeprefix(start) for one in names if one.startswith(start)}
    assert packed == list_files(ROOT / "master" / "web" / name) - {"types.d.ts"}
    assert "index.html" in packed


def test_each_file_of_the_import_map_is_installed_with_its_licence(installed: Path):
    console = installed / "master" / "web" / "console"
    text = (console / "index.html").read_text(encoding="utf-8")
    found = IMPORT_MAP.search(text)
    assert found is not None
    places = json.loads(found[1])["imports"].values()
    assert len(places) >= 6
    for place in places:
        assert (console / place.removeprefix("./{files}/")).is_file(), place
    lock = json.loads((console / "vendor" / "vendor.lock.json").read_text(encoding="utf-8"))
    for one in lock:
        assert (console / "vendor" / one["licence_file"]).read_text(encoding="utf-8").strip()
    assert [one.name for one in installed.glob("master*.dist-info/licenses/*")] == ["LICENSE"]


def find_master(environment: dict[str, str]) -> Path:
    """Return the file of the package that a Python in this environment imports."""
    command = [sys.executable, "-c", "import master; print(master.__file__)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


async def test_a_master_of_the_wheel_serves_the_console_and_the_owners_page(
    installed: Path, tmp_path: Path
):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed),
        "PYTHONSAFEPATH": "1",  # this folder's own `master` is not the one that is meant
        "DB_PATH": str(tmp_path / "master.db"),
        "LOG_DIR": str(tmp_path / "logs"),
    }
    assert find_master(environment).is_relative_to(installed)
    port = choose_port({})
    async with aiohttp.ClientSession() as session:
        master = MasterProcess(
            session, port, {**environment, "PORT": str(port)}, tmp_path / "output.txt"
        )
        await master.spawn()
        try:
            await master.wait_ready()
            for page in PAGES:
                async with session.get(f"{master.url}/{page}/") as answer:
                    assert answer.status == 200
                    names = NAMED.findall(await answer.text())
                assert names
                for name in names:
                    async with session.get(f"{master.url}/{page}/{name}") as answer:
                        assert answer.status == 200, name
        finally:
            await master.stop()
    assert master.findings == []
