"""``python -m benchmarks.estimators --data DIR``: how far estimates of a policy's value are off, on logs whose truth is known.

The rows of a set are the world. A log is drawn from it with replacement, by a weak policy that explores 40 %: greedy by what was learned
from 300 events of random actions. The policy to be valued is greedy by what was learned from 3,000 others. Its true value is the mean over
all rows. Predictions come from `shared.learning.learner`, cross-fitted; the same row is never in two folds, however often it was drawn.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.problems import Event, find, read
from shared.evaluation.crossfit import FOLDS, cross_fitted
from shared.evaluation.intervals import gaussian, gaussian_doubly_robust, gaussian_snips
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.tally import DEFAULT, Tally, default_interval
from shared.learning.encoding import EncodedSituation, Encoder, to_batch
from shared.learning.learner import Learner

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

EXPLORATION = 0.4
WEAK_EVENTS = 300
STRONG_EVENTS = 3000
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class World:
    """Encoded rows, and what each action earns on average, [rows, K]; of rows with fewer actions the rest is never allowed."""

    name: str
    encoded: Sequence[EncodedSituation]
    expected: Floats
    allowed: npt.NDArray[np.bool_]

    @staticmethod
    def of(name: str, events: Sequence[Event]) -> "World":
        """Encode a set."""
        encoder, width = Encoder(), max(len(event.expected) for event in events)
        expected = np.array([[*event.expected, *[0.0] * (width - len(event.expected))] for event in events])
        allowed = np.arange(width) < np.array([len(event.expected) for event in events])[:, None]
        return World(name, [encoder.encode(event.situation) for event in events], expected, allowed)

    def __len__(self) -> int:
        return len(self.encoded)

    def greedy(self, learner: Learner) -> Floats:
        """Give the probabilities of the policy that takes what this learner expects most of, [rows, K]."""
        scores = np.where(self.allowed, self.scores(learner, np.arange(len(self))), -np.inf)
        return np.asarray(np.eye(scores.shape[1])[scores.argmax(axis=1)])

    def scores(self, learner: Learner, rows: Integers) -> Floats:
        """Give what it expects of each action, [len(rows), K]."""
        model, scores = learner.model(), np.zeros((len(rows), self.expected.shape[1]))
        different, back = np.unique(rows, return_inverse=True)
        for place, row in enumerate(different.tolist()):
            mean = model.scores(self.encoded[row]).mean
            scores[place, : len(mean)] = mean
        return scores[back]


@dataclass(frozen=True, slots=True)
class Log:
    """What was drawn: rows, chosen actions with their rewards, and all actions' probabilities, [n, K]."""

    world: World
    rows: Integers
    chosen: Integers
    rewards: Floats
    probabilities: Floats

    @staticmethod
    def drawn(world: World, policy: Floats, *, events: int, rng: np.random.Generator) -> "Log":
        """Play a policy, [rows, K]."""
        rows = rng.integers(len(world), size=events)
        probabilities = policy[rows]
        chosen = (probabilities.cumsum(axis=1) > rng.random((events, 1)) * probabilities.sum(axis=1, keepdims=True)).argmax(axis=1)
        rewards = (rng.random(events) < world.expected[rows, chosen]).astype(np.float64)
        return Log(world, rows, chosen, rewards, probabilities)


class LearnerModel:
    """The service's learner as a `shared.evaluation.crossfit.RewardModel`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._learner = Learner.cold()

    def learn(self, places: Integers) -> None:
        """Learn these rounds as the trainer does."""
        learn(self._learner, self._log, places)

    def predict(self, places: Integers) -> Floats:
        """Score all actions."""
        return self._log.world.scores(self._learner, self._log.rows[places])


def learn(learner: Learner, log: Log, places: Integers) -> None:
    """Learn these rounds of a log."""
    chosen = log.chosen[places]
    encoded = [log.world.encoded[row].logged(action) for row, action in zip(log.rows[places].tolist(), chosen.tolist(), strict=True)]
    learner.learn(to_batch(encoded, rewards=log.rewards[places].tolist(), probabilities=log.probabilities[places, chosen].tolist()))


def trained(world: World, *, events: int, rng: np.random.Generator) -> Floats:
    """Give the policy that is greedy by what was learned from random actions."""
    uniform = world.allowed / world.allowed.sum(axis=1, keepdims=True)
    log, learner = Log.drawn(world, uniform, events=events, rng=rng), Learner.cold()
    learn(learner, log, np.arange(events))
    return world.greedy(learner)


@dataclass(frozen=True, slots=True)
class Result:
    """Of one log: each estimator's error, and whether each interval holds the truth."""

    truth: float
    errors: Mapping[str, float]
    covers: Mapping[str, bool]
    widths: Mapping[str, float]


def run(world: World, *, events: int, seed: int, strong_events: int = STRONG_EVENTS) -> Result:
    """Draw policies and a log, and estimate."""
    rng = np.random.default_rng(seed)
    weak, target = trained(world, events=WEAK_EVENTS, rng=rng), trained(world, events=strong_events, rng=rng)
    uniform = world.allowed / world.allowed.sum(axis=1, keepdims=True)
    log = Log.drawn(world, (1.0 - EXPLORATION) * weak + EXPLORATION * uniform, events=events, rng=rng)
    predictions = cross_fitted(lambda: LearnerModel(log), log.rows % FOLDS)
    rounds = Rounds.of_choices(
        chosen=log.chosen, logged=log.probabilities, target=target[log.rows], rewards=log.rewards, predictions=predictions
    )
    largest = float(world.allowed.sum(axis=1).max()) / EXPLORATION
    estimates = Tally.of(rounds, np.zeros(events, dtype=np.int64)).estimates(largest_weight=largest)
    truth, moments = float((target * world.expected).sum(axis=1).mean()), Moments.of(rounds)
    intervals = {
        "ips": gaussian(moments),
        "snips": gaussian_snips(moments),
        "dr": gaussian_doubly_robust(moments),
        "default": default_interval(moments, largest_weight=largest),
    }
    return Result(
        truth,
        {name: float(value) - truth for name, value in estimates.items()},
        {name: bool(interval.covers(truth)) for name, interval in intervals.items()},
        {name: float(interval.width) for name, interval in intervals.items()},
    )


def rmse(results: Sequence[Result]) -> dict[str, float]:
    """Give the root mean square of each estimator's errors."""
    return {name: float(np.sqrt(np.mean([each.errors[name] ** 2 for each in results]))) for name in results[0].errors}


def main(arguments: Sequence[str]) -> int:
    """Run, print the tables, and say whether the default estimator beats SNIPS on three of four sets."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description="Estimate policies' values whose truth is known.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder of NAME.npz and NAME.jsonl.gz")
    parser.add_argument("--sets", metavar="NAME,NAME", help="only these")
    parser.add_argument("--logs", type=int, default=10, metavar="N", help="logs of each set (default: 10)")
    parser.add_argument("--events", type=int, default=3000, metavar="N", help="events of each log (default: 3000)")
    options = parser.parse_args(arguments)
    paths = find(options.data) if options.data.is_dir() else {}
    names = options.sets.split(",") if options.sets else list(paths)
    if not names or (unknown := [name for name in names if name not in paths]):
        parser.error(f"there is no set {', '.join(unknown) if names else ''} in {options.data}")
    results = {name: _results(paths[name], options) for name in names}
    show(results)
    return int(wins(results) < 0.75 * len(results))


def _results(path: Path, options: argparse.Namespace) -> list[Result]:
    problem = read(path, seed=0)
    world = World.of(problem.name, problem.events)
    results = [run(world, events=options.events, seed=seed) for seed in range(options.logs)]
    print(problem.name, *(f"{name} {error:.4f}" for name, error in rmse(results).items()), file=sys.stderr, flush=True)
    return results


def wins(results: Mapping[str, Sequence[Result]]) -> int:
    """Count the sets on which the default estimator is nearer than SNIPS."""
    return sum(errors[DEFAULT] < errors["snips"] for errors in map(rmse, results.values()))


def show(results: Mapping[str, Sequence[Result]]) -> None:
    """Print root mean square errors, and how often 95 % intervals held the truth and how wide they were."""
    errors = {name: rmse(each) for name, each in results.items()}
    names = list(next(iter(errors.values())))
    print(_row("set", "truth", *names))
    print("|---" * (len(names) + 2) + "|")
    for name, each in results.items():
        print(_row(name, _short(float(np.mean([one.truth for one in each]))), *(_short(errors[name][column]) for column in names)))
    means = [
        float(np.exp(np.mean(np.log([max(of[column], _TINY) / max(of["snips"], _TINY) for of in errors.values()])))) for column in names
    ]
    print(_row("mean ratio to snips", "", *(f"{value:.2f}" for value in means)))
    print(f"\n{DEFAULT} nearer than snips on {wins(results)} of {len(results)} sets\n")
    every = [one for each in results.values() for one in each]
    print(_row("95 % interval", "held the truth", "mean width"))
    print("|---|---|---|")
    for name in every[0].covers:
        print(
            _row(name, f"{np.mean([one.covers[name] for one in every]):.1%}", _short(float(np.mean([one.widths[name] for one in every]))))
        )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1) if abs(value) < 1.0 else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
