"""The joined log read back: from dsjson lines to the joined events that `shared.joining.dsjson` wrote."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from shared.domain.clock import in_utc
from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, Holdout, JoinedEvent, LearningMode, Observation, Proposal, SkipReason

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Report(msgspec.Struct, rename={"event_id": "EventId", "reward": "v", "is_activation": "ActionTaken"}):
    event_id: str
    ts: _Time
    reward: float | None = None
    is_activation: bool = False


class _State(msgspec.Struct):
    m: str


class _Proposed(msgspec.Struct):
    a: int
    p: float
    lesson: bool


_Share = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
_Chance = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class _Held(msgspec.Struct):
    share: _Share
    p: _Chance
    held: bool


class _Line(
    msgspec.Struct,
    rename={
        "cost": "_label_cost",
        "chosen": "_labelIndex",
        "decided_at": "Timestamp",
        "event_id": "EventId",
        "mode": "Mode",
        "deferred": "DeferredAction",
        "state": "VWState",
        "slot": "Slot",
        "proposed": "Proposed",
        "held": "Holdout",
        "skip": "SkipReason",
    },
):
    """What of a line is not told by its other members; ``c`` stays text."""

    cost: float
    chosen: int
    o: list[_Report]
    decided_at: _Time
    event_id: str
    mode: LearningMode
    deferred: bool
    a: list[int]
    p: list[float]
    state: _State
    c: msgspec.Raw
    slot: str = ""
    proposed: _Proposed | None = None
    held: _Held | None = None
    skip: SkipReason | None = None
    pdrop: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.0


_LINE = msgspec.json.Decoder(_Line)


def read_lines(text: bytes) -> Iterator[JoinedEvent]:
    """Inverse of `shared.joining.dsjson.lines`; raises as `read_line`, and names the line, counting from 1."""
    for number, line in enumerate(_split(text), start=1):
        try:
            yield read_line(line)
        except UnreadableError as cause:
            raise UnreadableError(f"line {number}: {cause}") from cause


def _split(text: bytes) -> Iterator[bytes]:
    """Give line after line, without a copy of them all."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin)
        end = len(text) if end < 0 else end
        yield text[begin:end]
        begin = end + 1


def read_line(line: bytes) -> JoinedEvent:
    """Inverse of `shared.joining.dsjson.line`, but for what Rank encoded: that is not in the log and can be computed again.

    Raises `UnreadableError` when the line is not of that shape; the situation's text is not looked at.
    """
    try:
        read = _LINE.decode(line)
    except (msgspec.MsgspecError, RecursionError) as cause:
        raise UnreadableError(f"a joined event cannot be read: {cause}") from cause
    decision = Decision(
        event_id=read.event_id,
        decided_at=read.decided_at,
        model_version=read.state.m,
        mode=read.mode,
        probabilities=_as_requested(read.p, read.a, read.chosen),
        chosen=read.chosen,
        deferred=read.deferred,
        situation=bytes(read.c),
        encoded=b"",
        slot=read.slot,
        proposal=None if read.proposed is None else _proposal(read.proposed, len(read.a)),
        holdout=None if read.held is None else Holdout(read.held.share, read.held.p, read.held.held),
    )
    observations = tuple([_observation(report, read.slot) for report in read.o])
    return JoinedEvent(decision, reward=0.0 - read.cost, observations=observations, skip=read.skip, pdrop=read.pdrop)


def _as_requested(probabilities: Sequence[float], numbers: Sequence[int], chosen: int) -> tuple[float, ...]:
    """Put probabilities into the order of the request; ``numbers`` are the actions they belong to, from 1, the chosen one first."""
    in_order = list(range(1, len(probabilities) + 1))
    if sorted(numbers) != in_order or list(numbers[:1]) != [chosen + 1]:
        raise UnreadableError("a joined event cannot be read: actions, probabilities and choice do not fit each other")
    by_number = dict(zip(numbers, probabilities, strict=True))
    return tuple([by_number[number] for number in in_order])


def _proposal(proposed: _Proposed, count: int) -> Proposal:
    if not 1 <= proposed.a <= count:
        raise UnreadableError("a joined event cannot be read: an action was proposed that was not there")
    return Proposal(proposed.a - 1, proposed.p, proposed.lesson)


def _observation(report: _Report, slot: str) -> Observation:
    """Give a slot's reward its slot; an activation names none."""
    at = report.ts if report.ts.tzinfo is UTC else in_utc(report.ts)  # earlier imports kept an offset
    return Observation(report.event_id, at, report.reward, "" if report.is_activation else slot)
