"""The console's types: what its comments say is checked, strictly, by TypeScript's compiler."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from master.web.console_files import FOLDER
from tests.node import install

pytestmark = pytest.mark.browser

COMPILER = "5.9.3"
OPTIONS = {
    "noEmit": True,
    "allowJs": True,
    "checkJs": True,
    "strict": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "skipLibCheck": True,
    "types": [],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the console beside the packages of `vendor`, which bring their types."""
    source, folder = tmp_path_factory.mktemp("wanted"), tmp_path_factory.mktemp("types")
    lock = json.loads((FOLDER / "vendor" / "vendor.lock.json").read_text(encoding="utf-8"))
    packages = {one["package"]: one["version"] for one in lock} | {"typescript": COMPILER}
    (source / "package.json").write_text(
        json.dumps({"private": True, "dependencies": packages}), encoding="utf-8"
    )
    install(source, folder)
    shutil.copytree(FOLDER, folder / "console", ignore=shutil.ignore_patterns("vendor"))
    config = {"compilerOptions": OPTIONS, "include": ["console/**/*.js"]}
    (folder / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def check(project: Path) -> list[str]:
    """Return what the compiler finds."""
    command = ["node", "node_modules/typescript/bin/tsc", "-p", "."]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "error TS" in line]


def test_the_types_of_the_console_agree(project: Path):
    assert check(project) == []


def test_a_wrong_type_is_found(project: Path):
    wrong = project / "console" / "wrong.js"
    wrong.write_text(
        'import { accounts } from "./store.js";\n'
        "export const one = accounts.value.get(7)?.no_such_field;\n",
        encoding="utf-8",
    )
    found = check(project)
    wrong.unlink()
    assert [line.partition("(")[0] for line in found] == ["console/wrong.js"] * 2
