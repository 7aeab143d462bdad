"""The bench of quality: what is played is what is scored, by every player alike."""

import doctest
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import quality, quality_elsewhere, quality_scores, vw
from benchmarks.problems import find, read
from benchmarks.quality import goals_of, main
from benchmarks.quality_ours import Choice, Ours
from benchmarks.quality_play import OURS, Played, Run, play, play_set
from benchmarks.quality_scores import Scores
from benchmarks.vw import CONFIGURATIONS, VowpalWabbit
from tests.patience import PATIENCE

REPOSITORY = Path(__file__).resolve().parents[2]


def write_classes(path: Path, *, rows: int = 80) -> Path:
    """Write a set whose class is its category."""
    rng = np.random.default_rng(7)
    classes = rng.integers(3, size=rows).astype(np.int32)
    np.savez(path, X=rng.random((rows, 2)).astype(np.float32), C=classes[:, None], y=classes)
    return path


def write_clicks(path: Path, *, rows: int = 80) -> Path:
    """Write a set of clicks in which two readers swap their tastes half-way."""
    lines = []
    for number in range(rows):
        likes_tea = (number % 2 == 0) == (number < rows // 2)
        actions = [{"id": each, "features": {"F": {"drink": each}}} for each in ("tea", "coffee")]
        context = {"User": {"name": f"reader{number % 2}"}, "Env": {"row": number}}
        rewards = [0.9, 0.2] if likes_tea else [0.2, 0.9]
        lines.append(json.dumps({"context": context, "actions": actions, "rewards": rewards, "bernoulli": True}))
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


@pytest.fixture
def folder(tmp_path):
    write_classes(tmp_path / "classes.npz")
    write_clicks(tmp_path / "clicks_drift.jsonl.gz")
    return tmp_path


class Known:
    """Plays by a rule, and remembers the windows that it was to learn."""

    def __init__(self, rule):
        self.rule = rule
        self.windows = []
        self.published = 0

    def rank(self, situation, event_id):
        probabilities = self.rule(situation)
        return Choice(probabilities, int(np.argmax(probabilities)), event_id.encode())

    def learn(self, logged, rewards, probabilities):
        self.windows.append((list(logged), list(rewards), list(probabilities)))

    def publish(self):
        self.published += 1

    @property
    def sizes(self):
        return [len(logged) for logged, _, _ in self.windows]


def namespace(situation, name):
    return situation.context[0][name]


def knows_the_class(situation):
    right = int(namespace(situation, "U")["c0"][1:])
    return tuple(float(index == right) for index in range(len(situation.actions)))


def shows_the_first(situation):
    return tuple(float(index == 0) for index in range(len(situation.actions)))


def test_classes_are_read_as_requests(folder):
    problem = read(find(folder)["classes"], seed=0)
    assert (problem.name, len(problem.events), problem.actions, problem.change) == ("classes", 80, 3, None)
    for event in problem.events:
        features = namespace(event.situation, "U")
        assert set(features) <= {"x0", "x1", "c0"}
        assert [(action.id, action.features) for action in event.situation.actions] == [
            (f"a{k}", ({"A": {"id": f"a{k}"}},)) for k in range(3)
        ]
        assert event.rewards == event.expected
        assert event.rewards.index(1.0) == int(features["c0"][1:])


def test_events_are_read_in_their_order_and_their_clicks_are_drawn(folder):
    problem = read(find(folder)["clicks_drift"], seed=0)
    assert problem.change == 40
    assert [namespace(event.situation, "Env")["row"] for event in problem.events] == list(range(80))
    assert problem.events[0].situation.actions[1].features == ({"F": {"drink": "coffee"}},)
    assert {reward for event in problem.events for reward in event.rewards} == {0.0, 1.0}
    assert np.mean([event.rewards for event in problem.events]) == pytest.approx(0.55, abs=0.1)


def test_a_seed_fixes_order_and_clicks(folder):
    for path in find(folder).values():
        assert read(path, seed=1) == read(path, seed=1)
        assert read(path, seed=1) != read(path, seed=2)


def test_who_knows_everything_scores_the_best_and_who_knows_nothing_what_it_shows(folder):
    events = read(find(folder)["classes"], seed=0).events
    assert play(Known(knows_the_class), events, protocol="every", seed=0).mean() == 1.0
    first = play(Known(shows_the_first), events, protocol="every", seed=0)
    assert first.tolist() == [event.expected[0] for event in events]


def test_a_score_is_the_chance_of_the_click_and_what_is_learned_is_the_click(folder):
    events = read(find(folder)["clicks_drift"], seed=0).events
    player = Known(shows_the_first)
    scores = play(player, events, protocol="block10", seed=0)
    assert set(scores.tolist()) == {0.9, 0.2}
    assert [reward for _, rewards, _ in player.windows for reward in rewards] == [event.rewards[0] for event in events]


def test_a_cold_start_is_uniform(folder):
    """Nothing is ever published with less than ten events, so that all of them are drawn evenly."""
    events = read(find(folder)["classes"], seed=0).events
    scores = np.concatenate([play(Ours(), events[:9], protocol="block10", seed=seed) for seed in range(60)])
    assert scores.mean() == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [
        ("every", [1] * 700),
        ("block10", [10] * 70),
        ("deployed", [10] * 5 + [13, 16, 20, 25, 31, 39, 49, 61, 76, 95, 100, 100]),
    ],
)
def test_what_is_new_is_learned_and_published_when_the_protocol_says(tmp_path, protocol, sizes):
    events = read(write_classes(tmp_path / "long.npz", rows=700), seed=0).events
    player = Known(shows_the_first)
    play(player, events, protocol=protocol, seed=0)
    assert player.sizes == sizes
    assert player.published == len(sizes)
    logged = [name for names, _, _ in player.windows for name in names]
    assert logged == [f"0-{index}".encode() for index in range(sum(sizes))]


@pytest.mark.parametrize("player", [OURS, "--squarecb -l 2"])
def test_what_there_is_to_learn_is_learned(tmp_path, player):
    path = write_classes(tmp_path / "long.npz", rows=600)
    assert play_set(Run(path, 0, "block10", player=player)).scores[-200:].mean() > 0.65


@pytest.mark.parametrize("player", [OURS, *CONFIGURATIONS])
def test_every_player_plays_and_plays_the_same_again(folder, player):
    path = find(folder)["clicks_drift"]
    first, again = (play_set(Run(path, 3, "deployed", player=player)) for _ in range(2))
    assert (first.name, first.actions, len(first.scores)) == ("clicks_drift", 2, 80)
    assert first.scores.tolist() == again.scores.tolist()


def test_vowpal_wabbit_learns_from_the_action_that_was_chosen(folder):
    """The second action always earns, whatever it was drawn with."""
    situation = read(find(folder)["classes"], seed=0).events[0].situation
    player = VowpalWabbit("--epsilon 0.1", [situation])
    assert player.rank(situation, "e").probabilities == pytest.approx((1 / 3, 1 / 3, 1 / 3), abs=0.4)
    for number in range(60):
        choice = player.rank(situation, f"e{number}")
        player.learn([choice.logged], [float(choice.chosen == 1)], [choice.probabilities[choice.chosen]])
    assert player.rank(situation, "e").probabilities == pytest.approx((0.1 / 3, 1 - 0.2 / 3, 0.1 / 3))
    player.close()


def test_a_fresh_start_plays_what_is_after_the_change(folder):
    path = find(folder)["clicks_drift"]
    assert len(play_set(Run(path, 0, "block10", from_change=True)).scores) == 40


def played(name, value, *, seed=0, player=OURS, from_change=False, last=None):
    scores = np.full(100, value)
    scores[75:] = value if last is None else last
    return Played(Run(Path(name), seed, "block10", player=player, from_change=from_change), name, 2, scores, 1.0)


def peers(name, value):
    return [played(name, value if player == CONFIGURATIONS[3] else 0.1, player=player) for player in CONFIGURATIONS]


def test_the_best_peer_is_the_best_one_in_hindsight():
    scores = Scores([played("easy", 0.9), *peers("easy", 0.8)])
    assert scores.best("easy")[0] == CONFIGURATIONS[3]
    assert scores.best("easy")[1].value == pytest.approx(0.8)


@pytest.mark.parametrize(("ours", "verdict"), [(0.791, "pass"), (0.789, "FAIL")])
def test_a_set_may_be_a_hundredth_below_the_best_peer(ours, verdict):
    goal = next(goals_of(Scores([played("easy", ours), *peers("easy", 0.8)]), "block10", vw=True, is_whole=False))
    assert (goal.measure, goal.verdict) == ("easy, against the best VW", verdict)


@pytest.mark.parametrize(
    ("protocol", "value", "verdict"), [("block10", 0.77, "pass"), ("block10", 0.76, "FAIL"), ("deployed", 0.76, "pass")]
)
def test_the_goal_of_the_mean_is_one_for_all_sets(protocol, value, verdict):
    scores = Scores([played("one", value - 0.1), played("other", value + 0.1)])
    (goal,) = goals_of(scores, protocol, vw=False, is_whole=True)
    assert (goal.measure, goal.verdict) == (f"mean, {protocol}", verdict)
    assert not list(goals_of(scores, protocol, vw=False, is_whole=False))
    assert not list(goals_of(scores, "every", vw=False, is_whole=True))


@pytest.mark.parametrize(("last", "verdict"), [(0.56, "pass"), (0.54, "FAIL")])
def test_after_a_change_the_last_quarter_is_held_against_a_fresh_start(last, verdict):
    scores = Scores([played("drift", 0.9, last=last), played("drift", 0.2, last=0.6, from_change=True)])
    (goal,) = goals_of(scores, "every", vw=False, is_whole=True)
    assert goal.verdict == verdict
    assert "fresh start (.600)" in goal.measure


def test_the_error_is_over_the_seeds():
    scores = Scores([played("one", 0.5, seed=0), played("one", 0.7, seed=1), played("other", 0.1, seed=0), played("other", 0.3, seed=1)])
    assert (str(scores.of("one")), str(scores.mean(scores.sets))) == (".600 ± .100", ".400 ± .100")


def test_it_prints_a_line_for_each_set_and_says_by_its_exit_code_whether_the_goals_are_met(folder, capsys, monkeypatch):
    monkeypatch.setattr(quality, "MEANS", {"block10": 1.1})  # more than can be earned
    assert main(["--data", str(folder), "--rounds", "0", "--seeds", "0,1", "--vw"]) == 1
    printed = capsys.readouterr().out
    heading, *lines = printed.splitlines()[3:]
    assert heading.split() == ["set", "actions", "events", "ours", "events/s", "best", "VW", "above", "with"]
    assert [line.split()[0] for line in lines[:3]] == ["classes", "clicks_drift", "mean"]
    assert all(player in printed for player in CONFIGURATIONS)
    assert "mean, block10" in printed
    assert printed.count("last quarter") == 1
    assert "FAIL" in printed


def test_without_a_goal_that_is_missed_it_exits_with_0(folder, capsys):
    assert main(["--data", str(folder), "--seeds", "0", "--sets", "classes"]) == 0
    printed = capsys.readouterr().out
    assert "not all sets" in printed
    assert "clicks_drift" not in printed


@pytest.mark.slow
def test_several_processes_play_the_same(folder, capsys):
    arguments = ["--data", str(folder), "--rounds", "0", "--seeds", "0", "--protocol", "every"]
    main(arguments)
    alone = capsys.readouterr().out
    command = [sys.executable, "-m", "benchmarks.quality", *arguments, "--jobs", "2"]
    together = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert [line.split()[:4] for line in together.stdout.splitlines()] == [line.split()[:4] for line in alone.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--sets", "classes,clases"],
            "there is no set clases; there are classes, clicks_drift, world_segments, world_drift",
        ),
        (["--seeds", "0,x"], "'0,x' is not a list of numbers like 0,1,2"),
        (["--jobs", "0"], "'0' is not a number from 1"),
        (["--exploration", "1.5"], "'1.5' is not a number from 0 to 1"),
        (["--protocol", "never"], "invalid choice: 'never'"),
    ],
)
def test_what_can_not_be_played_is_refused_with_a_reason(folder, capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        main(["--data", str(folder), *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("data", "message"), [("nowhere", "there is no folder"), (".", "no set in")])
def test_a_folder_without_sets_is_refused(tmp_path, capsys, data, message):
    with pytest.raises(SystemExit) as exit_:
        main(["--data", str(tmp_path / data)])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_a_damaged_file_is_named(tmp_path, capsys):
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    assert main(["--data", str(tmp_path), "--rounds", "0", "--seeds", "0"]) == 2
    assert "broken.npz: this is not an .npz archive" in capsys.readouterr().err


@pytest.mark.parametrize("module", [quality_elsewhere, quality_scores, vw])
def test_the_examples_hold(module):
    checked = doctest.testmod(module)
    assert (checked.failed, checked.attempted > 0) == (0, True)
