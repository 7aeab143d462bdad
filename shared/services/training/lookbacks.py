"""What trainers remember from just behind the watermark: in a file that the pointer names, or in the pointer itself where it is little.

The file is written before the commit, under a name made from its content, as figures are: so it is part of the commit, and processes
that poll the pointer never load it.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

import msgspec

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.lookback import Lookback, Seen
from shared.domain.ports import ModelStore
from shared.joining.chunks import compressed, decompressed
from shared.services.models.publishing import digest

logger = logging.getLogger(__name__)

FORMAT: Final = 1
"""Of the file."""

_WHAT: Final = "what a trainer has to remember"
_REWARD_BYTES, _SEGMENT_BYTES = 120, 300
"""That each takes in memory, or a little more."""

_TAG: Final = 8
"""Digits of a tag (`shared.domain.identity.report_id`)."""


class _Format(msgspec.Struct):
    format: int


class _File(msgspec.Struct):
    """Rewards are told by the time at which their segment was sealed, in microseconds, with all their tags one after another."""

    decisions: Seen
    observations: Seen
    unknown: dict[str, str]
    late: dict[str, str]
    format: int = FORMAT


def dump(lookback: Lookback) -> bytes:
    """Write it, not compressed yet; the same memory gives the same bytes."""
    file = _File(lookback.decisions, lookback.observations, _tags(lookback.unknown), _tags(lookback.late))
    return msgspec.json.encode(file, order="deterministic")


def load(text: bytes) -> Lookback:
    """Inverse of `dump`; raises `NewerFormatError` or `UnreadableError`."""
    try:
        found = msgspec.json.decode(text, type=_Format).format
        if found > FORMAT:
            raise NewerFormatError(_WHAT, found=found, known=FORMAT)
        file = msgspec.json.decode(text, type=_File)
    except (msgspec.MsgspecError, RecursionError) as cause:
        raise UnreadableError(f"{_WHAT} cannot be read: {cause}") from cause
    return Lookback(_in_order(file.decisions), _in_order(file.observations), _ids(file.unknown), _ids(file.late))


async def remembered(store: ModelStore, pointer: Pointer) -> Lookback:
    """Give what was remembered with this commit.

    What is gone, or damaged, is told, and gone on without: then what turns up behind the watermark is not learned any more, so nothing
    is learned twice. Raises `NewerFormatError`, and as the store does.
    """
    name = pointer.lookback
    if isinstance(name, Lookback):
        return name
    try:
        return await asyncio.to_thread(_opened, name, await store.lookback(name))
    except NewerFormatError:
        raise
    except UnreadableError as error:
        stored = await store.pointer()
        if stored is not None and stored[0].lookback == name:  # else another commit removed it, and who goes by this one is too late
            logger.error("%s: events that arrive behind the watermark are not learned", error, extra={"lookback": name})
        return Lookback.lost(pointer.watermark)


class LookbackKeeper:
    """Reads and writes it for the trainer of one loop; what was read or written last is kept in memory.

    Up to ``carried`` bytes are in the pointer itself: that saves a quiet loop the file. What is kept in memory counts in a budget.
    """

    def __init__(self, store: ModelStore, *, carried: int) -> None:
        self._store = store
        self._carried = carried
        self.sharing(Budget(UNBOUNDED))
        self._warm: tuple[str, Lookback] | None = None  # under a name that tells the content, so it is right whoever committed it

    async def of(self, pointer: Pointer) -> Lookback:
        """Give what was remembered with this commit; raises as `remembered`."""
        name = pointer.lookback
        if isinstance(name, Lookback):
            self.close()
            return name
        warm, self.used_at = self._warm, self._budget.monotonic()
        if warm is not None and warm[0] == name:
            return warm[1]
        return self._kept(name, await remembered(self._store, pointer))

    async def keep(self, pointer: Pointer, lookback: Lookback) -> Lookback | str:
        """Write it for the commit after this pointer, and give what the next pointer is to have of it; raises as the store does."""
        text = dump(lookback)
        if len(text) <= self._carried:
            return lookback
        name = f"{pointer.sequence + 1:08d}-{digest(text)}"
        await self._store.write_lookback(name, await asyncio.to_thread(compressed, text))
        self._kept(name, lookback)
        return name

    def sharing(self, budget: Budget) -> None:
        """Count in this budget; to be said before it is used."""
        self._budget, self.used_at = budget, budget.monotonic()

    def close(self) -> None:
        """Keep nothing in memory any more."""
        self._warm = None
        self._budget.drop(self)

    def let_go(self) -> int:
        """Read the file when it is needed again."""
        self._warm = None
        return 0

    def _kept(self, name: str, lookback: Lookback) -> Lookback:
        self._warm, self.used_at = (name, lookback), self._budget.monotonic()
        rewards, segments = len(lookback.unknown) + len(lookback.late), len(lookback.decisions) + len(lookback.observations)
        self._budget.hold(self, _REWARD_BYTES * rewards + _SEGMENT_BYTES * segments)
        return lookback


def _opened(name: str, data: bytes) -> Lookback:
    text = decompressed(data)
    found = load(text)
    if digest(text) != name.rpartition("-")[2]:
        raise UnreadableError(f"{_WHAT} is damaged: its content is not what its name says")
    return found


def _in_order(seen: Seen) -> Seen:
    return Seen(seen.names, tuple(sorted(seen.runs)), seen.before)


def _tags(ids: Iterable[str]) -> dict[str, str]:
    return {at: "".join([each[-_TAG:] for each in group]) for at, group in groupby(sorted(ids), key=lambda each: each[: -_TAG - 1])}


def _ids(tags: Mapping[str, str]) -> frozenset[str]:
    return frozenset([f"{at}#{text[place : place + _TAG]}" for at, text in tags.items() for place in range(0, len(text), _TAG)])
