"""Decisions of clients on the wire, to be verified: JSON, a line each, and lines that tell when and by what they were decided."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import orjson
from pydantic import Field, StringConstraints, ValidationError

from shared.api.lenient import Source
from shared.api.lines import lines_of, no_line
from shared.api.multislot import MultiSlotRankRequest, SlotId
from shared.api.rank import NULL, ActionReader, RankRequest, member
from shared.api.rules import MAX_EVENT_ID_LENGTH, MAX_ID_LENGTH, MAX_SLOTS
from shared.api.times import Time
from shared.api.wire import EventId, WireModel, not_json, one_of, validated
from shared.domain.errors import InvalidRankRequestError, InvalidRequestError, RequestError
from shared.domain.uploads import Accepted, Batch, Claim, Refusal, RefusalCode, Shown

MAX_TICKETS: Final = 8
MAX_TICKET_LENGTH: Final = 8_192
_LONGEST_MESSAGE: Final = 300
_NOT_A_TICKET: Final = "?"
"""Stands for a ticket that is not even a text of the right length: nobody has given it out."""

Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
ActionId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
Ticket = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TICKET_LENGTH)]


class SentLine(WireModel):
    """The first line: when the batch is sent, and perhaps the first ticket."""

    sent_at: Time
    ticket: Ticket | None = None


class TicketLine(WireModel):
    """By what the decisions of the following lines were made; null: by nothing."""

    ticket: Ticket | None


class DecisionLine(RankRequest):
    """The request, as in POST rank, and what a client has decided."""

    event_id: EventId
    reward_action_id: ActionId
    probability: Probability
    timestamp: Time


class _Outline(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """A decision in which each member, and each action, is left as text."""

    event_id: msgspec.Raw
    actions: list[msgspec.Raw]
    reward_action_id: msgspec.Raw
    probability: msgspec.Raw
    timestamp: msgspec.Raw
    context_features: msgspec.Raw = NULL
    excluded_actions: msgspec.Raw = NULL
    defer_activation: msgspec.Raw = NULL


_OUTLINE = msgspec.json.Decoder(_Outline)


def _outlined(line: bytes) -> DecisionLine:
    outline = _OUTLINE.decode(line)
    document = {
        "eventId": member(outline.event_id),
        "actions": outline.actions,
        "rewardActionId": member(outline.reward_action_id),
        "probability": member(outline.probability),
        "timestamp": member(outline.timestamp),
        "contextFeatures": member(outline.context_features),
        "excludedActions": member(outline.excluded_actions),
        "deferActivation": member(outline.defer_activation),
    }
    return DecisionLine.model_validate(document, by_alias=True, by_name=False)


class FilledLine(WireModel):
    """A slot, and what a client has shown there."""

    id: SlotId
    reward_action_id: ActionId
    probability: Probability


class SlotsDecisionLine(MultiSlotRankRequest):
    """The request, as in POST multislot/rank, and what a client has decided: the slots in the order of the request."""

    event_id: EventId
    filled: Annotated[list[FilledLine], Field(min_length=1, max_length=MAX_SLOTS)]
    timestamp: Time


class RefusedLine(WireModel):
    """A line that was not stored."""

    line: int
    event_id: str | None
    code: Annotated[str, one_of(RefusalCode)]
    message: str


class DecisionsResponse(WireModel):
    """The answer to POST logs/decisions."""

    stored: int
    repeated: int
    refused: list[RefusedLine]

    @staticmethod
    def write(accepted: Accepted) -> "DecisionsResponse":
        """Write what came of a batch."""
        refused = [
            RefusedLine(line=each.line, event_id=each.event_id or None, code=each.code.value, message=each.message[:_LONGEST_MESSAGE])
            for each in accepted.refused
        ]
        return DecisionsResponse(stored=accepted.stored, repeated=accepted.repeated, refused=refused)


def read_decisions(body: bytes, reader: ActionReader) -> Batch:
    """Read a batch; what is wrong with a decision is told by its line, and what is wrong with the whole raises `InvalidRequestError`."""
    lines = lines_of(body)
    sent = _sent(*lines[0], body)
    reading = _Reading(reader, (sent.ticket if sent else None) or "")
    for number, line in lines[1:] if sent else lines:
        reading.take(number, line)
    return Batch(sent.sent_at if sent else None, reading.claims, reading.unread)


def _sent(number: int, line: bytes, body: bytes) -> SentLine | None:
    """Read the first line, if it tells when the batch is sent; one that is no JSON tells what kind of body this is."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as cause:
        raise no_line(number, line, cause, body) from cause
    if not isinstance(document, dict) or "sentAt" not in document or "eventId" in document:
        return None
    try:
        return validated(document, SentLine, InvalidRequestError, source=line)
    except InvalidRequestError as cause:
        raise InvalidRequestError(f"line {number}: {cause}", target=f"line {number}: {cause.target}") from cause


class _Reading:
    """A batch being read, line by line."""

    def __init__(self, reader: ActionReader, ticket: str) -> None:
        self._reader = reader
        self._ticket = ticket
        self._tickets = 1 if ticket else 0
        self.claims: list[Claim] = []
        self.unread: list[Refusal] = []

    def take(self, number: int, line: bytes) -> None:
        """Read a line, as a rule without parsing the actions that the reader knows; what cannot be read is noted."""
        try:
            self.claims.append(self._of_one(number, _outlined(line), line))
        except (msgspec.MsgspecError, orjson.JSONDecodeError, RecursionError, ValidationError, RequestError):
            self._take_with_care(number, line)

    def _take_with_care(self, number: int, line: bytes) -> None:
        """Read a line that may be something else, or be odd; say what is wrong with it."""
        document: Any = None
        try:
            document = orjson.loads(line)
            if isinstance(document, dict) and "ticket" in document and "eventId" not in document:
                self._begin(document, line)
            else:
                self.claims.append(self._claim(number, document, line))
        except orjson.JSONDecodeError as cause:
            self._refuse(number, document, line, f"not valid JSON: {not_json(line, cause, is_line=True)}")
        except _TooManyTicketsError:
            raise InvalidRequestError(f"line {number}: a body has at most {MAX_TICKETS} tickets", target=f"line {number}") from None
        except RequestError as cause:
            self._refuse(number, document, line, str(cause))

    def _begin(self, document: dict[str, Any], line: bytes) -> None:
        self._tickets += 1
        if self._tickets > MAX_TICKETS:
            raise _TooManyTicketsError
        self._ticket = _NOT_A_TICKET
        self._ticket = validated(document, TicketLine, InvalidRequestError, source=line).ticket or ""

    def _claim(self, number: int, document: Any, line: bytes) -> Claim:
        source = Source(line)
        if isinstance(document, dict) and "slots" in document:
            several = validated(document, SlotsDecisionLine, InvalidRankRequestError, source=source)
            shown = [Shown(each.id, each.reward_action_id, each.probability) for each in several.filled]
            asked = several.to_situation(self._reader, source)
            _check_filled([slot.id for slot in asked.slots], shown)
            return Claim(
                number, several.event_id, asked, bool(several.defer_activation), several.timestamp, tuple(shown), self._ticket, line
            )
        return self._of_one(number, validated(document, DecisionLine, InvalidRankRequestError, source=source), line, source)

    def _of_one(self, number: int, one: DecisionLine, line: bytes, source: Source | None = None) -> Claim:
        only = Shown("", one.reward_action_id, one.probability)
        situation = one.to_situation(self._reader, source)
        return Claim(number, one.event_id, situation, bool(one.defer_activation), one.timestamp, (only,), self._ticket, line)

    def _refuse(self, number: int, document: Any, line: bytes, message: str) -> None:
        named = document.get("eventId") if isinstance(document, dict) else None
        event_id = named if isinstance(named, str) and len(named) <= MAX_EVENT_ID_LENGTH else ""
        self.unread.append(Refusal(number, event_id, RefusalCode.INVALID_LINE, message, line))


class _TooManyTicketsError(Exception):
    """More tickets than a body may have."""


def _check_filled(slots: Sequence[str], shown: Sequence[Shown]) -> None:
    if [each.slot for each in shown] != slots:
        raise InvalidRankRequestError("filled: must have the slots in the order of the request", target="filled")
