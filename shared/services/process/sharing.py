"""What all loops of a process share, so that what it takes does not follow their number."""

from dataclasses import dataclass, field
from typing import Any, Final

from shared.domain.budget import UNBOUNDED, Budget
from shared.domain.recent import Recent
from shared.learning.encoding import Encoders

MARK: Final = 16
"""Bytes of the digest by which something that a client sent is remembered."""

_REPORTS: Final = 1 << 16
_DECISIONS: Final = 1 << 15
_RESULTS: Final = 8
_LONGEST_NAME: Final = 2_000


def _unbounded() -> Budget:
    return Budget(UNBOUNDED)


@dataclass(frozen=True, slots=True)
class Shared:
    """The encoders, and how many bytes may be kept at hand: learners of the trainer, Rank's models, and what was read of logs.

    ``reported`` and ``decided`` remember what clients sent lately, by digests in which the loop's place is, to know what is sent again:
    27 MB of both at most. ``results`` are those of evaluations that are over, which never change: of the few that somebody looks at. By
    default nothing is shared with others, and nothing is let go.
    """

    encoders: Encoders = field(default_factory=Encoders)
    learners: Budget = field(default_factory=_unbounded)
    models: Budget = field(default_factory=_unbounded)
    logs: Budget = field(default_factory=_unbounded)
    reported: Recent[bool] = field(default_factory=lambda: Recent(size=_REPORTS, longest=MARK))
    decided: Recent[Any] = field(default_factory=lambda: Recent(size=_DECISIONS, longest=MARK))
    results: Recent[Any] = field(default_factory=lambda: Recent(size=_RESULTS, longest=_LONGEST_NAME))
