"""What all loops of a process share, so that what it takes does not follow their number."""

from dataclasses import dataclass, field

from shared.domain.budget import UNBOUNDED, Budget
from shared.learning.encoding import Encoders


def _unbounded() -> Budget:
    return Budget(UNBOUNDED)


@dataclass(frozen=True, slots=True)
class Shared:
    """The encoders, and how many bytes may be kept at hand: learners of the trainer, Rank's models, and what was read of logs.

    By default nothing is shared with others, and nothing is let go.
    """

    encoders: Encoders = field(default_factory=Encoders)
    learners: Budget = field(default_factory=_unbounded)
    models: Budget = field(default_factory=_unbounded)
    logs: Budget = field(default_factory=_unbounded)
