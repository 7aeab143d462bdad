"""Breakdowns from the log as analyses: the events of a range, counted by the values of a feature."""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.evaluation import JobStatus, LogBreakdown
from shared.domain.events import JoinedEvent
from shared.domain.loop import LoopSettings
from shared.domain.ports import JobStore
from shared.domain.words import counted
from shared.learning.interactions import EVERYTHING
from shared.services.analysis.board import Board, LanePlan, Stage
from shared.services.analysis.results import Found


class Counting:
    """Counts in one lane: `shared.services.analysis.running.Method`."""

    def __init__(self, store: JobStore[LogBreakdown]) -> None:
        self.store = store

    def wants_sample(self, analysis: LogBreakdown) -> bool:
        """Need none."""
        return False

    def first(self, analysis: LogBreakdown, chunks: Sequence[str], loop: LoopSettings, sample: Sequence[JoinedEvent]) -> Stage:
        """Plan the only lane."""
        lane = LanePlan((), EVERYTHING.text(), counts_by=analysis.feature)
        return Stage.of((lane,), first=0, last=len(chunks), since=analysis.job.since, until=analysis.job.until)

    def following(self, analysis: LogBreakdown, board: Board, found: Sequence[Found]) -> Stage | None:
        """Have nothing more to do."""
        return None

    def finished(self, analysis: LogBreakdown, board: Board, found: Sequence[Found]) -> tuple[LogBreakdown, Sequence[str]]:
        """Say how many events there are, and up to when; the runner has kept the figures."""
        counts = found[0].counts
        until = analysis.job.until if board.missing_from is None else min(analysis.job.until, board.missing_from)
        told = [f"{counted(counts.scored, 'event')} of this range counted."] if counts.scored else ["No event of this range was learned."]
        if counts.thinned:
            many = counted(counts.thinned, "event")
            told.append(f"{many} of a thinned log stand for several each. So intervals are narrower than they should be.")
        return replace(analysis, counted_until=until, events=counts.scored), told

    async def concluded(self, analysis: LogBreakdown, found: Sequence[Found]) -> tuple[JobStatus, str]:
        """Have nothing more to do."""
        return JobStatus.SUCCEEDED, ""
