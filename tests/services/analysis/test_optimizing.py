"""Automatic optimisation: asked for when it is due, applied only if it is surely better, and it makes the loop earn more."""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from shared.domain.evaluation import Asked, Evaluation, EvaluationKind, JobStatus, PolicySource
from shared.domain.ledger import Link
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.ports import ModelStore
from shared.evaluation.intervals import UNIT
from shared.joining.chunks import ChunkName
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoder
from shared.learning.policy import Policy
from shared.services.analysis import optimizing
from shared.services.analysis.board import Message
from shared.services.analysis.evaluations import Evaluations
from shared.services.analysis.gating import verdict
from shared.services.analysis.lane import Contender
from shared.services.analysis.optimizing import ENOUGH, HISTORY, SPAN, Optimizer, due_at
from shared.services.analysis.results import Found, parts
from shared.services.log.logs import DateRange
from shared.services.training.retraining import Chunks
from tests.builders import T0, after
from tests.clocks import SetClock
from tests.keeping import pointer_of
from tests.reliability.world import LOOP
from tests.services.analysis.desk import Desk
from tests.services.analysis.logs import ACTIONS, EXPECTED, drawn, event, situation
from tests.services.analysis.seeding import seed
from tests.services.analysis.test_applying import STORE, Place
from tests.services.analysis.test_evaluations import Log, Store, Work
from tests.services.analysis.test_searching import BLIND
from tests.services.importing.reading_files import MemoryFile
from tests.services.importing.test_importer import importer, log_of

AUTO = replace(LOOP, is_auto_optimization_enabled=True, auto_optimization_start=T0, policy=BLIND)
WEEKS = timedelta(days=28)


def drawn_well(count: int, *, seed: int = 1, every: float = 40.0):
    """Draw as a policy does that knows what each visitor likes."""
    chance, made = Random(seed), []
    for number in range(count):
        visitor = Random(f"{seed}-{number}").choice(list(EXPECTED))
        best = max(range(3), key=EXPECTED[visitor].__getitem__)
        probabilities = tuple([0.96 if index == best else 0.02 for index in range(3)])
        one = event(number, chance, at=after(every * number), probabilities=probabilities, visitor=visitor)
        made.append(one)
    return made


# --- when --------------------------------------------------------------------------------------------------------------


def test_it_is_due_at_the_start_and_a_period_after_each_time():
    assert due_at(AUTO, after(-1)) is None
    assert due_at(AUTO, T0) == T0
    assert due_at(AUTO, T0 + WEEKS - timedelta(seconds=1)) == T0
    assert due_at(AUTO, T0 + 3 * WEEKS) == T0 + 3 * WEEKS
    assert due_at(replace(AUTO, is_auto_optimization_enabled=False), T0 + WEEKS) is None
    without_start = replace(AUTO, auto_optimization_start=None, edited_at=T0)
    assert (due_at(without_start, T0), due_at(without_start, T0 + WEEKS)) == (None, T0 + WEEKS)


class Office:
    def __init__(self) -> None:
        self.clock, self.store, self.log, self.loop = SetClock(T0), Store(), Log(), AUTO
        self.log.range = DateRange(T0 - SPAN, T0)
        self.links: dict[str, Link] = {}
        self.newest = ""
        self.evaluations = Evaluations(self.store, self.log, Work(), clock=self.clock)
        self.optimizer = Optimizer(self.evaluations, self, cast(Chunks, self), cast(ModelStore, self), clock=self.clock)

    def holds(self, learned: int | None, *, since: datetime, hours: float = 1.0) -> None:
        """Have the joined log end with a chunk of so many events that teach something."""
        name = str(ChunkName(1, since, since + timedelta(hours=hours), "a" * 12))
        self.links[name] = Link(self.newest, learned, learned)
        self.newest = name

    async def beside(self, name: str) -> dict[str, Link]:
        return self.links

    async def read(self) -> LoopSettings:
        return self.loop

    async def pointer(self):
        return SimpleNamespace(watermark=self.log.range.until if self.log.range else T0, chunk=self.newest), ""


@pytest.fixture
def office() -> Office:
    return Office()


async def test_what_is_due_is_asked_for_once(office):
    assert await office.optimizer.run()
    assert not await office.optimizer.run()
    [listed] = await office.evaluations.listed()
    asked = await office.evaluations.read(listed.job.id)
    assert (asked.kind, asked.seeks_better, asked.online, asked.policies) == (EvaluationKind.AUTO, True, BLIND, ())
    assert (asked.job.since, asked.job.until) == (T0 - SPAN, T0)
    office.clock.at = T0 + WEEKS
    office.log.range = DateRange(T0 - SPAN, T0 + WEEKS)
    assert await office.optimizer.run()
    assert (await office.evaluations.listed())[0].job.since == T0


async def test_one_run_by_a_clock_that_is_far_ahead_does_not_stop_it(office):
    office.clock.at = T0 + 100 * WEEKS
    office.log.range = DateRange(T0 - SPAN, T0 + 100 * WEEKS)
    assert await office.optimizer.run()
    office.clock.at = T0 + WEEKS
    office.log.range = DateRange(T0 - SPAN, T0 + WEEKS)
    assert await office.optimizer.run()
    assert not await office.optimizer.run()


async def test_nothing_is_asked_for_without_two_weeks_of_log_or_enough_events(office):
    office.log.range = None
    assert not await office.optimizer.run()
    office.log.range = DateRange(T0 - SPAN + timedelta(hours=1), T0)
    assert not await office.optimizer.run()
    office.holds(ENOUGH - 1, since=after(-7_200))
    assert not await office.optimizer.run()
    office.holds(1, since=after(-3_600))
    assert await office.optimizer.run()


async def test_events_that_were_deleted_with_their_log_count_no_more(office):
    """What the loop has learned in all its life is not what its log has."""
    office.log.range = DateRange(T0 - timedelta(hours=2), T0)
    office.holds(ENOUGH, since=after(-7_200))
    office.links.clear()
    assert not await office.optimizer.run()


async def test_a_chunk_that_does_not_say_how_much_it_teaches_counts_as_none(office):
    office.log.range = DateRange(T0 - timedelta(hours=2), T0)
    office.holds(None, since=after(-7_200))
    office.holds(ENOUGH - 1, since=after(-3_600))
    assert not await office.optimizer.run()


@pytest.mark.parametrize(("days", "learned", "reaches"), [(400, ENOUGH, 400), (400, ENOUGH - 1, 500), (10, ENOUGH, 28)])
async def test_it_looks_back_as_far_as_enough_events_are_be_they_older_than_the_period(office, days, learned, reaches):
    """A log that was imported may be a year old: a search among the events since would have nothing to go by."""
    office.log.range = DateRange(T0 - timedelta(days=500), T0)
    office.holds(50, since=T0 - timedelta(days=500))
    office.holds(learned, since=T0 - timedelta(days=days))
    assert await office.optimizer.run()
    [listed] = await office.evaluations.listed()
    assert T0 - listed.job.since == timedelta(days=reaches)


async def test_an_imported_log_is_searched_though_it_is_older_than_any_period(account, monkeypatch):
    monkeypatch.setattr(optimizing, "ENOUGH", 300)
    await importer(account).run([MemoryFile("a", log_of(300))])
    place = Place(account)
    place.settings.loop = AUTO
    first = T0.replace(2023, 5, 17, 8, 0)
    place.logged.range = DateRange(first, T0)
    assert await Optimizer(place.evaluations, place.settings, place.joined, place.store, clock=SetClock(T0)).run()
    [listed] = await place.evaluations.listed()
    assert listed.job.since == first


async def test_the_last_ones_are_kept_and_what_people_asked_for_is_not_touched(office):
    await office.evaluations.submit(Asked("mine", T0, after(60)), online=BLIND, request_id="", job_id="mine")
    for number in range(HISTORY + 3):
        office.clock.at = T0 + number * WEEKS
        assert await office.optimizer.run()
    assert len(await office.evaluations.of_kind(EvaluationKind.AUTO)) == HISTORY
    assert [each.job.id for each in await office.evaluations.of_kind(EvaluationKind.MANUAL)] == ["mine"]


# --- the gate ----------------------------------------------------------------------------------------------------------


async def ended(events, **others) -> tuple[Desk, Evaluation]:
    desk = Desk([events[first : first + 200] for first in range(0, len(events), 200)])
    desk.may_be_promoted = others.pop("may_be_promoted", True)
    await desk.asked(seeks_better=True, kind=EvaluationKind.AUTO, **others)
    return desk, await desk.run()


async def test_a_better_policy_is_put_to_use():
    desk, record = await ended(drawn(1_600, every=40.0), online=BLIND)
    assert (record.job.status, desk.promoted) == (JobStatus.OPTIMAL_POLICY_APPLIED, ["Inter-len1"])
    assert record.job.description.startswith("“found: learns from all features and crosses” would have earned")
    assert "; the present policy 0." in record.job.description
    assert "; what was shown 0." in record.job.description


async def test_where_none_is_surely_better_the_online_policy_is_retained():
    desk, record = await ended(drawn_well(1_200))
    assert (record.job.status, desk.promoted) == (JobStatus.ONLINE_POLICY_RETAINED, [])
    assert "not enough to take the present policy's place" in record.job.description


async def test_what_people_changed_meanwhile_stays():
    desk, record = await ended(drawn(1_000, every=40.0), online=BLIND, may_be_promoted=False)
    assert (record.job.status, len(desk.promoted)) == (JobStatus.ONLINE_POLICY_RETAINED, 1)
    assert "changed meanwhile" in record.job.description


async def test_an_evaluation_that_somebody_asked_for_puts_nothing_to_use():
    desk = Desk([drawn(100, seed=number, every=10.0, first=after(1_000 * number)) for number in range(6)])
    await desk.asked(online=BLIND, seeks_better=True)
    assert ((await desk.run()).job.status, desk.promoted) == (JobStatus.SUCCEEDED, [])


def test_without_candidates_there_is_nothing_to_take_the_place():
    assert verdict([]).name == ""
    assert verdict(parts([Found((Contender("online", PolicySource.ONLINE),), {}, UNIT)])).name == ""


# --- a loop ------------------------------------------------------------------------------------------------------------


def played(policy: Policy, *, rounds: int, seed: int) -> float:
    """Let a policy choose for new visitors, and give what it earns on average."""
    chance, encoder, earned = Random(seed), Encoder(policy.model.interactions), 0.0
    for _ in range(rounds):
        visitor = chance.choice(list(EXPECTED))
        probabilities = policy.probabilities(encoder.encode(situation(visitor)), [True] * len(ACTIONS))
        chosen = chance.choices(range(len(ACTIONS)), probabilities)[0]
        earned += chance.random() < EXPECTED[visitor][chosen]
    return earned / rounds


async def test_a_planted_better_policy_is_found_and_put_online_with_its_model_and_the_loop_earns_more(account):
    """Seeded. Blind to who visits nobody earns more than .45; margin .15."""
    place, events = Place(account), drawn(1_600, every=40.0)
    await seed(account, [events[first : first + 100] for first in range(0, 1_600, 100)], loop=STORE, until=T0 + SPAN)
    place.settings.loop = AUTO
    optimizer = Optimizer(place.evaluations, place.settings, place.joined, place.store, clock=SetClock(T0 + SPAN))
    place.logged.range = DateRange(T0, T0 + SPAN)
    assert await optimizer.run()
    while place.queue.waiting:
        await place.runner.handle(Message.read(place.queue.waiting.pop(0)))
    [listed] = await place.evaluations.listed()
    assert (listed.kind, listed.job.status) == (EvaluationKind.AUTO, JobStatus.OPTIMAL_POLICY_APPLIED)
    applied = place.settings.loop.policy
    assert isinstance(applied, LearningPolicy)
    assert applied.name == "Inter-len1"
    model = artifact.load_model(await place.store.artifact((await pointer_of(account, STORE)).version))
    before = sum(each.reward for each in events) / len(events)
    now = played(Policy(model, LOOP.exploration_percentage, parse_arguments(applied.arguments)), rounds=1_000, seed=3)
    assert before < 0.47
    assert now > 0.45 + 0.15
