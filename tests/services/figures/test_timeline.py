"""Figures over time: what a window adds, and that neither cutting windows otherwise nor growing old changes what is in them."""

from dataclasses import fields, replace
from datetime import datetime, timedelta
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip

from shared.domain.clock import EPOCH
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import Action, JoinedEvent, Situation, SkipReason
from shared.domain.ledger import Counters
from shared.evaluation.moments import Moments
from shared.joining.dsjson import situation_text
from shared.learning import npz
from shared.services.figures import files
from shared.services.figures.files import Kept, dump, load
from shared.services.figures.logged import logged
from shared.services.figures.timeline import BEFORE, DAY, FINE, HOUR, POLICIES, Activity, Timeline, lengths
from shared.services.figures.trial import Trial
from shared.services.figures.window import LARGEST_WEIGHT, SKIPPED, Span, window
from tests.builders import T0, after, apprentice, decision

ONLINE, BASELINE, RANDOM = range(3)
LATER = after(600)


def joined(reward: float = 1.0, *, at: float = 0.0, skip: SkipReason | None = None, **others) -> JoinedEvent:
    return JoinedEvent(decision(at=after(at), **others), reward, skip=skip)


def timeline(*events: JoinedEvent, until: datetime = LATER, counters: Counters | None = None) -> Timeline:
    span = Span(until, until + timedelta(minutes=1), timedelta(seconds=30))
    return window(logged(events), [event for event in events if event.skip], counters or Counters(learned=len(events)), span)


def assert_alike(ours: Timeline, theirs: Timeline) -> None:
    np.testing.assert_array_equal(ours.begins, theirs.begins)
    for part, other in ((ours.activity, theirs.activity), (ours.moments, theirs.moments)):
        for each in fields(part):
            np.testing.assert_allclose(getattr(part, each.name), getattr(other, each.name), rtol=1e-9, atol=1e-12, err_msg=each.name)


def whole(given: Timeline) -> Timeline:
    return given.merged(np.zeros(len(given), dtype=np.int64))


def weights(given: Timeline) -> list[tuple[float, float]]:
    moments = whole(given).moments
    return [(float(moments.rounds[policy, 0]), float(moments.w[policy, 0])) for policy in range(len(POLICIES))]


def test_a_window_in_which_nothing_happened_adds_nothing():
    assert len(timeline(counters=Counters())) == 0


def test_an_event_is_counted_in_the_five_minutes_in_which_it_was_decided():
    found = timeline(joined(), joined(at=299), joined(at=300))
    assert [EPOCH + timedelta(minutes=int(each)) for each in found.begins] == [T0, after(300)]
    assert found.activity.events.tolist() == [2, 1]


def test_what_is_counted_by_windows_is_counted_where_they_end():
    found = timeline(joined(), until=after(900), counters=Counters(learned=1, rewards=5, late_rewards=2, unknown_rewards=1))
    assert found.begins.tolist() == [(T0 - EPOCH) // timedelta(minutes=1), (after(600) - EPOCH) // timedelta(minutes=1)]
    assert [found.activity.rewards.tolist(), found.activity.late_rewards.tolist()] == [[0, 5], [0, 2]]
    assert found.activity.unknown_rewards.tolist() == [0, 1]


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_is_skipped_is_counted_by_reason_and_not_estimated(reason):
    at_end = Counters(skipped={reason.value: 1}) if reason is SkipReason.QUARANTINED else Counters()
    found = timeline(*([] if at_end != Counters() else [joined(skip=reason)]), counters=at_end)
    counts = {name: float(getattr(found.activity, name).sum()) for name in SKIPPED.values()}
    assert counts == {name: float(name == SKIPPED[reason]) for name in SKIPPED.values()}
    assert weights(found) == [(0.0, 0.0)] * 3


def test_every_reason_has_a_column_but_what_is_deleted_with_the_log():
    assert set(SKIPPED) == {*SkipReason} - {SkipReason.LOG_DELETED}
    assert set(SKIPPED.values()) <= {each.name for each in fields(Activity)}


def test_entropy_is_in_nats_and_an_action_without_a_chance_adds_none():
    found = timeline(joined(probabilities=(0.5, 0.5, 0.0)))
    assert found.activity.entropy.sum() == pytest.approx(log(2))


def test_lag_is_from_when_an_event_could_have_been_learned():
    assert timeline(joined(at=540)).activity.lag_seconds.sum() == pytest.approx(660 - 540 - 30)
    assert timeline(joined(at=650)).activity.lag_seconds.sum() == 0.0


def test_the_baseline_weighs_an_event_by_its_probability_and_chance_by_that_and_the_number_of_actions():
    assert weights(timeline(joined(probabilities=(0.8, 0.1, 0.1)))) == [(1, 1), (1, 1.25), (1, pytest.approx(1 / 2.4))]
    assert weights(timeline(joined(chosen=1, probabilities=(0.8, 0.1, 0.1)))) == [(1, 1), (1, 0), (1, pytest.approx(1 / 0.3))]


def test_excluded_actions_are_neither_the_baseline_nor_chosen_by_chance():
    assert weights(timeline(joined(chosen=1, probabilities=(0.0, 0.25, 0.75)))) == [(1, 1), (1, 4), (1, 2)]


def test_the_bounds_are_known_before_the_draw():
    drawn = [timeline(joined(chosen=chosen, probabilities=(0.2, 0.05, 0.75))) for chosen in range(3)]
    for each in drawn:
        assert each.activity.baseline_bound.tolist() == pytest.approx([5.0])
        assert each.activity.random_bound.tolist() == pytest.approx([1 / 0.15])
        assert (each.moments.largest_weight[BASELINE] <= each.activity.baseline_bound).all()
        assert (each.moments.largest_weight[RANDOM] <= each.activity.random_bound + 1e-12).all()


def test_where_one_action_had_all_chances_nothing_is_told_of_the_others():
    assert weights(timeline(joined(probabilities=(1.0, 0.0)))) == [(1, 1), (0, 0), (0, 0)]


def test_of_a_single_action_everything_is_known():
    assert weights(timeline(joined(probabilities=(1.0,)))) == [(1, 1)] * 3


def test_in_apprentice_mode_the_baseline_was_shown_and_of_chance_nothing_is_known():
    found = timeline(JoinedEvent(apprentice(proposed=0), 0.5), JoinedEvent(apprentice("e2", proposed=1), 1.0))
    assert weights(found) == [(2, 2), (2, 2), (0, 0)]
    assert (found.activity.proposed.sum(), found.activity.imitated.sum()) == (2, 1)


def slot_event(*, baseline: str, chosen: int, probabilities: tuple[float, ...]) -> JoinedEvent:
    asked = Situation((), tuple(Action(each, ({"x": 1},)) for each in "abc"), slot="top", baseline_id=baseline)
    made = decision(chosen=chosen, probabilities=probabilities, slot="top", asked=asked)
    return JoinedEvent(replace(made, situation=situation_text(asked)), 1.0)


def test_a_slot_names_its_own_baseline():
    assert weights(timeline(slot_event(baseline="c", chosen=2, probabilities=(0.5, 0.25, 0.25))))[BASELINE] == (1, 4)
    assert weights(timeline(slot_event(baseline="c", chosen=0, probabilities=(0.5, 0.25, 0.25))))[BASELINE] == (1, 0)


def test_the_baseline_of_a_slot_that_another_slot_has_taken_is_the_first_that_is_left():
    assert weights(timeline(slot_event(baseline="c", chosen=0, probabilities=(0.5, 0.5, 0.0))))[BASELINE] == (1, 2)


def test_huge_rewards_and_tiny_probabilities_stay_finite():
    tiny = (1.0 - 1e-300, 1e-300)
    found = whole(timeline(joined(1e300), joined(-1e300, chosen=1, probabilities=tiny)) + timeline(joined(1e300)))
    assert all(np.isfinite(getattr(found.moments, each.name)).all() for each in fields(Moments))
    assert found.moments.largest_weight.max() <= LARGEST_WEIGHT
    assert load(dump(Kept(T0, found))).since == T0


minutes_ago = st.integers(0, 800 * DAY)
events = st.lists(
    st.builds(
        joined,
        st.floats(-1, 1),
        at=minutes_ago.map(lambda minutes: -60.0 * minutes),
        chosen=st.integers(0, 1),
        skip=st.sampled_from([None, None, None, SkipReason.DUPLICATE, SkipReason.NOT_ACTIVATED]),
    ),
    max_size=12,
)


@settings(max_examples=50, deadline=None)
@given(events, st.randoms())
def test_sums_do_not_depend_on_how_windows_are_cut_nor_on_the_order_in_which_they_come(given_events, chance):
    parts = [timeline(each, counters=Counters(learned=1)) for each in given_events]
    chance.shuffle(parts)
    assert_alike(sum(parts, Timeline.none()), timeline(*given_events) if given_events else Timeline.none())


@settings(max_examples=50, deadline=None)
@given(events, events)
def test_growing_old_first_or_adding_up_first_comes_to_the_same(first, second):
    one, two = timeline(*first), timeline(*second)
    assert_alike((one.folded(T0) + two).folded(T0), (one + two).folded(T0))


@settings(max_examples=50, deadline=None)
@given(events, st.integers(0, 900), st.integers(0, 900))
def test_growing_old_in_two_steps_is_the_same_as_in_one_and_loses_nothing(given_events, first, second):
    found, early, late = timeline(*given_events), T0 + timedelta(days=first), T0 + timedelta(days=first + second)
    assert_alike(found.folded(early).folded(late), found.folded(late))
    assert_alike(found.folded(late).folded(early), found.folded(late))
    assert_alike(whole(found.folded(late)), whole(found))


def test_old_buckets_are_longer_and_the_oldest_are_one():
    ages = {FINE: timedelta(days=1), HOUR: timedelta(days=30), DAY: timedelta(days=600), 0: timedelta(days=800)}
    for length, age in ages.items():
        (begin,) = timeline(joined(), until=after(300)).folded(T0 + age).begins
        assert lengths(np.array([begin]), T0 + age).tolist() == [length]
        assert begin == BEFORE if not length else begin % length == 0


def test_a_loop_s_whole_life_has_a_bounded_size():
    """An event every five minutes for three years: the days, hours and five minutes that are kept, and the margins of whole ones."""
    begins = np.arange((T0 - EPOCH) // timedelta(minutes=5), (T0 + timedelta(days=1095) - EPOCH) // timedelta(minutes=5)) * 5
    activity = Activity(*(np.ones(len(begins)) for _ in fields(Activity)))
    found = Timeline(begins, activity, Moments(*(np.ones((3, len(begins))) for _ in fields(Moments))), Trial.none(len(begins)))
    folded = found.folded(T0 + timedelta(days=1095))
    assert len(folded) < 2 * 288 + 12 + 58 * 24 + 24 + 670 + 2
    assert folded.activity.events.sum() == len(begins)
    assert len(dump(Kept(T0, folded))) < 1_800_000


@settings(max_examples=30, deadline=None)
@given(events)
def test_a_file_gives_back_what_was_written_to_the_bit(given_events):
    kept = Kept(after(7), timeline(*given_events))
    data = dump(kept)
    back = load(data)
    assert back.since == kept.since
    assert_alike(back.timeline, kept.timeline)
    assert dump(back) == data


def test_a_file_of_a_newer_release_is_refused_as_such(monkeypatch):
    monkeypatch.setattr(files, "_WITHOUT_TRIAL", 3)
    data = dump(Kept(T0, timeline(joined())))
    monkeypatch.undo()
    with pytest.raises(NewerFormatError, match="format version 3"):
        load(data)


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_file_that_is_cut_off_is_not_read(cut):
    with pytest.raises(UnreadableError):
        load(dump(Kept(T0, timeline(joined())))[:cut])


@pytest.mark.parametrize(
    "wrong",
    [
        {"begins": np.array([10, 5])},
        {"begins": np.array([5, 10, 15])},
        {"activity": np.zeros(3)},
        {"moments": np.zeros(3)},
        {npz.HEADER: np.array([1, -5])},
        {npz.HEADER: np.array([1, 1 << 62])},
        {npz.HEADER: np.array([1])},
    ],
)
def test_parts_that_do_not_go_together_are_not_read(wrong):
    arrays = {
        npz.HEADER: np.array([1, 0]),
        "begins": np.array([5, 10]),
        "activity": np.zeros(2 * len(fields(Activity))),
        "moments": np.zeros(6 * len(fields(Moments))),
    }
    dtypes = {npz.HEADER: "<i8", "begins": "<i8", "activity": "<f8", "moments": "<f8"}
    assert len(load(igzip.compress(npz.write(arrays, dtypes))).timeline) == 2
    with pytest.raises(UnreadableError):
        load(igzip.compress(npz.write(arrays | wrong, dtypes)))
