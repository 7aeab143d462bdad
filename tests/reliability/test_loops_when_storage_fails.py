"""Changing loops while storage fails: an answer that is lost does no harm, and what was not stored is not acknowledged."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.domain.keys import is_one_of
from shared.domain.loop import LoopRecord, Tier
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.storage.loop_store import FileUsage
from tests.storage_proxy import Call, Fault, no_faults
from tests.stores import settings_of


@pytest.fixture
async def deployment(proxy) -> AsyncIterator[Deployment]:
    settings = {"PERSONALIZER_KEYS": "first", "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.1S"}
    deployment = Deployment(read_settings({**settings_of(proxy.connection_string), **settings}))
    yield deployment
    proxy.plan = no_faults
    await deployment.close()


def first_write(fault: Fault):
    """Do this to the first write of a record, and to no other call."""
    met: list[Call] = []

    def plan(call: Call) -> Fault | None:
        if call.method == "PUT" and call.path.endswith(".json") and not met:
            met.append(call)
            return fault
        return None

    return plan


def every_write(fault: Fault):
    """Do this to each write of a record."""
    return lambda call: fault if call.method == "PUT" and call.path.endswith(".json") else None


BRIEF = {"refused": Fault(503), "torn": Fault(), "done, but torn": Fault(done_first=True)}


@pytest.mark.parametrize("fault", BRIEF.values(), ids=BRIEF)
async def test_a_failure_that_passes_is_made_up_for_and_changes_are_made_once(deployment, proxy, fault):
    services = await deployment.find("default")
    assert services is not None
    proxy.plan = first_write(fault)
    settings = await services.configurator.configure({"default_reward": 0.5})
    assert (settings.default_reward, settings.resets) == (0.5, 1)
    proxy.plan = first_write(fault)
    kept = await deployment.loops.put("news", Tier.F0, {})
    assert len(kept.keys) == 2
    proxy.plan = first_write(fault)
    record, key = await deployment.loops.regenerate("news", 1, own_keys=())
    assert (record.life, is_one_of(key, record.keys), is_one_of(kept.keys[1], record.keys)) == (1, True, True)
    proxy.plan = first_write(fault)
    record = await deployment.loops.delete("news")
    assert len(record.remains) == 1


@pytest.mark.parametrize("fault", BRIEF.values(), ids=BRIEF)
async def test_a_portion_of_calls_is_never_taken_twice(deployment, proxy, fault):
    usage = FileUsage(deployment.storage, place="newsx0001")
    proxy.plan = first_write(fault)
    assert await usage.grant("202611", wanted=60, limit=100) == 60
    assert await usage.grant("202611", wanted=60, limit=100) == 40
    assert await usage.grant("202611", wanted=60, limit=100) == 0


@pytest.mark.slow
async def test_the_same_call_after_an_answer_that_never_came_finds_it_done(deployment, proxy):
    """Storage does it, but says so to nobody: the caller is told 503, asks again, and nothing happens twice."""
    services = await deployment.find("default")
    assert services is not None
    await deployment.loops.put("other", Tier.S0, {})  # the container is there
    lost = every_write(Fault(503, done_first=True))
    proxy.plan = lambda call: lost(call) if call.path.endswith("configuration.json") else None
    both = services.configurator.configure({"default_reward": 0.5}), deployment.loops.put("news", Tier.S0, {})
    told = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in told] == [StorageUnavailableError, StorageUnavailableError]
    proxy.plan = no_faults
    assert [each.is_certain for each in await services.configurator.changes(most=9)] == [True], (
        "it is told, though nobody was told it is done"
    )
    assert (await services.configurator.configure({"default_reward": 0.5})).resets == 1
    kept = await deployment.loops.put("news", Tier.S0, {})
    assert (kept.record.life, kept.keys) == (1, ()), "the keys are lost, and can be regenerated"


async def test_what_was_not_stored_is_not_acknowledged(deployment, proxy):
    """Storage has too much to do: the caller is told at once, and has to come back."""
    services = await deployment.find("default")
    assert services is not None
    proxy.plan = every_write(Fault(429))
    for ask in (
        services.configurator.configure({"default_reward": 0.5}),
        services.configurator.reset_policy(),
        deployment.loops.put("news", Tier.S0, {}),
        deployment.loops.regenerate("default", 1, own_keys=()),
    ):
        with pytest.raises(StorageUnavailableError):
            await ask
    proxy.plan = no_faults
    assert await deployment.record("default") == LoopRecord("default")
    assert not (await deployment.record("news")).is_there
    assert (await services.models.served()).settings.default_reward == 0.0


@pytest.mark.slow
async def test_without_storage_keys_that_were_read_go_on_being_taken_and_new_processes_let_nobody_in(deployment, proxy):
    headers = {"ocp-apim-subscription-key": "first"}
    assert await deployment.admit("default", headers)
    proxy.plan = lambda call: Fault(503)
    await asyncio.sleep(0.3)
    assert await deployment.admit("default", headers)
    new = Deployment(deployment.settings)
    try:
        with pytest.raises(StorageUnavailableError):
            await new.admit("default", headers)
        proxy.plan = no_faults
        assert await new.admit("default", headers)
    finally:
        await new.close()
