"""A key that was given up opens nothing, in any process, within a poll: whatever else that process cannot read."""

import asyncio
import time
from collections.abc import AsyncIterator

import orjson
import pytest

from shared.domain.errors import AccessDeniedError, PersonalizerError
from shared.domain.keys import key_digest
from shared.domain.loop import DEFAULT_LOOP, Tier
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.storage import names
from tests.storage_proxy import Fault, no_faults
from tests.stores import overwrite, settings_of

KEY = "ocp-apim-subscription-key"
POLL = 0.1
IN_TIME = 3.0
"""Seconds: a poll, and what a busy machine adds to it."""


def deployment_on(connection_string: str) -> Deployment:
    settings = {
        "PERSONALIZER_KEYS": "first,second",
        "PERSONALIZER_CLIENT_KEYS": "seen,seen-too",
        "PERSONALIZER_MODEL_POLL_INTERVAL": f"PT{POLL}S",
    }
    return Deployment(read_settings({**settings_of(connection_string), **settings}))


@pytest.fixture
async def here(storage) -> AsyncIterator[Deployment]:
    deployment = deployment_on(storage)
    yield deployment
    await deployment.close()


@pytest.fixture
async def there(proxy) -> AsyncIterator[Deployment]:
    """Another process, which reaches storage through the proxy."""
    deployment = deployment_on(proxy.connection_string)
    yield deployment
    proxy.plan = no_faults
    await deployment.close()


async def is_open(deployment: Deployment, loop: str, key: str) -> bool:
    try:
        return bool(await deployment.admit(loop, {KEY: key}, by_client_key=True))
    except AccessDeniedError:
        return False


async def closed_within(deployment: Deployment, loop: str, key: str, seconds: float = IN_TIME) -> bool:
    until = time.monotonic() + seconds
    while await is_open(deployment, loop, key):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.02)
    return True


async def made(deployment: Deployment, loop: str) -> str:
    kept = await deployment.loops.put(loop, Tier.S0, {})
    await deployment.note(kept.record)
    return kept.keys[0]


async def regenerate(deployment: Deployment, loop: str) -> str:
    record, key = await deployment.loops.regenerate(loop, 1, own_keys=deployment.settings.key_digests if loop == DEFAULT_LOOP else ())
    await deployment.note(record)
    return key


async def regenerate_client_key(deployment: Deployment, loop: str) -> str:
    record, key = await deployment.loops.regenerate_client_key(loop)
    await deployment.note(record)
    return key


def on(path: str, fault: Fault):
    """Do this to each call whose path has this in it."""
    return lambda call: fault if path in call.path else None


@pytest.mark.parametrize("loop", [DEFAULT_LOOP, "news"])
async def test_a_key_that_was_regenerated_opens_nothing_elsewhere_within_a_poll(here, there, loop):
    old = "first" if loop == DEFAULT_LOOP else await made(here, loop)
    assert await is_open(there, loop, old)
    new = await regenerate(here, loop)
    assert await closed_within(there, loop, old)
    assert await is_open(there, loop, new)
    assert not await is_open(here, loop, old)


@pytest.mark.parametrize("loop", [DEFAULT_LOOP, "news"])
async def test_a_client_key_that_was_regenerated_opens_nothing_elsewhere_within_a_poll(here, there, loop):
    kept = "first" if loop == DEFAULT_LOOP else await made(here, loop)
    old = "seen" if loop == DEFAULT_LOOP else await regenerate_client_key(here, loop)
    assert await is_open(there, loop, old)
    new = await regenerate_client_key(here, loop)
    assert await closed_within(there, loop, old)
    assert [await is_open(there, loop, key) for key in (new, kept)] == [True, True]
    assert [await is_open(here, loop, key) for key in (old, "seen-too", new, kept)] == [False, False, True, True]


async def test_a_client_key_that_was_regenerated_does_not_come_back_with_a_record_of_a_later_release(here, there):
    old = await regenerate_client_key(here, DEFAULT_LOOP)
    assert await is_open(there, DEFAULT_LOOP, old)
    text = orjson.dumps({"format": 99, "keys": [], "client_keys": [key_digest("new")], "plans": "others"})
    await overwrite(here.storage, names.MODELS, names.configuration_file(DEFAULT_LOOP), text)
    assert await closed_within(there, DEFAULT_LOOP, old)
    assert [await is_open(there, DEFAULT_LOOP, key) for key in ("new", "seen", "first")] == [True, False, True]


PASSING = {
    "empty 200": Fault(200),
    "403": Fault(403),
    "404 of somebody else": Fault(404),
    "500": Fault(500),
    "torn": Fault(),
    "304 that was not asked for": Fault(304),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_answers_that_are_none_give_no_key_back_and_hold_the_news_up_only_while_they_come(proxy, here, there, fault):
    """Nor does the app's own key, which was regenerated, open anything when the record cannot be read for a while."""
    new = await regenerate(here, DEFAULT_LOOP)
    assert not await is_open(there, DEFAULT_LOOP, "first")
    assert await is_open(there, DEFAULT_LOOP, new)
    proxy.plan = on("configuration.json", fault)
    newer = await regenerate(here, DEFAULT_LOOP)
    await asyncio.sleep(5 * POLL)
    assert not await is_open(there, DEFAULT_LOOP, "first")
    proxy.plan = no_faults
    assert await closed_within(there, DEFAULT_LOOP, new, seconds=12)
    assert await is_open(there, DEFAULT_LOOP, newer)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_a_model_that_cannot_be_read_holds_no_key_up(proxy, here, there, fault):
    old = await made(here, "news")
    assert await is_open(there, "news", old)
    proxy.plan = on("pointer.json", fault)
    await regenerate(here, "news")
    assert await closed_within(there, "news", old, seconds=8)


async def test_a_damaged_pointer_holds_no_key_up(here, there):
    old = await made(here, "news")
    assert await is_open(there, "news", old)
    await overwrite(here.storage, names.MODELS, names.pointer_file("newsx0001"), b"nonsense")
    await asyncio.sleep(3 * POLL)
    await regenerate(here, "news")
    assert await closed_within(there, "news", old)


async def test_the_keys_of_a_record_of_a_later_release_hold(here, there):
    old = await made(here, "news")
    assert await is_open(there, "news", old)
    text = orjson.dumps({"format": 99, "keys": [key_digest("new"), ""], "plans": "others", "settings": {"unheard": 1}})
    await overwrite(here.storage, names.MODELS, names.configuration_file("news"), text)
    assert await closed_within(there, "news", old)
    assert await is_open(there, "news", "new")
    await asyncio.sleep(3 * POLL)
    served = await (await there.admit("news", {KEY: "new"})).models.served()
    assert "format version 99" in (served.error or "")


async def test_a_loop_that_a_later_release_deleted_is_served_no_more(here, there):
    old = await made(here, "news")
    assert await is_open(there, "news", old)
    text = orjson.dumps({"format": 99, "keys": [key_digest(old), ""], "deleted_at": "2026-11-24T12:00:00Z"})
    await overwrite(here.storage, names.MODELS, names.configuration_file("news"), text)
    await asyncio.sleep(IN_TIME / 2)
    with pytest.raises(PersonalizerError):
        await there.admit("news", {KEY: old})


@pytest.mark.slow
async def test_a_loop_whose_storage_hangs_holds_the_others_up_for_some_seconds_at_most(proxy, here, there):
    keys = {loop: await made(here, loop) for loop in ("frozen", "news", "other")}
    for loop, key in keys.items():
        assert await is_open(there, loop, key)
    proxy.plan = on("/frozenx0001/", Fault(503, delay=30))
    await asyncio.sleep(3 * POLL)
    await regenerate(here, "news")
    await regenerate(here, "other")
    assert await closed_within(there, "news", keys["news"], seconds=14)
    assert await closed_within(there, "other", keys["other"], seconds=14)


@pytest.mark.slow
async def test_a_process_that_could_not_reach_storage_hears_of_it_as_soon_as_it_can(proxy, here, there):
    old = await made(here, "news")
    for loop, key in ((DEFAULT_LOOP, "first"), ("news", old)):
        assert await is_open(there, loop, key)
    proxy.plan = lambda call: Fault(503, delay=20)
    await asyncio.sleep(3 * POLL)
    await regenerate(here, "news")
    await regenerate(here, DEFAULT_LOOP)
    assert await is_open(there, "news", old), "what was known is believed until storage answers"
    proxy.plan = no_faults
    assert await closed_within(there, "news", old, seconds=14)
    assert await closed_within(there, DEFAULT_LOOP, "first", seconds=14)
