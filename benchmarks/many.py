"""Ranks a second of one HTTP process that 64 connections call at once: on the embedded store, beside an Azurite with nothing in it."""

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from benchmarks.callers import Place, Wire, in_turn
from benchmarks.hosts import Host, running_host
from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import median

GOAL = Goal(1.5, at_least=True)
CONNECTIONS: Final = 64
_KINDS: Final = 2_000
_MARK: Final = "0" * 32
_FASTEST: Final = 4_000
"""Ranks a second for which there are enough requests."""


def run(storage: str, *, quick: bool) -> list[Line]:
    """Measure in rounds, each store in turn; the Azurite gets slower by what it keeps, so the first round and the last are told as well."""
    seconds, rounds = (0.5, 2) if quick else (4.0, 8)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ours = stack.enter_context(running_host(storage, settings={"PERSONALIZER_STORE": str(Path(folder) / "store")}))
        theirs = stack.enter_context(running_host(storage))
        return asyncio.run(_compared(ours, theirs, Traffic(actions=10, seed=3), seconds=seconds, rounds=rounds))


async def _compared(ours: Host, theirs: Host, traffic: Traffic, *, seconds: float, rounds: int) -> list[Line]:
    bodies = [orjson.dumps(traffic.body(_MARK)) for _ in range(_KINDS)]
    for host in (theirs, ours):  # warms up
        await _rate(host, bodies, min(seconds, 1.0))
    rates: list[tuple[float, float]] = []
    for number in range(rounds):
        of = {host: await _rate(host, bodies, seconds) for host in ((ours, theirs) if number % 2 else (theirs, ours))}
        rates.append((of[ours], of[theirs]))
    embedded, azurite = median(rate for rate, _ in rates), median(rate for _, rate in rates)
    ratio = median(rate / other for rate, other in rates)
    kept = [seconds * sum(rate for _, rate in rates[:number]) for number in (1, rounds)]
    return [
        Line("many", f"Ranks a second, {CONNECTIONS} connections", f"{embedded:,.0f}/s", f"{azurite:,.0f}/s", ratio, GOAL),
        *[
            Line("many", f"  until it keeps {count:,.0f}", f"{rate:,.0f}/s", f"{other:,.0f}/s", rate / other)
            for count, (rate, other) in zip(kept, (rates[0], rates[-1]), strict=True)
        ],
    ]


async def _rate(host: Host, bodies: Sequence[bytes], seconds: float) -> float:
    place = Place(host.port, host.key)
    ready = (_request(place, bodies[number % len(bodies)]) for number in range(round(_FASTEST * seconds)))
    wires = [await Wire.opened(host.port) for _ in range(CONNECTIONS)]
    try:
        rate, failed = await in_turn(wires, ready, seconds)
    finally:
        for wire in wires:
            wire.close()
    if failed:
        raise RuntimeError(f"{failed} calls were no success")
    return rate


def _request(place: Place, body: bytes) -> bytes:
    """Lay a request out under an event id of its own."""
    return place.request("/personalizer/v1.0/rank", body.replace(_MARK.encode(), secrets.token_hex(16).encode(), 1))
