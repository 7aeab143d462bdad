"""The standing holdout as an experiment: both sides, the lift, the split, and since when it is proven."""

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest

from shared.domain.events import Holdout, JoinedEvent, SkipReason
from shared.domain.experiment import Verdict
from shared.domain.ledger import Counters
from shared.evaluation.estimators import snips
from shared.services.figures.experiment import DOUBTED, Experiment, anytime, anytime_difference, experiment_of, proven, split_p_values
from shared.services.figures.files import Kept, dump, load
from shared.services.figures.logged import logged
from shared.services.figures.timeline import FINE, Timeline
from shared.services.figures.trial import Trial, Tried
from shared.services.figures.window import Span, window
from tests.builders import T0, after, decision

LATER = after(600)
LOOKS = 40


def joined(
    number: int, reward: float, *, is_held_out: bool, share: float = 0.5, at: float = 0.0, skip: SkipReason | None = None, **others
) -> JoinedEvent:
    made = decision(f"e{number}", at=after(at), **others)
    return JoinedEvent(replace(made, holdout=Holdout(share, share, is_held_out)), reward, skip=skip)


def timeline(*events: JoinedEvent) -> Timeline:
    span = Span(LATER, LATER, timedelta(seconds=30))
    skipped = [each for each in events if each.skip]
    return window(logged(events), skipped, Counters(learned=len(events)), span, Tried.of(events))


def found(*events: JoinedEvent) -> Experiment:
    given = timeline(*events)
    told = experiment_of(given, given.begins + FINE)
    assert told is not None
    return told


def played(
    events: int, rewards: tuple[float, float], *, share: float = 0.5, held: float | None = None, seconds: float = 0.0, start: int = 0
) -> list[JoinedEvent]:
    """Give events of which this part is held out, and earns the first reward on average, the others the second, evenly spread."""
    made, sums = [], [0.0, 0.0]
    part = share if held is None else held
    for number in range(start, start + events):
        is_held_out = int((number + 1) * part) > int(number * part)
        side = 0 if is_held_out else 1
        sums[side] += rewards[side]
        reward = float(int(sums[side] + 1e-9) > int(sums[side] - rewards[side] + 1e-9))
        made.append(joined(number, reward, is_held_out=is_held_out, share=share, at=number * seconds))
    return made


def test_there_is_none_without_events_that_were_part_of_it():
    given = timeline(JoinedEvent(decision(), 1.0))
    assert experiment_of(given, given.begins + FINE) is None


def test_each_side_has_the_events_and_the_rewards_of_its_own():
    told = found(*[joined(number, float(number % 4 == 0), is_held_out=number % 2 == 0) for number in range(8)])
    assert (told.baseline.events, told.baseline.expected_reward) == (4, 0.5)
    assert (told.learned.events, told.learned.expected_reward) == (4, 0.0)
    assert (told.split.asked, told.split.found, told.split.p_value, told.events) == (0.5, 0.5, 1.0, 8)


def test_events_that_are_not_learned_do_not_count():
    told = found(joined(1, 1.0, is_held_out=True), joined(2, 1.0, is_held_out=False, skip=SkipReason.NOT_ACTIVATED))
    assert (told.baseline.events, told.learned.events) == (1, 0)


def test_the_slots_of_a_call_are_one_event_that_earns_their_mean():
    slots = [joined(1, reward, is_held_out=True, slot=slot) for slot, reward in (("top", 1.0), ("side", 0.5))]
    other = [joined(1, 1.0, is_held_out=True, slot="top", at=1.0)]
    told = found(*slots, *other)
    assert (told.baseline.events, told.baseline.expected_reward) == (2, 0.875)


def test_another_share_on_a_good_day_looks_like_no_lift():
    """All earn .2 on the first day, and 1 on the second one, on which half are held out instead of a tenth."""
    bad = [joined(number, float(number % 5 == 0), is_held_out=number >= 900, share=0.1) for number in range(1_000)]
    good = [joined(number, 1.0, is_held_out=number % 2 == 0, share=0.5) for number in range(1_000, 2_000)]
    told = found(*bad, *good)
    assert told.lift.difference == pytest.approx(0.0, abs=1e-9)
    assert told.split.is_as_asked


@pytest.mark.parametrize(
    ("rewards", "verdict"), [((0.2, 0.8), Verdict.BETTER), ((0.8, 0.2), Verdict.WORSE), ((0.5, 0.5), Verdict.NOT_KNOWN)]
)
def test_a_large_difference_is_proven_and_none_is_not(rewards, verdict):
    told = found(*played(1_500, rewards))
    assert told.verdict is verdict
    assert (told.proven_since is None) == (verdict is Verdict.NOT_KNOWN)
    difference = rewards[1] - rewards[0]
    assert told.lift.difference == pytest.approx(difference, abs=0.01)
    assert told.lift.difference_interval is not None
    assert told.lift.difference_interval[0] <= difference <= told.lift.difference_interval[1]


def test_it_is_proven_since_the_end_of_the_first_bucket_after_which_it_always_was():
    events = played(2_000, (0.2, 0.8), seconds=30.0)
    told = found(*events)
    assert told.proven_since is not None
    before = [each for each in events if each.decision.decided_at < told.proven_since]
    earlier = [each for each in before if each.decision.decided_at < told.proven_since - timedelta(minutes=FINE)]
    assert found(*before).verdict is Verdict.BETTER
    assert found(*earlier).verdict is Verdict.NOT_KNOWN
    assert told.since == T0


def test_a_split_that_was_not_asked_for_is_told_and_proves_nothing():
    told = found(*played(3_000, (0.2, 0.8), share=0.5, held=0.4))
    assert not told.split.is_as_asked
    assert told.split.p_value < 1e-6
    assert (told.verdict, told.proven_since) == (Verdict.NOT_KNOWN, None)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_a_sound_split_is_hardly_ever_doubted_however_often_one_looks(share):
    rng, loops = np.random.default_rng(24), 2_000
    held = (rng.random((loops, LOOKS, 25)) < share).sum(axis=-1).cumsum(axis=1).astype(np.float64)
    events = np.broadcast_to(25.0 * np.arange(1, LOOKS + 1), held.shape)
    none = {each.name: np.zeros(held.shape) for each in fields(Trial)}
    sums = {"events": events, "held_out": held, "expected": events * share, "variance": events * share * (1.0 - share)}
    doubted = (split_p_values(Trial(**{**none, **sums})) < DOUBTED).any(axis=1)
    assert doubted.mean() <= DOUBTED


# --- kept --------------------------------------------------------------------------------------------------------------


def test_windows_add_up_to_the_same_however_they_are_cut():
    events = played(40, (0.2, 0.8), seconds=60.0)
    whole = timeline(*events)
    for cut in (1, 7, 39):
        parts = timeline(*events[:cut]) + timeline(*events[cut:])
        for each in fields(Trial):
            np.testing.assert_allclose(getattr(parts.trial, each.name), getattr(whole.trial, each.name), rtol=1e-12, err_msg=each.name)


def test_figures_with_an_experiment_come_back_and_others_are_as_earlier_releases_read_them():
    plain = window(logged([JoinedEvent(decision(), 1.0)]), [], Counters(learned=1), Span(LATER, LATER, timedelta(0)))
    for given, version in ((timeline(*played(10, (0.2, 0.8))), 2), (plain, 1)):
        data = dump(Kept(T0, given))
        again = load(data)
        assert dump(again) == data
        assert (again.timeline.trial.events.sum() > 0.0) == (version == 2)


def test_what_was_held_out_is_not_explored_and_the_likeliest_is_the_policys_own():
    """The baseline has .55 of the mixture, and .1 of the policy."""
    chances = (0.55, 0.45)
    held = joined(1, 1.0, is_held_out=True, probabilities=chances, chosen=0)
    drawn = joined(2, 1.0, is_held_out=False, probabilities=chances, chosen=0)
    likely = joined(3, 1.0, is_held_out=False, probabilities=chances, chosen=1)
    columns = logged([held, drawn, likely])
    assert columns.explored.tolist() == [False, True, False]
    assert columns.is_best.tolist() == [False, False, True]
    assert not held.decision.is_explored


# --- coverage ----------------------------------------------------------------------------------------------------------


def simulated(loops: int, *, share: float, pays: tuple[float, float], events: int = 2_000) -> tuple[Trial, np.ndarray]:
    """Play loops that look 40 times while the world gets better, and the share is doubled halfway; with what is true at each look."""
    rng, size = np.random.default_rng(24), events // LOOKS
    sums = {each.name: np.zeros((loops, LOOKS)) for each in fields(Trial)}
    earned, truth = np.zeros(2), np.zeros(LOOKS)
    for look in range(LOOKS):
        now, rise = share * (1.0 if look < LOOKS // 2 else 2.0), 0.2 * look / LOOKS
        held = rng.random((loops, size)) < now
        rewards = (rng.random((loops, size)) < np.where(held, pays[0], pays[1]) + rise).astype(np.float64)
        for side, w in (("baseline", held / now), ("learned", ~held / (1.0 - now))):
            powers = {"w": w, "ww": w * w, "wr": w * rewards, "wwr": w * w * rewards, "wwrr": (w * rewards) ** 2}
            for name, values in powers.items():
                sums[f"{side}_{name}"][:, look] = values.sum(axis=1)
        sums["events"][:, look] = size
        sums["held_out"][:, look] = held.sum(axis=1)
        sums["baseline_bound"][:, look], sums["learned_bound"][:, look] = 1.0 / now, 1.0 / (1.0 - now)
        sums["highest_reward"][:, look] = 1.0
        earned += size * (np.array(pays) + rise)
        truth[look] = (earned[1] - earned[0]) / (size * (look + 1))
    merged = {
        each.name: (np.maximum if "bound" in each.name or "reward" in each.name else np.add).accumulate(sums[each.name], axis=1)
        for each in fields(Trial)
    }
    return Trial(**merged), truth


@pytest.mark.parametrize(("share", "least"), [(0.05, 0.1), (0.25, 0.2)])
def test_the_difference_is_known_closer_than_by_the_intervals_of_both_sides(share, least):
    """By that much at the last look, on average."""
    trial, _ = simulated(20, share=share, pays=(0.3, 0.4), events=8_000)
    last = trial.taken((slice(None), -1))
    own, sides = anytime_difference(last), anytime(last)
    apart = (sides.upper - sides.lower).sum(axis=0)
    assert (1.0 - (own.upper - own.lower) / apart).mean() >= least


@pytest.mark.parametrize("share", [0.001, 0.5, 0.9])
@pytest.mark.parametrize("rewards", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (-5.0, 5.0)])
def test_any_share_and_rewards_that_are_all_the_same_have_an_interval_around_the_difference(share, rewards):
    events = [joined(number, rewards[not held], is_held_out=held, share=share) for number, held in enumerate([True, False] * 60)]
    told = found(*events).lift
    low, high = told.difference_interval or (-20.0, 20.0)
    assert low <= rewards[1] - rewards[0] <= high
    assert told.lower is None or told.upper is None or told.value is None or told.lower <= told.value <= told.upper


@pytest.mark.parametrize("loops", [30, pytest.param(400, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("pays", [(0.3, 0.4), (0.3, 0.3)])
def test_the_lift_is_estimated_without_bias_and_its_band_holds_at_all_looks(loops, pays):
    trial, truth = simulated(loops, share=0.1, pays=pays)
    interval = anytime_difference(trial)
    held = ((interval.lower <= truth) & (truth <= interval.upper)).all(axis=1)
    assert held.mean() >= 0.95
    if pays[0] == pays[1]:
        assert (proven(interval) != 0).any(axis=1).mean() <= 0.05
    values = snips(trial.moments)
    off = (values[1] - values[0])[:, -1] - truth[-1]
    assert abs(off.mean()) <= 5.0 * off.std() / loops**0.5
