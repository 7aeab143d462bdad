"""Evaluations and feature importances: asked for once, found again, and bounded in number."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import (
    ConflictError,
    EvaluationAlreadyExistsError,
    EvaluationNotFoundError,
    FeatureImportanceAlreadyExistsError,
    FeatureImportanceNotFoundError,
    LearningSettingsNotFoundError,
    StorageUnavailableError,
    TooManyKeptError,
    UnreadableError,
)
from shared.domain.evaluation import Asked, Evaluation, EvaluationKind, FeatureImportance, JobStatus, Listed
from shared.domain.loop import LearningPolicy
from shared.services.analysis.evaluations import MOST_KEPT, Evaluations, FeatureImportances
from shared.services.log.logs import DateRange
from tests.builders import T0, after
from tests.clocks import SetClock

ONLINE = LearningPolicy("default", "--cb_explore_adf")
MINE = LearningPolicy("mine", "--cb_explore_adf --softmax")
ASKED = Asked("first", T0, after(3600), (MINE,))


class Store:
    """Analyses in memory, which can be made to fail."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Evaluation | FeatureImportance, str]] = {}
        self.broken: dict[str, Exception] = {}
        self.hidden = False

    async def read(self, job_id):
        if job_id in self.broken:
            raise self.broken[job_id]
        if self.hidden:
            self.hidden = False
            return None
        return self.kept.get(job_id)

    async def create(self, analysis) -> None:
        await asyncio.sleep(0)
        if analysis.job.id in self.kept:
            raise ConflictError("there is one")
        self.kept[analysis.job.id] = (analysis, "1")

    async def replace(self, analysis, *, expected: str) -> str:
        self.kept[analysis.job.id] = (analysis, f"{expected}+")
        return f"{expected}+"

    async def delete(self, job_id: str) -> bool:
        return self.kept.pop(job_id, None) is not None

    async def listed(self) -> Sequence[Listed]:
        found = [Listed(kept.job, getattr(kept, "kind", EvaluationKind.MANUAL)) for kept, _ in self.kept.values()]
        return sorted(found, key=lambda each: each.job.created_at, reverse=True)


class Log:
    """Says from when to when something is logged."""

    def __init__(self) -> None:
        self.range: DateRange | None = DateRange(T0, after(3600))

    async def date_range(self) -> DateRange | None:
        return self.range


class Work:
    """Notes what is begun and what is dropped."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.dropped: list[str] = []
        self.fails = False

    async def start(self, kind, job) -> None:
        self.begun.append(job.id)

    async def drop(self, kind, job) -> None:
        if self.fails:
            raise StorageUnavailableError("down")
        self.dropped.append(job.id)

    async def found(self, kind, job):
        return ()


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def clock():
    return SetClock(after(7200))


@pytest.fixture
def evaluations(store, log, work, clock):
    return Evaluations(store, log, work, clock=clock)


@pytest.fixture
def importances(store, log, work, clock):
    return FeatureImportances(store, log, work, clock=clock)


def submit(evaluations: Evaluations, job_id: str = "e1", *, asked: Asked = ASKED, request_id: str = ""):
    return evaluations.submit(asked, online=ONLINE, request_id=request_id, job_id=job_id)


async def test_what_was_asked_for_is_found_under_its_id_and_waits(evaluations):
    submitted = await submit(evaluations)
    assert await evaluations.read("e1") == submitted
    assert submitted.job.status is JobStatus.NOT_SUBMITTED
    assert (submitted.job.created_at, submitted.online, submitted.policies, submitted.results) == (after(7200), ONLINE, (MINE,), ())


async def test_what_was_asked_for_is_begun_and_again_if_it_is_asked_for_again_lest_its_message_was_lost(evaluations, work):
    for _ in range(2):
        await submit(evaluations, request_id="r1")
    assert work.begun == ["e1", "e1"]


async def test_what_is_deleted_leaves_no_files_behind_and_storage_that_fails_by_then_is_no_matter(evaluations, work, store):
    for name in ("e1", "e2"):
        await submit(evaluations, name)
    await evaluations.delete("e1")
    assert work.dropped == ["e1"]
    work.fails = True
    await evaluations.delete("e2")
    assert store.kept == {}


async def test_one_that_cannot_be_read_can_be_deleted(evaluations, store):
    await submit(evaluations)
    store.broken["e1"] = UnreadableError("damaged")
    await evaluations.delete("e1")
    assert store.kept == {}


@pytest.mark.parametrize(
    "logged",
    [None, DateRange(after(7200), after(9000)), DateRange(T0 - timedelta(days=2), T0 - timedelta(days=1))],
    ids=["nothing", "only later", "only earlier"],
)
async def test_over_a_range_without_a_logged_event_it_is_over_at_once_without_results_and_says_why(evaluations, importances, log, logged):
    log.range = logged
    found = await submit(evaluations)
    assert (found.job.status, found.results) == (JobStatus.SUCCEEDED, ())
    assert "No event was logged" in found.job.description
    importance = await importances.submit(ASKED, request_id="", job_id="i1")
    assert (importance.job.status, importance.scores) == (JobStatus.SUCCEEDED, ())


@pytest.mark.parametrize("logged", [DateRange(after(3600), after(9000)), DateRange(T0 - timedelta(days=1), T0)])
async def test_a_range_whose_edge_has_an_event_is_not_empty(evaluations, log, logged):
    log.range = logged
    assert (await submit(evaluations)).job.status is JobStatus.NOT_SUBMITTED


async def test_an_id_is_taken_only_once(evaluations, importances):
    await submit(evaluations)
    with pytest.raises(EvaluationAlreadyExistsError) as refused:
        await submit(evaluations)
    assert refused.value.target == "evaluationId"
    await importances.submit(ASKED, request_id="", job_id="i1")
    with pytest.raises(FeatureImportanceAlreadyExistsError):
        await importances.submit(ASKED, request_id="", job_id="i1")


async def test_the_same_request_sent_again_gets_what_it_made_the_first_time(evaluations, importances, clock, store):
    first = await submit(evaluations, request_id="r1")
    clock.pass_(60)
    assert await submit(evaluations, request_id="r1") == first
    one = await importances.submit(ASKED, request_id="r2", job_id="i1")
    clock.pass_(60)
    assert await importances.submit(ASKED, request_id="r2", job_id="i1") == one
    assert len(store.kept) == 2


@pytest.mark.parametrize(("request_id", "name"), [("r2", "first"), ("", "first"), ("r1", "second")])
async def test_another_request_for_a_taken_id_is_refused(evaluations, request_id, name):
    await submit(evaluations, request_id="r1")
    with pytest.raises(EvaluationAlreadyExistsError):
        await submit(evaluations, asked=replace(ASKED, name=name), request_id=request_id)


async def test_of_two_requests_for_one_id_at_the_same_moment_one_is_refused(evaluations, store):
    answers = await asyncio.gather(*(submit(evaluations, request_id=f"r{n}") for n in range(5)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in answers) == ["Evaluation"] + ["EvaluationAlreadyExistsError"] * 4
    assert len(store.kept) == 1


async def test_a_repeated_request_that_comes_between_look_and_write_gets_what_is_there(evaluations, store):
    first = await submit(evaluations, request_id="r1")
    store.hidden = True
    assert await submit(evaluations, request_id="r1") == first


async def test_without_an_id_one_is_made_anew_or_for_a_repeated_request_the_same(evaluations, store):
    ids = [(await submit(evaluations, "", request_id=request_id)).job.id for request_id in ("", "", "r1", "r1", "r2")]
    assert len({*ids}) == 4
    assert ids[2] == ids[3]
    assert len(store.kept) == 4


async def test_no_more_are_kept_than_may_be(evaluations, store):
    for number in range(MOST_KEPT):
        await submit(evaluations, f"e{number}", request_id="r")
    with pytest.raises(TooManyKeptError):
        await submit(evaluations, "one too many")
    await submit(evaluations, "e7", request_id="r")
    await evaluations.delete("e7")
    await submit(evaluations, "now there is room")


async def test_what_is_not_there_is_said_not_to_be(evaluations, importances):
    for missing in (evaluations.read("e1"), evaluations.delete("e1"), evaluations.policy("e1", "mine")):
        with pytest.raises(EvaluationNotFoundError):
            await missing
    for missing in (importances.read("i1"), importances.delete("i1")):
        with pytest.raises(FeatureImportanceNotFoundError):
            await missing


async def test_what_was_deleted_is_gone(evaluations):
    await submit(evaluations)
    await evaluations.delete("e1")
    with pytest.raises(EvaluationNotFoundError):
        await evaluations.read("e1")
    assert list(await evaluations.listed()) == []


async def test_a_listing_is_of_the_kind_that_was_asked_for_the_newest_first(evaluations, store, clock):
    for number in range(3):
        clock.pass_(1)
        await submit(evaluations, f"e{number}")
    found, etag = store.kept["e1"]
    await store.replace(replace(found, kind=EvaluationKind.AUTO), expected=etag)
    assert [each.job.id for each in await evaluations.of_kind(None)] == ["e2", "e1", "e0"]
    assert [each.job.id for each in await evaluations.of_kind(EvaluationKind.AUTO)] == ["e1"]
    assert [each.job.id for each in await evaluations.of_kind(EvaluationKind.MANUAL)] == ["e2", "e0"]


async def test_all_are_opened_but_those_that_cannot_be_read(evaluations, store, clock):
    for number in range(40):
        clock.pass_(1)
        await submit(evaluations, f"e{number}")
    store.broken["e7"] = UnreadableError("damaged")
    assert [each.job.id for each in await evaluations.opened()] == [f"e{n}" for n in range(39, -1, -1) if n != 7]


async def test_a_listing_that_storage_does_not_serve_is_not_cut_short(evaluations, store):
    await submit(evaluations)
    store.broken["e1"] = StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        await evaluations.opened()


async def test_a_policy_that_was_asked_about_or_was_served_can_be_put_to_use(evaluations):
    await submit(evaluations)
    assert await evaluations.policy("e1", "mine") == MINE
    assert await evaluations.policy("e1", "online") == ONLINE


@pytest.mark.parametrize(
    ("name", "why"),
    [("baseline1", "compared only"), ("random", "compared only"), ("baselineRand", "compared only"), ("other", "not in this")],
)
async def test_another_policy_is_refused_and_says_why(evaluations, name, why):
    await submit(evaluations)
    with pytest.raises(LearningSettingsNotFoundError, match=why) as refused:
        await evaluations.policy("e1", name)
    assert refused.value.target == "policyName"
