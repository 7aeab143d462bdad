"""A file of tests that changes what others share is named, and fails itself in their place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

HOOKS = """
from tests.left_behind import LeftBehind

def pytest_configure(config):
    config.pluginmanager.register(LeftBehind())
"""
CHANGES = {
    "a logger": ("logging.getLogger('of-somebody').setLevel(logging.CRITICAL)", "'of-somebody'"),
    "everything": ("logging.disable(logging.CRITICAL)", "'root'"),
    "a handler": ("logging.getLogger().addHandler(logging.NullHandler())", "NullHandler"),
    "the level": ("logging.getLogger().setLevel(logging.DEBUG)", "30 became 10"),
    "the folder": ("os.chdir('/')", "became /;"),
    "a setting": ("os.environ['PERSONALIZER_LEFT'] = 'here'", "PERSONALIZER_LEFT"),
}


def said(folder: Path, first: str, second: str = "") -> str:
    (folder / "conftest.py").write_text(HOOKS)
    begin = "import logging, os, pytest\n"
    (folder / "test_a.py").write_text(f"{begin}def test_first():\n    pass\ndef test_one(monkeypatch, caplog):\n    {first}\n")
    (folder / "test_b.py").write_text(f"{begin}def test_other():\n    {second or 'pass'}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder), str(folder)]
    plain = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=REPOSITORY, env=plain, capture_output=True, text=True, check=False).stdout


def test_the_file_that_leaves_a_change_behind_fails_with_what_it_is_and_the_others_pass(tmp_path):
    every = "; ".join(change for change, _ in CHANGES.values())
    found = said(tmp_path, every)
    assert "3 passed, 1 error" in found, found
    assert "ERROR at teardown of test_one" in found
    for name, (_, told) in CHANGES.items():
        assert told in found, (name, found)


@pytest.mark.parametrize(
    "undone", ["caplog.set_level(logging.CRITICAL)", "monkeypatch.chdir('/'); monkeypatch.setenv('PERSONALIZER_X', '1')"]
)
def test_a_change_that_its_fixture_takes_back_fails_nothing(tmp_path, undone):
    found = said(tmp_path, undone, "assert logging.getLogger().isEnabledFor(logging.ERROR)")
    assert "3 passed" in found, found
    assert "error" not in found
