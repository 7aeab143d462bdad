"""Rank on the wire."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from shared.api.features import MAX_VALUES, count_values, has_value, problem
from shared.api.wire import EventId, WireModel
from shared.domain.errors import InvalidRankRequestError
from shared.domain.events import Action, Situation

MAX_ACTIONS = 50
MAX_ID_LENGTH = 256
MAX_PLACE_LENGTH = 200
"""Feature names are part of the places that errors name, and may be as long as the body."""

FeatureObjects = list[dict[str, Any]]


class RankableAction(WireModel):
    """One action of the request."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
    features: FeatureObjects


class RankRequest(WireModel):
    """The body of POST rank; members that the contract does not name are ignored."""

    context_features: FeatureObjects | None = None
    actions: Annotated[list[RankableAction], Field(min_length=1, max_length=MAX_ACTIONS)]
    excluded_actions: list[str] | None = None
    event_id: EventId | None = None
    defer_activation: bool | None = None

    def to_situation(self) -> Situation:
        """Give what is asked; raises `InvalidRankRequestError` for what a schema cannot say."""
        self._check_features()
        self._check_ids()
        return Situation(
            context=tuple(self.context_features or ()),
            actions=tuple(Action(action.id, tuple(action.features)) for action in self.actions),
            excluded=frozenset(self.excluded_actions or ()),
        )

    def _check_features(self) -> None:
        _refuse(problem(self.context_features or [], "contextFeatures"))
        for index, action in enumerate(self.actions):
            _refuse(problem(action.features, f"actions[{index}].features"))
            if not has_value(action.features):
                _refuse((f"actions[{index}].features", "an action needs at least one feature that is not null"))
        count = count_values(self.context_features or []) + sum(count_values(action.features) for action in self.actions)
        if count > MAX_VALUES:
            _refuse(("actions", f"context and actions may hold at most {MAX_VALUES} feature values together, not {count}"))

    def _check_ids(self) -> None:
        places: dict[str, int] = {}
        for index, action in enumerate(self.actions):
            if action.id in places:
                _refuse((f"actions[{index}].id", f"the id is that of actions[{places[action.id]}] already"))
            places[action.id] = index
        if places.keys() <= set(self.excluded_actions or ()):
            _refuse(("excludedActions", "at least one action must not be excluded"))


class RankedAction(WireModel):
    """One action of the answer."""

    id: str
    probability: float


class RankResponse(WireModel):
    """The answer to POST rank."""

    ranking: list[RankedAction]
    event_id: str
    reward_action_id: str


def _refuse(found: tuple[str, str] | None) -> None:
    if found is not None:
        place = found[0] if len(found[0]) <= MAX_PLACE_LENGTH else f"{found[0][:MAX_PLACE_LENGTH]}..."
        raise InvalidRankRequestError(f"{place}: {found[1]}", target=place)
