"""The latest events of a loop, some of them by what became of them, and how their rewards and their delays are spread.

Events that wait are read from the hot log, those that were dealt with from the joined log, the newest first. Both are read as far as a
bound, and the answer says how far that was: it does not take longer when the log grows.
"""

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, EventKey, JoinedEvent, Observation
from shared.domain.ledger import Pointer, SegmentHead
from shared.domain.ports import EventLog, JoinedLog, LoopConfiguration, ModelStore
from shared.joining.chunks import ChunkName
from shared.joining.dsjson import read_action, read_parts
from shared.joining.join import EARLY
from shared.joining.reading import read_line
from shared.services.log.receipts import Fate
from shared.services.loops.progress import AHEAD

MOST_LOOKED_AT: Final = 5_000
"""Events that one answer is made of."""

_BYTES: Final = 48 * 1024 * 1024
_CHUNKS: Final = 60
_SECONDS: Final = 10.0
_PASSED: Final = 200_000
"""Events whose segments are listed, or observations that are read, for one answer."""
_OPENED: Final = 16
_FIRST_LOOK: Final = timedelta(minutes=10)
_BINS: Final = 12

DELAYS: Final = (0.0, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)
"""Seconds from a decision to its first reward: where each bin begins; the last one has no end."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted; None: whatever they are. ``since`` and ``until`` are of their Rank calls."""

    action_id: str | None = None
    is_rewarded: bool | None = None
    is_late: bool | None = None
    is_explored: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    most: int = 50


@dataclass(frozen=True, slots=True)
class Event:
    """One event, and what became of it so far. ``late`` counts the rewards that came after the wait, ``delay`` is to its first reward.

    The decision is without its situation: the events of one answer are many.
    """

    decision: Decision
    action_id: str
    fate: Fate
    reason: str = ""
    reward: float | None = None
    used_default: bool = False
    rewards: int = 0
    late: int = 0
    delay: timedelta | None = None

    @property
    def is_explored(self) -> bool:
        """Whether chance chose."""
        return self.decision.is_explored


@dataclass(frozen=True, slots=True)
class Bin:
    """How many values lie in ``[low, high)``; the last one holds its end, and has none where ``high`` is None."""

    low: float
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class OfModel:
    """What learned events earned that a model chose; "": no model did."""

    version: str
    events: int
    average_reward: float


@dataclass(frozen=True, slots=True)
class Latest:
    """The events that are wanted, newest first, of ``looked_at`` ones; ``is_cut`` if there are more that were not looked at.

    The spreads are of all events of the time that were looked at, and of the ``action_id`` that was wanted, whatever else was.
    """

    events: Sequence[Event]
    looked_at: int
    since: datetime | None
    until: datetime | None
    is_cut: bool
    rewards: Sequence[Bin]
    delays: Sequence[Bin]
    models: Sequence[OfModel]


@dataclass(slots=True)
class _Looked:
    events: list[Event] = field(default_factory=list)
    is_cut: bool = False


class LatestEvents:
    """Lists the latest events of one loop."""

    def __init__(
        self,
        log: EventLog,
        joined: JoinedLog,
        store: ModelStore,
        configuration: LoopConfiguration,
        *,
        clock: Clock,
        most: int = MOST_LOOKED_AT,
    ) -> None:
        self._log = log
        self._joined = joined
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._most = most

    async def find(self, wanted: Wanted) -> Latest:
        """Look for them; raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`."""
        loop = await asyncio.to_thread(self._configuration.read)
        stored = await self._store.pointer()
        pointer = stored[0] if stored else None
        if pointer is not None:
            self._log.follow(pointer.log)
        looked = await self._waiting(pointer, wanted)
        if pointer is not None and pointer.chunk and not looked.is_cut:
            await self._dealt_with(pointer, wanted, looked)
        looked.events.sort(key=lambda event: event.decision.decided_at, reverse=True)
        looked.is_cut = looked.is_cut or len(looked.events) > self._most
        events, is_cut = await self._with_rewards(looked.events[: self._most], loop.reward_wait)
        spread = [each for each in events if wanted.action_id in (None, each.action_id)]
        found = [each for each in spread if _is_wanted(each, wanted)]
        times = [each.decision.decided_at for each in events]
        return Latest(
            events=found[: wanted.most],
            looked_at=len(events),
            since=min(times, default=None),
            until=max(times, default=None),
            is_cut=looked.is_cut or is_cut,
            rewards=spread_of_rewards([each.reward for each in spread if each.reward is not None]),
            delays=spread_of_delays([each.delay.total_seconds() for each in spread if each.delay is not None]),
            models=_by_model(spread),
        )

    async def _waiting(self, pointer: Pointer | None, wanted: Wanted) -> _Looked:
        """Read what no commit has dealt with, in longer and longer looks back until it is enough."""
        earliest = await self._log.earliest()
        looked, until = _Looked(), self._clock.now() + AHEAD
        if earliest is None:
            return looked
        first = max(earliest, pointer.watermark if pointer is not None else EPOCH)
        since, step, passed = self._clock.now() - _FIRST_LOOK, _FIRST_LOOK, 0
        while until > first and not looked.is_cut:
            heads = [head async for minute in self._log.decision_heads(max(since, first), until) for head in minute]
            passed += sum(head.count for head in heads)
            await self._open(heads, wanted, looked)
            looked.is_cut = looked.is_cut or passed >= _PASSED
            until, since, step = max(since, first), max(since - step, first), step * 2
        return looked

    async def _open(self, heads: Sequence[SegmentHead], wanted: Wanted, looked: _Looked) -> None:
        left = [*heads]
        while left:
            if len(looked.events) >= self._most:
                looked.is_cut = True
                return
            left, last = left[:-_OPENED], left[-_OPENED:]
            for segment in await self._log.decisions(last):
                looked.events += [
                    Event(_slim(each), action_id_of(each), Fate.PENDING)
                    for each in segment.events or ()
                    if _is_of_time(each.decided_at, wanted)
                ]

    async def _dealt_with(self, pointer: Pointer, wanted: Wanted, looked: _Looked) -> None:
        """Read chunks of the joined log, the newest first."""
        clock = asyncio.get_running_loop()
        enough, passed, number = clock.time() + _SECONDS, 0, 0
        name: str | None = pointer.chunk
        while name:
            chunk = ChunkName.parse(name)
            if wanted.since is not None and chunk.until < wanted.since:
                return
            if number >= _CHUNKS or passed >= _BYTES or clock.time() >= enough or len(looked.events) >= self._most:
                looked.is_cut = True
                return
            number += 1
            if wanted.until is None or chunk.since - AHEAD <= wanted.until:
                try:
                    text = await self._joined.chunk(name)
                except UnreadableError:  # gone meanwhile, or damaged: what else there is still counts
                    text = b""
                passed += len(text)
                room = self._most - len(looked.events)
                events, is_cut = await asyncio.to_thread(_events_of, text, wanted, room)
                looked.events += events
                looked.is_cut = looked.is_cut or is_cut
            name = await self._joined.parent(name)

    async def _with_rewards(self, events: list[Event], wait: timedelta) -> tuple[list[Event], bool]:
        """Add what was observed of them and is in no joined event: rewards of those that wait, and rewards that came late."""
        if not events:
            return events, False
        earliest = await self._log.earliest()
        until = min(self._clock.now(), events[0].decision.decided_at + wait) + AHEAD
        since = events[-1].decision.decided_at - EARLY
        observed: dict[EventKey, list[Observation]] = {each.decision.key: [] for each in events}
        passed, is_cut = 0, False
        if earliest is not None and earliest < until:
            async for minute in self._log.observation_heads(max(since, earliest), until):
                if passed >= _PASSED:
                    is_cut = True
                    break
                passed += sum(head.count for head in minute)
                for segment in await self._log.observations(minute):
                    for each in segment.events or ():
                        if each.key in observed and not each.is_activation:
                            observed[each.key].append(each)
        return [_judged(each, observed[each.decision.key], wait) for each in events], is_cut


def action_id_of(decision: Decision) -> str:
    """Give the id of the action that was shown."""
    return read_action(read_parts(decision.situation).actions[decision.chosen]).id


def _slim(decision: Decision) -> Decision:
    return replace(decision, situation=b"", encoded=b"")


def _events_of(text: bytes, wanted: Wanted, room: int) -> tuple[list[Event], bool]:
    """Read a chunk's events of the time from its end, as many as there is room for; tells as well whether that was not all."""
    found: list[Event] = []
    for line in reversed(text.splitlines()):
        if len(found) >= room:
            return found, True
        joined = read_line(line)
        if _is_of_time(joined.decision.decided_at, wanted):
            found.append(_joined(joined))
    return found, False


def _joined(joined: JoinedEvent) -> Event:
    rewards = [each for each in joined.observations if not each.is_activation]
    is_learned = joined.skip is None
    return Event(
        _slim(joined.decision),
        action_id_of(joined.decision),
        Fate.LEARNED if is_learned else Fate.SKIPPED,
        reason="" if joined.skip is None else joined.skip.value,
        reward=joined.reward if is_learned else None,
        used_default=is_learned and not rewards,
        rewards=len(rewards),
        delay=min((each.observed_at for each in rewards), default=joined.decision.decided_at) - joined.decision.decided_at
        if rewards
        else None,
    )


def _judged(event: Event, observed: Sequence[Observation], wait: timedelta) -> Event:
    """Count the observations of an event: in time or late."""
    at = event.decision.decided_at
    mine = [each for each in observed if each.observed_at >= at - EARLY]
    in_time = [each for each in mine if each.observed_at <= at + wait]
    late = len(mine) - len(in_time)
    if event.fate is not Fate.PENDING:
        late = max(late, len(mine) - event.rewards)
        return replace(event, late=late, delay=_not_before(event.delay))
    delay = min((each.observed_at for each in in_time), default=at) - at if in_time else None
    return replace(event, rewards=len(in_time), late=late, delay=_not_before(delay))


def _not_before(delay: timedelta | None) -> timedelta | None:
    """Take a reward that was noted a little before its decision as one that came at once: clocks differ."""
    return None if delay is None else max(delay, timedelta(0))


def _is_of_time(at: datetime, wanted: Wanted) -> bool:
    return (wanted.since is None or at >= wanted.since) and (wanted.until is None or at < wanted.until)


def _is_wanted(event: Event, wanted: Wanted) -> bool:
    return (
        wanted.is_rewarded in (None, event.rewards > 0)
        and wanted.is_late in (None, event.late > 0)
        and wanted.is_explored in (None, event.is_explored)
    )


def spread_of_rewards(values: Sequence[float]) -> list[Bin]:
    """Count rewards: each value by itself where there are few, else in bins of one width.

    >>> [(each.low, each.high, each.count) for each in spread_of_rewards([0.0, 1.0, 1.0])]
    [(0.0, 0.0, 1), (1.0, 1.0, 2)]
    >>> [each.count for each in spread_of_rewards([number / 100 for number in range(120)])]
    [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]
    """
    counts = Counter(values)
    if len(counts) <= _BINS:
        return [Bin(value, value, count) for value, count in sorted(counts.items())]
    low, high = min(counts), max(counts)
    edges = [low + (high - low) * number / _BINS for number in range(_BINS)]
    filled = Counter(bisect_right(edges, value) - 1 for value in values)
    return [Bin(edge, next_edge, filled[number]) for number, (edge, next_edge) in enumerate(zip(edges, [*edges[1:], high], strict=True))]


def spread_of_delays(seconds: Sequence[float]) -> list[Bin]:
    """Count delays by their order of magnitude; nothing where there are none.

    >>> [(each.low, each.high, each.count) for each in spread_of_delays([0.5, 2.0, 100_000.0]) if each.count]
    [(0.0, 1.0, 1), (1.0, 5.0, 1), (86400.0, None, 1)]
    """
    if not seconds:
        return []
    filled = Counter(max(bisect_right(DELAYS, each) - 1, 0) for each in seconds)
    ends: list[float | None] = [*DELAYS[1:], None]
    return [Bin(low, high, filled[number]) for number, (low, high) in enumerate(zip(DELAYS, ends, strict=True))]


def _by_model(events: Sequence[Event]) -> list[OfModel]:
    rewards: dict[str, list[float]] = {}
    for each in events:
        if each.reward is not None:
            rewards.setdefault(each.decision.model_version, []).append(each.reward)
    return [OfModel(version, len(of), sum(of) / len(of)) for version, of in sorted(rewards.items(), reverse=True)]
