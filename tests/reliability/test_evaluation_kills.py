"""Workers killed (−9) at random while an evaluation runs: its result is the very same."""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from shared.domain.evaluation import Asked, Evaluation, JobKind
from shared.domain.loop import LearningPolicy, LoopRecord
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from tests.builders import T0, after
from tests.running import REPOSITORY
from tests.services.analysis.logs import drawn
from tests.services.analysis.seeding import seed
from tests.services.analysis.test_lane import GREEDY, UNCROSSED
from tests.stores import embedded_first, settings_of

pytestmark = pytest.mark.slow

EVENTS = drawn(900, every=30.0)
ASKED = Asked("killed", T0, after(30 * 900), (GREEDY, UNCROSSED))
KILLS = 2


@pytest.fixture
async def services(storage) -> AsyncIterator[LoopServices]:
    deployment = Deployment(read_settings(settings_of(storage)))
    services = deployment.services_of(LoopRecord("default"))
    await seed(deployment.storage, [EVENTS[first : first + 50] for first in range(0, len(EVENTS), 50)])
    yield services
    await deployment.close()


@contextlib.contextmanager
def worker(storage: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "tests.reliability.analyst", storage], cwd=REPOSITORY, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def begun(process: subprocess.Popen[bytes], messages: int) -> None:
    """Wait until it has begun with so many messages."""
    assert process.stdout
    for _ in range(messages):
        process.stdout.readline()


async def over(services: LoopServices, job_id: str, *, within: float) -> Evaluation | None:
    until = time.monotonic() + within
    while time.monotonic() < until:
        found = await services.evaluations.read(job_id)
        if found.job.status.is_over:
            return found
        await asyncio.sleep(0.05)
    return None


@embedded_first
async def test_the_result_is_the_same_however_often_workers_are_killed(services, storage):
    chance = random.Random(5)
    for job_id in ("undisturbed", "disturbed"):
        await services.evaluations.submit(ASKED, online=LearningPolicy(), request_id="", job_id=job_id)
        if job_id == "undisturbed":
            with worker(storage):
                expected = await over(services, job_id, within=120)
    assert expected
    for _ in range(KILLS):
        with worker(storage) as process:
            await asyncio.to_thread(begun, process, chance.randint(1, 2))
            await asyncio.sleep(chance.uniform(0.0, 0.03))
    assert not (await services.evaluations.read("disturbed")).job.status.is_over
    with worker(storage):
        found = await over(services, "disturbed", within=120)
    assert found
    assert replace(found, job=expected.job) == expected
    sums, undisturbed = [await services.analyses.found(JobKind.EVALUATION, each.job) for each in (found, expected)]
    assert [each.sums[""].plain() for each in sums] == [each.sums[""].plain() for each in undisturbed]
