"""Replay: a kept model built anew from the joined log, chunk by chunk as the trainer learned it, and compared byte by byte.

A chunk tells all that was learned from its window: what was decided, with which probability, and what it earned in the end.
The loop's settings have had their say by then, and the learner asks none. One chunk at a time is in memory.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.domain.errors import ResourceNotFoundError, UnreadableError
from shared.domain.ledger import Provenance
from shared.domain.ports import ModelStore
from shared.joining.reading import read_lines
from shared.learning import artifact
from shared.learning.encoding import Encoders
from shared.learning.learner import Learner
from shared.services.concurrency import collector_at_rest
from shared.services.lessons import lessons


class ColdLog(Protocol):
    """The joined log, and what the kept models were made of; raises as `ModelStore` does."""

    async def models(self) -> Mapping[str, Provenance]:
        """Tell of each model that is kept what it was made of."""
        ...

    async def chunks(self) -> Mapping[str, str]:
        """Tell of each chunk which one was before it ("": it was the first); some belong to no commit."""
        ...

    async def chunk(self, name: str) -> bytes:
        """Read a chunk's lines; raises `UnreadableError` when it is not there or not what its name says."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """How to come to ``version``: from the state of the model ``start`` ("": from nothing) through these chunks, in order.

    ``models`` tells which kept model a chunk led to. ``missing`` names the chunk for want of which it is not from nothing.
    """

    version: str
    start: str
    chunks: Sequence[str]
    models: Mapping[str, str]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a chunk; ``version`` names the kept model that it led to ("": none), and ``differing`` what of it is different."""

    chunk: str
    learned: int
    skipped: int
    version: str = ""
    differing: Sequence[str] = field(default=())


class Replay:
    """Rebuilds models of one loop."""

    def __init__(self, log: ColdLog, store: ModelStore) -> None:
        self._log = log
        self._store = store
        self._encoders = Encoders()

    async def plan(self, version: str = "", *, start: str = "") -> Route:
        """Find the way to a model ("": the published one), from another one's state if ``start`` names it.

        Raises `ResourceNotFoundError` for a model that is not kept, and `UnreadableError`, naming it, for a chunk that is missing.
        """
        models = await self._log.models()
        return find_route(version or await self._published(), start, models, await self._log.chunks())

    async def _published(self) -> str:
        stored = await self._store.pointer()
        if stored is None or not stored[0].version:
            raise ResourceNotFoundError("no model has been published yet")
        return stored[0].version

    async def run(self, route: Route) -> AsyncIterator[Step]:
        """Learn chunk by chunk; ends at the first kept model that comes out different, or with the last chunk.

        Raises `UnreadableError`, naming it, for a chunk that cannot be used.
        """
        learner = Learner.cold()
        if route.start:
            learner = await asyncio.to_thread(artifact.load_learner, await self._store.state(route.start))
        for name in route.chunks:
            step = await self._learn(learner, name)
            if name in route.models:
                version = route.models[name]
                step = replace(step, version=version, differing=await self._differing(learner, version))
            yield step
            if step.differing:
                return

    async def _learn(self, learner: Learner, name: str) -> Step:
        text = await self._log.chunk(name)
        with collector_at_rest():
            try:
                return await asyncio.to_thread(self._learn_text, learner, name, text)
            except UnreadableError as cause:
                raise UnreadableError(f"chunk {name} cannot be used: {cause}") from cause

    def _learn_text(self, learner: Learner, name: str, text: bytes) -> Step:
        events = list(read_lines(text))
        batch = lessons(events, self._encoders.of(learner.interactions))
        if len(batch):
            learner.learn(batch)
        return Step(name, learned=len(batch), skipped=len(events) - len(batch))

    async def _differing(self, learner: Learner, version: str) -> Sequence[str]:
        model, state = await asyncio.to_thread(lambda: (artifact.dump_model(learner), artifact.dump_state(learner)))
        pairs = {"model": (model, await self._store.artifact(version)), "state": (state, await self._store.state(version))}
        return [part for part, (rebuilt, stored) in pairs.items() if rebuilt != stored]


def find_route(version: str, start: str, models: Mapping[str, Provenance], chunks: Mapping[str, str]) -> Route:
    """Follow the chain back from the model's chunk to that of ``start``, or to the first of all.

    When the beginning is gone and no start is asked for, the oldest kept model from which on all is there takes its place.
    """
    for each in filter(None, (version, start)):
        _check_kept(each, models)
    line = _lineage(version, models)
    if start and start not in list(line.values())[1:]:
        raise ResourceNotFoundError(f"model {start} is not one that model {version} was made from")
    found, missing = _back(models[version].chunk, models[start].chunk if start else "", chunks)
    if missing and start:
        raise _gone(missing)
    if missing:
        start, found = _later_start(version, line, found, missing)
    return Route(version, start, found, {chunk: line[chunk] for chunk in found if chunk in line}, missing)


def _check_kept(version: str, models: Mapping[str, Provenance]) -> None:
    if version not in models:
        kept = f"kept are {min(models)} to {max(models)}" if models else "none is kept"
        raise ResourceNotFoundError(f"there is no model {version}: {kept}")


def _lineage(version: str, models: Mapping[str, Provenance]) -> dict[str, str]:
    """Give the model and those that it was made from, as long as they are kept, newest first, by their chunks."""
    line: dict[str, str] = {}
    while version in models and models[version].chunk not in line:
        line[models[version].chunk] = version
        version = models[version].parent
    return line


def _back(last: str, first: str, chunks: Mapping[str, str]) -> tuple[list[str], str]:
    """Give the chunks behind ``first`` up to ``last`` in order, and the name of one that is missing between ("": none is)."""
    found: dict[str, None] = {}
    name = last
    while name != first:
        if name not in chunks or name in found:
            return [*reversed(found)], name
        found[name] = None
        name = chunks[name]
    return [*reversed(found)], ""


def _later_start(version: str, line: Mapping[str, str], found: list[str], missing: str) -> tuple[str, list[str]]:
    """Pick the oldest of the line that has all chunks behind it, other than the model itself; give it and those chunks."""
    for index, chunk in enumerate([missing, *found]):
        start = line.get(chunk, version)
        if start != version:
            return start, found[index:]
    raise _gone(missing)


def _gone(chunk: str) -> UnreadableError:
    return UnreadableError(f"chunk {chunk} of the joined log is missing")
