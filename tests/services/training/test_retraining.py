"""A model begun anew when its settings have changed: what it would have become under them, while the old one serves on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import ResourceNotFoundError, SettingsError, UnreadableError
from shared.domain.ledger import ModelKind, Pointer
from shared.domain.loop import LearningPolicy, LoopSettings, RewardAggregation
from shared.learning import artifact
from shared.services.models.publishing import reward_settings, settings_text
from shared.services.models.replay import Replay, find_route
from shared.services.training.retraining import Retrainer
from shared.services.training.trainer import Trainer
from shared.storage import names
from shared.storage.cold_log import FileColdLog
from shared.storage.files import Files
from shared.storage.model_store import FileModelStore
from shared.storage.polling import FileModelFeed
from shared.storage.ports import Storage
from tests.builders import after
from tests.clocks import SetClock
from tests.keeping import content_of, keeper, pointer_of, provenance_of, replayed
from tests.prepared import Prepared
from tests.reliability.world import FIRST, LOOP, RESET, SECOND, trainer, write_log
from tests.stores import opened, overwrite

STORE = "anew"
LATER = after(150)
DAYS = timedelta(days=1)
LONG_AFTER = after(100 * DAYS.total_seconds())
"""Beyond the days of any default, though not by far: a trainer looks into each hour that has passed."""
OTHER_REWARDS = replace(RESET, default_reward=0.3, reward_aggregation=RewardAggregation.MAX)


@pytest.fixture
def storage(prepared: Prepared, request: pytest.FixtureRequest) -> Iterator[str]:
    """A store with the log; in several windows all of it is learned for a test that asks for `learned`."""
    with prepared.copy(all_learned if "learned" in request.fixturenames else write_log) as place:
        yield place


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


@pytest.fixture
async def learned(account) -> Pointer:
    """The log, learned in several windows."""
    return await pointer_of(account, STORE)


async def all_learned(account: Storage) -> None:
    await write_log(account)
    await learn(account, STORE)


async def learn(account, store: str, *, loop: LoopSettings = LOOP) -> Pointer:
    for at in (FIRST, SECOND):
        await trainer(account, at, store=store, max_events=40, loop=loop).run()
    return await pointer_of(account, store)


async def reset(account, *, loop: LoopSettings = RESET, at=LATER) -> Pointer:
    await trainer(account, at, store=STORE, loop=loop).run()
    return await pointer_of(account, STORE)


async def test_a_model_begun_anew_under_the_same_settings_is_the_same_to_the_byte(account, learned):
    anew = await reset(account)
    assert anew.version != learned.version
    assert await content_of(account, STORE, anew.version) == await content_of(account, STORE, learned.version)


async def test_under_other_reward_settings_it_is_what_they_would_have_made_it_from_the_start(account, learned):
    anew = await reset(account, loop=OTHER_REWARDS)
    always = await learn(account, "always", loop=replace(OTHER_REWARDS, resets=0))
    assert await content_of(account, STORE, anew.version) == await content_of(account, "always", always.version)
    assert await content_of(account, STORE, anew.version) != await content_of(account, STORE, learned.version)


async def test_other_interactions_take_effect_when_the_model_is_begun_anew_and_it_can_be_replayed(account, learned):
    """What was encoded for the old ones is encoded anew from the log."""
    policy = LearningPolicy("mine", "--cb_explore_adf --ignore i")
    kept = await reset(account, loop=replace(LOOP, policy=policy))
    assert kept == learned, "the policy alone changes no model"
    anew = await reset(account, loop=replace(RESET, policy=policy))
    model = artifact.load_model((await content_of(account, STORE, anew.version))[1])
    assert model.interactions.ignored == frozenset("i")
    always = await learn(account, "always", loop=replace(LOOP, policy=policy))
    assert await content_of(account, STORE, anew.version) == await content_of(account, "always", always.version)
    assert anew.version in await replayed(account, STORE)


async def test_watermark_and_counters_stay_and_the_pointer_tells_which_resets_it_has_followed(account, learned):
    anew = await reset(account)
    told = ("watermark", "chunk", "counters", "lookback", "apprentice", "log")
    assert [getattr(anew, name) for name in told] == [getattr(learned, name) for name in told]
    assert (anew.sequence, anew.resets, anew.learned) == (learned.sequence + 1, 1, learned.learned)
    made_of = await provenance_of(account, STORE, anew.version)
    assert (made_of.kind, made_of.parent, made_of.replaced, made_of.until) == (ModelKind.RETRAINED, "", learned.version, learned.watermark)
    assert await reset(account) == anew


async def test_several_resets_at_once_are_one_and_settings_that_were_taken_back_are_one_too(account, learned):
    anew = await reset(account, loop=replace(LOOP, resets=7))
    assert (anew.sequence, anew.resets) == (learned.sequence + 1, 7)
    again = await reset(account, loop=LOOP)
    assert (again.sequence, again.resets) == (learned.sequence + 2, 0)
    assert await reset(account, loop=LOOP) == again


async def test_the_trainer_goes_on_from_the_new_model(account):
    await trainer(account, FIRST, store=STORE).run()
    commits = await trainer(account, SECOND, store=STORE, loop=RESET).run()
    assert [commit.pointer.resets for commit in commits] == [1, 1]
    done = await pointer_of(account, STORE)
    assert done.counters == (await pointer_of(account, "expected")).counters
    assert await content_of(account, STORE, done.version) == await content_of(
        account, "expected", (await pointer_of(account, "expected")).version
    )


async def test_where_the_owner_has_set_days_only_these_are_learned_whole_windows_at_a_time(account):
    await trainer(account, FIRST, store=STORE).run()
    first = await pointer_of(account, STORE)
    late = after(3 * DAYS.total_seconds())
    await trainer(account, late, store=STORE).run()
    whole = await pointer_of(account, STORE)
    mine = replace(RESET, retrains_last_days=True)
    anew = await reset(account, loop=replace(mine, model_retrain_days=2), at=late)
    assert anew.learned == whole.learned - first.learned > 0
    made_of = await provenance_of(account, STORE, anew.version)
    assert (made_of.first, made_of.since) == (whole.chunk, first.watermark)
    for resets, days in enumerate((3, 800_000, 2**31 - 1), start=2):
        all_of_it = await reset(account, loop=replace(mine, resets=resets, model_retrain_days=days), at=late)
        assert all_of_it.learned == whole.learned


async def test_where_nobody_has_set_days_as_much_is_learned_as_the_model_knew_however_old_it_is(account, learned):
    for resets, days in enumerate((2, 0), start=1):
        loop = replace(RESET, resets=resets, model_retrain_days=days, default_reward=resets / 10, log_retention_days=-1)
        anew = await reset(account, loop=loop, at=LONG_AFTER)
        assert anew.learned == learned.learned


async def test_what_its_owner_has_taken_away_is_not_learned_again_but_for_the_last_days(account):
    await trainer(account, FIRST, store=STORE).run()
    before = await pointer_of(account, STORE)
    await keeper(account, FIRST, store=STORE).delete()
    await trainer(account, SECOND, store=STORE).run()
    since = await pointer_of(account, STORE)
    late = replace(RESET, default_reward=0.3, log_retention_days=-1)
    anew = await reset(account, loop=late, at=LONG_AFTER)
    assert anew.learned == since.learned < since.counters.learned
    young = await reset(account, loop=replace(late, resets=2))
    assert young.learned == since.counters.learned == since.learned + before.learned


async def test_chunks_of_earlier_releases_which_do_not_say_how_much_they_teach_are_learned_as_far_as_they_are_kept(account, learned):
    logs, chain = Files(account, names.LOGS), await FileColdLog(account, loop=STORE).chain()
    for name, parent in zip(chain, ["", *chain], strict=False):
        path = names.chunks_prefix(STORE) + name
        file = await logs.read(path)
        assert file is not None
        await logs.delete(path)
        await logs.write_once(path, file.data, metadata={"format": "1", "parent": parent})
    kept = replace(OTHER_REWARDS, log_retention_days=-1)
    anew = await reset(account, loop=kept, at=LONG_AFTER)
    assert anew.learned == learned.learned


@pytest.mark.parametrize(("days_later", "is_kept"), [(8, True), (10, False)])
async def test_what_retention_is_about_to_delete_is_not_learned_again_whichever_comes_first(account, learned, days_later, is_kept):
    anew = await reset(account, loop=replace(OTHER_REWARDS, log_retention_days=9), at=after(days_later * DAYS.total_seconds()))
    assert anew.learned == (learned.learned if is_kept else 0)


@pytest.mark.parametrize("days", [0, 2], ids=["from nothing", "from a log that is gone"])
async def test_without_anything_to_learn_from_there_is_no_model_until_something_is_learned(account, days):
    await trainer(account, FIRST, store=STORE).run()
    before = await pointer_of(account, STORE)
    if days:
        await account.files(names.LOGS).delete(names.chunks_prefix(STORE) + before.chunk)
    commits = await trainer(account, SECOND, store=STORE, loop=replace(RESET, model_retrain_days=days, retrains_last_days=True)).run()
    gone, done = [commit.pointer for commit in commits]
    assert (gone.version, gone.previous, gone.resets, gone.counters) == ("", before.version, 1, before.counters)
    assert done.learned == done.counters.learned - before.counters.learned > 0


async def test_a_loop_that_never_committed_has_nothing_to_begin_anew(account):
    commits = await trainer(account, FIRST, store=STORE, loop=RESET).run()
    assert [(commit.pointer.sequence, commit.pointer.resets) for commit in commits] == [(1, 1)]
    assert commits[0].pointer.version


class Watched(FileColdLog):
    """Calls back before each chunk is read."""

    def __init__(self, account, *, loop, before) -> None:
        super().__init__(account, loop=loop)
        self._before = before

    async def chunk(self, name: str) -> bytes:
        await self._before()
        return await super().chunk(name)


def watched(account, before, *, loop: LoopSettings = RESET) -> Trainer:
    """A trainer that is called back from while it begins anew."""
    made = trainer(account, LATER, store=STORE, loop=loop)
    made._retrainer = Retrainer(Watched(account, loop=STORE, before=before), FileModelStore(account, loop=STORE), clock=SetClock(LATER))
    return made


async def test_the_old_model_is_published_and_served_until_the_new_one_is(account, learned):
    seen = []

    async def look() -> None:
        feed = FileModelFeed(account, loop=STORE)
        published = await asyncio.to_thread(feed.news)
        assert published is not None
        seen.append((published.version, await asyncio.to_thread(feed.artifact, published.version)))

    await watched(account, look).run()
    assert len(seen) > 2
    assert set(seen) == {(learned.version, (await content_of(account, STORE, learned.version))[1])}
    assert (await pointer_of(account, STORE)).version != learned.version


async def test_a_commit_that_comes_first_stands_and_the_model_is_begun_anew_after_it(account, learned):
    by_hand = keeper(account, LATER, store=STORE)
    oldest = (await by_hand.versions())[-1].version
    overtaken = watched(account, lambda: by_hand.restore(oldest))
    assert await overtaken.run() == []
    restored = await pointer_of(account, STORE)
    assert (restored.resets, (await provenance_of(account, STORE, restored.version)).kind) == (0, ModelKind.RESTORED)
    anew = await reset(account)
    assert (anew.resets, anew.learned) == (1, learned.learned)


async def test_a_trainer_that_fails_half_way_begins_again(account, learned):
    calls = []

    async def fail() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise SettingsError("stopped")

    stopped = watched(account, fail)
    with pytest.raises(SettingsError):
        await stopped.run()
    assert await pointer_of(account, STORE) == learned
    await stopped.run()
    anew = await pointer_of(account, STORE)
    assert await content_of(account, STORE, anew.version) == await content_of(account, STORE, learned.version)


async def test_two_trainers_at_once_begin_anew_once(account, learned):
    await asyncio.gather(*(trainer(account, LATER, store=STORE, loop=RESET).run() for _ in range(3)))
    anew = await reset(account)
    assert anew.sequence == learned.sequence + 1


async def test_a_damaged_chunk_is_left_out_and_said_to_be(account, learned, caplog):
    chain = await FileColdLog(account, loop=STORE).chain()
    await overwrite(account, names.LOGS, names.chunks_prefix(STORE) + chain[1], b"nonsense")
    anew = await reset(account)
    assert 0 < anew.learned < learned.learned
    assert [record.chunk for record in caplog.records if "left out" in record.message] == [chain[1]]
    with pytest.raises(UnreadableError, match=chain[1]):
        await replayed(account, STORE)


# --- replay ---


async def test_a_model_begun_anew_is_rebuilt_under_the_settings_it_tells_of_and_so_is_what_follows(account):
    await trainer(account, FIRST, store=STORE, max_events=40).run()
    await trainer(account, FIRST, store=STORE, loop=OTHER_REWARDS).run()
    anew = (await pointer_of(account, STORE)).version
    assert await replayed(account, STORE) == [anew]
    await trainer(account, SECOND, store=STORE, loop=OTHER_REWARDS).run()
    done = (await pointer_of(account, STORE)).version
    assert await replayed(account, STORE) == [anew, done]
    route = await Replay(FileColdLog(account, loop=STORE), FileModelStore(account, loop=STORE)).plan()
    assert (route.start, route.reason) == ("", "")
    before = [each.version for each in await keeper(account, LATER, store=STORE).versions()][2:]
    assert await replayed(account, STORE, before[0]) == before[::-1]


async def test_a_copy_of_one_begun_anew_is_rebuilt_too(account, learned):
    by_hand = keeper(account, LATER, store=STORE, loop=OTHER_REWARDS)
    anew = await reset(account, loop=OTHER_REWARDS)
    await by_hand.restore(learned.version)
    copied = await by_hand.restore(anew.version)
    assert await replayed(account, STORE) == [copied.version]


async def test_where_the_model_it_goes_on_from_is_no_longer_kept_its_chunks_are_learned_again(account):
    await trainer(account, FIRST, store=STORE).run()
    await trainer(account, FIRST, store=STORE, loop=RESET).run()
    anew = (await pointer_of(account, STORE)).version
    await trainer(account, SECOND, store=STORE, loop=RESET, max_events=30).run()
    await FileModelStore(account, loop=STORE).delete(anew)
    versions = [each.version for each in await keeper(account, LATER, store=STORE).versions()]
    assert len(versions) > 1
    assert await replayed(account, STORE) == versions[::-1]
    for version in versions[:-1]:
        await FileModelStore(account, loop=STORE).delete(version)
    assert await replayed(account, STORE, versions[-1]) == [versions[-1]]


async def test_what_an_earlier_release_learned_from_a_model_that_is_no_longer_kept_is_rebuilt_from_the_oldest_that_is(account):
    await trainer(account, FIRST, store=STORE).run()
    await trainer(account, FIRST, store=STORE, loop=RESET).run()
    anew = (await pointer_of(account, STORE)).version
    await trainer(account, SECOND, store=STORE, loop=RESET, max_events=30).run()
    models = await FileColdLog(account, loop=STORE).models()
    earlier = {name: replace(each, origin=replace(each.origin, path=())) for name, each in models.items() if name != anew}
    chunks = await FileColdLog(account, loop=STORE).chunks()
    versions = sorted(name for name, each in earlier.items() if each.origin.version == anew)
    route = find_route(versions[-1], "", earlier, chunks)
    assert (route.start, anew in route.reason) == (versions[0], True)
    with pytest.raises(ResourceNotFoundError, match=f"{anew} was made of is no longer kept"):
        find_route(versions[0], "", earlier, chunks)


# --- what a model tells of its settings ---


def test_what_a_model_tells_of_its_settings_holds_no_secret_and_is_ascii():
    policy = LearningPolicy("é" * 256, "--cb_explore_adf " + "-q \U0001f600\U0001f600 " * 167)
    text = settings_text(replace(OTHER_REWARDS, log_mirror_sas_uri="https://host/container?sig=secret", policy=policy))
    assert text.isascii()
    assert "secret" not in text
    assert len(text) < 7_000


def test_reward_settings_are_read_back_as_they_were():
    read = reward_settings(settings_text(OTHER_REWARDS))
    assert (read.reward_wait, read.default_reward, read.reward_aggregation) == (LOOP.reward_wait, 0.3, RewardAggregation.MAX)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reward_wait": 1e99, "default_reward": 0, "reward_aggregation": "sum"}', "{}x"])
def test_settings_that_cannot_be_read_are_said_to_be(text):
    with pytest.raises(UnreadableError):
        reward_settings(text)
