"""The faults that are planted do not go unnoticed."""

import re

import pytest

from tests.simulation.commanded import PATIENT, REPOSITORY, simulated
from tests.simulation.focus import FOCUSES
from tests.simulation.planted import PLANTED

COMMON = {"duplicates-not-looked-for", "generation-left", "goes-back-to-its-own", "learner-of-another-version"}
"""Planted faults that `make test` looks for."""

pytestmark = pytest.mark.long


@pytest.mark.timeout(PATIENT)
@pytest.mark.parametrize("fault", [pytest.param(each, marks=[] if each in COMMON else pytest.mark.exhaustive) for each in sorted(PLANTED)])
async def test_a_planted_fault_is_found(fault):
    asked = ("--processes", "1", "--enough", "1", "--planted", fault, "--focus", _page()[fault])
    code, told = await simulated("0:2000", *asked)
    assert code == 1, told
    assert f"{fault} seed" in told


def test_the_page_tells_of_each_planted_fault_and_of_a_focus():
    told = _page()
    assert set(told) == set(PLANTED)
    assert set(told.values()) <= {*FOCUSES, "whole"}


def _page() -> dict[str, str]:
    """Read which planted faults the page tells of, and in which focus each is found."""
    page = (REPOSITORY / "docs" / "internals" / "simulation.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([a-z-]+)`: [^|]*\| `([a-z]+)` ", page, re.MULTILINE))
