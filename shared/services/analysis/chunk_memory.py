"""Chunks that a process has read lately: the lanes of an analysis go over the same ones, and only the first has to read them.

It is only a memory. A lane comes to the same bytes with it and without it, and what does not fit is read again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from shared.domain.events import JoinedEvent
from shared.joining.dsjson import SituationTexts
from shared.services.analysis.logged import Logged

ROOM: Final = 48 * 1024 * 1024
"""Bytes that all chunks take together: those of some 20,000 events with 10 actions, which is a step."""

_EVENT: Final = 800
_ACTION: Final = 40
_TEXT: Final = 160
"""Bytes of an event, of each of its actions (a probability and a place), and of a text beside its letters."""


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """Which chunk of which loop it is, and under which settings of rewards it was joined."""

    loop: str
    name: str
    settings: str


@dataclass(slots=True)
class _Kept:
    events: Sequence[Logged]
    size: int
    step: int


class _Notes:
    """The events of a chunk on their way; equal texts of all of them are one object, and ``size`` is how many bytes they take."""

    def __init__(self) -> None:
        self.events: list[Logged] = []
        self.size = 0
        self._texts: dict[bytes, bytes] = {}

    def take(self, logged: Logged) -> Logged:
        """Note an event without what no lane needs."""
        event, texts = logged.event, logged.texts
        if texts is not None:
            texts = SituationTexts(self._once(texts.context), self._once(texts.actions), texts.baseline_id)
        decision = replace(event.decision, event_id="", situation=b"")
        bare = Logged(replace(event, decision=decision, observations=()), texts, logged.size)
        self.events.append(bare)
        self.size += _EVENT + _ACTION * len(decision.probabilities)
        return bare

    def _once(self, texts: Sequence[bytes]) -> tuple[bytes, ...]:
        return tuple([self._texts.get(text) or self._first(text) for text in texts])

    def _first(self, text: bytes) -> bytes:
        self._texts[text] = text
        self.size += _TEXT + len(text)
        return text


class ChunkMemory:
    """Keeps the events of chunks within a bound of bytes; one step at a time reads and writes, any thread may have all forgotten.

    Each step goes over its chunks in order. So a chunk that the present step has used is never dropped for a later one of the same step:
    otherwise lanes that go over more than there is room for would find nothing.
    """

    def __init__(self, *, room: int = ROOM) -> None:
        self._room = room
        self._lock = Lock()
        self._step = 0
        self._kept: dict[ChunkKey, _Kept] = {}
        self.size = 0

    def begin_step(self) -> None:
        """Let chunks of earlier steps go where there is no room."""
        self._step += 1

    def known(self, key: ChunkKey) -> Sequence[Logged] | None:
        """Give the events of a chunk, if it is remembered."""
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is None:
                return None
            kept.step = self._step
            self._kept[key] = kept  # the last one used stands last
            return kept.events

    def noting(self, key: ChunkKey, events: Iterable[JoinedEvent]) -> Iterator[Logged]:
        """Give the events of a chunk as they are read, and remember them once all are read, if there is room for them."""
        notes: _Notes | None = _Notes()
        for event in events:
            logged = Logged.of(event)
            if notes is not None:
                logged = notes.take(logged)
                if not self._has_room(notes.size):
                    notes = None
            yield logged
        if notes is not None:
            self._keep(key, _Kept(notes.events, notes.size, self._step))

    def forget(self) -> None:
        """Remember nothing any more."""
        with self._lock:
            self._kept, self.size = {}, 0

    def _has_room(self, size: int) -> bool:
        """Make room for so many bytes by dropping chunks that this step has not used, the longest unused ones first."""
        with self._lock:
            for key, kept in [*self._kept.items()] if self.size + size > self._room else []:
                if self.size + size > self._room and kept.step != self._step:
                    del self._kept[key]
                    self.size -= kept.size
            return self.size + size <= self._room

    def _keep(self, key: ChunkKey, kept: _Kept) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = kept
                self.size += kept.size
