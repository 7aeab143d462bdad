"""The joined log as a table: one row for each event, or for each slot of one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from shared.domain.events import JoinedEvent, Situation
from shared.joining.dsjson import read_situation
from shared.joining.reading import read_lines


class Kind(StrEnum):
    """What a column holds; each value may be missing (None)."""

    TEXT = "text"
    TIME = "time"
    NUMBER = "number"
    COUNT = "whole number"
    FLAG = "true or false"
    TEXTS = "texts"
    NUMBERS = "numbers"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what its values are, and where an event has them."""

    name: str
    kind: Kind
    meaning: str
    of: Callable[[JoinedEvent, Situation], Any]


Row = tuple[Any, ...]
"""A value for each of `COLUMNS`."""


def rows(text: bytes) -> Iterator[Row]:
    """Read lines of the joined log, a row each; raises `UnreadableError` for a line that is none."""
    for event in read_lines(text):
        situation = read_situation(event.decision.situation)
        yield tuple([column.of(event, situation) for column in COLUMNS])


def _rewards(event: JoinedEvent) -> list[tuple[datetime, float]]:
    return [(each.observed_at, each.reward) for each in event.observations if each.reward is not None]


def _first_rewarded(event: JoinedEvent) -> datetime | None:
    return min([at for at, _ in _rewards(event)], default=None)


def _baseline(event: JoinedEvent, situation: Situation) -> str:
    """Name the action that the application would have shown: the slot's own, or the first; an excluded one has no probability."""
    possible = [action.id for action, share in zip(situation.actions, event.decision.probabilities, strict=True) if share > 0.0]
    return situation.baseline_id if situation.baseline_id in possible else (possible or [situation.actions[0].id])[0]


def _proposed(event: JoinedEvent, situation: Situation) -> str | None:
    proposal = event.decision.proposal
    return None if proposal is None else situation.actions[proposal.action].id


def _proposed_with(event: JoinedEvent) -> float | None:
    return None if event.decision.proposal is None else event.decision.proposal.probability


def _features(situation: Situation) -> str:
    return _json([action.features for action in situation.actions])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


COLUMNS: Final = (
    Column("timestamp", Kind.TIME, "when it was ranked", lambda event, _: event.decision.decided_at),
    Column("event_id", Kind.TEXT, "the event's id", lambda event, _: event.decision.event_id),
    Column("slot", Kind.TEXT, "the slot's id; missing if there are no slots", lambda event, _: event.decision.slot or None),
    Column("mode", Kind.TEXT, "the learning mode", lambda event, _: event.decision.mode.value),
    Column(
        "model_version",
        Kind.TEXT,
        "the model that ranked; missing if there was none yet",
        lambda event, _: event.decision.model_version or None,
    ),
    Column("deferred", Kind.FLAG, "whether its activation was deferred", lambda event, _: event.decision.deferred),
    Column(
        "skipped",
        Kind.TEXT,
        "why the event was not learned; missing if it was learned",
        lambda event, _: event.skip and event.skip.value,
    ),
    Column(
        "weight",
        Kind.NUMBER,
        "the number of events that it stands for: more than 1 if others were left out",
        lambda event, _: event.weight,
    ),
    Column("reward", Kind.NUMBER, "the final reward", lambda event, _: event.reward),
    Column("rewards", Kind.NUMBERS, "the rewards that arrived in time", lambda event, _: [value for _, value in _rewards(event)]),
    Column("rewarded_at", Kind.TIME, "when the first of them arrived", lambda event, _: _first_rewarded(event)),
    Column("action", Kind.TEXT, "the id of the chosen action", lambda event, situation: situation.actions[event.decision.chosen].id),
    Column("action_number", Kind.COUNT, "its place in the request, from 1", lambda event, _: event.decision.chosen + 1),
    Column("probability", Kind.NUMBER, "the action's probability", lambda event, _: event.decision.probabilities[event.decision.chosen]),
    Column("baseline_action", Kind.TEXT, "the action that the application would have shown", _baseline),
    Column("proposed_action", Kind.TEXT, "in Apprentice mode, the action that the policy drew", _proposed),
    Column("proposed_probability", Kind.NUMBER, "the probability of that action", lambda event, _: _proposed_with(event)),
    Column("actions", Kind.TEXTS, "the ids of all actions, as requested", lambda _, situation: [each.id for each in situation.actions]),
    Column("probabilities", Kind.NUMBERS, "the probabilities of all actions", lambda event, _: list(event.decision.probabilities)),
    Column("context", Kind.JSON, "the context's feature objects", lambda _, situation: _json(situation.context)),
    Column("action_features", Kind.JSON, "each action's feature objects", lambda _, situation: _features(situation)),
)  # fmt: skip
"""All columns, in order; docs/command-line.md shows the same table."""
