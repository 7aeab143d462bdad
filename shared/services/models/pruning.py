"""What nothing needs any more of a loop's models, states, live figures, breakdowns and what its trainers remember, and its removal.

There is one rule, by which each commit removes what it made needless, and retention what was left over: the models that were published
last stay, each with its state, and the figures, the breakdown and the lookback that the pointer names. What is numbered behind the
pointer stays as well: a commit that is under way will name it.
"""

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from shared.domain.errors import PersonalizerError
from shared.domain.ledger import Pointer
from shared.domain.patience import patience
from shared.domain.ports import ModelStore

logger = logging.getLogger(__name__)

LEAST_KEPT: Final = 2
"""The published model, and the one before it: who read the pointer just before a commit may still be about to load that."""

MOST_AFTER_A_COMMIT: Final = 40
"""Of models, figures, breakdowns and lookbacks each, what one commit removes; more are there only after an update or many runs that died,
and others do the rest."""

_PATIENCE: Final = timedelta(seconds=5)
"""How long a commit may be about it."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many were removed: models, with their states or either alone, and files of figures, of lookbacks and of breakdowns."""

    models: int
    figures: int
    lookbacks: int = 0
    breakdowns: int = 0


def needless(pointer: Pointer, replaced: Mapping[str, str], states: AbstractSet[str], *, kept: int) -> list[str]:
    """Choose the versions that go, oldest first; ``replaced`` tells of each model which one was published before it, as far as known.

    >>> from shared.domain.clock import EPOCH
    >>> pointer = Pointer(sequence=5, version="00000005-e", published_at=EPOCH, watermark=EPOCH)
    >>> models = {"00000005-e": "00000004-d", "00000004-d": "00000002-b", "00000004-lost": "00000002-b", "00000002-b": "", "00000006-f": ""}
    >>> needless(pointer, models, {*models, "00000003-c"}, kept=2)
    ['00000002-b', '00000003-c', '00000004-lost']
    """
    behind = next_number(pointer)
    settled = {version for version in {*states, *replaced} if version < behind}
    return sorted(settled - _kept(pointer, replaced, settled, most=max(kept, LEAST_KEPT)) - {pointer.version})


def _kept(pointer: Pointer, replaced: Mapping[str, str], settled: AbstractSet[str], *, most: int) -> set[str]:
    """Follow the line of published models back from the newest; where it breaks off before it is so long, the newest others come next."""
    line: dict[str, None] = {}
    version = pointer.version or pointer.previous
    while version in replaced and version not in line and len(line) < most:
        line[version] = None
        version = replaced[version]
    others = sorted((settled & replaced.keys()) - line.keys(), reverse=True)
    return {*line, *others[: most - len(line)]}


def next_number(pointer: Pointer) -> str:
    """Give what the names of the next commit's files begin with."""
    return f"{pointer.sequence + 1:08d}"


@dataclass(slots=True)
class _Found:
    """What is there as of a pointer: models with what each replaced, versions that have a state, figures, lookbacks and breakdowns."""

    pointer: Pointer
    models: dict[str, str]
    states: set[str]
    figures: set[str]
    lookbacks: set[str]
    breakdowns: set[str]

    def follow(self, pointer: Pointer, written: "Written") -> None:
        """Take in what was written since, and the commit that names some of it."""
        before, self.pointer = self.pointer, pointer
        if pointer.version and pointer.version != before.version:
            self.models[pointer.version] = before.version or before.previous
        self.states |= written.states
        self.figures |= written.figures
        self.lookbacks |= written.lookbacks
        self.breakdowns |= written.breakdowns


@dataclass(slots=True)
class Written:
    """What a process has written, or tried to, since it removed something: a commit that fails leaves it behind."""

    states: set[str] = field(default_factory=set)
    figures: set[str] = field(default_factory=set)
    lookbacks: set[str] = field(default_factory=set)
    breakdowns: set[str] = field(default_factory=set)


class Pruner:
    """Removes what nothing needs any more of one loop. Doing so again changes nothing; stopped half-way, the next time does the rest.

    Whoever commits time and again, and notes in ``written`` what it is about to write, lists nothing after the first time, unless others
    commit as well.
    """

    def __init__(self, store: ModelStore, *, models_kept: int) -> None:
        self._store = store
        self._models_kept = models_kept
        self._left: _Found | None = None
        self.written = Written()

    async def after(self, pointer: Pointer) -> None:
        """Remove what the commit of this pointer made needless, some of it if it is much; where that fails, others will do it."""
        left, self._left = self._left, None
        written, self.written = self.written, Written()
        try:
            with patience(_PATIENCE):
                if left is not None and left.pointer.sequence + 1 == pointer.sequence:
                    left.follow(pointer, written)
                else:
                    left = await self._found(pointer)
                await self._remove(left, most=MOST_AFTER_A_COMMIT)
        except PersonalizerError as error:
            logger.warning("files that a commit made unnecessary are left to the next one, or to retention: %s", error)
        else:
            self._left = left

    async def overtaken(self) -> None:
        """Remove what a commit has written that was refused since another came first; raises nothing."""
        try:
            stored = await self._store.pointer()
        except PersonalizerError as error:
            logger.warning("the files of a commit that came too late are left to the next one, or to retention: %s", error)
            return
        self._left = None  # others have written as well
        if stored is not None:
            await self.after(stored[0])

    async def sweep(self, pointer: Pointer) -> Pruned:
        """Remove all of it, and tell how much; raises as the store does."""
        return await self._remove(await self._found(pointer), most=None)

    async def _found(self, pointer: Pointer) -> _Found:
        figures = {name async for name in self._store.figures_kept()}
        states = {version async for version in self._store.states()}
        lookbacks = {name async for name in self._store.lookbacks_kept()}
        breakdowns = {name async for name in self._store.breakdowns_kept()}
        return _Found(pointer, dict(await self._store.replaced()), states, figures, lookbacks, breakdowns)

    async def _remove(self, found: _Found, *, most: int | None) -> Pruned:
        """Remove what is needless of what was found; at no time is there a model without its state, nor a gap between two that stay."""
        figures = needless_files(found.pointer, found.figures, named=found.pointer.figures)[:most]
        for name in figures:
            await self._store.delete_figures(name)
            found.figures.discard(name)
        lookbacks = needless_files(found.pointer, found.lookbacks, named=found.pointer.lookback)[:most]
        for name in lookbacks:
            await self._store.delete_lookback(name)
            found.lookbacks.discard(name)
        breakdowns = needless_files(found.pointer, found.breakdowns, named=found.pointer.breakdown)[:most]
        for name in breakdowns:
            await self._store.delete_breakdown(name)
            found.breakdowns.discard(name)
        versions = needless(found.pointer, found.models, found.states, kept=self._models_kept)[:most]
        for version in versions:
            await self._store.delete(version)
            found.models.pop(version, None)
            found.states.discard(version)
        return Pruned(len(versions), len(figures), len(lookbacks), len(breakdowns))


def needless_files(pointer: Pointer, names: AbstractSet[str], *, named: object) -> list[str]:
    """Choose the files that were committed before the one that the pointer has ``named``, and those that no commit can name any more."""
    return sorted(name for name in names if name < next_number(pointer) and name != named)
