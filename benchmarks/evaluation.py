"""Evaluations: events a second that a worker values policies on, and how much faster two workers are.

Four policies that learn from different features make four lanes; a worker is a process that takes steps from the queue, as an instance
of the app does: ``python -m benchmarks.evaluation STORAGE`` is one.
"""

import asyncio
import base64
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from shared.domain.clock import EPOCH
from shared.domain.evaluation import Asked, JobStatus
from shared.domain.events import JoinedEvent, Observation
from shared.domain.ledger import Pointer
from shared.domain.loop import LearningPolicy, LoopRecord
from shared.joining.chunks import ChunkName, compressed
from shared.joining.dsjson import lines
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.services.analysis.board import Message
from shared.storage import names

GOAL = Goal(1.5, at_least=True)
ONLINE = LearningPolicy("online", "--cb_explore_adf")
POLICIES = tuple([LearningPolicy(f"without-{letter}", f"--cb_explore_adf --squarecb --ignore {letter}") for letter in "udp"])

_BEGIN = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
_EVERY = timedelta(milliseconds=250)
_HOLD = 600
_REPOSITORY = Path(__file__).resolve().parent.parent


def run(storage: str, *, quick: bool) -> list[Line]:
    """Evaluate the same log by one worker and by two."""
    return asyncio.run(_run(storage, events=40 if quick else 20_000))


async def _run(storage: str, *, events: int) -> list[Line]:
    deployment = Deployment(read_settings({"AzureWebJobsStorage": storage}))
    services = deployment.services_of(LoopRecord("default"))
    try:
        await _fill(services, events)
        with _workers(storage, 1):
            await _seconds(services, "warmup", events // 10)
            one = await _seconds(services, "one", events)
        with _workers(storage, 2):
            await _seconds(services, "warmup2", events // 10)
            two = await _seconds(services, "two", events)
    finally:
        await deployment.close()
    valued = events * (3 + len(POLICIES))
    return [
        Line("evaluation", f"{events:,} events, {3 + len(POLICIES)} policies in {1 + len(POLICIES)} lanes", f"{one:.1f} s"),
        Line("evaluation", "a worker, events of a lane", f"{events * (1 + len(POLICIES)) / one:,.0f}/s"),
        Line("evaluation", "a worker, events of a policy", f"{valued / one:,.0f}/s"),
        Line("evaluation", "two workers, against one", f"{two:.1f} s", f"{one:.1f} s", one / two, GOAL),
    ]


async def _fill(services: LoopServices, events: int) -> None:
    """Write the chunks that a trainer would have written."""
    traffic, parent, until, size = Traffic(actions=10, seed=3), "", _BEGIN, max(events // 20, 100)
    for first in range(0, events, size):
        part = [_event(traffic, number) for number in range(first, min(first + size, events))]
        data = compressed(lines(part))
        since, until = part[0].decision.decided_at, part[-1].decision.decided_at + timedelta(microseconds=1)
        name = str(ChunkName(1, since, until, hashlib.sha256(data).hexdigest()[:12]))
        await services.store.write_chunk(name, data, parent=parent)
        parent = name
    await services.store.commit(Pointer(sequence=1, version="", published_at=EPOCH, watermark=until, chunk=parent), expected=None)


def _event(traffic: Traffic, number: int) -> JoinedEvent:
    at, reward = _BEGIN + number * _EVERY, traffic.reward()
    return JoinedEvent(traffic.decision(f"e{number}", at), reward, (Observation(f"e{number}", at, reward),))


async def _seconds(services: LoopServices, job_id: str, events: int) -> float:
    """Give how long an evaluation takes, from the request to the end."""
    begin = time.perf_counter()
    asked = Asked(job_id, _BEGIN, _BEGIN + events * _EVERY, POLICIES)  # of a warm-up the first part only
    await services.evaluations.submit(asked, online=ONLINE, request_id="", job_id=job_id)
    while True:
        found = await services.evaluations.read(job_id)
        if found.job.status.is_over:
            break
        await asyncio.sleep(0.02)
    if found.job.status is not JobStatus.SUCCEEDED or found.results[0].sums is None or found.results[0].sums.rounds != events:
        raise RuntimeError(f"the evaluation did not end as it should: {found.job}")
    return time.perf_counter() - begin


@contextmanager
def _workers(storage: str, count: int) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.evaluation", storage]
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ}  # as in the app: here numpy is loaded before `shared` can say so
    processes = [subprocess.Popen(command, cwd=_REPOSITORY, env=environment) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def _work(storage: str) -> None:
    """Do what the queue says until killed."""
    deployment = Deployment(read_settings({"AzureWebJobsStorage": storage}))
    services = deployment.services_of(LoopRecord("default"))
    queue = deployment.host_storage.queue(names.JOBS)
    while True:
        found = await queue.receive(most=1, hidden_for=timedelta(seconds=_HOLD))
        if not found:
            await asyncio.sleep(0.02)
            continue
        await services.analyses.handle(Message.read(base64.b64decode(found[0].text)))
        await queue.delete(found[0])


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))
