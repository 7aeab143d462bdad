"""Trainers killed (−9) in turn while they drain several loops over the queue: each loop's books balance, and each event is learned once."""

import shutil
import signal
from pathlib import Path

import pytest

from shared.storage import names
from tests.builders import T0
from tests.clocks import SetClock
from tests.reliability.draining import ALL, FAR_LATER, DrainingProcess
from tests.reliability.killed import WHEN, Child
from tests.stores import end_lease

pytestmark = [pytest.mark.slow, pytest.mark.long]

LOOPS = ALL[1:]
EVERY = 19
"""Of the calls of an undisturbed run, the share at which a process is killed: each is some run's last, before or after it is done."""


@pytest.fixture
def engine() -> str:
    return "embedded"


@pytest.fixture
async def written(storage) -> Path:
    """A store whose loops have events that are due, which nobody has open."""
    process = DrainingProcess(storage, SetClock(T0))
    await process.with_events(*LOOPS, events=12)
    await process.deployment.close()
    return Path(storage)


async def drained(place: Path, clock: SetClock) -> list[int]:
    """Have another process go on, once the leases of the dead one are over."""
    process = DrainingProcess(str(place), clock)
    for loop in LOOPS:
        await end_lease(process.deployment.storage, names.MODELS, names.lease_file(f"{loop}x0001"))
    await process.tick()
    await process.work()
    await process.settle()
    learned = await process.learned(*LOOPS)
    await process.deployment.close()
    return learned


@WHEN
@pytest.mark.sweep(keep=1)
async def test_whichever_call_a_trainer_dies_at_the_next_ones_learn_everything_once(written, tmp_path, done_first):
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(written, undisturbed)
    whole = Child(str(undisturbed), 0, done_first=False)
    assert (await whole.run("drain", str(undisturbed)))[0] == 0
    assert await drained(undisturbed, SetClock(FAR_LATER)) == [12] * len(LOOPS)
    for number in range(1 + EVERY // 2 * done_first, whole.calls, EVERY):
        place = tmp_path / f"{number}"
        shutil.copytree(written, place)
        code, _ = await Child(str(place), number, done_first=done_first).run("drain", str(place))
        assert code in (-signal.SIGKILL, 0)  # the last calls are not the same ones each time
        clock = SetClock(FAR_LATER)
        clock.pass_(60)
        assert await drained(place, clock) == [12] * len(LOOPS)
        shutil.rmtree(place)


async def test_one_store_is_drained_by_trainers_that_die_one_after_another(written):
    """Each gets some calls further than the one before, and what it had begun is taken up."""
    clock = SetClock(FAR_LATER)
    for number in (17, 40, 23, 64, 31, 90, 52):
        await Child(str(written), number, done_first=number % 2 == 0).run("drain", str(written))
        clock.pass_(60)
        for loop in LOOPS:
            process = DrainingProcess(str(written), clock)
            await end_lease(process.deployment.storage, names.MODELS, names.lease_file(f"{loop}x0001"))
            await process.deployment.close()
    assert await drained(written, clock) == [12] * len(LOOPS)
