"""Rank in the application's process by the Python client.

Calls stand beside those of Vowpal Wabbit's binding, which is given a dictionary, and beside calls of our own service over HTTP.
"""

import asyncio
import logging
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from open_personalizer import Action, Personalizer
from open_personalizer.serving import Basis

from benchmarks.hosts import running_host
from benchmarks.quality_ours import Ours
from benchmarks.reload import Publisher
from benchmarks.samples import Traffic
from benchmarks.speed import ARGUMENTS, in_turn, learn, log_of
from benchmarks.table import Goal, Line
from benchmarks.timing import percentile, timed
from benchmarks.vw import VowpalWabbit, logged, situation_json
from shared.domain.loop import DEFAULT_LOOP, LoopSettings
from shared.learning.artifact import load_model
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.model_store import FileModelStore
from shared.storage.settings import FolderSettings

BOUND_US = 60.0
"""Microseconds that half of the calls with known actions may take at most."""

NOWHERE = "http://127.0.0.1:9"
"""Nothing is sent while the calls are measured, as in a loop that does nothing else."""


def run(*, quick: bool) -> list[Line]:
    """Measure whole calls: from dictionaries, or from actions that were made once, to a decision that waits to be sent."""
    events, calls, over_http = (200, 40, 10) if quick else (5_000, 2_000, 300)
    with _muted(logging.getLogger("open_personalizer")):  # nothing can be sent, and it says so
        return [line for actions in (10, 50) for line in _of(actions, events=events, calls=calls, over_http=over_http)]


@contextmanager
def _muted(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _of(actions: int, *, events: int, calls: int, over_http: int) -> list[Line]:
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
                made = _calls(personalizer, bodies, prepared=prepared)
                lines += _beside(f"{actions} {name}, {promise}", made, told, vw, is_bounded=prepared)
                personalizer.close(0.0)
    vw.close()
    return lines + _beside_http(f"{actions} known actions", ours.dump(), bodies[:over_http])


def _beside_http(name: str, model: bytes, bodies: list[dict[str, Any]]) -> list[Line]:
    """Measure the same calls in turn with those of a service on this machine, which serves the same model and stores each decision."""
    with tempfile.TemporaryDirectory() as folder:
        store, spool = Path(folder) / "store", Path(folder) / "spool"
        asyncio.run(_published(store, model))
        with running_host("", settings={"PERSONALIZER_STORE": str(store)}) as host, host.connection() as connection:
            if not connection.loop()["modelVersion"]:
                raise RuntimeError("the host does not serve the model")
            personalizer = Personalizer(f"http://127.0.0.1:{host.port}", host.key, spool=spool)
            personalizer.wait_until_ready()
            calls = _calls(personalizer, bodies, prepared=True)
            texts = [orjson.dumps({**body, "eventId": secrets.token_hex(16)}) for body in bodies]
            ours, theirs = in_turn(
                (call, partial(connection.send, "POST", "/personalizer/v1.0/rank", text)) for call, text in zip(calls, texts, strict=True)
            )
            personalizer.close()
    return [
        Line(
            "client",
            f"{name}, spooled, beside HTTP: {which}",
            f"{percentile(ours, share) * 1e6:,.1f} µs",
            f"{percentile(theirs, share) * 1e6:,.1f} µs",
            percentile(theirs, share) / percentile(ours, share),
        )
        for which, share in (("p50", 0.5), ("p99", 0.99))
    ]


async def _published(store: Path, model: bytes) -> None:
    storage = EmbeddedStorage(FolderSettings(store, make=True))
    try:
        await Publisher(FileModelStore(storage, loop=DEFAULT_LOOP), model).publish()
    finally:
        await storage.close()


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


def _beside(name: str, calls: list[Callable[[], object]], told: list[dict[str, Any]], vw: VowpalWabbit, *, is_bounded: bool) -> list[Line]:
    """Measure calls in turn with Vowpal Wabbit's, and in a loop of their own."""
    ours, theirs = in_turn((call, partial(_by_vw, vw, situation)) for call, situation in zip(calls, told, strict=True))
    lines = []
    for which, share in (("p50", 0.5), ("p99", 0.99)):
        mine, other = percentile(ours, share) * 1e6, percentile(theirs, share) * 1e6
        lines.append(Line("client", f"{name}: {which}", f"{mine:,.1f} µs", f"{other:,.1f} µs", other / mine))
    half = percentile([timed(call)[0] for call in calls], 0.5) * 1e6
    goal = Goal(1.0) if is_bounded else None
    lines.append(Line("client", f"{name}: p50 in a loop of its own", f"{half:,.1f} µs", f"{BOUND_US:.1f} µs", half / BOUND_US, goal))
    return lines


def _by_vw(vw: VowpalWabbit, situation: Mapping[str, Any]) -> object:
    return vw.probabilities(orjson.dumps(situation).decode())
