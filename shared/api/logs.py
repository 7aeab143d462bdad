"""The log on the wire: its properties, and batches of decisions and rewards as JSON, a line each."""

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Annotated, TypeVar

import orjson
from pydantic import Field, StringConstraints

from shared.api.lenient import Source
from shared.api.lines import lines_of, no_line
from shared.api.rank import ActionReader, RankRequest
from shared.api.rules import MAX_ID_LENGTH
from shared.api.times import Time
from shared.api.wire import EventId, WireModel, validated
from shared.domain.errors import (
    InvalidRankRequestError,
    InvalidRequestError,
    InvalidRewardRequestError,
    RequestError,
    UnsupportedMediaTypeError,
)
from shared.domain.events import Situation
from shared.domain.uploads import Interaction, Report

LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
"""The media types of JSON, a line each."""
MAX_VERSION_LENGTH = 256
MIN_PROBABILITY = 1e-6
"""Of what was chosen: rarer choices would outweigh everything else when policies are compared."""
_JOINED = frozenset({"_label_cost", "_label_ca", "_labelIndex", "_outcomes"})
_TOLERANCE = 1e-3
"""Clients may have computed in single precision."""

Read = TypeVar("Read")


class DateRange(WireModel):
    """From when to when something is logged."""

    from_: Annotated[Time, Field(alias="from")]
    to: Time


class LogsProperties(WireModel):
    """The answer to GET logs/properties: empty when nothing is logged."""

    date_range: DateRange | None = None


class RankedInteraction(WireModel):
    """An action and what it was drawn with."""

    id: str
    probability: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class InteractionLine(RankRequest):
    """The request, as in POST rank, and the client's decision, as in its answer."""

    event_id: EventId
    ranking: Annotated[list[RankedInteraction], Field(min_length=1, fail_fast=True)]
    reward_action_id: str
    model_version: Annotated[str, StringConstraints(max_length=MAX_VERSION_LENGTH)] = ""
    timestamp: Time | None = None

    def to_interaction(self, reader: ActionReader, source: Source) -> Interaction:
        """Give what was decided; raises `InvalidRankRequestError`. ``source`` is the line as it came."""
        situation = self.to_situation(reader, source)
        probabilities = self._probabilities(situation)
        ids = [action.id for action in situation.actions]
        if self.reward_action_id not in ids or probabilities[ids.index(self.reward_action_id)] < MIN_PROBABILITY:
            raise _invalid("rewardActionId", f"must be the id of an action whose probability is at least {MIN_PROBABILITY:f}")
        return Interaction(
            event_id=self.event_id,
            situation=situation,
            probabilities=probabilities,
            chosen=ids.index(self.reward_action_id),
            model_version=self.model_version,
            deferred=bool(self.defer_activation),
            at=self.timestamp,
        )

    def _probabilities(self, situation: Situation) -> tuple[float, ...]:
        chances = {each.id: each.probability for each in self.ranking}
        if sorted(each.id for each in self.ranking) != sorted(action.id for action in situation.actions):
            raise _invalid("ranking", "must list every action exactly once")
        probabilities = tuple([chances[action.id] for action in situation.actions])
        if any(chance and not may for chance, may in zip(probabilities, situation.allowed, strict=True)):
            raise _invalid("ranking", "an excluded action's probability must be 0")
        if not isfinite(total := sum(probabilities)) or abs(total - 1.0) > _TOLERANCE:
            raise _invalid("ranking", f"the probabilities must add up to 1, not {total:g}")
        return probabilities


class ObservationLine(WireModel):
    """A reward, of an event or of one of its slots, or an activation. A reward with an ``id`` may be sent again, and counts once."""

    event_id: EventId
    id: Annotated[str, StringConstraints(max_length=MAX_ID_LENGTH)] | None = None
    value: Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)] | None = None
    slot_id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)] | None = None
    activate: bool | None = None
    timestamp: Time | None = None

    def to_report(self) -> Report:
        """Give what was observed; raises `InvalidRewardRequestError`."""
        if (self.value is None) != bool(self.activate):
            raise InvalidRewardRequestError('value: needed is either a value or "activate": true', target="value")
        if self.activate and self.slot_id is not None:
            raise InvalidRewardRequestError("slotId: an activation is for the whole event", target="slotId")
        return Report(self.event_id, self.value, self.slot_id or "", self.timestamp, self.id or "")


def check_lines(content_type: str) -> None:
    """Raise `UnsupportedMediaTypeError` for anything but JSON, a line each: above all for the binary batches of the client libraries."""
    sent = content_type.partition(";")[0].strip().lower()
    if sent not in LINES:
        raise UnsupportedMediaTypeError(
            f"Content-Type: batches are read as {LINES[0]}: a JSON object on each line; the binary (FlatBuffers) batches of the client"
            f" libraries are not, and {sent[:100] or 'nothing'!r} was sent",
            target="Content-Type",
        )


def read_interactions(body: bytes, reader: ActionReader) -> Sequence[Interaction]:
    """Read a batch of decisions, at least one; raises `InvalidRankRequestError` or `InvalidRequestError`, naming the line, from 1."""

    def read(document: object, source: Source) -> Interaction:
        return validated(document, InteractionLine, InvalidRankRequestError, source=source).to_interaction(reader, source)

    return list(_read(body, read))


def read_observations(body: bytes) -> Sequence[Report]:
    """Read a batch of rewards and activations, at least one; raises `InvalidRewardRequestError` or `InvalidRequestError`."""

    def read(document: object, source: Source) -> Report:
        return validated(document, ObservationLine, InvalidRewardRequestError, source=source).to_report()

    return list(_read(body, read))


def _read(body: bytes, read: Callable[[object, Source], Read]) -> Iterator[Read]:
    for number, line in lines_of(body):
        try:
            document = orjson.loads(line)
            _check_kind(document)
            yield read(document, Source(line))
        except orjson.JSONDecodeError as cause:
            raise no_line(number, line, cause, body) from cause
        except RequestError as cause:
            target = f"line {number}" if cause.target is None else f"line {number}: {cause.target}"
            raise type(cause)(f"line {number}: {cause}", target=target) from cause


def _check_kind(document: object) -> None:
    """Say what to do with a line of a joined log, which holds a decision and what came of it together."""
    if isinstance(document, dict) and "c" in document and not document.keys().isdisjoint(_JOINED):
        raise InvalidRequestError("a line of a joined log (dsjson), which cannot be sent here: take such logs in by python -m cli import")


def _invalid(place: str, what: str) -> InvalidRankRequestError:
    return InvalidRankRequestError(f"{place}: {what}", target=place)
