"""Rank on the wire."""

from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import msgspec
import orjson
from pydantic import Field, InstanceOf, StringConstraints, WithJsonSchema
from typing_extensions import TypedDict

from shared.api.features import MAX_VALUES, count_values, has_value, problem
from shared.api.wire import EventId, WireModel, parse, validated
from shared.domain.errors import InvalidRankRequestError
from shared.domain.events import Action, Situation
from shared.domain.recent import Recent
from shared.joining.dsjson import action_text

MAX_ACTIONS = 50
MAX_ID_LENGTH = 256
MAX_PLACE_LENGTH = 200
"""Feature names are part of the places that errors name, and may be as long as the body."""

_REMEMBERED_ACTIONS = 1 << 12
_LONGEST_REMEMBERED = 1 << 10
_NULL = msgspec.Raw(b"null")

FeatureObjects = list[Annotated[InstanceOf[dict[str, Any]], WithJsonSchema({"type": "object"})]]
"""Not copied while they are checked: `shared.api.features` has their rules."""


class RankableAction(WireModel):
    """One action of the request."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
    features: FeatureObjects


ACTIONS_SCHEMA = {"type": "array", "items": RankableAction.model_json_schema(), "minItems": 1, "maxItems": MAX_ACTIONS}


class RankRequest(WireModel):
    """The body of POST rank; members that the contract does not name are ignored.

    The actions are only counted here: `ActionReader` checks them.
    """

    context_features: FeatureObjects | None = None
    actions: Annotated[list[Any], Field(min_length=1, max_length=MAX_ACTIONS), WithJsonSchema(ACTIONS_SCHEMA)]
    excluded_actions: list[str] | None = None
    event_id: EventId | None = None
    defer_activation: bool | None = None

    def to_situation(self, reader: "ActionReader") -> Situation:
        """Give what is asked; raises `InvalidRankRequestError` for what a schema cannot say."""
        total = checked_count(self.context_features or [], "contextFeatures")
        read = [reader.read(given, number) for number, given in enumerate(self.actions)]
        total += sum([count for _, count in read])
        if total > MAX_VALUES:
            _refuse("actions", f"context and actions may hold at most {MAX_VALUES} feature values together, not {total}")
        actions = tuple([action for action, _ in read])
        self._check_ids(actions)
        return Situation(tuple(self.context_features or ()), actions, frozenset(self.excluded_actions or ()))

    def _check_ids(self, actions: Sequence[Action]) -> None:
        places: dict[str, int] = {}
        for index, action in enumerate(actions):
            first = places.setdefault(action.id, index)
            if first != index:
                _refuse(f"actions[{index}].id", f"the id is that of actions[{first}] already")
        if self.excluded_actions and places.keys() <= set(self.excluded_actions):
            _refuse("excludedActions", "at least one action must not be excluded")


class ActionReader:
    """Checks actions; those met lately, to the last character, are not even parsed again: most requests bring the same ones."""

    def __init__(self) -> None:
        self._recent: Recent[tuple[Action, int]] = Recent(size=_REMEMBERED_ACTIONS, longest=_LONGEST_REMEMBERED)

    def read(self, given: object, index: int) -> tuple[Action, int]:
        """Give the action at this index of a body, parsed or as text, and how many feature values it has.

        Raises `InvalidRankRequestError`, and `orjson.JSONDecodeError` for text that is not JSON where it stands in the body.
        """
        try:
            text = bytes(given) if isinstance(given, msgspec.Raw) else orjson.dumps(given)
        except TypeError:  # more is read than can be written again: 1,024 levels of nesting against 254
            return _read(given, index)
        known = self._recent.get(text)
        if known is None:
            known = _read(orjson.loads(b"[[%b]]" % text)[0][0], index)
            self._recent.put(text, known)
        return known


class _Outline(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """A body in which each member, and each action, is left as text."""

    actions: list[msgspec.Raw]
    context_features: msgspec.Raw = _NULL
    excluded_actions: msgspec.Raw = _NULL
    event_id: msgspec.Raw = _NULL
    defer_activation: msgspec.Raw = _NULL


_OUTLINE = msgspec.json.Decoder(_Outline)


def read_rank(body: bytes, reader: ActionReader) -> tuple[RankRequest, Situation]:
    """Read the body of a Rank call without parsing the actions that the reader knows.

    Whatever is odd about a body is left to the usual way of reading it, which says what is wrong and where. Raises
    `InvalidRequestError` or `InvalidRankRequestError`.
    """
    try:
        request = _outlined(body)
        return request, request.to_situation(reader)
    except (msgspec.MsgspecError, orjson.JSONDecodeError, RecursionError):
        request = parse(body, RankRequest, InvalidRankRequestError)
        return request, request.to_situation(reader)


def _outlined(body: bytes) -> RankRequest:
    outline = _OUTLINE.decode(body)
    document = {
        "actions": outline.actions,
        "contextFeatures": _member(outline.context_features),
        "excludedActions": _member(outline.excluded_actions),
        "eventId": _member(outline.event_id),
        "deferActivation": _member(outline.defer_activation),
    }
    return validated(document, RankRequest, InvalidRankRequestError)


def _member(text: msgspec.Raw) -> Any:
    """Parse a member at its own depth, lest more nesting be read than where the body is parsed as a whole."""
    return None if text is _NULL else orjson.loads(b"[%b]" % bytes(text))[0]


class RankedAction(TypedDict):
    """One action of the answer."""

    id: str
    probability: float


class FeatureInfluence(TypedDict):
    """What a feature of the context, one of the action (``name``: ``namespace.feature``) or two crossed (``a.b^c.d``) add to a score."""

    name: str
    score: float


class ExplainedAction(TypedDict):
    """Why an action's score is what it is."""

    id: str
    features: list[FeatureInfluence]


Reasons = tuple[str, Sequence[tuple[str, float]]]
"""An action's id, and what adds how much to its score."""


class RankResponse(WireModel):
    """The answer to POST rank; it explains itself where the loop's settings say so."""

    ranking: list[RankedAction]
    event_id: str
    reward_action_id: str
    inference_explanation: list[ExplainedAction] | None = None

    @staticmethod
    def write(
        action_ids: Sequence[str],
        probabilities: Sequence[float],
        *,
        event_id: str,
        reward_action_id: str,
        reasons: Sequence[Reasons] = (),
    ) -> bytes:
        """Write an answer as JSON without building it first: it is our own, and on every caller's way."""
        ranking = [{"id": each, "probability": chance} for each, chance in zip(action_ids, probabilities, strict=True)]
        body: dict[str, object] = {"ranking": ranking, "eventId": event_id, "rewardActionId": reward_action_id}
        if reasons:
            body["inferenceExplanation"] = [_explained(action_id, influences) for action_id, influences in reasons]
        return orjson.dumps(body)


def _explained(action_id: str, influences: Sequence[tuple[str, float]]) -> ExplainedAction:
    return ExplainedAction(id=action_id, features=[FeatureInfluence(name=name, score=worth) for name, worth in influences])


def _read(given: object, index: int) -> tuple[Action, int]:
    action = validated(given, RankableAction, InvalidRankRequestError, where=("actions", index))
    count = checked_count(action.features, f"actions[{index}].features")
    if not has_value(action.features):
        _refuse(f"actions[{index}].features", "an action needs at least one feature that is not null")
    return Action(action.id, tuple(action.features), action_text(action.id, action.features)), count


def checked_count(objects: FeatureObjects, where: str) -> int:
    """Count the feature values at this place of a body; raises `InvalidRankRequestError` for features that break a rule."""
    count = count_values(objects)
    if count is None:
        _refuse(*(problem(objects, where) or (where, "these features break a rule")))
    return count or 0


def _refuse(where: str, what: str) -> NoReturn:
    place = where if len(where) <= MAX_PLACE_LENGTH else f"{where[:MAX_PLACE_LENGTH]}..."
    raise InvalidRankRequestError(f"{place}: {what}", target=place)
