"""A policy of an evaluation put to use: its model goes on where the evaluation left off, and is published with it."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.errors import GateNotPassedError, LearningSettingsNotFoundError
from shared.domain.evaluation import Evaluation, Job, JobKind
from shared.domain.gates import Gate
from shared.domain.ledger import ModelKind
from shared.domain.loop import LearningPolicy, LoopRecord, LoopSettings
from shared.learning import artifact
from shared.services.analysis.applying import Applier
from shared.services.analysis.board import Message
from shared.services.analysis.evaluating import Evaluating
from shared.services.analysis.evaluations import Evaluations
from shared.services.analysis.running import Means, Runner
from shared.services.loops.configuring import with_policy
from shared.services.training.retraining import Retrainer
from shared.storage.cold_log import FileColdLog
from shared.storage.evaluation_store import evaluation_store
from shared.storage.model_store import FileModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.ports import Storage
from shared.storage.work_files import StoredWorkFiles
from tests.builders import T0, after
from tests.clocks import SetClock
from tests.keeping import content_of, pointer_of, provenance_of, replayed
from tests.kept_models import delete_chunk
from tests.prepared import Prepared
from tests.reliability.world import FIRST, LOOP, SECOND, trainer, write_log
from tests.services.analysis.desk import Fate, Queue
from tests.services.analysis.test_evaluations import Log

STORE = "default"
BLIND = LearningPolicy("blind", "--cb_explore_adf --ignore u")
SHARP = LearningPolicy("sharp", "--cb_explore_adf --squarecb")
LATER = after(150)


class Settings:
    """The loop's settings in memory, changed by the real rules."""

    def __init__(self) -> None:
        self.loop = LOOP

    async def read(self) -> LoopSettings:
        return self.loop

    async def set_policy(self, policy: LearningPolicy) -> LearningPolicy:
        stored = LoopRecord(LOOP.name).overriding({"policy": self.loop.policy, "resets": self.loop.resets})
        record = with_policy(stored, policy, defaults=LOOP, now=LATER)
        self.loop = record.settings(LOOP)
        return policy


class Served:
    def __init__(self) -> None:
        self.refreshed = 0

    def refresh(self) -> None:
        self.refreshed += 1


class Place:
    """A loop whose first windows were evaluated, and that has learned another since."""

    def __init__(self, account) -> None:
        self.account, clock = account, SetClock(LATER)
        self.store, self.joined = FileModelStore(account, loop=STORE), FileColdLog(account, loop=STORE)
        self.queue, self.settings, self.served = Queue(Fate()), Settings(), Served()
        self.logged = Log()
        kept = evaluation_store(account, loop=STORE)
        configuration = StoredConfiguration(account, defaults=LOOP)
        means = Means("default", self.joined, StoredWorkFiles(account, loop=STORE), self.queue, configuration, clock, asyncio.Semaphore())
        self.runner = Runner(means, {JobKind.EVALUATION: Evaluating(kept, lambda evaluation, name: self.applier.promote(evaluation, name))})
        self.kept, self.evaluations = kept, Evaluations(kept, self.logged, self.runner, clock=clock)
        retrainer = Retrainer(self.joined, self.store, clock=clock)
        self.applier = Applier(self.evaluations, self.runner, self.settings, self.store, retrainer, self.served)

    async def evaluated(self, since: datetime = T0) -> None:
        await write_log(self.account)
        await trainer(self.account, FIRST, store=STORE, max_events=20).run()
        job = Job("e1", "mine", since, after(60), FIRST)
        await self.kept.create(Evaluation(job, LearningPolicy(), (BLIND, SHARP)))
        await self.runner.start(JobKind.EVALUATION, job)
        while self.queue.waiting:
            await self.runner.handle(Message.read(self.queue.waiting.pop(0)))
        await trainer(self.account, SECOND, store=STORE).run()


async def evaluated(account: Storage) -> None:
    await Place(account).evaluated()


@pytest.fixture
def storage(storage: str, prepared: Prepared, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty store; for a test that asks for `place`, one whose first windows were evaluated."""
    with prepared.copy(evaluated) if "place" in request.fixturenames else nullcontext(storage) as found:
        yield found


@pytest.fixture
async def place(account) -> Place:
    return Place(account)


async def test_its_model_is_published_as_one_begun_anew_would_be_to_the_byte_and_replays(place, account):
    before = await pointer_of(account, STORE)
    await place.applier.apply("e1", "blind")
    pointer = await pointer_of(account, STORE)
    assert place.settings.loop.policy == BLIND
    assert pointer.resets == place.settings.loop.resets == 1, "the trainer has nothing to begin anew"
    assert place.served.refreshed == 1
    made_of = await provenance_of(account, STORE, pointer.version)
    assert (made_of.kind, made_of.first, made_of.replaced) == (ModelKind.RETRAINED, (await place.joined.chain())[0], before.version)
    assert await replayed(account, STORE, pointer.version) == [pointer.version]
    assert await trainer(account, LATER, store=STORE, loop=place.settings.loop).run() == []

    retrainer = Retrainer(place.joined, place.store, clock=SetClock(LATER))
    stored = await place.store.pointer()
    assert stored
    anew = await retrainer.run(stored[0], stored[1], replace(place.settings.loop, model_retrain_days=400))
    assert anew is not None
    assert await content_of(account, STORE, anew.pointer.version) == await content_of(account, STORE, pointer.version)


async def test_one_that_learns_from_the_same_features_has_the_model_that_is_there(place, account):
    before = await pointer_of(account, STORE)
    await place.applier.apply("e1", "sharp")
    assert place.settings.loop.policy == SHARP
    assert await pointer_of(account, STORE) == before


async def test_a_gate_that_compares_with_the_present_policy_stays_shut_once_the_loop_has_another_one(place):
    """The name of a policy makes no difference, and who compares with another one is not kept from it."""
    lenient = Gate(least_lift=-10.0)
    place.settings.loop = replace(place.settings.loop, policy=LearningPolicy("otherwise called", place.settings.loop.policy.arguments))
    for _ in range(2):
        await place.applier.apply("e1", "sharp", lenient)
        assert place.settings.loop.policy == SHARP, "and a request that is repeated does no harm"
    place.settings.loop = replace(place.settings.loop, policy=BLIND)
    with pytest.raises(GateNotPassedError, match="another one since this evaluation") as refused:
        await place.applier.apply("e1", "sharp", lenient)
    assert [text.split(":")[0] for code, text in refused.value.checks if code == "Broken"] == ["present policy"]
    await place.applier.apply("e1", "sharp", replace(lenient, compared_with="online"))


async def test_without_its_learner_the_trainer_begins_anew(place, account):
    for name in await StoredWorkFiles(account, loop=STORE).listed():
        if "lane-" in name:
            await StoredWorkFiles(account, loop=STORE).delete(name)
    await begins_anew(place, account)


async def test_under_other_reward_settings_the_trainer_begins_anew(place, account):
    place.settings.loop = replace(place.settings.loop, default_reward=0.5)
    settings = place.settings

    async def set_policy(policy: LearningPolicy) -> LearningPolicy:
        settings.loop = replace(settings.loop, policy=policy, resets=settings.loop.resets + 1)
        return policy

    settings.set_policy = set_policy
    await begins_anew(place, account)


async def test_where_a_chunk_behind_it_is_missing_its_model_is_not_published(place, account):
    await delete_chunk(account, (await place.joined.chain())[-1])
    before = await pointer_of(account, STORE)
    await place.applier.apply("e1", "blind")
    assert await pointer_of(account, STORE) == before
    assert place.settings.loop.resets == before.resets + 1, "the trainer begins one anew"


async def test_a_model_that_knows_less_than_one_begun_anew_would_is_not_published(account):
    """The evaluation left out the beginning of the log, which the present model knows."""
    place = Place(account)
    await place.evaluated(after(40))
    known = (await pointer_of(account, STORE)).learned
    await begins_anew(place, account)
    assert (await pointer_of(account, STORE)).learned == known


async def begins_anew(place: Place, account) -> None:
    before = await pointer_of(account, STORE)
    await place.applier.apply("e1", "blind")
    assert await pointer_of(account, STORE) == before
    assert place.settings.loop.resets == before.resets + 1
    commits = await trainer(account, LATER, store=STORE, loop=replace(place.settings.loop, model_retrain_days=400)).run()
    assert artifact.load_learner((await content_of(account, STORE, commits[0].pointer.version))[0]).interactions.ignored == frozenset("u")


async def test_a_commit_that_comes_first_is_gone_on_from(place, account, monkeypatch):
    commit = place.store.commit
    others = [True]

    async def late(pointer, *, expected):
        if others and others.pop():
            stored = await place.store.pointer()
            assert stored
            moved = replace(stored[0], sequence=stored[0].sequence + 1, watermark=stored[0].watermark + timedelta(seconds=1))
            await commit(moved, expected=stored[1])
        return await commit(pointer, expected=expected)

    monkeypatch.setattr(place.store, "commit", late)
    await place.applier.apply("e1", "blind")
    assert (await provenance_of(account, STORE, (await pointer_of(account, STORE)).version)).kind is ModelKind.RETRAINED


async def test_what_cannot_be_applied_changes_nothing(place, account):
    before = await pointer_of(account, STORE)
    for name in ("baseline1", "unknown"):
        with pytest.raises(LearningSettingsNotFoundError):
            await place.applier.apply("e1", name)
    assert (place.settings.loop, await pointer_of(account, STORE)) == (LOOP, before)
