"""From a published model to a process that answers with it, and what the change costs the calls under way."""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import numpy as np

from benchmarks.hosts import Connection, Host, running_host
from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import percentile, timed
from shared.domain.ledger import Counters, Pointer, Provenance
from shared.learning import artifact
from shared.learning.learner import Learner
from shared.learning.local_ridge import ARMS, SIZE, Arm
from shared.storage.azure.storage import AzureStorage
from shared.storage.model_store import FileModelStore
from shared.storage.settings import AccountSettings

POLL_INTERVAL = 1.0
GOAL = Goal(1.5)
_LOOK_EVERY = 0.1
_PATIENCE = 20.0
_LEARNED = 100_000


def run(storage: str, *, quick: bool) -> list[Line]:
    """Publish the largest model there can be, again and again, while a caller ranks."""
    return asyncio.run(_run(storage, rounds=1 if quick else 8))


async def _run(storage: str, *, rounds: int) -> list[Line]:
    account = AzureStorage(AccountSettings(connection_string=storage))
    settings = {"PERSONALIZER_MODEL_POLL_INTERVAL": f"PT{POLL_INTERVAL:g}S"}
    waits: list[float] = []
    quiet: list[float] = []
    busy: list[float] = []
    try:
        publisher = Publisher(FileModelStore(account, loop="default"))
        await publisher.publish()
        with running_host(storage, settings=settings) as host, host.connection() as watcher, _ranking(host) as latencies:
            await _watch(watcher, seconds=1.0)
            latencies.clear()
            for number in range(rounds):
                await _watch(watcher, seconds=1.0 + number / rounds)  # not always at the same point of the interval
                quiet += _taken(latencies)
                version = await publisher.publish()
                latencies.clear()  # publishing keeps this process busy, not the host
                waits.append(await _until_served(watcher, version))
                busy += _taken(latencies)
    finally:
        await account.close()
    return [
        Line("reload", f"slowest of {rounds}, against the interval", f"{max(waits):.2f} s", f"{POLL_INTERVAL:.2f} s", max(waits), GOAL),
        _line("slowest Rank meanwhile, against p99 otherwise", max(busy), percentile(quiet, 0.99)),
        _line("slowest Rank meanwhile, against slowest otherwise", max(busy), max(quiet)),
    ]


def _line(measure: str, ours: float, floor: float) -> Line:
    return Line("reload", measure, f"{1000 * ours:.1f} ms", f"{1000 * floor:.1f} ms", ours / floor)


class Publisher:
    """Publishes the same model under ever new versions, as the trainer does."""

    def __init__(self, store: FileModelStore, model: bytes | None = None) -> None:
        self._store = store
        self._sequence = 0
        self._etag: str | None = None
        self._model = largest_model() if model is None else model

    async def publish(self) -> str:
        """Give the version that is published when this returns."""
        self._sequence += 1
        now, version = datetime.now(UTC), f"{self._sequence:08d}-benchmark"
        await self._store.write_artifact(version, self._model, provenance=Provenance("", now, now, "", _LEARNED, ""))
        pointer = Pointer(self._sequence, version, published_at=now, watermark=now, counters=Counters(_LEARNED))
        self._etag = await self._store.commit(pointer, expected=self._etag)
        return version


def largest_model() -> bytes:
    """Make a model all of whose cells have been met, with all the arms there can be: none can be larger."""
    rng, learner = np.random.default_rng(4), Learner.cold()
    learner.shared.met[:] = True
    learner.shared.weights[:, :2] = rng.normal(0.0, 0.01, learner.shared.weights[:, :2].shape)
    learner.local.arms = {2 * number + 1: Arm(seen=_LEARNED) for number in range(ARMS)}
    for arm in learner.local.arms.values():
        arm.steady.weights[:, 0] = rng.normal(0.0, 0.01, SIZE)
    learner.learned = _LEARNED
    return artifact.dump_model(learner)


@contextmanager
def _ranking(host: Host) -> Iterator[list[float]]:
    """Rank in a thread, one call after another; gives the list that grows by the seconds of each call."""
    latencies: list[float] = []
    stop = threading.Event()

    def rank() -> None:
        traffic = Traffic(actions=50, seed=5)
        with host.connection() as caller:
            while not stop.is_set():
                body = traffic.body(secrets.token_hex(16))
                latencies.append(timed(partial(caller.rank, body))[0])

    thread = threading.Thread(target=rank, name="caller")
    thread.start()
    try:
        yield latencies
    finally:
        stop.set()
        thread.join()


def _taken(latencies: list[float]) -> list[float]:
    taken = latencies[:]
    del latencies[: len(taken)]
    return taken


async def _watch(watcher: Connection, *, seconds: float) -> None:
    """Look at the status as often as while waiting for a model, so that both times carry the same load."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        await asyncio.to_thread(watcher.loop)
        await asyncio.sleep(_LOOK_EVERY)


async def _until_served(watcher: Connection, version: str) -> float:
    begin = time.perf_counter()
    while (await asyncio.to_thread(watcher.loop))["modelVersion"] != version:
        if time.perf_counter() - begin > _PATIENCE:
            raise TimeoutError(f"{version} is still not served")
        await asyncio.sleep(_LOOK_EVERY)
    return time.perf_counter() - begin
