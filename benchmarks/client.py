"""Rank in the application's process by the Python client, beside Vowpal Wabbit's binding that is given a dictionary."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from open_personalizer import Action, Personalizer
from open_personalizer.serving import Basis

from benchmarks.quality_ours import Ours
from benchmarks.samples import Traffic
from benchmarks.speed import ARGUMENTS, in_turn, learn, log_of
from benchmarks.table import Goal, Line
from benchmarks.timing import percentile
from benchmarks.vw import VowpalWabbit, logged, situation_json
from shared.domain.loop import LoopSettings
from shared.learning.artifact import load_model

BOUND_US = 60.0
"""Microseconds that half of the calls with known actions may take at most."""

NOWHERE = "http://127.0.0.1:9"
"""Nothing is sent while the calls are measured, as in a loop that does nothing else."""


def run(*, quick: bool) -> list[Line]:
    """Measure whole calls: from dictionaries, or from actions that were made once, to a decision that waits to be sent."""
    logging.getLogger("open_personalizer").setLevel(logging.CRITICAL)
    return [line for actions in (10, 50) for line in _of(actions, events=200 if quick else 5_000, calls=40 if quick else 2_000)]


def _of(actions: int, *, events: int, calls: int) -> list[Line]:
    traffic = Traffic(actions=actions, seed=1)
    log = log_of((traffic.situation() for _ in range(events)), seed=2)
    ours, vw = Ours(), VowpalWabbit(ARGUMENTS, log.situations)
    learn(ours, log.encoded)
    texts = [logged(situation_json(situation), choice.chosen) for situation, choice in zip(log.situations, log.choices, strict=True)]
    vw.learn(texts, *log.encoded[1:])
    bodies = [traffic.body(f"event-{number}") for number in range(calls)]
    told = [orjson.loads(situation_json(traffic.situation())) for _ in bodies]
    lines: list[Line] = []
    for promise in ("memory", "spooled"):
        for name, prepared in (("known actions", True), ("dictionaries", False)):
            with tempfile.TemporaryDirectory() as folder:
                personalizer = Personalizer(NOWHERE, "", promise=promise, spool=folder, queue_bytes=1 << 30)
                personalizer.engine.feed.basis = Basis(LoopSettings(), "v", load_model(ours.dump()), ticket="ticket")
                lines += _beside(f"{actions} {name}, {promise}", _calls(personalizer, bodies, prepared=prepared), told, vw)
                personalizer.close(0.0)
    vw.close()
    return lines


def _calls(personalizer: Personalizer, bodies: list[dict[str, Any]], *, prepared: bool) -> list[Callable[[], object]]:
    made: dict[str, Action] = {}

    def action(given: Mapping[str, Any]) -> Action | Mapping[str, Any]:
        return made.setdefault(given["id"], Action(given["id"], given["features"])) if prepared else given

    calls: list[Callable[[], object]] = [
        partial(personalizer.rank, body["contextFeatures"], [action(each) for each in body["actions"]]) for body in bodies
    ]
    for call in calls:
        call()
    return calls


def _beside(name: str, calls: list[Callable[[], object]], told: list[dict[str, Any]], vw: VowpalWabbit) -> list[Line]:
    ours, theirs = in_turn((call, partial(_by_vw, vw, situation)) for call, situation in zip(calls, told, strict=True))
    lines = []
    for which, share in (("p50", 0.5), ("p99", 0.99)):
        mine, other = percentile(ours, share) * 1e6, percentile(theirs, share) * 1e6
        lines.append(Line("client", f"{name}: {which}", f"{mine:,.1f} µs", f"{other:,.1f} µs", other / mine))
    half = percentile(ours, 0.5) * 1e6
    lines.append(Line("client", f"{name}: p50 and its bound", f"{half:,.1f} µs", f"{BOUND_US:.1f} µs", half / BOUND_US, Goal(1.0)))
    return lines


def _by_vw(vw: VowpalWabbit, situation: Mapping[str, Any]) -> object:
    return vw.probabilities(orjson.dumps(situation).decode())
