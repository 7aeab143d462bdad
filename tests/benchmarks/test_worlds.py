"""The worlds of the bench of quality: what they say an action earns is what it earns, and two checkouts are played by the same steps."""

import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quality import goals_of, main
from benchmarks.quality_elsewhere import CheckoutError, play_elsewhere
from benchmarks.quality_ours import Choice, Ours
from benchmarks.quality_play import Played, Run, play, play_set
from benchmarks.quality_scores import Scores
from benchmarks.vw import interactions, situation_json
from benchmarks.worlds import CLICKS, ROUNDS, WORLDS, World, fitted, make

REPOSITORY = Path(__file__).resolve().parents[2]


class Oracle:
    """Shows by a rule of the chances, which it knows."""

    def __init__(self, events, rule):
        self.shown = iter([int(rule(event.expected)) for event in events])

    def rank(self, situation, event_id):
        chosen = next(self.shown)
        return Choice(tuple(float(place == chosen) for place in range(len(situation.actions))), chosen, b"")

    def learn(self, logged, rewards, probabilities):
        pass

    def publish(self):
        pass


def shares(name, rule, *, rounds=400):
    events = make(World(name, rounds), seed=2).events
    scores = play(Oracle(events, rule), events, protocol="block10", seed=2)
    best = np.array([max(event.expected) for event in events])
    return Played(Run(World(name, rounds), 2, "block10"), name, 3, scores, 1.0, best).figure


@pytest.mark.parametrize("name", WORLDS)
def test_a_seed_makes_the_same_world_again_and_another_seed_another(name):
    assert make(World(name, 50), seed=1) == make(World(name, 50), seed=1)
    assert make(World(name, 50), seed=1) != make(World(name, 50), seed=2)


@pytest.mark.parametrize("name", WORLDS)
def test_an_action_earns_as_often_as_the_world_says(name):
    events = make(World(name, 2_000), seed=3).events
    said, earned = (np.concatenate([getattr(event, which) for event in events]) for which in ("expected", "rewards"))
    assert set(earned.tolist()) == {0.0, 1.0}
    error = np.sqrt((said * (1 - said)).sum()) / len(said)
    assert abs(said.mean() - earned.mean()) < 4 * error
    above = said > np.median(said)
    assert earned[above].mean() > earned[~above].mean()


@pytest.mark.parametrize("name", WORLDS)
def test_who_knows_the_chances_earns_all_and_who_takes_the_worst_much_less(name):
    assert shares(name, np.argmax) == 1.0
    assert shares(name, np.argmin) < 0.6


def test_half_way_through_the_drifting_world_another_offer_is_best():
    events = make(World("world_drift", 400), seed=0).events
    best: dict[tuple[str, bool], set[int]] = {}
    for number, event in enumerate(events):
        plan = features(event.situation.context[0], "visitor")["plan"]
        best.setdefault((plan, number >= 200), set()).add(int(np.argmax(event.expected)))
    assert all(len(places) == 1 for places in best.values())
    assert all(best[plan, False] != best[plan, True] for plan, _ in best)


def test_no_feature_tells_the_quality_of_an_item_in_the_shop():
    """Among items of one category and brand the one of the better price is not always the better one."""
    surprises = [False, False]
    for event in make(World("world_shop", 400), seed=0).events:
        budget = features(event.situation.context[0], "visitor")["budget"]
        items = [features(action.features[0], "item") for action in event.situation.actions]
        for one, other in combinations(range(len(items)), 2):
            if all(items[one][name] == items[other][name] for name in ("category", "brand")):
                nearer = abs(items[one]["price"] - budget) < abs(items[other]["price"] - budget)
                surprises[nearer == (event.expected[one] < event.expected[other])] = True
    assert all(surprises)


def features(described, namespace) -> Any:
    """Give the features of a namespace."""
    return described[namespace]


def test_clicks_are_rare_and_a_fit_to_all_of_them_comes_near_to_the_best():
    events = make(World(CLICKS, 8_000), seed=1).events
    expected = np.array([event.expected for event in events])
    assert 0.01 < expected.mean() < 0.03
    assert 0.01 < expected.max(axis=1).mean() < 0.05
    earned = fitted(events)
    assert len(earned) == 2_000
    assert 0.9 < earned.sum() / expected[-2_000:].max(axis=1).sum() <= 1.0


def test_a_fit_sees_nothing_of_the_quarter_that_it_is_judged_on():
    events = list(make(World(CLICKS, 400), seed=1).events)
    other = [*events[:300], *(type(event)(event.situation, event.expected, (1.0,) * 10) for event in events[300:])]
    assert fitted(events).tolist() == fitted(other).tolist()


def test_vowpal_wabbit_can_tell_actions_apart_that_have_no_features():
    situation = make(World("world_segments", 1), seed=0).events[0].situation
    assert situation_json(situation).endswith('[{"id":{"id":"discount"}},{"id":{"id":"trial"}},{"id":{"id":"upgrade"}}]}')
    assert interactions([situation]) == "-q vi"


@pytest.mark.parametrize("name", ["world_shop", "world_segments"])
@pytest.mark.sweep(keep=1)
def test_another_checkout_is_played_by_the_same_steps(name):
    """This checkout, played in a process of its own, earns the same to the last bit, event by event."""
    events = make(World(name, 120), seed=5).events
    here = play(Ours(exploration=0.5), events, protocol="deployed", seed=5)
    assert play_elsewhere(REPOSITORY, events, protocol="deployed", seed=5, exploration=0.5).tolist() == here.tolist()


def write_checkout(folder, learner):
    """Write a checkout whose learner is this code; everything else is as here."""
    (folder / "benchmarks").mkdir(parents=True)
    for name in ("__init__.py", "problems.py"):
        shutil.copy(REPOSITORY / "benchmarks" / name, folder / "benchmarks" / name)
    for name in ("shared", "examples"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "benchmarks" / "quality_ours.py").write_text(learner)
    return folder


ALWAYS_FIRST = """
from types import SimpleNamespace
class Ours:
    def __init__(self, *, exploration):
        pass
    def rank(self, situation, event_id):
        return SimpleNamespace(probabilities=(1.0,), chosen=0, logged=b"")
    def learn(self, logged, rewards, probabilities):
        pass
    def publish(self):
        pass
"""


def test_it_is_the_learner_of_the_other_checkout_that_is_played(tmp_path):
    events = make(World("world_catalog", 30), seed=0).events
    scores = play_elsewhere(write_checkout(tmp_path, ALWAYS_FIRST), events, protocol="block10", seed=0, exploration=1.0)
    assert scores.tolist() == [event.expected[0] for event in events]


def test_a_learner_that_fails_elsewhere_is_told_with_its_reason(tmp_path, capsys):
    folder = write_checkout(tmp_path, "raise RuntimeError('no such thing')")
    with pytest.raises(CheckoutError, match="RuntimeError: no such thing"):
        play_elsewhere(folder, make(World("world_segments", 5), seed=0).events, protocol="every", seed=0, exploration=1.0)
    assert main(["--sets", "world_segments", "--quick", "--seeds", "0", "--against", str(folder)]) == 2
    assert "no such thing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "/nowhere"], "/nowhere is no checkout whose learner can be played: it has no benchmarks/quality_ours.py"),
        (["--rounds", "0"], "there is nothing to play"),
        (["--rounds", "-3"], "'-3' is not a number from 1"),
        (["--sets", "world_catalogue"], "there is no set world_catalogue; there are world_segments,"),
    ],
)
def test_what_can_not_be_compared_is_refused_before_anything_is_played(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_a_comparison_prints_paired_differences_of_each_world_and_their_mean(tmp_path, capsys):
    folder = write_checkout(tmp_path, ALWAYS_FIRST)
    arguments = ["--sets", "world_segments,world_clicks", "--quick", "--seeds", "0,1", "--against", str(folder)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    table = printed[next(number for number, line in enumerate(printed) if line.startswith("ours and the learner in")) + 1 :]
    assert table[0].split() == ["ours", "theirs", "difference"]
    assert [line.split("  ")[0] for line in table[1:4]] == ["world_segments", "world_clicks", "mean of the worlds"]
    assert table[1].count("±") == 3
    assert "over seeds" in table[3]


def played(name, value, *, seed, checkout=None):
    return Played(Run(Path(name), seed, "deployed", checkout=checkout), name, 2, np.full(100, value), 1.0)


def test_a_paired_difference_has_the_error_of_the_differences_and_not_of_the_seeds():
    """Seeds may differ as much as they will: what both earn alike is no error of the comparison."""
    there = Path("there")
    figures = {"easy": ((0.5, 0.4), (0.9, 0.8)), "hard": ((0.2, 0.3), (0.4, 0.3))}
    scores = Scores(
        played(name, value, seed=seed, checkout=checkout)
        for name, pairs in figures.items()
        for seed, pair in enumerate(pairs)
        for value, checkout in zip(pair, (None, there), strict=True)
    )
    assert scores.ahead("easy") == pytest.approx({0: 0.1, 1: 0.1})
    assert scores.ahead("hard") == pytest.approx({0: -0.1, 1: 0.1})
    over_seeds, over_names = scores.mean_ahead(["easy", "hard"])
    assert (over_seeds.value, over_seeds.error) == pytest.approx((0.05, 0.05))
    assert (over_names.value, over_names.error) == pytest.approx((0.05, 0.05))
    assert str(scores.elsewhere("easy")) == ".600 ± .200"


def world(name, share, *, rounds=ROUNDS, fit=None):
    best = np.full(rounds, 0.5)
    fits = None if fit is None else np.full(rounds // 4, 0.5 * share / fit)
    return Played(Run(World(name, rounds), 0, "deployed"), name, 3, best * share, 1.0, best, fits)


@pytest.mark.parametrize(("share", "verdict"), [(0.951, "pass"), (0.949, "FAIL")])
def test_a_whole_world_as_deployed_is_held_against_its_goal(share, verdict):
    (goal,) = goals_of(Scores([world("world_catalog", share)]), "deployed", vw=False, is_whole=True)
    assert (goal.measure, goal.verdict) == ("world_catalog, last tenth, share of the best", verdict)
    (of_fit,) = goals_of(Scores([world(CLICKS, 0.5, fit=share)]), "deployed", vw=False, is_whole=True)
    assert (of_fit.measure, of_fit.verdict) == (f"{CLICKS}, last quarter, share of a fit", verdict)
    assert not list(goals_of(Scores([world("world_catalog", share, rounds=500)]), "deployed", vw=False, is_whole=True))
    assert not list(goals_of(Scores([world("world_catalog", share)]), "block10", vw=False, is_whole=True))


def test_the_learner_learns_in_a_world():
    figures = play_set(Run(World("world_segments", 600), 0, "block10"))
    assert figures.scores[-200:].mean() > 1.1 * figures.scores[:50].mean()
