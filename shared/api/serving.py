"""The model and the settings on the wire, for clients that decide by themselves."""

from base64 import b64encode
from typing import Annotated, Final

from pydantic import Field

from shared.api.wire import WireModel, one_of
from shared.domain.events import LearningMode
from shared.domain.loop import MOST_HOLDOUT, ApprenticeLearning, LoopSettings

ALGORITHM: Final = 1
"""The number of the algorithm by which a decision is made of a request, a model and settings: docs/internals/the-decision.md."""


class DecidingSettings(WireModel):
    """The settings that a decision depends on."""

    learning_mode: Annotated[str, one_of(LearningMode)]
    apprentice_learning: Annotated[str, one_of(ApprenticeLearning)]
    exploration_percentage: Annotated[float, Field(ge=0.0, le=1.0)]
    policy_arguments: str
    holdout_percentage: Annotated[float, Field(ge=0.0, le=MOST_HOLDOUT)]


class ServingBody(WireModel):
    """The answer to GET models/serving: ``model`` is a file in base64, null before the first model, whose version is ""."""

    algorithm: int
    loop: str
    model_version: str
    settings: DecidingSettings
    poll_seconds: float
    ticket: str
    model: str | None

    @staticmethod
    def write(settings: LoopSettings, *, version: str, model: bytes | None, poll_seconds: float, ticket: str) -> "ServingBody":
        """Write what is served."""
        return ServingBody(
            algorithm=ALGORITHM,
            loop=settings.name,
            model_version=version,
            settings=DecidingSettings(
                learning_mode=settings.learning_mode.value,
                apprentice_learning=settings.apprentice_learning.value,
                exploration_percentage=settings.exploration_percentage,
                policy_arguments=settings.policy.arguments,
                holdout_percentage=settings.holdout_percentage,
            ),
            poll_seconds=poll_seconds,
            ticket=ticket,
            model=None if model is None else b64encode(model).decode(),
        )

    def to_wire(self) -> bytes:
        """Write as JSON: a model that is not there yet is null."""
        return self.model_dump_json(by_alias=True).encode()
