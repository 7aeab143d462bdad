"""A search for better policies: what it tries, how it halves, and that what it finds is valued on rounds that it was not chosen on."""

import pytest

from shared.domain.evaluation import JobKind, JobStatus, PolicySource
from shared.domain.loop import LearningPolicy
from shared.evaluation.intervals import UNIT
from shared.learning.arguments import Adaptive, EpsilonGreedy, parse_arguments
from shared.services.analysis import running
from shared.services.analysis.lane import Contender, Lane, lineups
from shared.services.analysis.results import Found
from shared.services.analysis.searching import FEWEST, Letters, bounds, candidates, surviving, winners
from tests.services.analysis.desk import Desk
from tests.services.analysis.logs import BEST, drawn
from tests.services.analysis.test_running import report

BLIND = LearningPolicy("mine", "--cb_explore_adf --ignore u")
"""A policy that does not see what matters."""

LETTERS = Letters(("u", "n"), ("i",))


def test_the_namespaces_of_the_log_are_found_on_both_sides():
    assert Letters.of(drawn(5)) == Letters(("n", "u"), ("i",))


def test_candidates_explore_otherwise_or_use_other_features_and_none_is_the_loops_own_or_twice():
    tried = candidates(BLIND, LETTERS)
    means = [parse_arguments(each.arguments) for each in tried]
    own = parse_arguments(BLIND.arguments)
    assert own not in means
    assert len({*means}) == len(means) > 12
    same = [each for each in means if each.interactions == own.interactions]
    assert len(same) > 5
    assert all(each.exploration == own.exploration for each in means if each.interactions != own.interactions)
    assert {each.source for each in tried} == {PolicySource.OFFLINE_EXPERIMENTATION}


def test_every_candidate_leaves_all_actions_some_probability():
    for each in candidates(LearningPolicy(), LETTERS):
        means = parse_arguments(each.arguments)
        assert means.floor > 0.0 or isinstance(means.exploration, (Adaptive, EpsilonGreedy))


def test_candidates_of_a_loop_with_slots_are_for_slots():
    several = candidates(LearningPolicy("mine", "--ccb_explore_adf"), LETTERS)
    assert all(each.arguments.startswith("--ccb_explore_adf") for each in several)


def test_the_search_ends_in_the_middle_however_few_chunks_there_are():
    for chunks in range(2, 40):
        ends = bounds(chunks)
        assert list(ends) == sorted({*ends})
        assert ends[-1] == chunks
        assert ends[-2] <= chunks / 2 + 1
    assert bounds(1) == (1,)


def valued() -> tuple[list[Contender], list[Found]]:
    tried = [*candidates(BLIND, LETTERS)]
    found = []
    for lineup in lineups([Contender("online", PolicySource.ONLINE, BLIND.arguments), *tried], exploration_percentage=0.2):
        lane = Lane(lineup)
        for seed in range(4):
            lane.take(drawn(60, seed=seed))
        found.append(Found.of(lane))
    return tried, found


def test_the_better_half_of_each_kind_goes_on_and_the_best_get_names():
    tried, found = valued()
    own = parse_arguments(BLIND.arguments).interactions
    alive = surviving(tried, found, own)
    kinds = [[each for each in alive if (parse_arguments(each.arguments).interactions == own) is is_own] for is_own in (True, False)]
    assert all(FEWEST <= len(kind) < 8 for kind in kinds)
    best = winners(tried, found, own, taken=["Hyper1"])
    assert [each.name for each in best] == ["Hyper2", "Hyper3", "Inter-len1", "Inter-len2"]
    assert best[0].arguments == kinds[0][0].name
    assert surviving(tried, [Found((), {}, UNIT)], own) == ()


@pytest.fixture
def desk(monkeypatch) -> Desk:
    monkeypatch.setattr(running, "STEP_EVENTS", 300)
    events = drawn(1_600, every=40.0)
    return Desk([events[first : first + 100] for first in range(0, 1_600, 100)])


async def test_a_better_policy_is_found_and_valued_on_the_rest_of_the_log(desk):
    job = await desk.asked(online=BLIND, seeks_better=True)
    record = await desk.run()
    assert record.job.status is JobStatus.SUCCEEDED
    assert record.job.description.startswith("Better policies were searched before 2026-05-17 20:53:20 UTC")
    assert record.optimal_policy == "Inter-len1"
    by_name = {each.name: each for each in record.results}
    assert [*by_name] == ["online", "baseline1", "random", "present policy", "Hyper1", "Hyper2", "Inter-len1", "Inter-len2"]
    assert {each.sums.rounds for each in record.results if each.sums} == {800.0}
    best = by_name["Inter-len1"]
    assert best.source is PolicySource.OFFLINE_EXPERIMENTATION
    assert best.estimate
    assert best.estimate.expected_reward == pytest.approx(BEST, abs=0.12)
    found = record.policy("Inter-len1")
    assert found
    assert "u" not in parse_arguments(found.arguments).interactions.ignored
    assert len(await desk.runner.found(JobKind.EVALUATION, record.job)) >= 2
    assert job.id == record.job.id


async def test_a_search_whose_workers_die_finds_the_same(monkeypatch):
    monkeypatch.setattr(running, "STEP_EVENTS", 100)
    events = drawn(480, every=40.0)
    desk = Desk([events[first : first + 60] for first in range(0, 480, 60)])
    await desk.asked(online=BLIND, seeks_better=True)
    desk.fate.calls = 0
    expected, sums, calls = await desk.run(), report(desk), desk.fate.calls
    for number in (calls // 4, calls - 3):
        again = Desk()
        again.log.texts = desk.log.texts
        await again.asked(online=BLIND, seeks_better=True)
        again.fate.calls, again.fate.number, again.fate.done_first = 0, number, bool(number % 2)
        assert (await again.run(), report(again)) == (expected, sums)


async def test_a_log_too_short_for_a_search_is_compared_all_the_same():
    desk = Desk([drawn(100)])
    await desk.asked(online=BLIND, seeks_better=True)
    record = await desk.run()
    assert "too little to search" in record.job.description
    assert [each.name for each in record.results] == ["online", "baseline1", "random", "present policy"]
