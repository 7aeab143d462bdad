"""Rank at 50 actions with a trained model, against a function that only stores a row: one caller each, call by call in turn."""

import asyncio
import secrets
from functools import partial
from pathlib import Path

import orjson

from benchmarks.hosts import Connection, running_host
from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import percentile, timed
from shared.runtime.settings import read_settings
from shared.runtime.wiring import build

GOAL = Goal(1.3)
ACTIONS = 50
FLOOR_APP = Path(__file__).with_name("floor_app")
_WARM_UP = 50
_SHORT_WAITS = {"PERSONALIZER_REWARD_WAIT_TIME": "PT1S", "PERSONALIZER_INGEST_GRACE": "PT4S"}


def run(storage: str, *, quick: bool) -> list[Line]:
    """Train a model, then measure."""
    traffic = Traffic(actions=ACTIONS, seed=1)
    learned = asyncio.run(train(storage, traffic, events=50 if quick else 1_000))
    with (
        running_host(storage) as host,
        running_host(storage, app=FLOOR_APP) as floor_host,
        host.connection() as ours,
        floor_host.connection() as floor,
    ):
        served = ours.loop()["modelVersion"]
        if not served:
            raise RuntimeError("the host does not serve the trained model")
        _measure(ours, floor, traffic, calls=_WARM_UP)
        ranks, inserts = _measure(ours, floor, traffic, calls=30 if quick else 400)
    return [
        _line(f"p50, {ACTIONS} actions, {learned} learned", ranks, inserts, 0.5, GOAL),
        _line("p95", ranks, inserts, 0.95, None),
    ]


async def train(storage: str, traffic: Traffic, *, events: int) -> int:
    """Rank and reward through the real services, and publish what the real trainer makes of it; gives the events learned."""
    settings = read_settings({"AzureWebJobsStorage": storage, **_SHORT_WAITS})
    services = build(settings)
    try:
        rankings = await asyncio.gather(*(services.ranker.rank(traffic.situation(), event_id=None, deferred=False) for _ in range(events)))
        await asyncio.gather(*(services.rewarder.reward(ranking.event_id, traffic.reward()) for ranking in rankings))
        await asyncio.sleep((settings.loop.reward_wait + settings.grace).total_seconds() + 0.2)
        return sum(commit.learned for commit in await services.trainer.run())
    finally:
        await services.close()


def _measure(ours: Connection, floor: Connection, traffic: Traffic, *, calls: int) -> tuple[list[float], list[float]]:
    """Give the seconds of each call, ours and the floor's; the first of a pair alternates."""
    ranks: list[float] = []
    inserts: list[float] = []
    for number in range(calls):
        body = orjson.dumps(traffic.body(secrets.token_hex(16)))
        pair = [(ranks, ours, "/personalizer/v1.0/rank"), (inserts, floor, "/insert")]
        for seconds, connection, path in pair if number % 2 else reversed(pair):
            seconds.append(timed(partial(connection.send, "POST", path, body))[0])
    return ranks, inserts


def _line(measure: str, ranks: list[float], inserts: list[float], share: float, goal: Goal | None) -> Line:
    ours, floor = percentile(ranks, share), percentile(inserts, share)
    return Line("rank", measure, f"{1000 * ours:.1f} ms", f"{1000 * floor:.1f} ms", ours / floor, goal)
