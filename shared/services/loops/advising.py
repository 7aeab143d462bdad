"""Advice to whoever runs a loop, from its counters and settings and a look at the latest of its joined log."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from shared.advice.advice import Advice
from shared.advice.rules import LoopView, advise
from shared.advice.sample import Sample, sampled
from shared.domain.errors import PersonalizerError
from shared.domain.events import JoinedEvent, Situation
from shared.joining.dsjson import read_situation
from shared.joining.reading import read_line
from shared.services.figures.reading import LiveFigures
from shared.services.loops.progress import Progress

logger = logging.getLogger(__name__)

_LATELY = timedelta(days=1)
_EVENTS = 200
_CHUNKS = 5
_MOST_CHUNKS = 20
"""So many of the newest chunks are looked at in any case, and more of them while there are too few events."""
_BYTES_OF_THE_NEWEST = 4 * 1024 * 1024
_BYTES_OF_A_CHUNK = 1024 * 1024


class ChunkHeads(Protocol):
    """The joined log, as far as a sample takes; raises as `shared.domain.ports.ModelStore` does."""

    async def head(self, name: str, *, size: int) -> tuple[Sequence[bytes], str] | None:
        """Read the first whole lines of a chunk, at most so many bytes, and tell which chunk was before it; None if it is not there."""
        ...


class Adviser:
    """Advises on one loop.

    The sample is looked at once for each chunk that becomes the newest: 200 events of the five newest ones, or of up to twenty where these
    hold fewer, as many of each as there are. What is remembered of it are counts and the names of features. ``clock_ahead`` tells how far
    this instance's clock is surely ahead of storage's.
    """

    def __init__(self, joined: ChunkHeads, figures: LiveFigures, *, clock_ahead: Callable[[], timedelta] = timedelta) -> None:
        self._joined = joined
        self._figures = figures
        self._clock_ahead = clock_ahead
        self._looked: tuple[str, Sample] = ("", Sample())

    async def advice(self, progress: Progress, *, mirror_error: str = "") -> Sequence[Advice]:
        """Go through the checklist; what cannot be read right now leaves out what it would have told.

        ``mirror_error`` says why the log is not mirrored ("": it is, or is not to be).
        """
        latest, sample = progress.counters, Sample()
        try:
            latest = await self._figures.counted(within=_LATELY) or latest
            sample = await self._sample(progress.chunk)
        except PersonalizerError as error:
            logger.warning("advice is given without a part of the log", extra={"error": str(error)})
        loop = LoopView(
            settings=progress.served.settings,
            counters=progress.counters,
            latest=latest,
            apprentice=progress.apprentice,
            pending=progress.pending,
            rewards=progress.rewards,
            lag=progress.lag,
            known=progress.published_learned,
            imported=progress.imported,
            anew=progress.anew,
            clock_ahead=self._clock_ahead(),
            mirror_error=mirror_error,
        )
        return advise(loop, sample)

    async def _sample(self, newest: str) -> Sample:
        if newest != self._looked[0]:
            lines = await self._latest(newest)
            self._looked = newest, await asyncio.to_thread(lambda: sampled(_events(lines)))
        return self._looked[1]

    async def _latest(self, newest: str) -> Sequence[bytes]:
        heads: list[Sequence[bytes]] = []
        name, size = newest, _BYTES_OF_THE_NEWEST
        while name and (len(heads) < _CHUNKS or (len(heads) < _MOST_CHUNKS and sum(map(len, heads)) < _EVENTS)):
            found = await self._joined.head(name, size=size)
            if found is None:
                break
            heads.append(found[0])
            name, size = found[1], _BYTES_OF_A_CHUNK
        return [line for head in _shared_out(heads, _EVENTS) for line in head]


def _shared_out(heads: Sequence[Sequence[bytes]], count: int) -> list[Sequence[bytes]]:
    """Take so many lines in all, as evenly as may be: where one has fewer, the others give more.

    >>> [len(each) for each in _shared_out([[b""] * 300, [b""] * 10, [b""] * 90], 200)], len(_shared_out([[b""] * 150], 200)[0])
    ([100, 10, 90], 150)
    """
    taken: dict[int, Sequence[bytes]] = {}
    for left, number in enumerate(sorted(range(len(heads)), key=lambda each: len(heads[each]))):
        share = (count - sum(map(len, taken.values()))) // (len(heads) - left)
        taken[number] = _spread(heads[number], share)
    return [taken[number] for number in range(len(heads))]


def _spread(lines: Sequence[bytes], count: int) -> Sequence[bytes]:
    """Take so many lines, evenly.

    >>> _spread([b"a", b"b", b"c", b"d", b"e"], 2), _spread([b"a"], 2)
    ([b'a', b'c'], [b'a'])
    """
    taken = min(len(lines), count)
    return [lines[number * len(lines) // taken] for number in range(taken)]


def _events(lines: Sequence[bytes]) -> Iterator[tuple[JoinedEvent, Situation]]:
    for line in lines:
        event = read_line(line)
        yield event, read_situation(event.decision.situation)
