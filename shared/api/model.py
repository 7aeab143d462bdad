"""The model's times and versions on the wire."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field, PlainSerializer

from shared.api.paging import read_number, refuse
from shared.api.times import Time, written_time
from shared.api.wire import WireModel, one_of
from shared.domain.ledger import ModelKind
from shared.domain.models import Comparison, KeptVersion, ModelTimes

DEFAULT_MOVED: Final = 30
MOST_MOVED: Final = 1_000
_NEVER = datetime.min.replace(tzinfo=UTC)


def _written(at: datetime) -> str:
    return at.isoformat() if at == _NEVER else written_time(at)


class ModelPropertiesBody(WireModel):
    """When the model began and was last changed: 0001-01-01T00:00:00+00:00 before there is one, as Azure wrote it."""

    creation_time: Annotated[Time, PlainSerializer(_written)]
    last_modified_time: Annotated[Time, PlainSerializer(_written)]

    @staticmethod
    def write(times: ModelTimes | None) -> "ModelPropertiesBody":
        """Write the times."""
        if times is None:
            return ModelPropertiesBody(creation_time=_NEVER, last_modified_time=_NEVER)
        return ModelPropertiesBody(creation_time=times.created_at, last_modified_time=times.modified_at)


class WindowBody(WireModel):
    """From when to when the log was learned."""

    since: Time
    until: Time


class ModelVersionBody(WireModel):
    """A version of the model. ``isServed`` tells whether it is the published one, which every process serves within a poll interval."""

    version: str
    published_at: Time | None
    kind: Annotated[str, one_of(ModelKind)]
    parent: str | None
    learned: int
    window: WindowBody
    is_served: bool

    @staticmethod
    def write(kept: KeptVersion) -> "ModelVersionBody":
        """Write a kept version."""
        return ModelVersionBody(
            version=kept.version,
            published_at=kept.published_at,
            kind=kept.kind.value,
            parent=kept.parent or None,
            learned=kept.learned,
            window=WindowBody(since=kept.since, until=kept.until),
            is_served=kept.is_published,
        )


class MovedBody(WireModel):
    """What a feature, or a pair of features, adds to an estimate, on average of the events that have it, by both models."""

    name: str
    before: float
    after: float
    events: int


class ComparisonBody(WireModel):
    """Two versions side by side: ``from`` and ``to``, and what moved most between them, by the newest events that were learned."""

    from_: Annotated[ModelVersionBody, Field(alias="from")]
    to: ModelVersionBody
    moved: list[MovedBody]
    events: int

    @staticmethod
    def write(found: Comparison) -> "ComparisonBody":
        """Write a comparison."""
        return ComparisonBody(
            from_=ModelVersionBody.write(found.before),
            to=ModelVersionBody.write(found.after),
            moved=[MovedBody(name=each.name, before=each.before, after=each.after, events=each.events) for each in found.moved],
            events=found.events,
        )


def read_comparison(params: Mapping[str, str]) -> tuple[str, str, int]:
    """Read the query: both versions, and how much is wanted; raises `InvalidRequestError`."""
    for name in ("from", "to"):
        if not params.get(name):
            refuse(name, "a version of the model is needed, as `model/versions` lists them")
    top = read_number(params, "top", DEFAULT_MOVED, lowest=1)
    if top > MOST_MOVED:
        refuse("top", f"must be a whole number from 1 to {MOST_MOVED}")
    return params["from"], params["to"], top


class ModelVersionsBody(WireModel):
    """All kept versions, newest first."""

    value: list[ModelVersionBody]

    @staticmethod
    def write(versions: Sequence[KeptVersion]) -> "ModelVersionsBody":
        """Write the versions."""
        return ModelVersionsBody(value=[ModelVersionBody.write(kept) for kept in versions])
