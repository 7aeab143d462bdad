"""What failed beside others runs once more, alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

UNSTEADY = """
from pathlib import Path

def test_one():
    seen = Path("seen")
    was_there = seen.exists()
    seen.touch()
    assert was_there
"""
WRONG = "def test_two():\n    assert False\n"
RIGHT = "def test_three():\n    pass\n"


OF_A_SWEEP = """
from pathlib import Path

import pytest

@pytest.mark.sweep(keep=1)
@pytest.mark.parametrize("place", range(3))
def test_each(place):
    seen = Path(f"seen{place}")
    was_there = seen.exists()
    seen.touch()
    assert was_there or place != 2
"""
SWEEPS = """
from tests import sweeps

def pytest_configure(config):
    for name in ("sweep", "exhaustive"):
        config.addinivalue_line("markers", name)

def pytest_collection_modifyitems(config, items):
    sweeps.mark(items)
    sweeps.leave_out(config, items)
"""


@pytest.fixture
def suite(tmp_path):
    """Run a small suite as `make test` does, and tell how it ended and what it said."""

    def run(*files: str, marks: str = "") -> tuple[int, str]:
        for number, text in enumerate(files):
            (tmp_path / f"test_{number}.py").write_text(text)
        command = f"{sys.executable} -m pytest -q -m '{marks}' || {sys.executable} -m tests.alone -q"
        plain = {"PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # half the time goes to plugins that are not asked
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=os.environ | plain, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run


def test_one_that_passes_alone_is_named_and_fails_nothing(suite):
    code, said = suite(UNSTEADY, RIGHT)
    assert code == 0
    assert "passed alone" in said
    assert said.rstrip().endswith("test_0.py::test_one")
    assert "test_three" not in said


def test_one_that_fails_alone_as_well_fails_the_run(suite):
    code, said = suite(UNSTEADY, WRONG)
    assert code == 1
    assert "passed alone" not in said


def test_many_failures_are_not_the_machines(suite):
    code, said = suite(*[UNSTEADY.replace("seen", f"seen{number}") for number in range(6)])
    assert code == 1
    assert "once more" not in said


def test_a_file_that_cannot_be_read_fails_the_run(suite):
    assert suite("import nothing_of_this_name\n", RIGHT)[0] != 0


def test_a_suite_that_passes_runs_once(suite):
    code, said = suite(RIGHT)
    assert code == 0
    assert "once more" not in said


def test_a_place_of_a_sweep_runs_alone_although_one_that_is_alone_stands_for_its_sweep(suite, tmp_path):
    (tmp_path / "conftest.py").write_text(SWEEPS)
    code, said = suite(OF_A_SWEEP, marks="exhaustive")
    assert code == 0
    assert said.rstrip().endswith("test_0.py::test_each[2]")
