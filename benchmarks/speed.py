"""``python -m benchmarks.speed [NAME ...]``: Rank, training and loading, against Vowpal Wabbit in the same process and in turn with it.

The column ``floor`` is Vowpal Wabbit's, or the bound where there is no peer. Ratios with a goal of at least so much say how many times as
fast ours is; those with a goal of at most 1 are ours over the bound.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.plot import Panel, svg
from benchmarks.problems import Shape, made
from benchmarks.quality_ours import Choice, Ours, largest_model
from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line, show
from benchmarks.timing import median, percentile, timed
from benchmarks.vw import CONFIGURATIONS, VowpalWabbit, dsjson, interactions, learn_file, logged, situation_json
from shared.api.rank import ActionReader, read_rank
from shared.domain.events import Situation

RANK_GOALS: Mapping[str, Mapping[int, float]] = {
    "known actions": {10: 2.2, 50: 4.5},
    "from bytes": {10: 1.4, 50: 2.0},
    "new actions": {10: 1.2, 50: 1.2},
}
"""How many times as fast as VW's binding p50 should be, by number of actions."""

FROM_NOTHING, BEHIND, LONG = Goal(0.6, at_least=True), Goal(1.3, at_least=True), Goal(1.0, at_least=True)
"""How many times as fast as VW's driver with `ARGUMENTS`: the first 16 k events, the 16 k after them, and 100,000 in all."""

LOADING_MS, MEMORY_MB = 50.0, 250.0
WINDOW = 2_048
"""Events that the trainer learns and publishes at once."""

ARGUMENTS = "--squarecb"
PERSONALIZERS = CONFIGURATIONS[0]
"""The arguments that the original service had by default."""

REPOSITORY = Path(__file__).resolve().parents[1]
_AT_BOUND = Goal(1.0)
_ROUNDS = 3
_LEAST = 1e-6  # seconds; a difference of two times may come out as less than nothing
_SHAPES: Mapping[str, Sequence[Shape]] = {
    "features": [Shape(features=count) for count in (5, 10, 20, 40, 80, 160)],
    "actions": [Shape(actions=count) for count in (3, 6, 12, 25, 50)],
    "distinct features": [Shape(values=count) for count in (5, 50, 500, 5_000, 50_000)],
}


@dataclass(frozen=True, slots=True)
class Log:
    """Events to train on, in the form each learner takes them."""

    situations: Sequence[Situation]
    choices: Sequence[Choice]
    rewards: Sequence[float]

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def encoded(self) -> tuple[list[bytes], Sequence[float], list[float]]:
        """Give what ours learns from."""
        return [choice.logged for choice in self.choices], self.rewards, [choice.probabilities[choice.chosen] for choice in self.choices]

    def write(self, path: Path) -> Path:
        """Write dsjson and give the path back."""
        lines = map(dsjson, self.situations, self.choices, self.rewards)
        path.write_text("".join(lines), "utf-8")
        return path


@dataclass(frozen=True, slots=True)
class Request:
    """One Rank call as each side gets it."""

    body: bytes
    situation: Situation
    text: str


def rank(*, quick: bool) -> list[Line]:
    """Measure a request's way to the probabilities, by models of the same 5,000 events."""
    lines: list[Line] = []
    for actions in (10, 50):
        traffic = Traffic(actions=actions, seed=1)
        log = log_of((traffic.situation() for _ in range(200 if quick else 5_000)), seed=2)
        ours, vw = Ours(), VowpalWabbit(ARGUMENTS, log.situations)
        learn(ours, log.encoded)
        texts = [logged(situation_json(situation), choice.chosen) for situation, choice in zip(log.situations, log.choices, strict=True)]
        vw.learn(texts, *log.encoded[1:])
        for name, calls in _calls(ours, traffic, count=40 if quick else 2_000).items():
            lines += _ranked(f"{actions} actions, {name}", calls, vw, Goal(RANK_GOALS[name][actions], at_least=True))
        vw.close()
    return lines


Call = tuple[Callable[[], object], str]
"""Ours, and the text that VW gets."""


def _calls(ours: Ours, traffic: Traffic, *, count: int) -> dict[str, list[Call]]:
    reader = ActionReader()
    known = [_request(traffic.body(f"event-{number}"), reader) for number in range(count)]
    new = [_request(_renewed(traffic.body(f"event-{number}"), number), ActionReader()) for number in range(count)]
    for request in known:
        ours.probabilities(request.situation)
    return {
        "known actions": [(partial(ours.probabilities, request.situation), request.text) for request in known],
        "from bytes": [(partial(_from_bytes, ours, request.body, reader), request.text) for request in known],
        "new actions": [(partial(ours.probabilities, request.situation), request.text) for request in new],
    }


def _request(document: dict[str, Any], reader: ActionReader) -> Request:
    body = orjson.dumps(document)
    situation = read_rank(body, reader)[1]
    return Request(body, situation, situation_json(situation))


def _renewed(body: dict[str, Any], number: int) -> dict[str, Any]:
    """Give the request other actions than ever before: new ids, texts and numbers."""
    return {**body, "actions": [_new(action, f"{number}-{place}", number) for place, action in enumerate(body["actions"])]}


def _new(action: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    features = {**action["features"][0]["article"], "author": f"author-{name}", "words": 3_000 + number}
    return {"id": f"new-{name}", "features": [{"article": features}]}


def _from_bytes(ours: Ours, body: bytes, reader: ActionReader) -> tuple[float, ...]:
    return ours.probabilities(read_rank(body, reader)[1])


def _ranked(measure: str, calls: Sequence[Call], vw: VowpalWabbit, goal: Goal | None) -> list[Line]:
    ours, theirs = in_turn((call, partial(vw.probabilities, text)) for call, text in calls)
    return [
        _faster("rank", f"{measure}: {name}", percentile(ours, share), percentile(theirs, share), goal if name == "p50" else None)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]


def client(*, quick: bool) -> list[Line]:
    """Measure calls in the application's process, by the Python client."""
    from benchmarks import client as in_process

    return in_process.run(quick=quick)


def train(*, quick: bool) -> list[Line]:
    """Measure learning beside VW's driver: from nothing, behind what was learned, and over a long log; and whether it slows down."""
    window = 64 if quick else WINDOW
    traffic = Traffic(actions=10, seed=3)
    log = log_of((traffic.situation() for _ in range((20 if quick else 49) * window)), seed=4)
    ours, theirs = _trained(log, window, short=8 * window, rounds=1 if quick else 3)
    return [*_beside(theirs, ours, window, len(log)), *_grown(ours, window)]


Seconds = Mapping[tuple[str, int], float]
"""What VW's driver takes without making its model, by its arguments and the number of events."""


def _trained(log: Log, window: int, *, short: int, rounds: int) -> tuple[list[float], Seconds]:
    """Train ours, and VW's driver on the first events and on all, in turn; give the seconds of each of our windows, and of VW's runs."""
    parts = [Log(log.situations[:count], log.choices[:count], log.rewards[:count]) for count in (short, len(log))]
    crossed = interactions(log.situations)
    ours: list[list[float]] = []
    theirs: dict[tuple[str, int], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        paths = {len(part): part.write(Path(folder) / f"{len(part)}.json") for part in parts}
        for _ in range(rounds):
            learner = Ours()
            ours.append([timed(partial(_publish, learner, events))[0] for events in _windows(log.encoded, window)])
            for arguments, (count, path) in product((ARGUMENTS, PERSONALIZERS), paths.items()):
                empty, learned = (timed(partial(learn_file, f"{arguments} {crossed}", data))[0] for data in (None, path))
                theirs[arguments, count].append(max(learned - empty, _LEAST))
    return [median(of_window) for of_window in zip(*ours, strict=True)], {key: median(of_rounds) for key, of_rounds in theirs.items()}


def _beside(theirs: Seconds, ours: Sequence[float], window: int, events: int) -> list[Line]:
    """Lay out three stretches of the log beside each of VW's arguments; its driver is as fast behind much as from nothing."""
    short = 8 * window
    stretches = (
        (f"{short:,} events from nothing, windows of {window:,}", short / sum(ours[:8]), short, FROM_NOTHING),
        (f"the next {short:,}, behind them", short / sum(ours[8:16]), short, BEHIND),
        (f"{events:,} events from nothing", events / sum(ours), events, LONG),
    )
    lines = []
    for measure, rate, count, goal in stretches:
        rates = {arguments: count / theirs[arguments, count] for arguments in (ARGUMENTS, PERSONALIZERS)}
        for arguments, vw in rates.items():
            is_first = arguments == ARGUMENTS
            name = f"{measure}, beside {ARGUMENTS}" if is_first else "  beside Personalizer's default arguments"
            lines.append(Line("train", name, f"{rate:,.0f}/s", f"{vw:,.0f}/s", rate / vw, goal if is_first else None))
    return lines


def _grown(ours: Sequence[float], window: int) -> list[Line]:
    """Give the rate behind 2, 4, 8 and so on windows, two windows each, as a multiple of the first of them."""
    behind = [count for count in (2, 4, 8, 16, 32) if count + 2 <= len(ours)]
    rates = {count: 2 * window / sum(ours[count : count + 2]) for count in behind}
    return [
        Line("train", f"behind {count * window:,} events", f"{rate:,.0f}/s", f"{rates[2]:,.0f}/s", rate / rates[2])
        for count, rate in rates.items()
    ]


def load(*, quick: bool) -> list[Line]:
    """Measure a cold start's part that is ours: the artifact, read and ready, and the process that holds it."""
    traffic = Traffic(actions=10, seed=5)
    ours = Ours()
    learn(ours, log_of((traffic.situation() for _ in range(200 if quick else 5_000)), seed=6).encoded)
    lines: list[Line] = []
    for name, model in (("trained", ours.dump()), ("largest", largest_model())):
        measure = f"{name} model, {len(model) / 1e6:.1f} MB"
        took = 1000 * median(timed(partial(Ours().load, model))[0] for _ in range(3 if quick else 20))
        weight = _memory(model)
        lines += [
            Line("load", measure, f"{took:.1f} ms", f"{LOADING_MS:.0f} ms", took / LOADING_MS, _AT_BOUND),
            Line("load", "  memory of the process", f"{weight:.0f} MB", f"{MEMORY_MB:.0f} MB", weight / MEMORY_MB, _AT_BOUND),
        ]
    return lines


def _memory(model: bytes) -> float:
    """Give the most megabytes that a process ever had that serves this model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(model)
        program = "import sys, shared.runtime.wiring; from benchmarks.quality_ours import weigh; print(weigh(sys.argv[1]))"
        done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(done.stdout)


def cost(*, quick: bool, plot: Path | None = None) -> list[Line]:
    """Measure how the time grows with each size, and perhaps plot it; a slope of 1 in logarithms means proportional."""
    lines: list[Line] = []
    panels: list[Panel] = []
    for name, shapes in _SHAPES.items():
        points = [_point(shape, quick=quick) for shape in (shapes[:2] if quick else shapes)]
        sizes = [{"features": point.shape.features, "actions": point.shape.actions}.get(name, point.distinct) for point in points]
        for size, point in zip(sizes, points, strict=True):
            lines.append(_faster("cost", f"{name} {size:,}: rank", point.rank, point.vw_rank))
            lines.append(_faster("cost", f"{name} {size:,}: train, an event", point.train, point.vw_train))
        for what, ours, theirs in (
            ("rank", [point.rank for point in points], [point.vw_rank for point in points]),
            ("train", [point.train for point in points], [point.vw_train for point in points]),
        ):
            lines.append(Line("cost", f"{name}: slope of {what}", f"{slope(sizes, ours):.2f}", f"{slope(sizes, theirs):.2f}"))
        panels.append(_panel(name, sizes, points))
    if plot is not None:
        plot.write_text(svg(panels, unit="µs"), "utf-8")
    return lines


def _panel(name: str, sizes: Sequence[int], points: "Sequence[_Point]") -> Panel:
    named = {
        "Rank": [point.rank for point in points],
        "Rank, Vowpal Wabbit": [point.vw_rank for point in points],
        "training, an event": [point.train for point in points],
        "training, Vowpal Wabbit": [point.vw_train for point in points],
    }
    return Panel(name, sizes, {line: [1e6 * seconds for seconds in values] for line, values in named.items()})


@dataclass(frozen=True, slots=True)
class _Point:
    """Seconds at one size: p50 of Rank with known actions, and of training an event."""

    shape: Shape
    distinct: int
    rank: float
    vw_rank: float
    train: float
    vw_train: float


def _point(shape: Shape, *, quick: bool) -> _Point:
    log = log_of(islice(made(shape, seed=7), 64 if quick else WINDOW), seed=8)
    vw = VowpalWabbit(ARGUMENTS, log.situations)
    arguments = f"{ARGUMENTS} {interactions(log.situations)}"
    learned = median(timed(partial(learn, Ours(), log.encoded))[0] for _ in range(_ROUNDS))
    ours = Ours()
    learn(ours, log.encoded)
    with tempfile.TemporaryDirectory() as folder:
        vw_learned = _file_driver(arguments, log.write(Path(folder) / "events.json"))
    ranked = log.situations[: 20 if quick else 500]
    for situation in ranked:
        ours.probabilities(situation)
    times, vw_times = in_turn((partial(ours.probabilities, each), partial(vw.probabilities, situation_json(each))) for each in ranked)
    vw.close()
    distinct = {(name, value) for each in log.situations for name, value in each.context[0]["user"].items()}  # type: ignore[union-attr]
    return _Point(shape, len(distinct), median(times), median(vw_times), learned / len(log), vw_learned / len(log))


def _file_driver(arguments: str, path: Path) -> float:
    """Give the seconds without those of making the model."""
    empty, learned = (median(timed(partial(learn_file, arguments, data))[0] for _ in range(_ROUNDS)) for data in (None, path))
    return max(learned - empty, _LEAST)


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Fit a line through the logarithms.

    >>> round(slope([1, 10, 100], [2.0, 20.0, 200.0]), 2), round(slope([1, 4, 16], [3.0, 6.0, 12.0]), 2)
    (1.0, 0.5)
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def log_of(situations: Iterable[Situation], *, seed: int) -> Log:
    """Rank by a cold model and draw a click for each."""
    rng = np.random.default_rng(seed)
    ours, asked = Ours(), list(situations)
    choices = [ours.rank(situation, f"event-{number}") for number, situation in enumerate(asked)]
    return Log(asked, choices, [float(rng.random() < 0.3) for _ in asked])


def in_turn(pairs: Iterable[tuple[Callable[[], object], Callable[[], object]]]) -> tuple[list[float], list[float]]:
    """Time two calls one after another, pair by pair, and give the seconds of each; the first of a pair alternates."""
    ours: list[float] = []
    theirs: list[float] = []
    for number, (one, other) in enumerate(pairs):
        pair = [(ours, one), (theirs, other)]
        for seconds, call in pair if number % 2 else reversed(pair):
            seconds.append(timed(call)[0])
    return ours, theirs


Encoded = tuple[Sequence[bytes], Sequence[float], Sequence[float]]


def learn(ours: Ours, encoded: Encoded) -> None:
    """Learn and publish as the trainer does, window by window."""
    for window in _windows(encoded, WINDOW):
        _publish(ours, window)


def _publish(ours: Ours, window: Encoded) -> None:
    """Learn one window, write the state, and serve the model."""
    ours.learn(*window)
    ours.dump_state()
    ours.publish()


def _windows(encoded: Encoded, size: int) -> Iterator[Encoded]:
    events, rewards, probabilities = encoded
    for first in range(0, len(events), size):
        chunk = slice(first, first + size)
        yield events[chunk], rewards[chunk], probabilities[chunk]


def _faster(benchmark: str, measure: str, ours: float, theirs: float, goal: Goal | None = None) -> Line:
    """Lay out two times; the ratio says how many times as fast ours is."""
    return Line(benchmark, measure, f"{1e6 * ours:,.1f} µs", f"{1e6 * theirs:,.1f} µs", theirs / ours, goal)


BENCHMARKS: Mapping[str, Callable[..., list[Line]]] = {"rank": rank, "client": client, "train": train, "load": load, "cost": cost}


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 with ``--strict`` when a goal was missed, 0 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description="Measure speed against Vowpal Wabbit's.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the lines of `cost` as SVG")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a goal is missed")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    lines: list[Line] = []
    for name in options.names or BENCHMARKS:
        begin = time.monotonic()
        lines += cost(quick=options.quick, plot=options.plot) if name == "cost" else BENCHMARKS[name](quick=options.quick)
        print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    print("floor: Vowpal Wabbit's, or the bound; a ratio of at least so much: times as fast\n")
    show(lines)
    return int(options.strict and any(line.verdict == "FAIL" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
