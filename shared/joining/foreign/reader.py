"""The lines of a joined log of others, read as joined events.

What this service wrote comes back as it was. Other lines tell less, or tell it otherwise; docs/how-to/import-a-log.md has the rules.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Final

import msgspec
import orjson

from shared.domain.clock import EPOCH
from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, JoinedEvent, LearningMode, Observation, Proposal, Situation, SkipReason
from shared.joining.dsjson import situation_text
from shared.joining.foreign.asked import AskedReader
from shared.joining.foreign.choice import Choice, one_choice, slot_choices
from shared.joining.foreign.decoding import decoded
from shared.joining.foreign.line import MAX_ID_LENGTH, Line, Proposed, Report, refuse

_OWN_MODES: Final = {mode.value: mode for mode in LearningMode}


@dataclass(frozen=True, slots=True)
class Read:
    """What a line tells: one event, or one for each slot; ``is_thinned`` if others were left out of its log by chance (``pdrop``).

    ``notes`` are what is to be said of the line, though it was read; it is said once a file.
    """

    events: tuple[JoinedEvent, ...]
    is_thinned: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Head:
    event_id: str
    at: datetime


Encode = Callable[[Situation, int], bytes]


class DsjsonReader:
    """Reads the lines of a log in order: one that does not say when it was decided has the time of the one before.

    What is to be learned of a situation and an action is encoded by ``encode``; without it, that is left to whoever learns it.
    """

    def __init__(self, *, undated: datetime, encode: Encode | None = None) -> None:
        self._last = undated
        self._encode = encode
        self._asked = AskedReader()

    def read(self, text: bytes, number: int) -> Read:
        """Read a line; by its ``number`` it is told from others of the same text if it has no event id.

        Raises `UnreadableError`, saying why, for one that is not dsjson, or that nothing can be learned from.
        """
        line = decoded(text)
        try:
            asked = self._asked.read(line.c)
        except (msgspec.MsgspecError, orjson.JSONDecodeError, RecursionError) as cause:
            raise UnreadableError(f"not a line of dsjson: {cause}") from cause
        head = _Head(_event_id(line, text, number), self._time(line))
        choices = tuple(slot_choices(line, asked)) if line.outcomes is not None else (one_choice(line, asked),)
        self._last = head.at
        return Read(tuple([self._joined(line, head, choice) for choice in choices]), is_thinned=bool(line.pdrop))

    def _joined(self, line: Line, head: _Head, choice: Choice) -> JoinedEvent:
        event = _joined(line, _decision(line, head, choice), choice)
        if self._encode is None or event.skip is not None:
            return event
        encoded = self._encode(choice.situation, event.decision.learned_action)
        return replace(event, decision=replace(event.decision, encoded=encoded))

    def _time(self, line: Line) -> datetime:
        if line.decided_at is None:
            return self._last
        at = _utc(line.decided_at, "Timestamp")
        if at < EPOCH:
            refuse("Timestamp is before 1970")
        return at


def _event_id(line: Line, text: bytes, number: int) -> str:
    if line.event_id is None or not line.event_id:
        return hashlib.sha256(b"%d\0%b" % (number, text)).hexdigest()[:32]
    if len(line.event_id) > MAX_ID_LENGTH:
        refuse(f"EventId has {len(line.event_id)} characters: at most {MAX_ID_LENGTH} are read")
    return line.event_id


def _decision(line: Line, head: _Head, choice: Choice) -> Decision:
    mode = _OWN_MODES.get(line.mode or "", LearningMode.ONLINE)
    return Decision(
        event_id=head.event_id,
        decided_at=head.at,
        model_version="" if line.state is None else line.state.m,
        mode=LearningMode.LOGGING_ONLY if _skip(line) is SkipReason.LOGGING_ONLY else mode,
        probabilities=choice.probabilities,
        chosen=choice.chosen,
        deferred=_is_deferred(line),
        situation=situation_text(choice.situation),
        encoded=b"",
        slot=choice.situation.slot,
        proposal=None if line.proposed is None else _proposal(line.proposed, len(choice.probabilities)),
    )


def _proposal(proposed: Proposed, count: int) -> Proposal:
    if not 1 <= proposed.a <= count or not 0.0 <= proposed.p <= 1.0:
        refuse("an action was proposed that was not there")
    return Proposal(proposed.a - 1, proposed.p, proposed.lesson)


def _joined(line: Line, decision: Decision, choice: Choice) -> JoinedEvent:
    """Put decision and reward together; the reward is among the observations, too, lest it get lost when all is joined anew."""
    reward = 0.0 - choice.cost
    if not isfinite(reward):
        refuse("the reward is not a finite number")
    skip, is_ours = _skip(line), (line.mode or "") in _OWN_MODES
    observations = [each for report in choice.reports or () for each in _observations(report, decision)]
    if is_ours:
        return JoinedEvent(decision, reward, tuple(observations), skip)
    if reward and not any(not each.is_activation for each in observations):
        observations.append(Observation(decision.event_id, decision.decided_at, reward, decision.slot))
    is_waiting = skip is not None or any(each.is_activation for each in observations)
    return JoinedEvent(replace(decision, deferred=decision.deferred and is_waiting), reward, tuple(observations), skip)


def _skip(line: Line) -> SkipReason | None:
    if line.skip is not None:
        return line.skip
    is_waiting = _is_deferred(line) and not _is_activated(line)
    if line.is_skipped:
        return SkipReason.NOT_ACTIVATED if is_waiting else SkipReason.LOGGING_ONLY
    return SkipReason.NOT_ACTIVATED if line.is_deferred and is_waiting else None


def _is_deferred(line: Line) -> bool:
    return bool(line.deferred or line.is_deferred)


def _is_activated(line: Line) -> bool:
    """Whether one of the observations, those of slots included, activates the event."""
    of_slots = [report for outcome in line.outcomes or () for report in outcome.reports or ()]
    return any(report.is_activation for report in (*(line.reports or ()), *of_slots))


def _observations(report: Report, decision: Decision) -> Iterator[Observation]:
    at = decision.decided_at if report.ts is None else _utc(report.ts, "the time of an observation (ts)")
    event_id = report.event_id or decision.event_id
    if report.is_activation:
        yield Observation(event_id, at, None)
    if isinstance(report.v, int | float) and not isinstance(report.v, bool) and isfinite(report.v):
        yield Observation(event_id, at, float(report.v), decision.slot)


def _utc(at: datetime, what: str) -> datetime:
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as cause:
        raise UnreadableError(f"{what} is out of range") from cause
