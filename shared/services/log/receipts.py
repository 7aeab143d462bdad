"""What became of one event: found in the hot log by its fingerprint, and in the joined log by its text.

Both searches are bounded, and the answer says how far they went; a hint of the time makes them short.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import orjson

from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import ResourceNotFoundError, UnreadableError
from shared.domain.events import Decision, JoinedEvent, Observation
from shared.domain.ledger import ModelKind, Pointer, Provenance, Segment, SegmentHead, SegmentKey
from shared.domain.lookback import Seen
from shared.domain.loop import LoopSettings, RewardAggregation
from shared.domain.ports import EventLog, JoinedLog, LoopConfiguration, ModelStore
from shared.joining.aggregation import aggregate
from shared.joining.chunks import ChunkName
from shared.joining.join import EARLY
from shared.joining.reading import read_line
from shared.services.log.chains import latest
from shared.services.loops.progress import AHEAD
from shared.services.models.publishing import reward_settings
from shared.services.training.lookbacks import remembered
from shared.services.training.windows import Limits

AROUND = timedelta(hours=1)
"""How far from the hinted time is looked, both ways."""
_DECISIONS = 2_000_000
_OBSERVATIONS = 200_000
_REPEATED = 300
"""Decisions of one event, and as many observations, that are told: each call of a client may name the same event."""
_OPENED = 16
"""Segments at once, of up to some MB each."""
_CHUNKS = 300
_BYTES = 256 * 1024 * 1024
_SECONDS = 15.0


class Fate(StrEnum):
    """What became of a decision. ``notKept``: it was dealt with, and the part of the log that told how is gone."""

    LEARNED = "learned"
    PENDING = "pending"
    SKIPPED = "skipped"
    NOT_KEPT = "notKept"


class Outcome(StrEnum):
    """What became of a reward."""

    COUNTED = "counted"
    UNUSED = "unused"
    LATE = "late"
    PENDING = "pending"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RewardReceipt:
    """A reward, what became of it, and why, where that is not obvious."""

    observation: Observation
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DecisionReceipt:
    """What became of one decision of the event. ``due`` is when it can be learned, ``reward`` what it came to in the end."""

    decision: Decision
    action_id: str
    fate: Fate
    reason: str = ""
    chunk: str = ""
    learned_in: str = ""
    due: datetime | None = None
    activated_at: datetime | None = None
    reward: float | None = None
    used_default: bool = False
    rewards: Sequence[RewardReceipt] = ()


@dataclass(frozen=True, slots=True)
class Searched:
    """What was looked through; ``is_cut`` if it is less than was asked for."""

    since: datetime
    until: datetime
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """All that is known of an event. ``rewards`` belong to none of its decisions, and ``damaged`` decisions could not be read."""

    event_id: str
    decisions: Sequence[DecisionReceipt]
    rewards: Sequence[RewardReceipt]
    damaged: int
    searched: Searched


@dataclass(frozen=True, slots=True)
class _Hot:
    """What the hot log holds of an event."""

    decisions: Sequence[tuple[SegmentHead, Decision]]
    damaged: int
    observations: Sequence[Observation]
    since: datetime | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Cold:
    """What the joined log holds of an event, with the chunks it is in, and from when on it was looked through."""

    events: Sequence[tuple[str, JoinedEvent]]
    since: datetime | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Range:
    since: datetime
    until: datetime


class Receipts:
    """Looks up events of one loop."""

    def __init__(
        self, log: EventLog, joined: JoinedLog, store: ModelStore, configuration: LoopConfiguration, *, clock: Clock, limits: Limits
    ) -> None:
        self._log = log
        self._joined = joined
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._limits = limits

    async def find(self, event_id: str, *, around: datetime | None = None) -> Receipt:
        """Tell what became of an event; without a hint the newest is looked through first.

        Raises `ResourceNotFoundError`, which names what was searched, and `StorageUnavailableError`, `NewerFormatError` or
        `UnreadableError`.
        """
        loop = await asyncio.to_thread(self._configuration.read)
        pointer = await self._pointer()
        asked = self._asked(around)
        hot = await self._hot(event_id, pointer, asked, loop)
        cold = await self._cold(event_id, pointer, hot, asked)
        searched = self._searched(asked, hot, cold)
        if not (hot.decisions or hot.damaged or hot.observations or cold.events):
            raise ResourceNotFoundError(_not_found(event_id, searched, pointer), target="eventId")
        models = await self._joined.models() if cold.events else {}
        waiting = await self._waiting(hot, pointer)
        decisions = [*_of_hot(hot, cold, waiting, loop, limits=self._limits), *_of_cold(hot, cold)]
        decisions = [replace(each, learned_in=_model(each, models)) for each in decisions]
        joined_by = [_joined_by(each, models, loop) for each in decisions]
        decisions = [_with_rewards(each, hot.observations, loop, how) for each, how in zip(decisions, joined_by, strict=True)]
        return Receipt(event_id, _in_order(decisions), _loose(decisions, hot.observations, pointer), hot.damaged, searched)

    async def _waiting(self, hot: _Hot, pointer: Pointer | None) -> AbstractSet[SegmentKey]:
        """Tell which segments no commit has dealt with; what was remembered is read only for one that is just behind the watermark."""
        keys = {head.key for head, _ in hot.decisions}
        if pointer is None:
            return keys
        ahead = {key for key in keys if key.sealed_at >= pointer.watermark}
        near = {key for key in keys - ahead if key.sealed_at >= pointer.watermark - self._limits.lookback}
        seen = (await remembered(self._store, pointer)).decisions if near else Seen()
        return ahead | {key for key in near if not seen.has(key.name, key.sealed_at)}

    async def _pointer(self) -> Pointer | None:
        stored = await self._store.pointer()
        if stored is None:
            return None
        self._log.follow(stored[0].log)
        return stored[0]

    def _asked(self, around: datetime | None) -> _Range:
        latest_time = self._clock.now() + AHEAD
        if around is None:
            return _Range(EPOCH, latest_time)
        hinted = max(min(around, latest_time), EPOCH + AROUND)
        return _Range(hinted - AROUND, hinted + AROUND)

    async def _hot(self, event_id: str, pointer: Pointer | None, asked: _Range, loop: LoopSettings) -> _Hot:
        earliest = await self._log.earliest()
        if earliest is None or earliest >= asked.until:
            return _Hot((), 0, (), None, is_cut=False)
        sought = await self._log.search(event_id, max(earliest, asked.since), asked.until, limit=_DECISIONS)
        decisions, damaged, is_less = await self._decisions(event_id, sought.heads)
        begin = min((decision.decided_at for _, decision in decisions), default=_without_decision(pointer, asked)) - EARLY
        observations, is_cut = await self._observations(event_id, max(begin, earliest), asked, loop)
        return _Hot(decisions, damaged, observations, sought.since, is_cut=sought.is_cut or is_less or is_cut)

    async def _decisions(self, event_id: str, heads: Sequence[SegmentHead]) -> tuple[list[tuple[SegmentHead, Decision]], int, bool]:
        """Open segments, the newest first and some at a time, up to a number of the event's decisions.

        Tells as well how many segments are damaged, and whether that was not all.
        """
        found: list[tuple[SegmentHead, Decision]] = []
        damaged, left = 0, [*heads]
        while left and len(found) < _REPEATED:
            left, last = left[:-_OPENED], left[-_OPENED:]
            for segment in reversed(await self._log.decisions(last)):
                damaged += segment.events is None
                found += [(segment.head, each) for each in reversed(segment.events or ()) if each.event_id == event_id]
        return found[:_REPEATED][::-1], damaged, bool(left) or len(found) > _REPEATED

    async def _observations(self, event_id: str, since: datetime, asked: _Range, loop: LoopSettings) -> tuple[Sequence[Observation], bool]:
        """Open what was observed from then on, up to a number; tells as well whether that was not all."""
        found: list[Observation] = []
        passed = 0
        until = max(asked.until, since + loop.reward_wait + AROUND)
        async for minute in self._log.observation_heads(since, until):
            if passed >= _OBSERVATIONS or len(found) >= _REPEATED:
                return found[:_REPEATED], True
            passed += sum(head.count for head in minute)
            found += [each for each in _events(await self._log.observations(minute)) if each.event_id == event_id]
        return sorted(found, key=lambda each: each.observed_at)[:_REPEATED], len(found) > _REPEATED

    async def _cold(self, event_id: str, pointer: Pointer | None, hot: _Hot, asked: _Range) -> _Cold:
        """Open the chunks of what the hot log holds of the event; if that is nothing, those of the range that was asked for."""
        if pointer is None or not pointer.chunk:
            return _Cold((), None, is_cut=False)
        sealed = [head.key.sealed_at for head, _ in hot.decisions]
        first = min(sealed, default=asked.since)
        names = await latest(self._joined, pointer.chunk, wanted=lambda name: ChunkName.parse(name).until > first)
        if sealed:
            names = [name for name in names if _may_hold(ChunkName.parse(name), sealed, self._limits)]
        else:
            before = asked.until if hot.since is None else hot.since
            names = [name for name in names if ChunkName.parse(name).since < before]
        return await self._look_through(event_id, names)

    async def _look_through(self, event_id: str, names: Sequence[str]) -> _Cold:
        """Read chunks, the newest first, until the event is found or it has been enough."""
        passed, since = 0, None
        clock = asyncio.get_running_loop()
        enough = clock.time() + _SECONDS
        found: list[tuple[str, JoinedEvent]] = []
        for number, name in enumerate(reversed(names)):
            if number >= _CHUNKS or passed >= _BYTES or clock.time() >= enough or len(found) >= _REPEATED:
                return _Cold(found[-_REPEATED:], since, is_cut=True)
            try:
                text = await self._joined.chunk(name)
            except UnreadableError:  # gone meanwhile, or damaged: what else there is still counts
                continue
            passed += len(text)
            since = ChunkName.parse(name).since
            newest = await asyncio.to_thread(_lines_of, text, event_id)
            found = [*[(name, each) for each in newest], *found]
        return _Cold(found[-_REPEATED:], since, is_cut=len(found) > _REPEATED)

    def _searched(self, asked: _Range, hot: _Hot, cold: _Cold) -> Searched:
        begins = [each for each in (hot.since, cold.since) if each is not None]
        now = self._clock.now()
        since = max(min(begins, default=now), asked.since)
        return Searched(min(since, asked.until), min(asked.until, now), is_cut=hot.is_cut or cold.is_cut)


def _without_decision(pointer: Pointer | None, asked: _Range) -> datetime:
    """Say from when on rewards are looked for when there is no decision: those of the hinted time, or else those that wait."""
    first = asked.since + EARLY
    return first if pointer is None or pointer.watermark >= asked.until else max(first, pointer.watermark)


def _events(segments: Iterable[Segment[Observation]]) -> Iterator[Observation]:
    return (event for segment in segments for event in segment.events or ())


def _may_hold(chunk: ChunkName, sealed: Iterable[datetime], limits: Limits) -> bool:
    """Whether a decision sealed then may be in this chunk: in its window, or as a straggler behind it."""
    return any(chunk.since - limits.lookback <= at < chunk.until for at in sealed)


def _lines_of(text: bytes, event_id: str) -> list[JoinedEvent]:
    needle = b'"EventId":' + orjson.dumps(event_id)
    events: list[JoinedEvent] = []
    at = text.find(needle)
    while at >= 0:
        start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        end = len(text) if end < 0 else end
        event = read_line(text[start:end])
        if event.decision.event_id == event_id:
            events.append(event)
        at = text.find(needle, end)
    return events


def _of_hot(hot: _Hot, cold: _Cold, waiting: AbstractSet[SegmentKey], loop: LoopSettings, *, limits: Limits) -> Iterator[DecisionReceipt]:
    for head, decision in hot.decisions:
        joined = next(((name, each) for name, each in cold.events if _same(each.decision, decision)), None)
        if joined is not None:
            yield _dealt_with(*joined)
        elif head.key in waiting:
            due = head.key.sealed_at + loop.reward_wait + limits.grace
            yield DecisionReceipt(decision, _action_id(decision), Fate.PENDING, due=due)
        else:
            yield DecisionReceipt(decision, _action_id(decision), Fate.NOT_KEPT, "its part of the joined log is not kept any more")


def _of_cold(hot: _Hot, cold: _Cold) -> Iterator[DecisionReceipt]:
    for name, event in cold.events:
        if not any(_same(event.decision, decision) for _, decision in hot.decisions):
            yield _dealt_with(name, event)


def _same(one: Decision, other: Decision) -> bool:
    return (one.key, one.decided_at) == (other.key, other.decided_at)


def _dealt_with(chunk: str, event: JoinedEvent) -> DecisionReceipt:
    rewarded = any(not each.is_activation for each in event.observations)
    return DecisionReceipt(
        event.decision,
        _action_id(event.decision),
        Fate.LEARNED if event.skip is None else Fate.SKIPPED,
        reason="" if event.skip is None else event.skip.value,
        chunk=chunk,
        activated_at=next((each.observed_at for each in event.observations if each.is_activation), None),
        reward=event.reward,
        used_default=event.skip is None and not rewarded,
        rewards=tuple(RewardReceipt(each, Outcome.COUNTED) for each in event.observations if not each.is_activation),
    )


def _action_id(decision: Decision) -> str:
    return str(orjson.loads(decision.situation)["_multi"][decision.chosen]["i"]["id"])


def _model(receipt: DecisionReceipt, models: Mapping[str, Provenance]) -> str:
    """Name the kept model that was trained on the chunk; "" when it is not kept."""
    if receipt.fate is not Fate.LEARNED:
        return ""
    return min((name for name, each in models.items() if each.chunk == receipt.chunk and each.kind is ModelKind.TRAINED), default="")


def _joined_by(receipt: DecisionReceipt, models: Mapping[str, Provenance], loop: LoopSettings) -> RewardAggregation:
    """Tell how the decision's rewards became one: the loop's settings may have changed since.

    The model that was trained on it knows, while it is kept. Else the reward itself tells.
    """
    if receipt.learned_in:
        with suppress(UnreadableError):
            return reward_settings(models[receipt.learned_in].settings).reward_aggregation
    rewards = [each.observation.reward for each in receipt.rewards if each.observation.reward is not None]
    ways = [loop.reward_aggregation, *RewardAggregation]
    fitting = (each for each in ways if rewards and aggregate(rewards, each) == receipt.reward)
    return next(fitting, loop.reward_aggregation)


def _with_rewards(
    receipt: DecisionReceipt, observations: Sequence[Observation], loop: LoopSettings, joined_by: RewardAggregation
) -> DecisionReceipt:
    """Say of each reward what became of it: those the join gave to the decision, and those observed later."""
    decision = receipt.decision
    given = [_judged(each, index, receipt, joined_by) for index, each in enumerate(receipt.rewards)]
    known = {(each.observation.observed_at, each.observation.reward) for each in given}
    mine = [each for each in observations if each.key == decision.key and each.observed_at >= decision.decided_at - EARLY]
    others = [each for each in mine if not each.is_activation and (each.observed_at, each.reward) not in known]
    last = decision.decided_at + loop.reward_wait
    taken = {each.mark for each in mine if (each.observed_at, each.reward) in known}
    later = [*_those_behind(others, taken, receipt, last)]
    activations = [
        each.observed_at for each in observations if each.is_activation and decision.decided_at - EARLY <= each.observed_at <= last
    ]
    return replace(receipt, rewards=(*given, *later), activated_at=receipt.activated_at or min(activations, default=None))


def _judged(reward: RewardReceipt, index: int, receipt: DecisionReceipt, joined_by: RewardAggregation) -> RewardReceipt:
    if receipt.fate is Fate.SKIPPED:
        return replace(reward, outcome=Outcome.UNUSED, reason=f"the decision was skipped: {receipt.reason}")
    if index and joined_by is RewardAggregation.EARLIEST:
        return replace(reward, outcome=Outcome.UNUSED, reason="an earlier one counts (rewardAggregation)")
    return reward


def _those_behind(
    observations: Iterable[Observation], taken: AbstractSet[int], receipt: DecisionReceipt, last: datetime
) -> Iterator[RewardReceipt]:
    """Say what became of rewards that the join did not give to the decision, in order; it has those with the marks that are ``taken``."""
    for each in observations:
        if each.mark and each.mark in taken and each.observed_at <= last:
            yield RewardReceipt(each, Outcome.UNUSED, "its client has sent it before (id)")
        else:
            taken = taken | {each.mark}
            yield _late_or_pending(each, receipt, last)


def _late_or_pending(observation: Observation, receipt: DecisionReceipt, last: datetime) -> RewardReceipt:
    if observation.observed_at > last:
        return RewardReceipt(observation, Outcome.LATE, "it came after the reward wait time")
    if receipt.fate is Fate.PENDING:
        return RewardReceipt(observation, Outcome.PENDING)
    if receipt.fate is Fate.NOT_KEPT:
        return RewardReceipt(observation, Outcome.UNKNOWN, "the part of the joined log that would say it is not kept any more")
    return RewardReceipt(observation, Outcome.LATE, "it was stored after the decision had been learned or skipped")


def _loose(decisions: Sequence[DecisionReceipt], observations: Sequence[Observation], pointer: Pointer | None) -> Sequence[RewardReceipt]:
    """Give the rewards that no decision found takes."""
    placed = {(reward.observation.key, reward.observation.observed_at) for each in decisions for reward in each.rewards}
    rewards = [each for each in observations if not each.is_activation]
    return [_unmatched(each, pointer) for each in rewards if (each.key, each.observed_at) not in placed]


def _unmatched(observation: Observation, pointer: Pointer | None) -> RewardReceipt:
    if pointer is None or observation.observed_at >= pointer.watermark:
        return RewardReceipt(observation, Outcome.PENDING, "no such event was ranked so far")
    return RewardReceipt(observation, Outcome.UNKNOWN, "no such event was ranked at that time")


def _in_order(decisions: Iterable[DecisionReceipt]) -> list[DecisionReceipt]:
    return sorted(decisions, key=lambda each: each.decision.decided_at)


def _not_found(event_id: str, searched: Searched, pointer: Pointer | None) -> str:
    text = f"event {event_id[:100]!r} was not found in the log from {_written(searched.since)} to {_written(searched.until)}"
    if searched.is_cut:
        text += "; the rest of the log was not searched: say about when the event was ranked (?around=)"
    if pointer is not None and pointer.log.generation > 1:
        text += f"; the log was deleted at {_written(pointer.log.since)}"
    return text


def _written(at: datetime) -> str:
    return at.replace(microsecond=0).isoformat().replace("+00:00", "Z")
