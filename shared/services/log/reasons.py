"""Why a logged decision came out as it did: its context, all actions with their probabilities, and what the model thought of each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, Features, LearningMode
from shared.domain.ports import ModelStore
from shared.joining.dsjson import read_situation
from shared.learning.artifact import load_model
from shared.learning.explanation import Explanation, explain_all
from shared.learning.model import Model

MOST_DECISIONS: Final = 50
MOST_BYTES: Final = 2 * 1024 * 1024
"""Of logged situations that are told of at once: an event may have many decisions, each with all of its actions."""

MOST_REASONS: Final = 6
"""Of an action: features, or pairs of them, the most important first; the others are summed up."""

_MODELS: Final = 2
"""Models that are loaded for one event, at most."""


@dataclass(frozen=True, slots=True)
class Option:
    """An action that could be shown. ``explanation`` is None where no model that is kept has chosen."""

    action_id: str
    features: tuple[Features, ...]
    probability: float
    is_chosen: bool
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision was made of; ``baseline_id`` is the application's own choice, where the call named it."""

    context: tuple[Features, ...]
    options: Sequence[Option]
    baseline_id: str = ""


class Reasons:
    """Explains logged decisions of one loop."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store

    async def told(self, decisions: Sequence[Decision]) -> list[Circumstances | None]:
        """Explain each of them, in order; None for those that are too many or too large. Raises `StorageUnavailableError`."""
        models: dict[str, Model | None] = {}
        found: list[Circumstances | None] = []
        left = MOST_BYTES
        for number, decision in enumerate(decisions):
            left -= len(decision.situation)
            if number >= MOST_DECISIONS or left < 0:
                found.append(None)
                continue
            version = decision.model_version if decision.mode is not LearningMode.LOGGING_ONLY else ""
            if version not in models and len(models) < _MODELS:
                models[version] = await self._model(version)
            found.append(await asyncio.to_thread(circumstances, decision, models.get(version)))
        return found

    async def _model(self, version: str) -> Model | None:
        """Load the model of this name; None for one that is not kept."""
        if not version:
            return None
        try:
            return await asyncio.to_thread(load_model, await self._store.artifact(version))
        except UnreadableError:  # a client's own, one that is not kept any more, or one of a later release
            return None


def circumstances(decision: Decision, model: Model | None) -> Circumstances | None:
    """Read what was logged with a decision; None where that cannot be read."""
    try:
        situation = read_situation(decision.situation)
    except UnreadableError:
        return None
    told = explain_all(model, situation, most=MOST_REASONS) if model is not None else (None,) * len(situation.actions)
    options = [
        Option(action.id, action.features, chance, number == decision.chosen, explanation)
        for number, (action, chance, explanation) in enumerate(zip(situation.actions, decision.probabilities, told, strict=True))
    ]
    return Circumstances(situation.context, options, situation.baseline_id)
