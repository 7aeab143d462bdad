"""Evaluations as analyses: policies compared over a range of the log."""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.evaluation import Evaluation
from shared.domain.loop import LoopSettings
from shared.domain.ports import JobStore
from shared.services.analysis.board import Board, LanePlan, Stage
from shared.services.analysis.lane import Lineup, contenders, lineups
from shared.services.analysis.results import Found, optimal, parts, policy_results, warnings


class Evaluating:
    """Compares the policies side by side: `shared.services.analysis.running.Method`."""

    def __init__(self, store: JobStore[Evaluation]) -> None:
        self.store = store

    def first(self, analysis: Evaluation, chunks: Sequence[str], loop: LoopSettings) -> Stage:
        """Plan a lane for all policies that learn from the same features."""
        compared = contenders(analysis.online, analysis.policies)
        lanes = lineups(compared, exploration_percentage=loop.exploration_percentage)
        job = analysis.job
        return Stage.of(planned(lanes), first=0, last=len(chunks), since=job.since, until=job.until)

    def following(self, analysis: Evaluation, board: Board, found: Sequence[Found]) -> Stage | None:
        """Have nothing more to do."""
        return None

    def finished(self, analysis: Evaluation, board: Board, found: Sequence[Found]) -> tuple[Evaluation, Sequence[str]]:
        """Give the figures of all policies, and name the best."""
        taken = parts(found)
        results = policy_results(taken)
        told = warnings(taken) if taken else ["No decision of this range was left to chance: there is nothing to compare policies by."]
        return replace(analysis, results=results, optimal_policy=optimal(results)), told


def planned(lanes: Sequence[Lineup]) -> tuple[LanePlan, ...]:
    """Write lineups down."""
    return tuple([LanePlan(each.contenders, each.interactions.text()) for each in lanes])
