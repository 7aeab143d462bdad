"""A runner whose log, files, records and queue are in memory, with a worker that can die at any call of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.domain.errors import ConflictError, UnreadableError
from shared.domain.evaluation import Evaluation, EvaluationKind, Job, JobKind, Listed
from shared.domain.events import JoinedEvent
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.joining.chunks import ChunkName
from shared.joining.dsjson import lines
from shared.services.analysis.board import Message
from shared.services.analysis.chunk_memory import ChunkMemory
from shared.services.analysis.evaluating import Evaluating
from shared.services.analysis.running import Means, Method, Runner
from shared.services.analysis.weighing import Weighing
from tests.builders import T0, after
from tests.clocks import SetClock

TOMORROW = after(86_400)
ONLINE = LearningPolicy()


Value = TypeVar("Value")


class Died(BaseException):
    """The worker was killed: nothing catches it."""


@dataclass
class Fate:
    """Counts calls of ports; at the one of this number the worker dies, before it is done or after."""

    number: int = 0
    done_first: bool = False
    calls: int = 0

    async def through(self, call: Callable[[], Value]) -> Value:
        await asyncio.sleep(0)
        self.calls += 1
        dies = self.calls == self.number
        if dies and not self.done_first:
            raise Died
        result = call()
        if dies:
            raise Died
        return result


@dataclass
class Kept:
    """Values under names, each with an ETag, replaced on condition."""

    fate: Fate
    values: dict[str, tuple[Any, str]] = field(default_factory=dict)
    writes: int = 0

    def put(self, name: str, value: Any, expected: str | None) -> str:
        present = self.values.get(name)
        if expected != (present[1] if present else None):
            raise ConflictError("another was first")
        self.writes += 1
        self.values[name] = (value, str(self.writes))
        return str(self.writes)


class Files(Kept):
    async def read(self, name: str) -> tuple[bytes, str] | None:
        return await self.fate.through(lambda: self.values.get(name))

    async def replace(self, name: str, data: bytes, *, expected: str | None) -> str:
        return await self.fate.through(lambda: self.put(name, data, expected))

    async def delete(self, name: str) -> None:
        await self.fate.through(lambda: self.values.pop(name, None))

    async def listed(self, prefix: str = "") -> Mapping[str, datetime]:
        return await self.fate.through(lambda: {name: T0 for name in self.values if name.startswith(prefix)})


class Records(Kept):
    async def read(self, job_id: str) -> tuple[Any, str] | None:
        return await self.fate.through(lambda: self.values.get(job_id))

    async def create(self, analysis) -> None:
        self.put(analysis.job.id, analysis, None)

    async def replace(self, analysis, *, expected: str) -> str:
        return await self.fate.through(lambda: self.put(analysis.job.id, analysis, expected))

    async def delete(self, job_id: str) -> bool:
        return self.values.pop(job_id, None) is not None

    async def listed(self) -> Sequence[Listed]:
        return [Listed(each.job, getattr(each, "kind", EvaluationKind.MANUAL)) for each, _ in self.values.values()]


@dataclass
class Queue:
    fate: Fate
    waiting: list[bytes] = field(default_factory=list)
    delays: list[timedelta] = field(default_factory=list)

    async def send(self, message: bytes, *, after: timedelta = timedelta(0)) -> None:
        self.delays.append(after)
        await self.fate.through(lambda: self.waiting.append(message))


class Log:
    """The joined log: a chunk for each part of the events."""

    def __init__(self, fate: Fate, parts: Sequence[Sequence[JoinedEvent]]) -> None:
        self.fate = fate
        self.texts: dict[str, bytes] = {}
        self.damaged: set[str] = set()
        self.joined_until: datetime | None = TOMORROW
        for part in parts:
            self.add(part)

    def add(self, part: Sequence[JoinedEvent]) -> str:
        since, until = part[0].decision.decided_at, part[-1].decision.decided_at + timedelta(microseconds=1)
        name = str(ChunkName(1, since, until, f"{len(self.texts):02x}"))
        self.texts[name] = lines(part)
        return name

    async def chain(self) -> Sequence[str]:
        return await self.fate.through(lambda: [*self.texts])

    async def watermark(self) -> datetime | None:
        return self.joined_until

    async def chunks(self) -> Mapping[str, str]:
        names = [*self.texts]
        return dict(zip(names, ["", *names[:-1]], strict=True))

    async def parent(self, name: str) -> str | None:
        return await self.fate.through(lambda: "" if name in self.texts else None)

    async def chunk(self, name: str) -> bytes:
        def read() -> bytes:
            if name not in self.texts or name in self.damaged:
                raise UnreadableError(f"chunk {name} cannot be read")
            return self.texts[name]

        return await self.fate.through(read)


class Settings:
    def __init__(self) -> None:
        self.loop = LoopSettings()

    def read(self) -> LoopSettings:
        return self.loop


class Desk:
    """All of it; every message is handled by a runner that is new, as by another process, unless a ``memory`` of chunks is handed on."""

    def __init__(self, parts: Sequence[Sequence[JoinedEvent]] = (), *, memory: ChunkMemory | None = None) -> None:
        self.fate = Fate()
        self.memory = memory
        self.turn = asyncio.Semaphore()
        self.pause: Callable[[timedelta], Awaitable[None]] = self.passed
        self.paused = timedelta(0)
        self.clock = SetClock(after(86_400))
        self.log = Log(self.fate, parts)
        self.files = Files(self.fate)
        self.records = Records(self.fate)
        self.queue = Queue(self.fate)
        self.settings = Settings()
        self.promoted: list[str] = []
        self.may_be_promoted = True
        self.methods: dict[JobKind, Method] = {
            JobKind.EVALUATION: Evaluating(self.records, self.promote),
            JobKind.IMPORTANCE: Weighing(self.records),
        }

    async def passed(self, span: timedelta) -> None:
        """Wait without taking any time: nobody else works meanwhile."""
        self.paused += span

    async def promote(self, evaluation: Evaluation, name: str) -> bool:
        self.promoted.append(name)
        return self.may_be_promoted

    @property
    def runner(self) -> Runner:
        memory = self.memory or ChunkMemory()
        means = Means("default", self.log, self.files, self.queue, self.settings, self.clock, self.turn, memory, self.pause)
        return Runner(means, self.methods)

    async def asked(
        self,
        *policies: LearningPolicy,
        job_id: str = "e1",
        since: datetime = T0,
        until: datetime = TOMORROW,
        online: LearningPolicy = ONLINE,
        **others,
    ) -> Job:
        job = Job(job_id, "mine", since, until, self.clock.now())
        await self.records.create(Evaluation(job, online, policies, **others))
        await self.runner.start(JobKind.EVALUATION, job)
        return job

    async def deliver(self) -> None:
        """Hand over the first message; it comes again unless it is done with."""
        text = self.queue.waiting.pop(0)
        try:
            await self.runner.handle(Message.read(text))
        except Died:
            self.queue.waiting.append(text)

    async def run(self, most: int = 1_000) -> Evaluation:
        """Deliver until the queue is empty, and give the only record."""
        for _ in range(most):
            if not self.queue.waiting:
                break
            await self.deliver()
        assert not self.queue.waiting, "it goes on and on"
        [(record, _)] = self.records.values.values()
        found: Evaluation = record
        return found
