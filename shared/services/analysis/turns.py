"""Whose turn it is: a loop has few analyses under way at a time, so that those of other loops do not stand behind all of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.evaluation import EvaluationKind, Job, JobKind, JobStatus, Listed

TURNS: Final = 2
"""Analyses of a loop that are under way at a time, beside one that automatic optimisation asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """An analysis that is not over. ``has_work`` is false as long as nothing of its range has been joined: it takes no turn then."""

    kind: JobKind
    job: Job
    is_automatic: bool
    has_work: bool = True

    @staticmethod
    def of(kind: JobKind, listed: Listed, *, logged: tuple[datetime, datetime] | None) -> "Place":
        """Take an entry of a listing; ``logged`` is the range of the joined log, None if it is empty."""
        job = listed.job
        has_work = logged is not None and job.since < logged[1] and job.until > logged[0]
        return Place(kind, job, listed.kind is EvaluationKind.AUTO, has_work)

    @property
    def is_waiting(self) -> bool:
        """Whether it has not begun, as far as is known."""
        return self.job.status is JobStatus.NOT_SUBMITTED

    @property
    def _order(self) -> tuple[datetime, str, str]:
        return self.job.created_at, self.kind, self.job.id

    def is_before(self, other: "Place") -> bool:
        """Whether it takes a turn that the other one, which waits, cannot have: it is under way, or was asked for earlier."""
        is_same = (self.kind, self.job.id) == (other.kind, other.job.id)
        if is_same or self.is_automatic is not other.is_automatic:
            return False
        return not self.is_waiting or (self.has_work and self._order < other._order)


def has_turn(place: Place, others: Sequence[Place]) -> bool:
    """Tell whether one that waits may begin; automatic optimisation has a turn of its own."""
    return sum(each.is_before(place) for each in others) < (1 if place.is_automatic else TURNS)
