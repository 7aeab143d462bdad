"""``python -m benchmarks.quality [--data DIR]``: what the drawn actions earn, in made worlds and on the sets of a folder.

The score of a set is the mean reward of the actions drawn, so that it pays for exploration; that of a world is what they earn in its last
tenth, as a share of what the best actions do. Events, their order, rewards and draws follow from the seed, and are the same for every
player: ours, Vowpal Wabbit, and the learner of another checkout. Exits with 1 when a goal is missed, with 2 when it could not be played.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

from benchmarks.problems import SUFFIXES, find
from benchmarks.quality_elsewhere import CheckoutError, lacks
from benchmarks.quality_play import OURS, PROTOCOLS, Played, Run, play_set
from benchmarks.quality_scores import Mean, Scores, columns, short
from benchmarks.vw import CONFIGURATIONS
from benchmarks.worlds import ROUNDS, WORLDS, World
from examples.errors import DataError

MEANS: Mapping[str, float] = {"block10": 0.765, "deployed": 0.745}
"""The mean over all sets that is asked for, by protocol."""

WORLD_GOALS: Mapping[str, float] = {"world_segments": 0.994, "world_drift": 0.988, "world_catalog": 0.95}
"""The least share of the best in the last tenth of a world, as deployed and with all its rounds."""

OF_FIT = 0.95
"""The least share of what a fit to all clicks earns, in the last quarter of a world of clicks, as deployed and with all its rounds."""

QUICK_ROUNDS, QUICK_EVENTS = 200, 200
"""What is played of a world and of a set to see that it works."""

BELOW_BEST = 0.01
"""The most that a set may be below Vowpal Wabbit's best configuration for it, a goal in ``block10``."""

BEHIND_FRESH = 0.05
"""The most that the last quarter after a change may be below what a learner earns that starts at the change."""


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
        return self.measure, short(self.value), f"≥ {short(self.least)}", self.verdict


def main(arguments: Sequence[str]) -> int:
    """Play, print, and say whether the goals are met."""
    parser = _parser()
    options = parser.parse_args(arguments)
    sources = _sources(parser, options)
    if options.against is not None and (lacking := lacks(options.against)):
        parser.error(f"{options.against} is no checkout whose learner can be played: it has no {', no '.join(lacking)}")
    runs = list(_runs(sources, options))
    try:
        scores = Scores(_played(runs, jobs=options.jobs))
    except (DataError, CheckoutError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    goals = [] if options.quick else list(goals_of(scores, options.protocol, vw=options.vw, is_whole=not options.sets))
    _print(scores, goals, options)
    return int(any(goal.verdict == "FAIL" for goal in goals))


def _sources(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Path | World]:
    """List the sets and worlds that were asked for."""
    paths: Mapping[str, Path] = {}
    if options.data is not None:
        if not options.data.is_dir():
            parser.error(f"there is no folder {options.data}")
        paths = find(options.data)
        if not paths:
            parser.error(f"no set in {options.data}: names end in {' or '.join(SUFFIXES)}")
    rounds = QUICK_ROUNDS if options.quick else options.rounds
    worlds = {name: World(name, rounds) for name in (WORLDS if options.rounds else ())}
    there: Mapping[str, Path | World] = {**paths, **worlds}
    if not there:
        parser.error("there is nothing to play: give a folder of sets or a number of rounds")
    if unknown := [name for name in options.sets or () if name not in there]:
        parser.error(f"there is no set {', '.join(unknown)}; there are {', '.join(there)}")
    return [source for name, source in there.items() if not options.sets or name in options.sets]


def goals_of(scores: Scores, protocol: str, *, vw: bool, is_whole: bool) -> Iterator[Goal]:
    """Give the goals that this run can tell about: that of the mean is one for all sets."""
    if is_whole and scores.sets and protocol in MEANS:
        yield Goal(f"mean, {protocol}", scores.mean(scores.sets).value, MEANS[protocol])
    if vw and protocol == "block10":
        for name in scores.sets:
            yield Goal(f"{name}, against the best VW", scores.of(name).value, scores.best(name)[1].value - BELOW_BEST)
    for name, ours, fresh in scores.after_change():
        yield Goal(f"{name}, last quarter, against a fresh start ({fresh})", ours.value, fresh.value - BEHIND_FRESH)
    if protocol == "deployed":
        yield from _goals_of_worlds(scores)


def _goals_of_worlds(scores: Scores) -> Iterator[Goal]:
    for name in scores.worlds:
        if scores.size(name)[1] != ROUNDS:
            continue
        if name in WORLD_GOALS:
            yield Goal(f"{name}, last tenth, share of the best", scores.of(name).value, WORLD_GOALS[name])
        if of_fit := scores.of_fit(name):
            yield Goal(f"{name}, last quarter, share of a fit", of_fit.value, OF_FIT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Play worlds and sets with known rewards through the learner."
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="a folder of NAME.npz and NAME.jsonl.gz; without it only worlds are played"
    )
    parser.add_argument("--seeds", type=_seeds, default=(0, 1, 2), metavar="0,1,2", help="one pass for each (default: 0,1,2)")
    parser.add_argument(
        "--protocol",
        choices=list(PROTOCOLS),
        default="block10",
        help="learn and publish after each event, after 10, or as the trainer does: early first, then every 100 (default: block10)",
    )
    parser.add_argument(
        "--sets", type=_names, metavar="NAME,NAME", help="play only these sets and worlds; the goal of the mean is then left out"
    )
    parser.add_argument(
        "--rounds", type=_count, default=ROUNDS, metavar="N", help=f"rounds of each world; 0 leaves the worlds out (default: {ROUNDS})"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="play the learner of the checkout in this folder as well, and compare"
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds and events: shows that it works, not what is earned")
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


def _count(text: str) -> int:
    return 0 if text == "0" else _positive(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


def _runs(sources: Sequence[Path | World], options: argparse.Namespace) -> Iterator[Run]:
    """List what is to be played; ours first, which takes longest."""
    players = (OURS, *CONFIGURATIONS) if options.vw else (OURS,)
    limit = QUICK_EVENTS if options.quick else None
    for player in players:
        for source in sources:
            for seed in options.seeds:
                run = Run(source, seed, options.protocol, player=player, exploration=options.exploration, limit=limit)
                yield run
                if player == OURS and options.against is not None:
                    yield replace(run, checkout=options.against)
                if player == OURS and isinstance(source, Path) and "drift" in source.name and not options.quick:
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
    print(f"{options.protocol}, seeds {seeds}, exploration {options.exploration:g} at most")
    if scores.sets:
        print("\nmean reward of the drawn actions\n" + columns([*_table(scores, "set", scores.sets, vw=options.vw)]))
    if scores.worlds:
        print("\nshare of the best in the last tenth\n" + columns([*_table(scores, "world", scores.worlds, vw=options.vw)]))
    for name in scores.worlds:
        if of_fit := scores.of_fit(name):
            print(f"\n{name}: {of_fit} of what a fit to the clicks of all actions earns in the last quarter")
    if options.vw:
        print("\n" + columns([*_peers(scores)]))
    if options.against is not None:
        print(f"\nours and the learner in {options.against}, same seeds: paired differences ± their standard errors")
        print(columns([*_differences(scores)]))
    if goals:
        print("\n" + columns([("goal", "figure", "least", ""), *(goal.cells for goal in goals)]))
    if options.sets:
        print("\nThese are not all sets: the goal of the mean is left out.")


def _table(scores: Scores, kind: str, names: Sequence[str], *, vw: bool) -> Iterator[tuple[str, ...]]:
    """Lay out a line for each set or world and one for their mean; ``<`` marks what is too far below the best peer."""
    heading = (kind, "actions", "events", "ours", "events/s")
    yield (*heading, "best VW", "above", "", "with") if vw else heading
    for name in names:
        actions, events = scores.size(name)
        line = (name, str(actions), str(events), str(scores.of(name)), f"{scores.rate(name):,.0f}")
        yield (*line, *_against(scores, name)) if vw else line
    mean = ("mean", "", "", str(scores.mean(names)), "")
    yield (*mean, short(fmean(scores.best(name)[1].value for name in names))) if vw else mean


def _differences(scores: Scores) -> Iterator[tuple[str, ...]]:
    """Lay out a line for each set and world, and the means of each kind and of all, with the error over seeds and over sets."""
    yield "", "ours", "theirs", "difference"
    for name in (*scores.sets, *scores.worlds):
        yield name, str(scores.of(name)), str(scores.elsewhere(name)), Mean.of([*scores.ahead(name).values()]).signed
    kinds = {"mean of the sets": scores.sets, "mean of the worlds": scores.worlds, "mean of all": [*scores.sets, *scores.worlds]}
    for kind, names in kinds.items():
        if names and (kind != "mean of all" or (scores.sets and scores.worlds)):
            over_seeds, over_names = scores.mean_ahead(names)
            yield kind, "", "", f"{over_seeds.signed} over seeds", f"{over_names.signed} over sets and worlds"


def _against(scores: Scores, name: str) -> tuple[str, ...]:
    player, best = scores.best(name)
    above = scores.of(name).value - best.value
    return str(best), Mean(above, None).signed, "<" if above < -BELOW_BEST else "", player


def _peers(scores: Scores) -> Iterator[tuple[str, ...]]:
    """Lay out what each configuration earned on the sets, or in the worlds where only these were played."""
    names, kind = (scores.sets, "sets") if scores.sets else (scores.worlds, "worlds")
    best = [scores.best(name)[0] for name in names]
    yield "VW", "mean", "best of"
    for player in CONFIGURATIONS:
        yield player, str(scores.mean(names, player)), f"{best.count(player)} {kind}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
