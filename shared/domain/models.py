"""Models as they leave the service and come back: signed, and described."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.ledger import ModelKind


@dataclass(frozen=True, slots=True)
class SignedModel:
    """A model with a signature over its bytes, and the certificate (X.509, DER) whose key made it."""

    model: bytes
    signer: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Exported:
    """A model as it is handed out; ``modified_at`` is when it was published, None if there never was one."""

    model: bytes
    modified_at: datetime | None


@dataclass(frozen=True, slots=True)
class ModelTimes:
    """When the published model began, from nothing, with an import or anew, and when it was last changed."""

    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A model that was published and is still there: what it was made from, of which window, and whether it is published now.

    ``published_at`` is None where an earlier release did not note it.
    """

    version: str
    published_at: datetime | None
    kind: ModelKind
    parent: str
    learned: int
    since: datetime
    until: datetime
    is_published: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """What a feature, or a pair of features, adds to an estimate, on average of the ``events`` that have it, by either model."""

    name: str
    before: float
    after: float
    events: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two kept versions, and what moved between them, the most first, by the newest ``events`` that were learned."""

    before: KeptVersion
    after: KeptVersion
    moved: Sequence[Moved]
    events: int
