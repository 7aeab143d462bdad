"""The benchmark of estimators, on worlds that are made up."""

import numpy as np
import pytest

from benchmarks.estimators import EXPLORATION, WEAK_EVENTS, Log, World, learn, main, rmse, run, trained, wins
from benchmarks.problems import Event, known
from shared.domain.events import Situation
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.tally import DEFAULT, closed_forms
from shared.learning.learner import Learner


def made_up(rows: int = 120) -> World:
    """Visitors of five kinds: three want one of five actions each, the others hardly want any."""
    actions = tuple(known(f"a{each}", {"A": {"id": f"a{each}"}}) for each in range(5))
    kinds = [5 * row // rows for row in range(rows)]
    wants = [tuple(0.9 if each == kind < 3 else 0.1 for each in range(5)) for kind in kinds]
    situations = [Situation(({"U": {"kind": f"k{kind}"}},), actions) for kind in kinds]
    return World.of("made up", [Event(*row) for row in zip(situations, wants, wants, strict=True)])


def many_errors(world: World, *, events: int, logs: int) -> tuple[float, float]:
    """Give the root mean square errors of the default and of SNIPS, over many logs; one more log, of as many events, is learned from."""
    rng = np.random.default_rng(0)
    weak, target = trained(world, events=WEAK_EVENTS, rng=rng), trained(world, events=events, rng=rng)
    policy = (1.0 - EXPLORATION) * weak + EXPLORATION * world.allowed / world.allowed.sum(axis=1, keepdims=True)
    learner, learned = Learner.cold(), Log.drawn(world, policy, events=events, rng=rng)
    learn(learner, learned, np.arange(events))
    predictions = np.clip(world.scores(learner, np.arange(len(world))), 0.0, 1.0)
    log = Log.drawn(world, policy, events=events * logs, rng=rng)
    rounds = Rounds.of_choices(
        chosen=log.chosen, logged=log.probabilities, target=target[log.rows], rewards=log.rewards, predictions=predictions[log.rows]
    )
    found = closed_forms(Moments.of_parts(rounds, events * np.arange(logs)))
    truth = float((target * world.expected).sum(axis=1).mean())
    ours, theirs = (float(np.sqrt(np.mean((found[name] - truth) ** 2))) for name in (DEFAULT, "snips"))
    return ours, theirs


def test_the_default_is_nearer_than_snips_on_worlds_of_different_sizes():
    pairs = [many_errors(made_up(rows), events=600, logs=200) for rows in (120, 60, 300)]
    assert all(ours < 0.95 * theirs for ours, theirs in pairs), pairs


def test_a_run_cross_fits_and_gives_every_estimators_error():
    world = made_up()
    results = [run(world, events=400, seed=seed, strong_events=300) for seed in range(2)]
    for each in results:
        assert {DEFAULT, "snips", "dr", "mle"} <= set(each.errors)
        assert max(map(abs, each.errors.values())) < 0.35
        assert all(0.0 < width < 1.0 for width in each.widths.values())
    errors = rmse(results)
    assert errors["dr"] == pytest.approx(np.sqrt(np.mean([each.errors["dr"] ** 2 for each in results])))
    assert wins({"made up": results}) == (errors[DEFAULT] < errors["snips"])


def test_the_tables_are_printed(tmp_path, capsys):
    rng = np.random.default_rng(3)
    classes = rng.integers(2, size=60).astype(np.int32)
    np.savez(tmp_path / "coins.npz", X=rng.random((60, 1)).astype(np.float32), C=classes[:, None], y=classes)
    code = main(["--data", str(tmp_path), "--logs", "2", "--events", "200"])
    printed = capsys.readouterr().out
    assert code in (0, 1)
    assert "| coins |" in printed
    assert f"{DEFAULT} nearer than snips on" in printed


@pytest.mark.parametrize("arguments", [["--data", "nowhere"], ["--data", ".", "--sets", "unknown"]])
def test_a_set_that_is_not_there_is_named(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "there is no set" in capsys.readouterr().err
