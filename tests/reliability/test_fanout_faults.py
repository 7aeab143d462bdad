"""Training many loops on an account: what that costs, and what becomes of it when the queue does not answer."""

import time
from collections.abc import AsyncIterator

import pytest

from shared.domain.loop import DEFAULT_LOOP
from shared.runtime.each_loop import Rounds, for_each_loop
from shared.storage import names
from tests.builders import T0
from tests.clocks import SetClock
from tests.reliability.draining import DrainingProcess
from tests.storage_proxy import Fault, no_faults
from trainer_function import _mirror

pytestmark = pytest.mark.slow

LOOPS = [f"loop{number}" for number in range(9)]


@pytest.fixture
async def process(proxy) -> AsyncIterator[DrainingProcess]:
    process = DrainingProcess(proxy.connection_string, SetClock(T0), wait="PT10M")
    yield process
    proxy.plan = no_faults
    await process.deployment.close()


async def test_an_idle_loop_costs_one_call_of_the_trainer_and_one_of_the_mirror(process, proxy):
    await process.make(*LOOPS)
    await process.tick()
    process.clock.pass_(60)
    proxy.forget()
    await process.tick()
    assert len(proxy.calls) == len([DEFAULT_LOOP, *LOOPS]) + 2, [str(call) for call in proxy.calls]
    proxy.forget()
    await for_each_loop(process.deployment, _mirror, "mirroring did not finish", rounds=Rounds("mirror"))
    listed, looked_up, noted = 1, 1, 1
    assert len(proxy.calls) <= len([DEFAULT_LOOP, *LOOPS]) + listed + looked_up + noted, [str(call) for call in proxy.calls]


FAULTS = {
    "refused": Fault(503),
    "forbidden": Fault(403),
    "hanging": Fault(503, delay=60),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_while_the_queue_does_not_answer_the_timer_trains_all_loops_itself(process, proxy, fault):
    await process.with_events(*LOOPS[:4], events=1)
    process.clock.pass_(700)
    proxy.plan = lambda call: fault if names.TRAINING in call.path else None
    began = time.monotonic()
    await process.tick()
    assert time.monotonic() - began < 30
    assert await process.learned(*LOOPS[:4]) == [1] * 4
