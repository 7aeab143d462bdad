"""When a window is worth a commit."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.clock import EPOCH
from shared.domain.ledger import Counters, Pointer
from shared.domain.loop import LoopSettings
from shared.services.training.windows import Plan, is_due
from tests.builders import T0, after, decision, observation, segment

LOOP = LoopSettings(model_export_frequency=timedelta(seconds=100))
PUBLISHED = Pointer(sequence=5, version="v", published_at=T0, watermark=T0, counters=Counters(learned=5000), learned=1000)
EMPTY = Plan(since=T0, until=after(10), fresh=[], stragglers=[], observations=[], is_cut=False)


def plan(decisions: int) -> Plan:
    return replace(EMPTY, fresh=[segment([decision(f"e{n}") for n in range(decisions)]).head] if decisions else [])


@pytest.mark.parametrize(
    ("learned", "waiting", "expected"),
    [(0, 9, False), (0, 10, True), (50, 10, True), (51, 10, False), (1000, 199, False), (1000, 200, True)],
)
def test_a_model_is_published_when_it_grew_by_a_fifth_and_by_ten(learned, waiting, expected):
    pointer = replace(PUBLISHED, learned=learned)
    assert is_due(plan(waiting), pointer, LOOP, now=after(50)) is expected


def test_a_loop_publishes_at_least_every_model_export_frequency():
    assert not is_due(plan(1), PUBLISHED, LOOP, now=after(99))
    assert is_due(plan(1), PUBLISHED, LOOP, now=after(100))


def test_the_first_event_of_all_is_learned_at_once():
    young = Pointer(sequence=0, version="", published_at=EPOCH, watermark=T0)
    assert is_due(plan(1), young, LOOP, now=after(50))


def test_the_first_event_after_the_model_was_deleted_is_learned_at_once():
    assert is_due(plan(1), replace(PUBLISHED, version="", learned=0), LOOP, now=after(1))


def test_a_window_that_is_full_is_always_due():
    assert is_due(replace(plan(1), is_cut=True), PUBLISHED, LOOP, now=after(1))


def test_rewards_alone_are_counted_at_once():
    assert is_due(replace(EMPTY, observations=[segment([observation()]).head]), PUBLISHED, LOOP, now=after(1))


@pytest.mark.parametrize(("seconds", "expected"), [(299, False), (300, True)])
def test_an_idle_loop_moves_its_watermark_every_five_minutes(seconds, expected):
    assert is_due(replace(EMPTY, until=after(seconds)), PUBLISHED, LOOP, now=after(seconds)) is expected


def test_a_loop_that_never_had_an_event_writes_nothing():
    new = Pointer(sequence=0, version="", published_at=EPOCH, watermark=T0)
    assert not is_due(replace(EMPTY, until=after(86_400)), new, LOOP, now=after(86_400))


@pytest.mark.parametrize(("seconds", "expected"), [(LOOP.model_export_frequency.total_seconds() - 1, False), (100_000, True)])
def test_while_a_model_is_begun_anew_windows_are_no_shorter_than_before_however_old_the_published_one_grows(seconds, expected):
    waiting = replace(plan(1), since=after(0), until=after(seconds))
    assert is_due(waiting, PUBLISHED, replace(LOOP, resets=1), now=after(1_000_000)) is expected
