"""The lines of a joined log of others, read as joined events.

What this service wrote comes back as it was. Other lines tell less, or tell it otherwise; docs/internals/imported-lines.md has the rules.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

import msgspec
import orjson

from shared.domain.clock import EPOCH
from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, Holdout, JoinedEvent, LearningMode, Observation, Proposal, Situation, SkipReason
from shared.joining.dsjson import situation_text
from shared.joining.foreign.asked import Asked, AskedReader
from shared.joining.foreign.choice import Choice, one_choice, slot_choices
from shared.joining.foreign.decoding import decoded
from shared.joining.foreign.line import MAX_ID_LENGTH, Held, Line, Proposed, Report, as_float, refuse
from shared.joining.foreign.runs import ApprenticeRuns, has_original, is_changed, says_apprentice, sign_of
from shared.joining.foreign.terms import Terms

TERMS: Final = Terms()
"""Of a log that tells all that is to be known."""

LARGEST_REWARD: Final = 1e15
"""Or the least, negative: powers and sums of such rewards still are numbers."""

_CHANGED: Final = "_label_cost differs from the observed cost (_original_label_cost): it is taken as the reward"

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
"""What .NET has for a time that nobody has set."""

_OWN_MODES: Final = {mode.value: mode for mode in LearningMode}


@dataclass(frozen=True, slots=True)
class Read:
    """What a line tells: one event, or one for each slot; ``is_thinned`` if others were left out of its log by chance (``pdrop``).

    It ``is_apprentice`` if the policy's choice was not shown, but the application's own. ``notes`` are what is to be said of the line,
    though it was read; it is said once a file.
    """

    events: tuple[JoinedEvent, ...]
    is_thinned: bool
    is_apprentice: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a line of so many bytes: what it tells, or why it cannot be read."""

    number: int
    size: int
    outcome: Read | UnreadableError


@dataclass(frozen=True, slots=True)
class _Parsed:
    number: int
    text: bytes
    line: Line


@dataclass(frozen=True, slots=True)
class _Head:
    event_id: str
    at: datetime


Encode = Callable[[Situation, int], bytes]


class DsjsonReader:
    """Reads the lines of a file of a log in order: one that does not say when it was decided has the time of the one before.

    ``name`` is the file's: an event without an id of its own is known by it, its line's number and text.
    What is to be learned of a situation and an action is encoded by ``encode``; without it, that is left to whoever learns it. All are
    taken on these ``terms``.
    """

    def __init__(self, *, undated: datetime, encode: Encode | None = None, terms: Terms = TERMS, name: str = "") -> None:
        self._last = undated
        self._name = PurePosixPath(name.replace("\\", "/")).name.removesuffix(".gz").encode("utf-8", "surrogatepass")
        self._encode = encode
        self._terms = terms
        self._asked = AskedReader()
        self._runs: ApprenticeRuns[_Parsed] = ApprenticeRuns()
        self._clear: deque[tuple[_Parsed, bool]] = deque()

    def read(self, text: bytes, number: int) -> Read:
        """Read a line by itself, which is of Apprentice mode if it says so; by its ``number`` it is told from others of the same text.

        Raises `UnreadableError`, saying why, for one that is not dsjson, or that nothing can be learned from.
        """
        return self._told(_Parsed(number, text, decoded(text)), is_apprentice=False)

    def take(self, text: bytes, number: int) -> None:
        """Read a line as one of its file: what it means may depend on those around it, so that `told` may give it later.

        Raises `UnreadableError` for one that is not dsjson.
        """
        line = decoded(text)
        self._clear.extend(self._runs.feed(_Parsed(number, text, line), sign_of(line), len(text)))

    def end(self) -> None:
        """Take note that the file is over: all that was taken is clear now."""
        self._clear.extend(self._runs.end())

    def told(self) -> Iterator[Told]:
        """Give what was taken and is clear, in order, each once."""
        while self._clear:
            parsed, is_apprentice = self._clear.popleft()
            outcome: Read | UnreadableError
            try:
                outcome = self._told(parsed, is_apprentice=is_apprentice)
            except UnreadableError as error:
                outcome = error
            yield Told(parsed.number, len(parsed.text), outcome)

    def _told(self, parsed: _Parsed, *, is_apprentice: bool) -> Read:
        line = parsed.line
        _check_pdrop(line)
        try:
            asked = self._asked.read(line.c)
        except (msgspec.MsgspecError, orjson.JSONDecodeError, RecursionError) as cause:
            raise UnreadableError(f"not a line of dsjson: {cause}") from cause
        head = _Head(self._event_id(parsed), self._time(line))
        choices = tuple(slot_choices(line, asked, self._terms)) if line.outcomes is not None else (one_choice(line, asked, self._terms),)
        is_apprentice |= says_apprentice(line)
        self._last = head.at
        told = self._imitated if is_apprentice else self._joined
        events = tuple([told(line, head, choice) for choice in choices])
        notes = _notes(asked, choices) if is_apprentice or not is_changed(line) else (*_notes(asked, choices), _CHANGED)
        return Read(events, bool(line.pdrop), is_apprentice, notes)

    def _imitated(self, line: Line, head: _Head, choice: Choice) -> JoinedEvent:
        """Give an event of Apprentice mode: what was chosen was only proposed."""
        proposal = Proposal(choice.chosen, choice.probabilities[choice.chosen], self._terms.imitates)
        decision = _decision(line, head, choice.shown())
        mode = LearningMode.APPRENTICE if decision.mode is not LearningMode.LOGGING_ONLY else decision.mode
        return self._encoded(_joined(line, replace(decision, mode=mode, proposal=proposal), choice.shown()), choice.situation)

    def _joined(self, line: Line, head: _Head, choice: Choice) -> JoinedEvent:
        return self._encoded(_joined(line, _decision(line, head, choice), choice), choice.situation)

    def _encoded(self, event: JoinedEvent, situation: Situation) -> JoinedEvent:
        if self._terms.is_logging_only:
            return _kept_only(event)
        if self._encode is None or event.skip is not None:
            return event
        encoded = self._encode(situation, event.decision.learned_action)
        return replace(event, decision=replace(event.decision, encoded=encoded))

    def _event_id(self, parsed: _Parsed) -> str:
        told = parsed.line.event_id
        if not told:
            return hashlib.sha256(b"%b\0%d\0%b" % (self._name, parsed.number, parsed.text)).hexdigest()[:32]
        if len(told) > MAX_ID_LENGTH:
            refuse(f"EventId has {len(told)} characters: at most {MAX_ID_LENGTH} are read")
        return told

    def _time(self, line: Line) -> datetime:
        if line.decided_at is None or line.decided_at.replace(tzinfo=line.decided_at.tzinfo or UTC) == _NEVER:
            return self._last
        at = _utc(line.decided_at, "Timestamp")
        if at < EPOCH:
            refuse("Timestamp is before 1970")
        return at


def _notes(asked: Asked, choices: Iterable[Choice]) -> tuple[str, ...]:
    """Say what was made of a line that could have been taken otherwise."""
    told = tuple(dict.fromkeys([choice.note for choice in choices if choice.note]))
    return (
        (*told, "if actions have the same id or the same features, all but the first are named by their place") if asked.has_twins else told
    )


def _kept_only(event: JoinedEvent) -> JoinedEvent:
    """Give the event as one of the mode that learns nothing."""
    skip = SkipReason.LOGGING_ONLY if event.skip in (None, SkipReason.NOT_ACTIVATED) else event.skip
    return replace(event, decision=replace(event.decision, mode=LearningMode.LOGGING_ONLY, proposal=None), skip=skip)


def _check_pdrop(line: Line) -> None:
    if line.pdrop is not None and not 0.0 <= line.pdrop < 1.0:
        refuse(f"pdrop is {line.pdrop:g}: the probability of being left out is at least 0 and less than 1")


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
        holdout=None if line.held is None else _holdout(line.held),
    )


def _proposal(proposed: Proposed, count: int) -> Proposal:
    if not 1 <= proposed.a <= count or not 0.0 <= proposed.p <= 1.0:
        refuse("an action was proposed that was not there")
    return Proposal(proposed.a - 1, proposed.p, proposed.lesson)


def _holdout(held: Held) -> Holdout:
    if not (0.0 < held.share < 1.0 and 0.0 <= held.p <= 1.0):
        refuse("the shares of its holdout are not valid")
    return Holdout(held.share, held.p, held.held)


def _joined(line: Line, decision: Decision, choice: Choice) -> JoinedEvent:
    """Put decision and reward together; the reward is among the observations, too, lest it get lost when all is joined anew."""
    reward = 0.0 - choice.cost
    if not abs(reward) <= LARGEST_REWARD:
        refuse(f"the reward is {reward:g}: at most {LARGEST_REWARD:g} is read")
    skip, is_ours = _skip(line), (line.mode or "") in _OWN_MODES and not has_original(line)
    observations = [each for report in choice.reports or () for each in _observations(report, decision)]
    if is_ours:
        return JoinedEvent(decision, reward, tuple(observations), skip, line.pdrop or 0.0)
    if reward and not any(not each.is_activation for each in observations):
        observations.append(Observation(decision.event_id, decision.decided_at, reward, decision.slot))
    if decision.deferred and skip is None and not any(each.is_activation for each in observations):
        decision = replace(decision, deferred=False)
    return JoinedEvent(decision, reward, tuple(observations), skip, line.pdrop or 0.0)


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
    if isinstance(report.v, int | float) and not isinstance(report.v, bool) and (reward := as_float(report.v)) is not None:
        yield Observation(event_id, at, reward, decision.slot)


def _utc(at: datetime, what: str) -> datetime:
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as cause:
        raise UnreadableError(f"{what} is out of range") from cause
