"""``python -m benchmarks.coverage``: how often the estimates and intervals that are printed are wrong, on seeded logs whose truth is known.

Each log of `benchmarks.coverage_worlds` values three policies (one that is better, the baseline, and chance) and what was shown. Of each
interval it is counted how often it holds the truth; an interval for any time has to hold it at all of 20 looks at the growing log. A part
of the logs is resampled as well (the bootstrap of a log of fixed size), and valued by Open Bandit Pipeline, if ``--obp`` names a Python
that has it.
"""

import argparse
import io
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.coverage_worlds import WORLDS, Log, World, draw
from shared.evaluation import estimators, intervals
from shared.evaluation.buckets import expanded
from shared.evaluation.importance import Loss
from shared.evaluation.intervals import Interval
from shared.evaluation.moments import Moments
from shared.evaluation.pairs import Drawn, Pairs, lift_interval, lift_sequence
from shared.evaluation.rounds import Rounds
from shared.evaluation.sequences import confidence_sequence
from shared.evaluation.special import beta_quantile
from shared.evaluation.tally import Tally, default_interval
from shared.services.figures import bands

Floats = npt.NDArray[np.float64]

SIZES: Final = (300, 1_000, 3_000, 10_000)
LOOKS: Final = 20
FIRST_LOOK: Final = 50
RESAMPLES: Final = 200
COMPARED: Final = 10
"""One log in so many is resampled, and valued elsewhere."""

VALUED: Final = ("better", "baseline", "chance")
RESAMPLED: Final[Mapping[str, Callable[[Moments], Floats]]] = {
    "ips": estimators.ips,
    "snips": estimators.snips,
    "dr": estimators.doubly_robust,
    "calibrated_dr": estimators.calibrated_doubly_robust,
}


@dataclass(frozen=True, slots=True)
class Held:
    """One interval of one log: whether it holds the truth, or lies above or below it, and its width as a part of the rewards' range."""

    holds: bool
    above: bool
    width: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one log: by (policy, estimator) the error and by (policy, interval) whether it held."""

    world: str
    events: int
    compared: bool
    errors: Mapping[tuple[str, str], float]
    held: Mapping[tuple[str, str], Held]


@dataclass(slots=True)
class Count:
    """How many of how many intervals held, and how wide they were."""

    held: int = 0
    above: int = 0
    all: int = 0
    widths: list[float] = field(default_factory=list)

    def add(self, one: Held) -> None:
        """Count one more."""
        self.held += one.holds
        self.above += one.above
        self.all += 1
        self.widths.append(one.width)

    @property
    def share(self) -> float:
        """The part that held."""
        return self.held / self.all

    @property
    def most(self) -> float:
        """The upper end of the share's 99 % interval (Clopper & Pearson 1934): below 95 %, the interval does not keep its promise."""
        if self.held == self.all:
            return 1.0
        return float(beta_quantile(0.995, np.array([self.held + 1.0]), np.array([self.all - self.held + 0.0]))[0])


# --- one log -----------------------------------------------------------------------------------------------------------


def outcome(world: World, events: int, seed: int, *, compared: bool) -> Outcome:
    """Draw a log, and value all policies on it."""
    log = draw(world, events=events, seed=seed)
    rounds = {name: log.rounds(name) for name in (*VALUED, "shown")}
    errors, held = _estimated(world, log, rounds), _fixed(world, log, rounds)
    held |= _at_any_time(world, log, rounds) | _live(world, log, rounds) | _lifts(world, log, rounds)
    if compared:
        held |= _resampled(world, log, rounds, np.random.default_rng(seed))
    return Outcome(world.name, events, compared, errors, held)


def _estimated(world: World, log: Log, rounds: Mapping[str, Rounds]) -> dict[tuple[str, str], float]:
    found = {}
    for name in VALUED:
        tally = Tally.of(rounds[name], np.zeros(len(log.chosen), dtype=np.int64))
        for estimator, value in tally.estimates(largest_weight=log.largest[name]).items():
            found[name, estimator] = (float(value) - log.truths[name]) / world.scale
    return found


def _fixed(world: World, log: Log, rounds: Mapping[str, Rounds]) -> dict[tuple[str, str], Held]:
    """Look once, at the end."""
    found = {}
    for name in VALUED:
        moments, bounded = Moments.of(rounds[name]), {"largest_weight": log.largest[name], "rewards": world.rewards}
        for kind, interval in {
            "default": default_interval(moments, **bounded),  # type: ignore[arg-type]
            "gaussian": intervals.gaussian(moments),
            "gaussian_snips": intervals.gaussian_snips(moments),
            "gaussian_dr": intervals.gaussian_doubly_robust(moments),
            "clopper_pearson": intervals.clopper_pearson(moments, rewards=world.rewards),
            "cressie_read": intervals.cressie_read(moments, **bounded),  # type: ignore[arg-type]
            "empirical_bernstein": intervals.empirical_bernstein(moments, **bounded),  # type: ignore[arg-type]
            "empirical_bernstein_dr": intervals.empirical_bernstein_doubly_robust(moments, **bounded),  # type: ignore[arg-type]
        }.items():
            found[name, kind] = _held(interval, log.truths[name], world)
    shown = intervals.clopper_pearson(Moments.of(rounds["shown"]), rewards=world.rewards)
    return {**found, ("shown", "what was shown"): _held(shown, log.truths["shown"], world)}


def _at_any_time(world: World, log: Log, rounds: Mapping[str, Rounds]) -> dict[tuple[str, str], Held]:
    """Look 20 times."""
    found = {}
    for name in VALUED:
        interval = confidence_sequence(_looks(rounds[name]), largest_weight=log.largest[name], rewards=world.rewards)
        found[name, "anytime"] = _held(interval, log.truths[name], world)
    return found


def _live(world: World, log: Log, rounds: Mapping[str, Rounds]) -> dict[tuple[str, str], Held]:
    """Do as the live figures do, which have no predictions."""
    each = [_looks(log.rounds(name, blind=True)) for name in ("shown", "baseline", "chance")]
    moments = Moments(*(np.stack([getattr(one, name) for one in each]) for name in Moments.__dataclass_fields__))
    bound = np.broadcast_to(np.array([[1.0], [log.largest["baseline"]], [log.largest["chance"]]]), moments.rounds.shape)
    if world.rewards != intervals.UNIT:
        return {}  # their range is that of the loop's rewards, 0 to 1, or what was seen
    once, always = bands.at_one_look(moments, bound), bands.anytime(moments, bound)
    found = {}
    for place, name in enumerate(("shown", "baseline", "chance")):
        truth = log.truths[name]
        found[name, "live, one look"] = _held(Interval(once.lower[place, -1], once.upper[place, -1]), truth, world)
        found[name, "live, any time"] = _held(Interval(always.lower[place], always.upper[place]), truth, world)
    return found


def _lifts(world: World, log: Log, rounds: Mapping[str, Rounds]) -> dict[tuple[str, str], Held]:
    """Compare with the better policy, round by round."""
    found = {}
    drawn = Drawn(log.chosen, log.logged, log.rewards, log.predictions)
    for name in ("baseline", "chance", "shown"):
        truth = log.truths["better"] - log.truths[name]
        pairs = Pairs.of_parts(drawn, log.policies["better"][None], log.policies[name], _starts(len(log.chosen)))
        looks = Pairs(expanded(pairs.moments), expanded(pairs.scope))
        once, always = lift_interval(looks.taken((0, -1)), rewards=world.rewards), lift_sequence(looks.taken(0), rewards=world.rewards)
        found[name, "lift"], found[name, "lift, any time"] = _held(once, truth, world), _held(always, truth, world)
        loss = Loss.of_values(rounds["better"].values, rounds[name].values)
        found[name, "feature's importance"] = _held(loss.difference(), truth, world)
    return found


def _looks(rounds: Rounds) -> Moments:
    """Give the sums of the log so far at each look, [looks]."""
    return expanded(Moments.of_parts(rounds, _starts(len(rounds))))


def _starts(events: int) -> npt.NDArray[np.int64]:
    ends = np.unique(np.geomspace(FIRST_LOOK, events, LOOKS).astype(np.int64))
    return np.concatenate([[0], ends[:-1]])


def _resampled(world: World, log: Log, rounds: Mapping[str, Rounds], rng: np.random.Generator) -> dict[tuple[str, str], Held]:
    """Take the middle 95 % of what estimators say of logs that are drawn from this one, with replacement (Efron 1979)."""
    n = len(log.chosen)
    found = {}
    times = rng.multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES).astype(np.float64)
    for name in VALUED:
        each = Moments.of_parts(rounds[name], np.arange(n))
        drawn = Moments(*(times @ getattr(each, column) for column in Moments.__dataclass_fields__))
        for estimator, value in RESAMPLED.items():
            lower, upper = np.quantile(value(drawn), [0.025, 0.975])
            found[name, f"bootstrap of {estimator}"] = _held(Interval(lower, upper), log.truths[name], world)
    return found


def _held(interval: Interval, truth: float, world: World) -> Held:
    """Take an interval, or those of all looks: each has to hold, and the last one's width counts. One that is not there holds nothing."""
    low, high = np.atleast_1d(interval.lower), np.atleast_1d(interval.upper)
    return Held(bool(((low <= truth) & (truth <= high)).all()), bool((low > truth).any()), float(high[-1] - low[-1]) / world.scale)


# --- elsewhere ---------------------------------------------------------------------------------------------------------


def elsewhere(python: Path, tasks: Sequence[tuple[World, int, int]]) -> list[Outcome]:
    """Value the same logs with Open Bandit Pipeline; raises `CalledProcessError`."""
    logs = [(world, draw(world, events=events, seed=seed), name) for world, events, seed in tasks for name in VALUED]
    arrays: dict[str, npt.NDArray[Any]] = {"logs": np.array(len(logs)), "resamples": np.array(RESAMPLES)}
    for number, (_, log, name) in enumerate(logs):
        arrays |= {
            f"{number} rewards": log.rewards,
            f"{number} chosen": log.chosen,
            f"{number} logged": np.take_along_axis(log.logged, log.chosen[:, None], axis=1)[:, 0],
            f"{number} policy": log.policies[name],
            f"{number} predictions": log.predictions,
        }
    asked = io.BytesIO()
    np.savez(asked, **arrays)  # type: ignore[arg-type]
    guest = Path(__file__).with_name("coverage_guest.py")
    done = subprocess.run([python, guest], input=asked.getvalue(), stdout=subprocess.PIPE, check=True)
    found = []
    for (world, log, name), (values, ends) in zip(logs, json.loads(done.stdout), strict=True):
        truth = log.truths[name]
        errors = {(name, f"obp {estimator}"): (value - truth) / world.scale for estimator, value in values.items()}
        held = {
            (name, f"obp {estimator}"): _held(Interval(np.array(low), np.array(high)), truth, world)
            for estimator, (low, high) in ends.items()
        }
        found.append(Outcome(world.name, len(log.chosen), True, errors, held))
    return found


# --- all of them -------------------------------------------------------------------------------------------------------


def tasks(logs: int, sizes: Sequence[int]) -> Iterator[tuple[World, int, int]]:
    """Give worlds, sizes and seeds in turn, so many."""
    places = [(world, size) for world in WORLDS for size in sizes]
    for number in range(logs):
        yield (*places[number % len(places)], number // len(places))


def _one(task: tuple[World, int, int]) -> Outcome:
    world, events, seed = task
    return outcome(world, events, seed, compared=seed % COMPARED == 0)


def main(arguments: Sequence[str]) -> int:
    """Print the tables; 1 if an interval that is meant to hold at 95 % surely does not in one of the worlds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description="Count how often printed intervals are wrong.")
    parser.add_argument("--logs", type=int, default=6_400, metavar="N", help="logs in all (default: 6400)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), metavar="N,N", help="events of a log (default: %(default)s)")
    parser.add_argument("--obp", type=Path, metavar="PYTHON", help="a Python with obp 0.5, which values a tenth of the logs as well")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="how many work at once (default: 2)")
    options = parser.parse_args(arguments)
    todo = list(tasks(options.logs, [int(each) for each in options.sizes.split(",")]))
    with ProcessPoolExecutor(options.processes) as pool:
        found = list(pool.map(_one, todo, chunksize=16))
    if options.obp:
        chosen = [each for each in todo if each[2] % COMPARED == 0]
        parts = [chosen[place : place + 32] for place in range(0, len(chosen), 32)]
        found += [each for part in map(partial(elsewhere, options.obp), parts) for each in part]
    return int(show(found))


def show(found: Sequence[Outcome]) -> bool:
    """Print how often intervals held and how far estimates were off; tell whether one of ours breaks its promise in some world."""
    counts = _counted(found)
    sizes = sorted({each.events for each in found})
    print(_row("interval", "held", *[f"{size:,} events" for size in sizes], "least, by world", "above : below", "mean width"))
    print("|---" * (len(sizes) + 5) + "|")
    broken = []
    for kind, by_place in counts.items():
        whole, by_world = _merged(by_place.values()), _grouped(by_place, 0)
        least = min(by_world, key=lambda name: by_world[name].share)
        low = [name for name, each in by_world.items() if each.most < 0.95]
        broken += [kind] * bool(low)
        of_sizes = [_percent(each.share) for _, each in sorted(_grouped(by_place, 1).items())]
        missed = f"{whole.above} : {whole.all - whole.held - whole.above}"
        cells = _percent(whole.share), *of_sizes, f"{_percent(by_world[least].share)} ({least})", missed, _short(np.nanmean(whole.widths))
        print(_row(kind, *cells))
    _show_errors([each for each in found if each.compared], "logs that were valued elsewhere as well")
    _show_errors([each for each in found if not _is_elsewhere(each)], "all logs")
    return any(not kind.startswith(("obp", "bootstrap")) for kind in broken)


def _is_elsewhere(outcome: Outcome) -> bool:
    """Whether another program has valued it, which did so with a part of the logs only."""
    return any(estimator.startswith("obp ") for _, estimator in outcome.errors)


Places = dict[tuple[str, int], Count]


def _counted(found: Sequence[Outcome]) -> dict[str, Places]:
    counts: dict[str, Places] = defaultdict(lambda: defaultdict(Count))
    for each in found:
        for (_, kind), held in each.held.items():
            counts[kind][each.world, each.events].add(held)
    return counts


def _grouped(places: Places, part: int) -> dict[Any, Count]:
    """Merge by world (0) or size (1)."""
    return {key: _merged([count for place, count in places.items() if place[part] == key]) for key in {place[part] for place in places}}


def _merged(counts: Any) -> Count:
    whole = Count()
    for each in counts:
        whole.held, whole.above, whole.all = whole.held + each.held, whole.above + each.above, whole.all + each.all
        whole.widths += each.widths
    return whole


def _show_errors(found: Sequence[Outcome], title: str) -> None:
    """Print each estimator's root mean square error beside that of snips, world by world, as the mean of ratios (geometric)."""
    squares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in found:
        for (_, estimator), error in each.errors.items():
            squares[estimator][each.world].append(error * error)
    worlds = sorted(squares["snips"], key=[world.name for world in WORLDS].index)
    print(f"\nRoot mean square error beside that of snips, {title}:\n")
    print(_row("estimator", *worlds, "mean"))
    print("|---" * (len(worlds) + 2) + "|")
    for estimator, by_world in squares.items():
        ratios = [np.sqrt(np.mean(by_world[world]) / np.mean(squares["snips"][world])) for world in worlds]
        print(_row(estimator, *[f"{ratio:.2f}" for ratio in ratios], f"{np.exp(np.mean(np.log(ratios))):.2f}"))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _short(value: Any) -> str:
    return f"{float(value):.3f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
