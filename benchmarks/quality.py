"""``python -m benchmarks.quality --data DIR``: what the drawn actions earn, set by set, beside Vowpal Wabbit on the same events.

The score of a set is the mean reward of the actions drawn, so that it pays for exploration. Events, their order, rewards and draws follow
from the seed and are the same for every player. Exits with 1 when a goal is missed, with 2 when it could not be played.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import sqrt
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.problems import SUFFIXES, find
from benchmarks.quality_play import OURS, PROTOCOLS, Played, Run, play_set
from benchmarks.vw import CONFIGURATIONS
from examples.errors import DataError

MEANS: Mapping[str, float] = {"block10": 0.765, "deployed": 0.745}
"""The mean over all sets that is asked for, by protocol."""

BELOW_BEST = 0.01
"""The most that a set may be below Vowpal Wabbit's best configuration for it, a goal in ``block10``."""

BEHIND_FRESH = 0.05
"""The most that the last quarter after a change may be below what a learner earns that starts at the change."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds and its standard error, unknown of a single seed."""

    value: float
    error: float | None

    @staticmethod
    def of(values: Sequence[float]) -> "Mean":
        """Take the mean.

        >>> str(Mean.of([0.5, 0.7])), str(Mean.of([0.25]))
        ('.600 ± .100', '.250')
        """
        return Mean(fmean(values), stdev(values) / sqrt(len(values)) if len(values) > 1 else None)

    def __str__(self) -> str:
        return _short(self.value) if self.error is None else f"{_short(self.value)} ± {_short(self.error)}"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and the least that it should be."""

    measure: str
    value: float
    least: float

    @property
    def verdict(self) -> str:
        """``pass`` or ``FAIL``."""
        return "pass" if self.value >= self.least else "FAIL"

    @property
    def cells(self) -> tuple[str, ...]:
        """The goal as texts."""
        return self.measure, _short(self.value), f"≥ {_short(self.least)}", self.verdict


class Scores:
    """What was played, asked for by set and player."""

    def __init__(self, played: Iterable[Played]) -> None:
        self._played: dict[tuple[str, str], list[Played]] = defaultdict(list)
        self._fresh: dict[str, list[Played]] = defaultdict(list)
        for each in played:
            (self._fresh[each.name] if each.run.from_change else self._played[each.name, each.run.player]).append(each)
        self.names = list(dict.fromkeys(name for name, _ in self._played))

    def of(self, name: str, player: str = OURS) -> Mean:
        """Give a player's mean reward on a set."""
        return Mean.of([float(each.scores.mean()) for each in self._played[name, player]])

    def mean(self, player: str = OURS) -> Mean:
        """Give a player's mean over the sets; its error is over the seeds."""
        of_seeds: dict[int, list[float]] = defaultdict(list)
        for name in self.names:
            for each in self._played[name, player]:
                of_seeds[each.run.seed].append(float(each.scores.mean()))
        return Mean.of([fmean(values) for values in of_seeds.values()])

    def best(self, name: str) -> tuple[str, Mean]:
        """Give the peer that earned most on this set, as hindsight tells."""
        return max(((player, self.of(name, player)) for player in CONFIGURATIONS), key=lambda pair: pair[1].value)

    def size(self, name: str) -> tuple[int, int]:
        """Give the number of actions and of events."""
        first = self._played[name, OURS][0]
        return first.actions, len(first.scores)

    def rate(self, name: str) -> float:
        """Give ours in events a second, everything included."""
        played = self._played[name, OURS]
        return sum(len(each.scores) for each in played) / sum(each.seconds for each in played)

    def after_change(self) -> Iterator[tuple[str, Mean, Mean]]:
        """Give the last quarter of each set that changes: ours, and of a learner that starts at the change."""
        for name, fresh in self._fresh.items():
            count = min(len(self._played[name, OURS][0].scores) // 4, len(fresh[0].scores))
            ours, theirs = ([float(each.scores[-count:].mean()) for each in which] for which in (self._played[name, OURS], fresh))
            yield name, Mean.of(ours), Mean.of(theirs)


def main(arguments: Sequence[str]) -> int:
    """Play, print, and say whether the goals are met."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        parser.error(f"there is no folder {options.data}")
    paths = find(options.data)
    if not paths:
        parser.error(f"no set in {options.data}: names end in {' or '.join(SUFFIXES)}")
    if unknown := [name for name in options.sets or () if name not in paths]:
        parser.error(f"there is no set {', '.join(unknown)}; there are {', '.join(paths)}")
    chosen = [path for name, path in paths.items() if not options.sets or name in options.sets]
    runs = list(_runs(chosen, options))
    try:
        scores = Scores(_played(runs, jobs=options.jobs))
    except DataError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    goals = list(goals_of(scores, options.protocol, vw=options.vw, is_whole=not options.sets))
    _print(scores, goals, options)
    return int(any(goal.verdict == "FAIL" for goal in goals))


def goals_of(scores: Scores, protocol: str, *, vw: bool, is_whole: bool) -> Iterator[Goal]:
    """Give the goals that this run can tell about: that of the mean is one for all sets."""
    if is_whole and protocol in MEANS:
        yield Goal(f"mean, {protocol}", scores.mean().value, MEANS[protocol])
    if vw and protocol == "block10":
        for name in scores.names:
            yield Goal(f"{name}, against the best VW", scores.of(name).value, scores.best(name)[1].value - BELOW_BEST)
    for name, ours, fresh in scores.after_change():
        yield Goal(f"{name}, last quarter, against a fresh start ({fresh})", ours.value, fresh.value - BEHIND_FRESH)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description="Play sets with known rewards through the learner.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder of NAME.npz and NAME.jsonl.gz")
    parser.add_argument("--seeds", type=_seeds, default=(0, 1, 2), metavar="0,1,2", help="one pass for each (default: 0,1,2)")
    parser.add_argument(
        "--protocol",
        choices=list(PROTOCOLS),
        default="block10",
        help="learn and publish after each event, after 10, or as the trainer does: early first, then every 100 (default: block10)",
    )
    parser.add_argument("--sets", type=_names, metavar="NAME,NAME", help="play only these; the goals of the mean are then left out")
    parser.add_argument("--vw", action="store_true", help=f"play {len(CONFIGURATIONS)} configurations of Vowpal Wabbit as well")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="processes that play at the same time (default: 1)")
    parser.add_argument(
        "--exploration",
        type=_share,
        default=1.0,
        metavar="SHARE",
        help="explorationPercentage, the most that ours may explore; by default it may as freely as the peers (default: 1.0)",
    )
    return parser


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(each) for each in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers like 0,1,2") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


def _runs(paths: Sequence[Path], options: argparse.Namespace) -> Iterator[Run]:
    """List what is to be played; ours first, which takes longest."""
    players = (OURS, *CONFIGURATIONS) if options.vw else (OURS,)
    for player in players:
        for path in paths:
            for seed in options.seeds:
                run = Run(path, seed, options.protocol, player=player, exploration=options.exploration)
                yield run
                if player == OURS and "drift" in path.name:
                    yield replace(run, from_change=True)


def _played(runs: Sequence[Run], *, jobs: int) -> Iterator[Played]:
    """Play, and tell on standard error how far it got."""
    for number, played in enumerate(map(play_set, runs) if jobs == 1 else _played_apart(runs, jobs), start=1):
        if sys.stderr.isatty():
            print(f"\r{number} of {len(runs)} played", end="\n" if number == len(runs) else "", flush=True, file=sys.stderr)
        yield played


def _played_apart(runs: Sequence[Run], jobs: int) -> Iterator[Played]:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max((os.cpu_count() or 1) // jobs, 1)))  # read when numpy is loaded over there
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(play_set, runs)


def _print(scores: Scores, goals: Sequence[Goal], options: argparse.Namespace) -> None:
    seeds = ", ".join(map(str, options.seeds))
    print(f"mean reward of the drawn actions; {options.protocol}, seeds {seeds}, exploration {options.exploration:g} at most\n")
    print(_columns([*_sets(scores, vw=options.vw)]))
    if options.vw:
        print("\n" + _columns([*_peers(scores)]))
    if goals:
        print("\n" + _columns([("goal", "figure", "least", ""), *(goal.cells for goal in goals)]))
    if options.sets:
        print("\nThese are not all sets: the goals of the mean are left out.")


def _sets(scores: Scores, *, vw: bool) -> Iterator[tuple[str, ...]]:
    """Lay out a line for each set and one for their mean; ``<`` marks what is too far below the best peer."""
    heading = ("set", "actions", "events", "ours", "events/s")
    yield (*heading, "best VW", "above", "", "with") if vw else heading
    for name in scores.names:
        actions, events = scores.size(name)
        line = (name, str(actions), str(events), str(scores.of(name)), f"{scores.rate(name):,.0f}")
        yield (*line, *_against(scores, name)) if vw else line
    mean = ("mean", "", "", str(scores.mean()), "")
    yield (*mean, _short(fmean(scores.best(name)[1].value for name in scores.names))) if vw else mean


def _against(scores: Scores, name: str) -> tuple[str, ...]:
    player, best = scores.best(name)
    above = scores.of(name).value - best.value
    return str(best), f"{'+' if above >= 0 else '-'}{_short(abs(above))}", "<" if above < -BELOW_BEST else "", player


def _peers(scores: Scores) -> Iterator[tuple[str, ...]]:
    best = [scores.best(name)[0] for name in scores.names]
    yield "VW", "mean", "best of"
    for player in CONFIGURATIONS:
        yield player, str(scores.mean(player)), f"{best.count(player)} sets"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Align texts; rows may end early.

    >>> print(_columns([("set", "ours"), ("letter", ".42"), ("mean",)]))
    set     ours
    letter  .42
    mean
    """
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _short(value: float) -> str:
    """Write three digits.

    >>> _short(0.1234), _short(1.0), _short(-0.5)
    ('.123', '1.000', '-.500')
    """
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
