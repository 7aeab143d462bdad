"""Loops are made once, changed without harm when asked again, deleted for good, and given new keys."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import InvalidRequestError, RequestError, ResourceNotFoundError
from shared.domain.events import LearningMode
from shared.domain.keys import is_one_of, key_digest
from shared.domain.loop import MOST_LIVES, LoopRecord, LoopSettings, Remains, Tier
from shared.services.loops.loops import MOST_LOOPS, MOST_NAMES, Loops
from tests.builders import T0, after
from tests.clocks import SetClock
from tests.services.loops.loop_memory import MemoryLoops

DEFAULTS = LoopSettings(exploration_percentage=0.3)


@pytest.fixture
def store():
    return MemoryLoops()


@pytest.fixture
def clock():
    return SetClock(T0)


@pytest.fixture
def loops(store, clock):
    return Loops(store, defaults=DEFAULTS, clock=clock, check_mirror=lambda uri: None)


async def test_a_new_loop_has_two_random_keys_that_are_told_once_and_stored_as_digests(loops, store):
    kept = await loops.put("news", None, {})
    assert len(set(kept.keys)) == 2
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in kept.keys)
    assert store["news"].keys == tuple(map(key_digest, kept.keys))
    assert (await loops.put("news", None, {})).keys == ()
    assert not any(key in repr(kept) for key in kept.keys)


@pytest.mark.parametrize(
    ("tier", "mode"),
    [(None, LearningMode.ONLINE), (Tier.S0, LearningMode.ONLINE), (Tier.F0, LearningMode.ONLINE), (Tier.E0, LearningMode.APPRENTICE)],
)
@pytest.mark.parametrize("of_the_app", LearningMode)
async def test_a_new_loop_starts_with_its_tiers_preset_over_the_apps_settings(store, clock, tier, mode, of_the_app):
    defaults = replace(DEFAULTS, learning_mode=of_the_app)
    record = (await Loops(store, defaults=defaults, clock=clock, check_mirror=lambda uri: None).put("news", tier, {})).record
    settings = record.settings(defaults)
    assert (record.tier, settings.learning_mode) == (tier or Tier.S0, mode)
    assert (settings.exploration_percentage, settings.name, settings.resets) == (0.3, "news", 0)


async def test_a_new_loop_may_bring_a_configuration_of_any_kind_and_resets_nothing(loops):
    changes = {"learning_mode": LearningMode.LOGGING_ONLY, "default_reward": 0.5, "reward_wait": timedelta(hours=1)}
    settings = (await loops.put("news", Tier.E0, changes)).record.settings(DEFAULTS)
    assert (settings.learning_mode, settings.default_reward, settings.resets) == (LearningMode.LOGGING_ONLY, 0.5, 0)


async def test_a_new_loop_owns_what_it_was_told_also_what_the_app_says_already(loops):
    told = {"exploration_percentage": DEFAULTS.exploration_percentage, "model_retrain_days": DEFAULTS.model_retrain_days}
    settings = (await loops.put("news", None, told)).record.settings(replace(DEFAULTS, exploration_percentage=0.9))
    assert (settings.exploration_percentage, settings.retrains_last_days) == (DEFAULTS.exploration_percentage, True)


async def test_a_loop_that_is_there_is_not_told_to_own_what_is_sent_back_as_it_is(loops):
    await loops.put("news", None, {})
    settings = (await loops.put("news", None, {"model_retrain_days": DEFAULTS.model_retrain_days})).record.settings(DEFAULTS)
    assert not settings.retrains_last_days


async def test_the_same_put_again_writes_nothing(loops, store):
    await loops.put("news", Tier.E0, {"default_reward": 0.5})
    for _ in range(3):
        await loops.put("news", Tier.E0, {"default_reward": 0.5})
    assert store.writes == 1


async def test_a_changed_tier_brings_its_preset_and_keeps_keys_and_settings(loops, store):
    await loops.put("news", Tier.E0, {"default_reward": 0.5})
    keys = store["news"].keys
    record = (await loops.put("news", Tier.S0, {})).record
    settings = record.settings(DEFAULTS)
    assert (record.tier, record.keys, settings.learning_mode, settings.default_reward) == (Tier.S0, keys, LearningMode.ONLINE, 0.5)
    assert settings.resets == 0  # another mode changes no reward: the model stays


async def test_a_put_without_a_tier_leaves_it(loops):
    await loops.put("news", Tier.F0, {})
    assert (await loops.put("news", None, {"default_reward": 0.5})).record.tier is Tier.F0


async def test_a_configuration_that_breaks_a_rule_makes_no_loop(loops, store):
    with pytest.raises(RequestError, match="logRetentionDays"):
        await loops.put("news", None, {"log_retention_days": 1})
    assert store.writes == 0


@pytest.mark.parametrize("name", ["", "News", "1news", "a b", "news-x", "a/b", "..", "é", "x" * 32, "newsx0001", "x" * 28 + "\n"])
async def test_a_name_that_cannot_be_part_of_a_tables_name_makes_no_loop(loops, store, name):
    with pytest.raises(InvalidRequestError, match="name"):
        await loops.put(name, None, {})
    for ask in (loops.read(name), loops.delete(name), loops.regenerate(name, 1, own_keys=())):
        with pytest.raises(ResourceNotFoundError):
            await ask
    assert store.writes == 0


async def test_a_loop_that_is_deleted_is_gone_and_leaves_what_has_to_be_erased(loops, store, clock):
    await loops.put("news", None, {"default_reward": 0.5})
    clock.at = after(60)
    record = await loops.delete("news")
    assert (record.is_there, record.deleted_at, record.overrides) == (False, after(60), {})
    assert record.remains == (Remains("newsx0001", after(60)),)
    assert [each.name for each in await loops.listed()] == ["default"]
    for ask in (loops.read("news"), loops.delete("news"), loops.regenerate("news", 1, own_keys=())):
        with pytest.raises(ResourceNotFoundError):
            await ask


async def test_a_loop_made_again_lives_elsewhere_with_new_keys_and_nothing_of_the_old_one(loops, clock):
    old = await loops.put("news", Tier.E0, {"default_reward": 0.5})
    await loops.delete("news")
    clock.at = after(60)
    new = await loops.put("news", None, {})
    assert (old.record.place, new.record.place) == ("newsx0001", "newsx0002")
    assert not set(old.keys) & set(new.keys)
    assert len(new.keys) == 2
    assert (new.record.tier, new.record.created_at, new.record.settings(DEFAULTS).default_reward) == (Tier.S0, after(60), 0.0)
    assert new.record.remains == (Remains("newsx0001", T0),)


async def test_what_was_erased_is_noted_whatever_life_the_loop_has_come_to(loops, store):
    await loops.put("news", None, {})
    first = (await loops.delete("news")).remains[0]
    await loops.put("news", None, {})
    second = (await loops.delete("news")).remains[1]
    await loops.erased("news", first)
    assert store["news"].remains == (second,)
    await loops.erased("news", first)
    assert store["news"].remains == (second,)


async def test_the_default_loop_is_always_there_cannot_be_deleted_and_can_be_configured(loops, store):
    assert [record.name for record in await loops.listed()] == ["default"]
    with pytest.raises(InvalidRequestError, match="default"):
        await loops.delete("default")
    kept = await loops.put("default", Tier.F0, {"default_reward": 0.5})
    assert (kept.keys, kept.record.tier, kept.record.place) == ((), Tier.F0, "default")


@pytest.mark.parametrize("number", [1, 2])
async def test_a_new_key_takes_the_place_of_one_and_leaves_the_other(loops, store, number):
    keys = (await loops.put("news", None, {})).keys
    record, key = await loops.regenerate("news", number, own_keys=())
    replaced, left = keys[number - 1], keys[2 - number]
    assert is_one_of(key, record.keys)
    assert is_one_of(left, record.keys)
    assert not is_one_of(replaced, record.keys)
    assert record.keys[number - 1] == key_digest(key)


@pytest.mark.parametrize(("own", "left"), [(("a", "b"), "b"), (("a",), None), ((), None)])
async def test_the_default_loop_keeps_the_other_of_the_apps_own_keys(loops, own, left):
    record, key = await loops.regenerate("default", 1, own_keys=tuple(map(key_digest, own)))
    assert record.keys == (key_digest(key), "" if left is None else key_digest(left))
    assert not is_one_of("", record.keys)
    record, second = await loops.regenerate("default", 2, own_keys=tuple(map(key_digest, own)))
    assert record.keys == (key_digest(key), key_digest(second))


async def test_there_are_at_most_so_many_loops_and_names(loops, store):
    for number in range(MOST_LOOPS - 1):
        store.records[f"loop{number}"] = (LoopRecord(f"loop{number}", life=1, created_at=T0), 1)
    with pytest.raises(InvalidRequestError, match=f"{MOST_LOOPS} loops"):
        await loops.put("onemore", None, {})
    await loops.put("loop7", Tier.F0, {})
    await loops.delete("loop7")
    await loops.put("onemore", None, {})
    with pytest.raises(InvalidRequestError, match=f"{MOST_LOOPS} loops"):
        await loops.put("loop7", None, {})


async def test_the_names_of_deleted_loops_are_bounded_too(loops, store):
    for number in range(MOST_NAMES):
        store.records[f"gone{number}"] = (LoopRecord(f"gone{number}", life=1, created_at=T0, deleted_at=T0), 1)
    with pytest.raises(InvalidRequestError, match="deleted one again"):
        await loops.put("onemore", None, {})
    assert (await loops.put("gone5", None, {})).record.life == 2


async def test_a_name_can_be_used_again_only_so_often(loops, store):
    store.records["news"] = (LoopRecord("news", life=MOST_LIVES, created_at=T0, deleted_at=T0), 1)
    with pytest.raises(InvalidRequestError, match="another name"):
        await loops.put("news", None, {})


async def test_two_who_make_the_same_loop_at_once_do_not_both_get_keys(loops, store, clock):
    other = LoopRecord("news", keys=("k1", "k2"), life=1, created_at=T0, overrides=dict(Tier.S0.preset))
    store.before_write = [lambda: store.records.update(news=(other, 99))]
    assert (await loops.put("news", None, {})).keys == ()
    assert store["news"].keys == ("k1", "k2")
