"""The page's modules: their types hold together, and the library they carry is the one that is pinned."""

import json
import re
import shutil
import subprocess

import pytest

from dashboard_function import DEMO, STATIC
from local.node import find_node
from tests.browser.packages import PINNED, VENDOR, VENDORED, installed, vendored
from tests.npm import lock_of
from tests.running import REPOSITORY

COMPILER = {
    "allowJs": True,
    "checkJs": True,
    "noEmit": True,
    "strict": True,
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "noFallthroughCasesInSwitch": True,
    "target": "es2023",
    "module": "es2022",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": [],
    "skipLibCheck": True,
}
EXAMPLES = REPOSITORY / "examples" / "javascript"
NOT_OURS = {"vendor", "node_modules"}
STYLE = ("--print-width=140", "--ignore-path=none")


def test_every_package_is_pinned_by_version_and_hash_and_says_no_address():
    packages = {name: each for name, each in lock_of(PINNED)["packages"].items() if name}
    assert len(packages) == 4
    assert not [name for name, each in packages.items() if not each["version"] or not each["integrity"].startswith("sha512-")]
    assert not re.search(r"https?://", json.dumps(lock_of(PINNED)))


def test_the_charting_library_is_the_pinned_one_with_its_licence():
    for name in VENDORED:
        assert (VENDOR / name).read_bytes() == vendored(name), name
    assert sorted(path.name for path in VENDOR.iterdir()) == sorted(VENDORED)
    assert "MIT License" in (VENDOR / "LICENSE").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_types_of_the_modules_hold_together(tmp_path):
    shutil.copytree(STATIC, tmp_path / "static")
    shutil.copy(installed("uplot", "dist/uPlot.d.ts"), tmp_path / "static" / "vendor" / "uplot" / "uPlot.esm.d.ts")
    project = {"compilerOptions": COMPILER, "include": ["static/**/*.js"], "exclude": ["static/vendor"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    command = [find_node().node, str(installed("typescript", "bin/tsc")), "--project", str(tmp_path)]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
def test_the_modules_are_formatted():
    modules = [str(path) for folder in (STATIC, DEMO, EXAMPLES) for path in folder.rglob("*.js") if not NOT_OURS & {*path.parts}]
    assert len(modules) > 20
    command = [find_node().node, str(installed("prettier", "bin/prettier.cjs")), *STYLE, "--check", *modules]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
