"""Rank on the wire."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import orjson
from pydantic import Field, InstanceOf, StringConstraints, WithJsonSchema
from typing_extensions import TypedDict

from shared.api.features import MAX_PLACES, MAX_VALUES
from shared.api.lenient import Source
from shared.api.rules import MAX_ACTIONS, MAX_ID_LENGTH, Checked, check_has_feature, checked, refuse
from shared.api.wire import WireModel, WishedEventId, read_json, validated
from shared.domain.errors import InvalidRankRequestError
from shared.domain.events import Action, Situation
from shared.domain.recent import Recent
from shared.joining.dsjson import action_text

_REMEMBERED_ACTIONS = 1 << 12
_LONGEST_REMEMBERED = 1 << 10
NULL = msgspec.Raw(b"null")
"""Stands for a member that is not there."""

FeatureObjects = Annotated[list[Annotated[InstanceOf[dict[str, Any]], WithJsonSchema({"type": "object"})]], Field(fail_fast=True)]
"""Not copied while they are checked: `shared.api.features` has their rules."""

Ids = Annotated[list[str], Field(fail_fast=True)]
"""Of a list without a limit of its own only the first error is looked for: a body has room for half a million."""


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
    excluded_actions: Ids | None = None
    event_id: WishedEventId = None
    defer_activation: bool | None = None

    def to_situation(self, reader: "ActionReader", source: Source | None = None) -> Situation:
        """Give what is asked; raises `InvalidRankRequestError` for what a schema cannot say. ``source`` is the body as it came."""
        context = checked(self.context_features or [], "contextFeatures")
        read = [reader.read(given, number, source) for number, given in enumerate(self.actions)]
        total = context.values + sum([each.values for each in read])
        if total > MAX_VALUES:
            refuse("actions", f"context and actions may hold at most {MAX_VALUES} feature values together, not {total}")
        actions = tuple([each.action for each in read])
        self._check_ids(actions)
        left_out = places_left_out(context, read)
        return Situation(tuple(context.objects), actions, frozenset(self.excluded_actions or ()), left_out=left_out)

    def _check_ids(self, actions: Sequence[Action]) -> None:
        places: dict[str, int] = {}
        for index, action in enumerate(actions):
            first = places.setdefault(action.id, index)
            if first != index:
                refuse(f"actions[{index}].id", f"actions[{first}] has the same id")
        if self.excluded_actions and places.keys() <= set(self.excluded_actions):
            refuse("excludedActions", "at least one action must not be excluded")


class ReadAction(NamedTuple):
    """An action, how many feature values it has, and where, within it, features without a name were left out."""

    action: Action
    values: int
    left_out: tuple[str, ...] = ()


class ActionReader:
    """Checks actions; those met lately, to the last character, are not even parsed again: most requests bring the same ones."""

    def __init__(self) -> None:
        self._recent: Recent[ReadAction] = Recent(size=_REMEMBERED_ACTIONS, longest=_LONGEST_REMEMBERED)

    def read(self, given: object, index: int, source: Source | None = None) -> ReadAction:
        """Read the action at this index of a body, parsed or as text.

        ``source`` is the body as it came, if it is at hand. Raises `InvalidRankRequestError`, and `orjson.JSONDecodeError` for text that
        is not JSON where it stands in the body.
        """
        if source is not None and isinstance(given, dict) and float in map(type, given.values()):  # an id that has to be looked up
            return _read(given, index, source.at("actions", index))
        try:
            text = bytes(given) if isinstance(given, msgspec.Raw) else orjson.dumps(given)
        except TypeError:  # more is read than can be written again: 1,024 levels of nesting against 254
            return _read(given, index)
        known = self._recent.get(text)
        if known is None:
            known = _read(orjson.loads(b"[[%b]]" % text)[0][0], index, text)
            self._recent.put(text, known)
        return known


class _Outline(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """A body in which each member, and each action, is left as text."""

    actions: list[msgspec.Raw]
    context_features: msgspec.Raw = NULL
    excluded_actions: msgspec.Raw = NULL
    event_id: msgspec.Raw = NULL
    defer_activation: msgspec.Raw = NULL


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
        source = Source(body)
        request = validated(read_json(body), RankRequest, InvalidRankRequestError, source=source)
        return request, request.to_situation(reader, source)


def _outlined(body: bytes) -> RankRequest:
    outline = _OUTLINE.decode(body)
    document = {
        "actions": outline.actions,
        "contextFeatures": member(outline.context_features),
        "excludedActions": member(outline.excluded_actions),
        "eventId": member(outline.event_id),
        "deferActivation": member(outline.defer_activation),
    }
    return validated(document, RankRequest, InvalidRankRequestError, source=body)


def member(text: msgspec.Raw) -> Any:
    """Parse a member at its own depth, lest more nesting be read than where the body is parsed as a whole."""
    return None if text is NULL else orjson.loads(b"[%b]" % bytes(text))[0]


class RankedAction(TypedDict):
    """One action of the answer."""

    id: str
    probability: float


class FeatureInfluence(TypedDict):
    """The part of a score from a feature of the context or action (``name``: ``namespace.feature``), or from a cross (``a.b^c.d``)."""

    name: str
    score: float


class ExplainedAction(TypedDict):
    """Why an action's score is what it is."""

    id: str
    features: list[FeatureInfluence]


class ScoredAction(TypedDict):
    """The reward that the model expects of an action, without exploration; ``order`` counts from 1, the best first."""

    id: str
    expectedReward: float  # the wire's name
    order: int


Scored = tuple[str, float]
"""An action's id, and what reward the model expects of it."""

Reasons = tuple[str, Sequence[tuple[str, float]]]
"""An action's id, and what adds how much to its score."""


class RankResponse(WireModel):
    """The answer to POST rank; it explains itself where the loop's settings say so, and has scores where the caller asks for them."""

    ranking: list[RankedAction]
    event_id: str
    reward_action_id: str
    inference_explanation: list[ExplainedAction] | None = None
    scores: list[ScoredAction] | None = None

    @staticmethod
    def write(
        action_ids: Sequence[str],
        probabilities: Sequence[float],
        *,
        event_id: str,
        reward_action_id: str,
        reasons: Sequence[Reasons] = (),
        scored: Sequence[Scored] = (),
    ) -> bytes:
        """Write an answer as JSON without building it first: it is our own, and on every caller's way."""
        ranking = [{"id": each, "probability": chance} for each, chance in zip(action_ids, probabilities, strict=True)]
        body: dict[str, object] = {"ranking": ranking, "eventId": event_id, "rewardActionId": reward_action_id}
        if reasons:
            body["inferenceExplanation"] = [_explained(action_id, influences) for action_id, influences in reasons]
        if scored:
            body["scores"] = written_scores(scored)
        return orjson.dumps(body)


def written_scores(scored: Sequence[Scored]) -> list[ScoredAction]:
    """Write scores, which come the best first."""
    return [ScoredAction(id=action_id, expectedReward=score, order=order) for order, (action_id, score) in enumerate(scored, start=1)]


def _explained(action_id: str, influences: Sequence[tuple[str, float]]) -> ExplainedAction:
    return ExplainedAction(id=action_id, features=[FeatureInfluence(name=name, score=worth) for name, worth in influences])


def _read(given: object, index: int, source: Source | bytes | None = None) -> ReadAction:
    action = validated(given, RankableAction, InvalidRankRequestError, where=("actions", index), source=source)
    where = f"actions[{index}]."
    features = checked(action.features, f"{where}features")
    check_has_feature(features, f"{where}features")
    read = Action(action.id, tuple(features.objects), action_text(action.id, features.objects))
    return ReadAction(read, features.values, _within(features.left_out, where))


def _within(places: Sequence[str], where: str) -> tuple[str, ...]:
    return tuple([place.removeprefix(where) for place in places]) if places else ()


def places_left_out(context: Checked, actions: Sequence[ReadAction]) -> tuple[str, ...]:
    """Give where features without a name were left out: three places of all."""
    of_actions = [f"actions[{index}].{place}" for index, each in enumerate(actions) if each.left_out for place in each.left_out]
    return (*context.left_out, *of_actions)[:MAX_PLACES] if of_actions or context.left_out else ()
