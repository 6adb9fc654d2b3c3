"""The console's types: what its comments say is checked, strictly, by TypeScript's compiler.

Rows, answers and events have the types of types.d.ts, which `python -m tools.protocol` writes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from master.web.console_files import FOLDER
from tests.node import install
from tools.protocol import TYPES

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
    # declarations are not checked, so that those of the packages are not: ours is, as a module
    shutil.copy(TYPES, folder / "console" / "types_as_module.ts")
    config = {"compilerOptions": OPTIONS, "include": ["console/**/*.js", "console/*_module.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def check(project: Path) -> list[str]:
    """Return what the compiler finds."""
    command = ["node", "node_modules/typescript/bin/tsc", "-p", "."]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "error TS" in line]


def test_the_types_of_the_console_agree(project: Path):
    assert check(project) == []


WRONG = {
    "accounts.value.get(7)": "Argument of type 'number'",
    'accounts.value.get("7")?.no_such_field': "'no_such_field' does not exist",
    'accounts.value.get("7")?.status === "activ"': "have no overlap",
    '(await ask("GET", `accounts/${"7"}/explain`)).data.candidats': "'candidats' does not exist",
    '(await askAll("workers")).rows[0].assigned': "'assigned' does not exist",
    'await askPage("comments", { is_raed: true })': "'is_raed' does not exist",
    'await ask("PATCH", "accounts/7", { stauts: "active" })': "'stauts' does not exist",
    'await ask("POST", "maintenance")': "Expected 3 arguments",
    'await ask("GET", "acounts")': "Expected 3 arguments",
    'await emit("admin:follow", { worker: "w" })': "'worker' does not exist",
    'watch("process:status", { worker_id: "w" })': "is not assignable to parameter of type 'Told'",
    'watch("proces:status", /** @type {any} */ (null))': "is not assignable",
}
"""Lines with a fault each, and what is said of it."""


def test_a_misspelt_field_route_or_event_is_found(project: Path):
    wrong = project / "console" / "wrong.js"
    imports = [
        'import { ask, askAll, askPage } from "./api.js";',
        'import { emit } from "./live.js";',
        'import { accounts } from "./store.js";',
        'import { watch } from "./watch.js";',
    ]
    wrong.write_text("\n".join([*imports, *(f"void ({one});" for one in WRONG)]), encoding="utf-8")
    found = check(project)
    wrong.unlink()
    for number, (line, said) in enumerate(WRONG.items(), len(imports) + 1):
        of_line = [one for one in found if one.startswith(f"console/wrong.js({number},")]
        assert said in " ".join(of_line), line
    assert len(found) == len(WRONG)
