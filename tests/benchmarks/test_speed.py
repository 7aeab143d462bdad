"""The bench of speed runs, in a size that says nothing about speed, and measures what it says."""

import doctest
from itertools import islice

import pytest
import vowpalwabbit

from benchmarks import speed
from benchmarks.problems import Shape, made
from benchmarks.samples import Traffic
from benchmarks.speed import ARGUMENTS, BENCHMARKS, PERSONALIZERS, _renewed, in_turn, log_of, main
from benchmarks.vw import interactions


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.sweep(keep=2)
def test_a_benchmark_prints_its_figures_beside_vowpal_wabbits(name, capsys):
    assert main([name, "--quick"]) == 0
    _, _, heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["benchmark", "measure", "ours", "floor", "ratio", "goal"]
    assert all(line.startswith(name) for line in lines)
    assert name == "cost" or any(line.endswith(("pass", "FAIL")) for line in lines)
    for grows in ("features", "actions", "distinct features") if name == "cost" else ():
        for of in ("rank", "train"):
            assert f"{grows}: slope of {of}" in "\n".join(lines), "what grows is summed up by its slope"


def test_an_unknown_benchmark_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["rnak"])
    assert exit_.value.code == 2
    assert "there is no benchmark rnak" in capsys.readouterr().err


def test_calls_alternate_and_so_does_who_is_first():
    called = []
    ours, theirs = in_turn([(lambda: called.append("ours"), lambda: called.append("theirs"))] * 3)
    assert called == ["theirs", "ours", "ours", "theirs", "theirs", "ours"]
    assert len(ours) == len(theirs) == 3


def test_vowpal_wabbits_driver_reads_all_events_and_their_rewards(tmp_path):
    log = log_of(islice(made(Shape(actions=4), seed=0), 50), seed=1)
    path = log.write(tmp_path / "events.json")
    crossed = interactions(log.situations).split()
    workspace = vowpalwabbit.Workspace(arg_list=["--cb_explore_adf", "--dsjson", "--quiet", *crossed, "-d", str(path)])
    assert workspace.get_weighted_examples() == 50
    assert workspace.get_sum_loss() < 0.0
    workspace.finish()
    assert 5 <= sum(log.rewards) <= 25


def test_made_requests_have_the_shape_that_was_asked_for():
    situation = next(made(Shape(features=3, actions=5, values=1), seed=0))
    assert situation.context == ({"user": {"f0": "v0", "f1": "v0", "f2": "v0"}},)
    assert len({action.id for action in situation.actions}) == 5
    assert situation == next(made(Shape(features=3, actions=5, values=1), seed=0))


def test_new_actions_were_never_met_before():
    traffic = Traffic(actions=10, seed=1)
    bodies = [_renewed(traffic.body("e"), number) for number in range(20)]
    assert len({action["id"] for body in bodies for action in body["actions"]}) == 200
    assert all(len(action["features"][0]["article"]) == 7 for body in bodies for action in body["actions"])


def test_training_sees_each_event_once_in_order():
    log = log_of(islice(made(Shape(), seed=0), 10), seed=1)
    windows = list(speed._windows(log.encoded, 4))
    assert [len(events) for events, _, _ in windows] == [4, 4, 2]
    assert [event for events, _, _ in windows for event in events] == log.encoded[0]


def test_training_is_told_from_nothing_behind_it_and_over_all_beside_both_of_vowpal_wabbits_policies():
    """Windows of 10 events: the first eight take 4 seconds in all, the next eight 1, the rest 3."""
    ours = [0.5] * 8 + [0.125] * 8 + [1.0] * 3
    theirs = {(arguments, count): count / rate for arguments, rate in ((ARGUMENTS, 40.0), (PERSONALIZERS, 20.0)) for count in (80, 190)}
    lines = speed._beside(theirs, ours, 10, 190)
    assert [line.ours for line in lines] == ["20/s", "20/s", "80/s", "80/s", "24/s", "24/s"]
    assert [line.floor for line in lines] == ["40/s", "20/s"] * 3
    assert [line.ratio for line in lines] == pytest.approx([0.5, 1.0, 2.0, 4.0, 0.59375, 1.1875])
    assert [line.verdict for line in lines] == ["FAIL", "", "pass", "", "FAIL", ""]


def test_what_is_learned_behind_much_is_compared_with_what_is_learned_behind_little():
    lines = speed._grown([1.0] * 4 + [2.0] * 14, 10)
    assert [line.measure for line in lines] == ["behind 20 events", "behind 40 events", "behind 80 events", "behind 160 events"]
    assert [line.ratio for line in lines] == pytest.approx([1.0, 0.5, 0.5, 0.5])


def test_the_examples_hold():
    assert doctest.testmod(speed).failed == 0
