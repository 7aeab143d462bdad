"""Replay: a kept model built anew from the joined log, chunk by chunk as the trainer learned it, and compared byte by byte.

A chunk tells all that was learned from its window: what was decided, with which probability, and what it earned in the end.
The loop's settings have had their say by then, and the learner asks none; but a model that was learned anew after its settings had
changed tells of those, and its chunks are joined again by them. One chunk at a time is in memory.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.domain.clock import to_micros
from shared.domain.errors import ResourceNotFoundError, UnreadableError
from shared.domain.ledger import ModelKind, Provenance, Stretch
from shared.domain.loop import LoopSettings
from shared.domain.ports import ModelStore
from shared.learning import artifact
from shared.learning.encoding import Encoders
from shared.learning.learner import Learner
from shared.services.models.publishing import reward_settings
from shared.services.process.concurrency import collector_at_rest
from shared.services.training.retraining import Chunks, study


class ColdLog(Chunks, Protocol):
    """The joined log, and what the kept models were made of; raises as `ModelStore` does."""

    async def models(self) -> Mapping[str, Provenance]:
        """Tell of each model that is kept what it was made of."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """How to come to ``version``: from the state of the model ``start`` ("": from nothing) through these chunks, in order.

    ``models`` tells which kept model a chunk led to, and ``rejoined`` under which settings (JSON text) a chunk was learned anew.
    Where it does not begin with nothing, or not with that of the loop's first model, ``reason`` says why, and ``missing`` names the
    chunk for want of which that is, if it is for that.
    """

    version: str
    start: str
    chunks: Sequence[str]
    models: Mapping[str, str]
    missing: str = ""
    reason: str = ""
    rejoined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a chunk; ``version`` names the kept model that it led to ("": none), and ``differing`` what of it is different.

    A model that was kept at first and is gone by then is not compared, unless it is the one that is rebuilt.
    """

    chunk: str
    learned: int
    skipped: int
    version: str = ""
    differing: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of a model, as SHA-256: enough to compare with, however long it is until then.

    There is none of a state that an earlier release wrote in another format: it would differ, whatever was learned.
    """

    model: bytes
    state: bytes | None


class Replay:
    """Rebuilds models of one loop."""

    def __init__(self, log: ColdLog, store: ModelStore) -> None:
        self._log = log
        self._store = store
        self._encoders = Encoders()

    async def plan(self, version: str = "", *, start: str = "") -> Route:
        """Find the way to a model ("": the published one), from another one's state if ``start`` names it.

        Raises `ResourceNotFoundError` for a model that is not kept, or that cannot be rebuilt for what it was made of, and
        `UnreadableError`, naming it, for a chunk that is missing.
        """
        models = await self._log.models()
        return find_route(version or await self._published(), start, models, await self._log.chunks())

    async def _published(self) -> str:
        stored = await self._store.pointer()
        if stored is None or not stored[0].version:
            raise ResourceNotFoundError("no model is published")
        return stored[0].version

    async def run(self, route: Route) -> AsyncIterator[Step]:
        """Learn chunk by chunk; ends at the first kept model that comes out different, or with the last chunk.

        Raises `UnreadableError`, naming it, for a chunk that cannot be used.
        """
        end = await self._stored(route.version)  # first of all: while the log is gone through, later models may take its place
        learner = await asyncio.to_thread(artifact.load_learner, await self._store.state(route.start or route.version))
        if not route.start:
            learner = Learner.cold(learner.interactions)  # they never change in the life of a learner
        for name in route.chunks:
            loop = reward_settings(route.rejoined[name]) if name in route.rejoined else None
            step = await self._learn(learner, name, loop)
            if name in route.models:
                version = route.models[name]
                stored = end if version == route.version else await self._still_stored(version)
                if stored is not None:
                    step = replace(step, version=version, differing=await asyncio.to_thread(_differing, learner, stored))
            yield step
            if step.differing:
                return

    async def _learn(self, learner: Learner, name: str, loop: LoopSettings | None) -> Step:
        text = await self._log.chunk(name)
        with collector_at_rest():
            try:
                studied = await asyncio.to_thread(study, learner, text, self._encoders, loop=loop)
            except UnreadableError as cause:
                raise UnreadableError(f"chunk {name} cannot be used: {cause}") from cause
        return Step(name, studied.learned, studied.skipped)

    async def _stored(self, version: str) -> _Stored:
        model, state = await self._store.artifact(version), await self._store.state(version)
        return _Stored(_sha256(model), None if artifact.is_earlier(state) else _sha256(state))

    async def _still_stored(self, version: str) -> _Stored | None:
        """Read what is stored of a model; None if it is not kept any more."""
        try:
            return await self._stored(version)
        except UnreadableError:
            if version in await self._log.models():
                raise
            return None


def _differing(learner: Learner, stored: _Stored) -> Sequence[str]:
    differing = ["model"] if _sha256(artifact.dump_model(learner)) != stored.model else []
    if stored.state is not None and _sha256(artifact.dump_state(learner)) != stored.state:
        differing.append("state")
    return differing


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@dataclass(slots=True)
class _Way:
    """The way back from a model: chunks, newest first, and the kept models that were passed, each with the chunks behind it."""

    chunks: list[str] = field(default_factory=list)
    rejoined: dict[str, str] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    missing: str = ""
    reason: str = ""

    def to(self, version: str) -> list[str]:
        """Give the chunks that were learned after this model, in order."""
        return [*reversed(self.chunks[: self.passed[version]])]

    def led_to(self) -> dict[str, str]:
        """Tell which model each chunk led to; of copies of one another, the latest."""
        found: dict[str, str] = {}
        for version, behind in self.passed.items():
            if behind < len(self.chunks):
                found.setdefault(self.chunks[behind], version)
        return found


def find_route(version: str, start: str, models: Mapping[str, Provenance], chunks: Mapping[str, str]) -> Route:
    """Follow what was learned back from the model to ``start``, or to where there was nothing yet.

    When that cannot be reached and no start is asked for, the oldest kept model from which on all is there takes its place.
    """
    for each in filter(None, (version, start)):
        _check_kept(each, models)
    way = _back(version, models, chunks)
    if start:
        return _from_start(version, start, way, models)
    if way.reason:
        start = [*way.passed][-1]
        if not way.to(start):
            raise UnreadableError(way.reason) if way.missing else ResourceNotFoundError(way.reason)
    found = way.to(start) if start else [*reversed(way.chunks)]
    return _route(version, start, found, way, missing=way.missing, reason=way.reason)


def _from_start(version: str, start: str, way: _Way, models: Mapping[str, Provenance]) -> Route:
    if start == version or (start not in way.passed and not (way.missing and start in _ancestors(version, models))):
        raise ResourceNotFoundError(f"model {start} is not one that model {version} was made from")
    if start not in way.passed:
        raise UnreadableError(way.reason)
    return _route(version, start, way.to(start), way)


def _route(version: str, start: str, found: list[str], way: _Way, *, missing: str = "", reason: str = "") -> Route:
    led_to = way.led_to()
    return Route(
        version,
        start,
        found,
        {chunk: led_to[chunk] for chunk in found if chunk in led_to},
        missing,
        reason,
        {chunk: way.rejoined[chunk] for chunk in found if chunk in way.rejoined},
    )


def _check_kept(version: str, models: Mapping[str, Provenance]) -> None:
    if version not in models:
        kept = f"kept are {min(models)} to {max(models)}" if models else "none is kept"
        raise ResourceNotFoundError(f"there is no model {version}: {kept}")


def _back(version: str, models: Mapping[str, Provenance], chunks: Mapping[str, str]) -> _Way:
    """Follow the way back until nothing was known, or until it cannot be followed any further."""
    way = _Way()
    seen: set[str] = set()
    while version and not way.reason:
        if version not in models or version in seen:
            way.reason = f"what model {version} was made of is no longer kept"
            break
        seen.add(version)
        way.passed[version] = len(way.chunks)
        made_of = models[version]
        match made_of.kind:
            case ModelKind.IMPORTED:
                way.reason = f"model {version} was imported: its earlier events are not in this log"
            case ModelKind.RESTORED:
                version = _onwards(made_of.parent, made_of.origin.path, way, models, chunks)
            case ModelKind.RETRAINED:
                version = _anew(made_of, way, chunks)
            case ModelKind.TRAINED:
                version = _along(version, way, models, chunks)
    return way


def _anew(made_of: Provenance, way: _Way, chunks: Mapping[str, str]) -> str:
    """Follow all chunks that a model was learned anew from; behind them is nothing."""
    before = len(way.chunks)
    _follow(made_of.chunk, chunks.get(made_of.first, ""), way, chunks, {})
    way.rejoined |= dict.fromkeys(way.chunks[before:], made_of.settings)
    return ""


def _along(version: str, way: _Way, models: Mapping[str, Provenance], chunks: Mapping[str, str]) -> str:
    """Follow an unbroken line of trained models to where it begins, and give the model there ("": nothing)."""
    origin = models[version].origin
    line = {models[each].chunk: each for each in _ancestors(version, models) if models[each].kind is ModelKind.TRAINED}
    _follow(models[version].chunk, origin.chunk, way, chunks, line)
    if not way.reason or way.missing in chunks:  # links in a circle are no gap
        return _onwards(origin.version, origin.path, way, models, chunks)
    return _around(way, models)


def _onwards(version: str, path: Sequence[Stretch], way: _Way, models: Mapping[str, Provenance], chunks: Mapping[str, str]) -> str:
    """Give the model to go on from; in place of one that is no longer kept, follow all that it has learned, if that is known."""
    if version in models or not path:
        return version
    for stretch in reversed(path):
        before = len(way.chunks)
        _follow(stretch.last, chunks.get(stretch.first, "") if stretch.first else stretch.behind, way, chunks, {})
        if stretch.rewards:
            way.rejoined |= dict.fromkeys(way.chunks[before:], stretch.rewards)
        if way.reason:
            break
    return ""


def _around(way: _Way, models: Mapping[str, Provenance]) -> str:
    """Leave out chunks without a lesson, one of which is missing, and give the model from which the way goes on ("": from nothing, or not).

    Where a model is its parent and one window, nothing but that window's chunk leads to it, whatever chunks were written in between.
    """
    last = [*way.passed][-1]
    made_of, behind = models[last], way.passed[last]
    is_there = behind < len(way.chunks) and (not made_of.parent or made_of.parent in models)
    if not is_there or not _is_of_one_window(made_of):
        return ""
    del way.chunks[behind + 1 :]
    way.missing = way.reason = ""
    return made_of.parent


def _is_of_one_window(made_of: Provenance) -> bool:
    """Whether a model has learned one chunk more than its parent; an import may have learned several."""
    window = f"/{to_micros(made_of.since)}-{to_micros(made_of.until)}-"
    return made_of.kind is ModelKind.TRAINED and made_of.first in {"", made_of.chunk} and window in made_of.chunk


def _follow(last: str, first: str, way: _Way, chunks: Mapping[str, str], line: Mapping[str, str]) -> None:
    """Go from ``last`` back to before ``first``, past the models that chunks led to."""
    name, seen = last, set[str]()
    while name != first:
        if name in line:
            way.passed.setdefault(line[name], len(way.chunks))
        if name not in chunks or name in seen:
            way.missing = name
            way.reason = f"chunk {name} of the joined log is missing" if name else "the beginning of the joined log was deleted"
            return
        seen.add(name)
        way.chunks.append(name)
        name = chunks[name]


def _ancestors(version: str, models: Mapping[str, Provenance]) -> list[str]:
    """Give the model and those that it was made from, as long as they are kept, newest first."""
    found: dict[str, None] = {}
    while version in models and version not in found:
        found[version] = None
        version = models[version].parent
    return [*found]
