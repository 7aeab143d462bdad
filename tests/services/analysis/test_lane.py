"""A lane goes over a log once: it scores each batch by what it learned before, and learns exactly as the trainer does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.api.rules import MAX_SLOTS
from shared.domain.errors import UnreadableError
from shared.domain.events import SkipReason
from shared.domain.loop import LearningPolicy
from shared.joining.dsjson import lines
from shared.learning import artifact
from shared.learning.encoding import Encoders
from shared.learning.learner import Learner
from shared.services.analysis.lane import MOST_SLOTS, Lane, Lineup, SlotSums, contenders, lineups
from shared.services.analysis.results import Found, parts, warnings
from shared.services.analysis.scoring import Block
from shared.services.analysis.searching import EXPLORATIONS
from shared.services.training.retraining import study
from tests.builders import T0, apprentice
from tests.services.analysis.logs import BEST, FIRST, RANDOM, drawn, with_rewards, written_and_read

GREEDY = LearningPolicy("greedy", "--cb_explore_adf --first 1")
UNCROSSED = LearningPolicy("blind", "--cb_explore_adf --first 1 --ignore u")


def lane(*policies: LearningPolicy, **others) -> Lane:
    (lineup,) = lineups(contenders(LearningPolicy(), policies, has_present=False), exploration_percentage=0.2, **others)
    return Lane(lineup)


def taken(lane: Lane, events, size: int = 100) -> Lane:
    for first in range(0, len(events), size):
        lane.take(events[first : first + size])
    return lane


def estimates(lane: Lane, slot: str = "") -> dict[str, float]:
    values = lane.sums[slot].tally.estimates()["calibrated_dr"].tolist()
    return {each.name: value for each, value in zip(lane.lineup.contenders, values, strict=True)}


def test_each_policy_is_valued_near_what_it_would_have_earned():
    found = estimates(taken(lane(GREEDY), drawn(6_000), 300))
    assert found["baseline1"] == pytest.approx(FIRST, abs=0.03)
    assert found["random"] == pytest.approx(RANDOM, abs=0.03)
    assert found["greedy"] == pytest.approx(BEST, abs=0.04)  # less what it did not know in the beginning


def test_a_round_that_stands_for_ten_counts_as_ten():
    (one,), (none,) = with_rewards(drawn(1), 1.0), with_rewards(drawn(1), 0.0)
    found = taken(lane(GREEDY), [replace(one, pdrop=0.9), none])
    assert estimates(found)["online"] == pytest.approx(10 / 11)
    assert (found.counts.thinned, found.counts.scored) == (1, 2)
    coverage = found.sums[""].coverage
    assert coverage.rounds.tolist() == pytest.approx([11.0] * 4)
    assert coverage.largest_possible.tolist()[0] == pytest.approx(10.0)


def test_the_policy_that_was_served_is_valued_at_what_was_earned():
    events = drawn(500)
    assert estimates(taken(lane(), events))["online"] == pytest.approx(sum(each.reward for each in events) / 500)


def test_the_learner_becomes_what_the_trainers_would_to_the_byte():
    batches = [drawn(90, seed=1), drawn(70, seed=2), [replace(drawn(1)[0], skip=SkipReason.NOT_ACTIVATED)], drawn(40, seed=3)]
    mine, theirs, encoders = lane(GREEDY), Learner.cold(), Encoders()
    for batch in batches:
        mine.take(batch)
        study(theirs, lines(batch), encoders)
    assert artifact.dump_state(mine.learner) == artifact.dump_state(theirs)


def test_one_that_is_stopped_and_goes_on_from_what_was_written_comes_to_the_same_sums():
    events = drawn(600)
    through, stopped = taken(lane(GREEDY), events), taken(lane(GREEDY), events[:300])
    sums = {slot: SlotSums.of_plain(written_and_read(each.plain())) for slot, each in stopped.sums.items()}  # type: ignore[arg-type]
    again = Lane(stopped.lineup, artifact.load_learner(artifact.dump_state(stopped.learner)), sums)
    assert taken(again, events[300:]).sums[""].plain() == through.sums[""].plain()


def test_neither_a_policy_nor_a_prediction_knows_its_own_round():
    events = drawn(400)
    as_it_was, otherwise = taken(lane(GREEDY), events), taken(lane(GREEDY), [*events[:300], *with_rewards(events[300:], 0.0)])
    mine, others = (each.sums[""].tally.series.total for each in (as_it_was, otherwise))
    assert mine.w.tolist() == others.w.tolist()
    assert mine.expected.tolist() == others.expected.tolist()
    assert mine.wr.tolist() != others.wr.tolist()


def test_what_was_not_decided_by_chance_or_not_in_the_range_is_learned_but_not_scored():
    events = drawn(100)
    early, late = events[0].decision.decided_at, events[-1].decision.decided_at
    imitated = replace(events[0], decision=apprentice("imitated", at=T0 + timedelta(seconds=30)))
    range_ = {"since": early + timedelta(seconds=10), "until": late}
    mine = taken(lane(**range_), [*events, imitated, replace(events[5], skip=SkipReason.DUPLICATE)])
    assert (mine.counts.events, mine.counts.learned, mine.counts.scored, mine.counts.apprentice) == (102, 101, 98, 1)
    assert mine.sums[""].coverage.rounds.tolist() == [98.0] * 3


def test_an_excluded_action_is_chosen_by_nobody():
    mine = taken(lane(GREEDY), drawn(300, probabilities=(0.0, 0.5, 0.5)))
    total = mine.sums[""].tally.series.total
    assert total.unsupported.tolist() == [0.0] * 4
    assert dict(zip([each.name for each in mine.lineup.contenders], total.largest_weight.tolist(), strict=True)) == pytest.approx(
        {"online": 1.0, "baseline1": 2.0, "random": 1.0, "greedy": 2.0}
    )


def test_rounds_without_a_choice_are_told():
    mine = taken(lane(), [*drawn(30), *drawn(20, probabilities=(1.0, 0.0, 0.0))])
    assert mine.sums[""].coverage.forced.tolist() == [20.0] * 3
    assert mine.sums[""].coverage.largest_possible.tolist() == pytest.approx([1.0, 2.5, 10 / 9])


def test_slots_have_sums_of_their_own_which_add_up_to_the_whole():
    top, side = drawn(100, slot="top"), drawn(60, seed=2, slot="side")
    mine = taken(lane(), [*top, *side])
    assert [each.coverage.rounds.tolist() for each in (mine.sums[""], mine.sums["top"], mine.sums["side"])] == [
        [160.0] * 3,
        [100.0] * 3,
        [60.0] * 3,
    ]
    assert estimates(mine, "side")["online"] == pytest.approx(sum(each.reward for each in side) / 60)


def test_a_slots_baseline_is_its_own_if_it_could_be_chosen():
    own = [
        replace(each, decision=replace(each.decision, situation=each.decision.situation.replace(b'"baseline":"a"', b'"baseline":"b"')))
        for each in drawn(50, slot="s", probabilities=(0.2, 0.6, 0.2))
    ]
    assert taken(lane(), own).sums["s"].tally.series.total.largest_weight.tolist() == pytest.approx([1.0, 1 / 0.6, 5 / 3])


def test_further_slots_count_in_the_whole_only():
    mine = lane()
    for number in range(MOST_SLOTS + 5):
        mine.take(drawn(2, slot=f"s{number}"))
    assert len(mine.sums) == MOST_SLOTS + 1
    assert mine.sums[""].coverage.rounds.tolist() == [2.0 * (MOST_SLOTS + 5)] * 3
    (warning,) = [each for each in warnings(parts([Found.of(mine)])) if "slots" in each]
    assert "the other 10 rounds, of further slots or of none, count in the whole only" in warning


def test_as_many_slots_as_a_call_may_have_all_have_figures_of_their_own():
    mine = lane()
    mine.take([event for number in range(MAX_SLOTS) for event in drawn(2, slot=f"s{number}")])
    found = parts([Found.of(mine)])
    assert {each.slot for each in found} == {"", *[f"s{number}" for number in range(MAX_SLOTS)]}
    assert not [each for each in warnings(found) if "slots" in each]


def test_longer_buckets_hold_the_same_sums():
    fine, coarse = taken(lane(), drawn(200)), taken(lane(minutes=60), drawn(200))
    assert len(coarse.sums[""].tally.series.buckets) < len(fine.sums[""].tally.series.buckets)
    assert estimates(coarse) == pytest.approx(estimates(fine))


def test_a_batch_that_cannot_be_read_changes_nothing():
    mine = taken(lane(), drawn(50))
    before = artifact.dump_state(mine.learner), mine.sums[""].plain()
    broken = drawn(10)
    broken[7] = replace(broken[7], decision=replace(broken[7].decision, situation=b"{}"))
    with pytest.raises(UnreadableError):
        mine.take(broken)
    assert (artifact.dump_state(mine.learner), mine.sums[""].plain()) == before


def test_policies_that_learn_from_the_same_features_share_a_lane():
    compared = contenders(LearningPolicy(), [GREEDY, UNCROSSED, LearningPolicy("bag", "--cb_explore_adf --bag 5 --ignore u")])
    first, second = lineups(compared, exploration_percentage=0.3, since=T0)
    assert [each.name for each in first.contenders] == ["online", "baseline1", "random", "present policy", "greedy"]
    assert [each.name for each in second.contenders] == ["blind", "bag"]
    assert (first.since, second.exploration_percentage) == (T0, 0.3)
    blind = taken(Lane(second), drawn(3_000), 300)
    assert estimates(blind)["blind"] == pytest.approx(FIRST, abs=0.05)


def test_sums_that_are_none_are_refused():
    with pytest.raises(UnreadableError):
        SlotSums.of_plain({"tally": {}})
    assert Lineup(()).contenders == ()


EVERY_WAY = [LearningPolicy(f"way{number}", f"--cb_explore_adf {text}") for number, text in enumerate(EXPLORATIONS)]


def numbers(plain: object) -> list[float]:
    if isinstance(plain, dict):
        return [each for value in plain.values() for each in numbers(value)]
    return [each for value in plain for each in numbers(value)] if isinstance(plain, list) else [float(plain)]  # type: ignore[arg-type]


def test_figures_are_those_of_rounds_scored_one_by_one(monkeypatch):
    """Slots, excluded actions and rounds of other sizes included."""
    several = [replace(each, decision=replace(each.decision, slot=f"s{number % 2}")) for number, each in enumerate(drawn(30, seed=2))]
    excluded = drawn(30, seed=3, probabilities=(0.0, 0.4, 0.6))
    events = [*drawn(70), *several, *excluded]
    at_once = taken(lane(*EVERY_WAY), events, 50)

    def one_by_one(block: Block) -> None:
        first = len(block) - len(block._waiting)
        for row, encoded in enumerate(block._waiting, start=first):
            size, scores = block.sizes[row], None if block._model.is_cold else block._model.scores(encoded)
            if scores is not None:
                allowed = (block._cells[0, row, :size] > 0.0).tolist()
                block._cells[1, row, :size] = scores.mean
                for number, policy in enumerate(block._policies, start=2):
                    block._cells[number, row, :size] = policy.chances(scores, allowed)
        block._waiting = []

    monkeypatch.setattr(Block, "score", one_by_one)
    alone = taken(lane(*EVERY_WAY), events, 50)
    assert at_once.counts == alone.counts
    assert at_once.sums.keys() == alone.sums.keys()
    for slot, sums in at_once.sums.items():
        assert numbers(sums.plain()) == pytest.approx(numbers(alone.sums[slot].plain()), rel=1e-9, abs=1e-9)
