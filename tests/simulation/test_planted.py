"""The faults that are planted do not go unnoticed."""

import re

import pytest

from tests.simulation.commanded import PATIENT, REPOSITORY, simulated
from tests.simulation.planted import PLANTED

COMMON = {"duplicates-not-looked-for", "generation-left", "no-condition", "period-asked-anew"}
"""Planted faults that `make test` looks for: they are found within a hundred schedules."""

pytestmark = pytest.mark.long


@pytest.mark.timeout(PATIENT)
@pytest.mark.parametrize("fault", [pytest.param(each, marks=[] if each in COMMON else pytest.mark.exhaustive) for each in sorted(PLANTED)])
async def test_a_planted_fault_is_found(fault):
    code, told = await simulated("0:2000", "--processes", "1", "--enough", "1", "--planted", fault)
    assert code == 1, told
    assert f"{fault} seed" in told


def test_the_page_tells_of_each_planted_fault():
    page = (REPOSITORY / "docs" / "internals" / "simulation.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)`: ", page, re.MULTILINE)) == set(PLANTED)
