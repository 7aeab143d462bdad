"""From the hot log to a published model, against reading the same events back.

The floor reads the rows of both tables and opens them to events, which anything has to do that wants to know what is in the log.
The rows alone are measured as well, but without a goal: a segment makes one row of hundreds of events, so that getting the rows
takes next to nothing an event, and no reader of events is measured by that.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import SetClock, median, timed, timed_async
from shared.domain.clock import EPOCH
from shared.domain.events import Observation
from shared.domain.ledger import Opened, Pointer, Provenance, Segment
from shared.domain.loop import LoopSettings
from shared.joining.chunks import compressed
from shared.joining.dsjson import lines
from shared.joining.join import Window, join, keys_of, marks_of
from shared.learning import artifact
from shared.learning.encoding import to_batch
from shared.learning.learner import Learner
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage.azure.storage import AzureStorage
from shared.storage.cold_log import FileColdLog
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.model_store import FileModelStore
from shared.storage.names import DayTable, Kind
from shared.storage.polling import StoredConfiguration
from shared.storage.rows import head
from shared.storage.segments import decode_decisions, decode_observations
from shared.storage.settings import AccountSettings

GOAL = Goal(0.5, at_least=True)
WRITERS = 10
"""Instances that append at the same time."""

_BEGIN = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
_REWARD_AFTER = timedelta(seconds=5)
_GRACE = timedelta(seconds=30)
_LOOKBACK = timedelta(seconds=40)

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Bench:
    """A log of so many events in segments of so many; ``clock`` stands, once it is filled, where all of it is due."""

    account: AzureStorage
    clock: SetClock
    events: int
    segment: int

    @property
    def loop(self) -> str:
        """The log's name."""
        return f"segments{self.segment}"

    def log(self) -> RowEventLog:
        """Open the log with nothing in memory."""
        settings = LogSettings(loop=self.loop, shards=1, append_deadline=timedelta(seconds=15))
        return RowEventLog(self.account, settings=settings, clock=self.clock, settled=_LOOKBACK)


def run(storage: str, *, quick: bool) -> list[Line]:
    """Fill logs of a busy, a middling and a quiet service; train and read each in turn."""
    sizes = ((100, 300), (1, 30)) if quick else ((500, 20_000), (20, 8_000), (1, 1_000))
    return asyncio.run(_run(storage, sizes, rounds=2 if quick else 5))


async def _run(storage: str, sizes: Sequence[tuple[int, int]], *, rounds: int) -> list[Line]:
    account = AzureStorage(AccountSettings(connection_string=storage))
    lines: list[Line] = []
    try:
        for segment, events in sizes:
            bench = _Bench(account, SetClock(_BEGIN), events, segment)
            await _fill(bench)
            await _train(bench, "warmup")
            lines += await _compared(bench, rounds)
            if segment == sizes[0][0]:
                lines += [Line("train", f"  of it: {part}", f"{1000 * seconds:.0f} ms") for part, seconds in await _parts(bench)]
    finally:
        await account.close()
    return lines


async def _compared(bench: _Bench, rounds: int) -> list[Line]:
    """Train, get the rows, and read with decoding, in turn."""
    triples = [
        (
            (await timed_async(_train(bench, f"round{number}")))[0],
            (await timed_async(_read(bench)))[0],
            (await timed_async(_read_decoded(bench)))[0],
        )
        for number in range(rounds)
    ]
    ours, rows, decoded = (bench.events / median(column) for column in zip(*triples, strict=True))
    measure = f"{bench.events:,} events in segments of {bench.segment}"
    return [
        Line("train", f"{measure}, against reading", f"{ours:,.0f}/s", f"{decoded:,.0f}/s", median(d / t for t, _, d in triples), GOAL),
        Line("train", "  against getting the rows alone", f"{ours:,.0f}/s", f"{rows:,.0f}/s", median(r / t for t, r, _ in triples)),
    ]


async def _fill(bench: _Bench) -> None:
    """Append as a busy service does, a segment from each writer at a time, and reward each decision; then let all become due."""
    logs, traffic = [bench.log() for _ in range(WRITERS)], Traffic(actions=10, seed=3)
    left = bench.events
    step = 0
    while left:
        bench.clock.at = _BEGIN + timedelta(milliseconds=step)
        ids = [secrets.token_hex(16) for _ in range(min(WRITERS * bench.segment, left))]
        writers = [logs[number // bench.segment] for number in range(len(ids))]
        decisions = [traffic.decision(each, bench.clock.at) for each in ids]
        await asyncio.gather(*(log.append_decision(each) for log, each in zip(writers, decisions, strict=True)))
        bench.clock.at += _REWARD_AFTER
        rewards = [Observation(each, bench.clock.at, traffic.reward()) for each in ids]
        await asyncio.gather(*(log.append_observation(each) for log, each in zip(writers, rewards, strict=True)))
        left -= len(ids)
        step += 10 * bench.segment
    bench.clock.at = _BEGIN + timedelta(hours=1)


async def _train(bench: _Bench, name: str) -> None:
    """Let a trainer that has never run learn everything into a store of this name."""
    name = f"{bench.loop}{name}"
    trainer = Trainer(
        bench.log(),
        FileColdLog(bench.account, loop=name),
        FileModelStore(bench.account, loop=name),
        StoredConfiguration(bench.account, defaults=LoopSettings(name=name)),
        clock=bench.clock,
        limits=Limits(grace=_GRACE, lookback=_LOOKBACK),
    )
    learned = sum(commit.learned for commit in await trainer.run())
    if learned != bench.events:
        raise RuntimeError(f"{learned} of {bench.events} events were learned")


async def _read(bench: _Bench) -> tuple[Rows, Rows]:
    """Read all rows of both logs, and nothing more."""
    return await _rows(bench, Kind.DECISIONS), await _rows(bench, Kind.OBSERVATIONS)


async def _read_decoded(bench: _Bench) -> None:
    """Read all rows of both logs and open them to events: the floor."""
    _decoded(*await _read(bench))


async def _rows(bench: _Bench, kind: Kind) -> Rows:
    table = bench.account.tables.get_table_client(DayTable(bench.loop, 1, kind, _BEGIN.date()).name)
    return [dict(row) async for row in table.query_entities(f"PartitionKey ge '{_BEGIN:%Y%m%d%H%M}'")]


async def _parts(bench: _Bench) -> list[tuple[str, float]]:
    """Do what the trainer does, one after another: it does some of it at the same time, so this adds up to more."""
    read, (decision_rows, observation_rows) = await timed_async(_read(bench))
    decode, (decisions, observations) = timed(lambda: _decoded(decision_rows, observation_rows))
    log = bench.log()
    since, until = _BEGIN, bench.clock.at
    opened = Opened(since, until, decisions)
    due = [each.head for each in observations]
    gather, reports = await timed_async(log.reports(since, until, keys_of(decisions), due=due))
    sight, sightings = await timed_async(log.sightings(since, until, marks_of(decisions, reports), opened=opened))
    window = Window(since, until, decisions, (), reports, sightings, grace=_GRACE)
    joining, joined = timed(lambda: join(window, loop=LoopSettings()))
    learner = Learner.cold()
    batch = to_batch(
        [event.decision.encoded for event in joined.events],
        rewards=[event.reward for event in joined.events],
        probabilities=[event.decision.probabilities[event.decision.chosen] for event in joined.events],
    )
    learning, _ = timed(lambda: learner.learn(batch))
    dumping, model = timed(lambda: artifact.dump_model(learner))
    chunking, chunk = timed(lambda: compressed(lines(joined.events)))
    committing, _ = await timed_async(_commit(FileModelStore(bench.account, loop="parts"), chunk, model, until))
    names = ("read rows", "decode", "read and find observations", "find sightings", "join", "learn", "dump model", "write chunk", "commit")
    return list(zip(names, (read, decode, gather, sight, joining, learning, dumping, chunking, committing), strict=True))


def _decoded(decisions: Rows, observations: Rows) -> tuple[Sequence[Segment[Any]], Sequence[Segment[Any]]]:
    return (
        [Segment(head(row), decode_decisions(row)) for row in decisions],
        [Segment(head(row), decode_observations(row)) for row in observations],
    )


async def _commit(store: FileModelStore, chunk: bytes, model: bytes, until: datetime) -> None:
    await store.write_chunk("chunk", chunk, parent="")
    await store.write_artifact("model", model, provenance=Provenance("", EPOCH, until, "chunk", 0, ""))
    await store.commit(Pointer(sequence=1, version="model", published_at=until, watermark=until), expected=None)
