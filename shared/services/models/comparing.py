"""Two versions of the model side by side: what each feature adds to the estimates of what was shown, by the one and by the other."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from shared.domain.errors import ResourceNotFoundError, UnreadableError
from shared.domain.events import JoinedEvent, Situation
from shared.domain.models import Comparison, KeptVersion, Moved
from shared.domain.ports import JoinedLog, ModelStore
from shared.joining.dsjson import read_situation
from shared.joining.reading import read_line
from shared.learning.artifact import load_model
from shared.learning.explanation import LONGEST_NAME, explain
from shared.learning.model import Model

MOST_EVENTS: Final = 400
_CHUNKS: Final = 20
_SECONDS: Final = 15.0
_ANY: Final = "what every event has"


class Versions(Protocol):
    """The kept versions: `shared.services.models.keeper.ModelKeeper`."""

    async def versions(self) -> list[KeptVersion]:
        """List the models that are kept, newest first."""
        ...


class Comparer:
    """Compares the kept models of one loop."""

    def __init__(self, versions: Versions, joined: JoinedLog, store: ModelStore) -> None:
        self._versions = versions
        self._joined = joined
        self._store = store

    async def compare(self, before: str, after: str, *, most: int) -> Comparison:
        """Compare two of them; raises `ResourceNotFoundError`, which names the parameter, for one that is not kept."""
        kept = {each.version: each for each in await self._versions.versions()}
        for name, version in (("from", before), ("to", after)):
            if version not in kept:
                raise ResourceNotFoundError(f"{name}: there is no model {version[:80]!r} among those that are kept", target=name)
        models = [await self._model(name, version) for name, version in (("from", before), ("to", after))]
        events = await self._events()
        moved = await asyncio.to_thread(what_moved, models[0], models[1], events)
        return Comparison(kept[before], kept[after], moved[:most], len(events))

    async def _model(self, name: str, version: str) -> Model:
        try:
            return await asyncio.to_thread(load_model, await self._store.artifact(version))
        except UnreadableError as cause:  # removed meanwhile, or damaged
            raise ResourceNotFoundError(f"{name}: the model {version[:80]!r} cannot be read any more: {cause}", target=name) from cause

    async def _events(self) -> list[JoinedEvent]:
        """Read the newest events that were learned, as many as are enough."""
        stored = await self._store.pointer()
        clock = asyncio.get_running_loop()
        enough = clock.time() + _SECONDS
        found: list[JoinedEvent] = []
        name = stored[0].chunk if stored else ""
        for _ in range(_CHUNKS):
            if not name or len(found) >= MOST_EVENTS or clock.time() >= enough:
                break
            try:
                text = await self._joined.chunk(name)
            except UnreadableError:  # gone meanwhile, or damaged: what else there is still counts
                text = b""
            found += await asyncio.to_thread(_learned, text, MOST_EVENTS - len(found))
            name = await self._joined.parent(name) or ""
        return found


def what_moved(before: Model, after: Model, events: Sequence[JoinedEvent]) -> list[Moved]:
    """Tell how much each feature adds to the estimates of what was learned about, by both models; what moved most comes first."""
    sums: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    for event in events:
        situation = read_situation(event.decision.situation)
        parts = [_parts(model, situation, event.decision.learned_action) for model in (before, after)]
        for name in parts[0].keys() | parts[1].keys():
            total = sums.setdefault(name, [0.0, 0.0])
            for place in (0, 1):
                total[place] += parts[place].get(name, 0.0)
            counts[name] = counts.get(name, 0) + 1
    moved = [Moved(name, old / counts[name], new / counts[name], counts[name]) for name, (old, new) in sums.items()]
    return sorted(moved, key=lambda each: (-abs(each.after - each.before) * each.events, each.name))


def _parts(model: Model, situation: Situation, action: int) -> dict[str, float]:
    parts: dict[str, float] = {}
    for each in explain(model, situation, action).contributions:
        name = each.name[:LONGEST_NAME] or _ANY
        parts[name] = parts.get(name, 0.0) + each.worth
    return parts


def _learned(text: bytes, room: int) -> list[JoinedEvent]:
    def newest() -> Iterator[JoinedEvent]:
        for line in reversed(text.splitlines()):
            event = read_line(line)
            if event.skip is None:
                yield event

    return [event for event, _ in zip(newest(), range(room), strict=False)]
