"""Schedules that seeds draw keep all promises."""

import asyncio

import pytest

from tests.simulation.commanded import PATIENT, simulated

pytestmark = pytest.mark.long


@pytest.mark.timeout(PATIENT)
async def test_schedules_of_several_processes_with_crashes_and_faults_keep_every_promise():
    code, told = await simulated("0:2000", "--processes", "1")
    assert "2000 schedules" in told
    assert code == 0, told


@pytest.mark.timeout(PATIENT)
@pytest.mark.exhaustive
async def test_many_schedules_keep_every_promise():
    code, told = await simulated("2000:5000")
    assert code == 0, told


async def test_a_seed_is_always_the_same_schedule():
    first, second = await asyncio.gather(simulated("11"), simulated("11"))
    assert first == second
    assert "process 0" in first[1]
