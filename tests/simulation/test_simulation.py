"""Schedules that seeds draw keep all promises, and the faults that are planted do not go unnoticed.

Time is virtual in a process of its own, since the service's modules take it when they are imported.
"""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.simulation.planted import PLANTED

REPOSITORY = Path(__file__).parents[2]
COMMON = {"duplicates-not-looked-for", "generation-left", "learner-of-another-version"}
"""Planted faults that are found within a few schedules."""

LONG = pytest.mark.timeout(3_600)
"""A minute of work, on a machine that may be busy with others'."""

pytestmark = pytest.mark.long


async def simulated(*arguments: str) -> tuple[int | None, str]:
    """Give the exit code of the command, and what it tells."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return process.returncode, told.decode()


@LONG
async def test_schedules_of_several_processes_with_crashes_and_faults_keep_every_promise():
    code, told = await simulated("0:120", "--processes", "1")
    assert "120 schedules" in told
    assert code == 0, told


@LONG
@pytest.mark.exhaustive
async def test_many_schedules_keep_every_promise():
    code, told = await simulated("120:1120")
    assert code == 0, told


async def test_a_seed_is_always_the_same_schedule():
    first, second = await asyncio.gather(simulated("11"), simulated("11"))
    assert first == second
    assert "process 0" in first[1]


@LONG
@pytest.mark.parametrize("fault", [pytest.param(each, marks=[] if each in COMMON else pytest.mark.exhaustive) for each in sorted(PLANTED)])
async def test_a_planted_fault_is_found(fault):
    code, told = await simulated("0:2000", "--processes", "1", "--enough", "1", "--planted", fault)
    assert code == 1, told
    assert f"{fault} seed" in told


def test_the_page_tells_of_each_planted_fault():
    page = (REPOSITORY / "docs" / "internals" / "simulation.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)`: ", page, re.MULTILINE)) == set(PLANTED)
