"""Evaluations as analyses: policies compared over a range of the log, and better ones searched before, if that was asked for."""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.evaluation import ONLINE, Evaluation, PolicySource
from shared.domain.events import JoinedEvent
from shared.domain.loop import LoopSettings
from shared.domain.ports import JobStore
from shared.joining.chunks import ChunkName
from shared.learning.arguments import parse_arguments
from shared.services.analysis.board import Board, LanePlan, Stage, lane_file
from shared.services.analysis.lane import Contender, Lineup, contenders, lineups
from shared.services.analysis.results import Found, optimal, parts, policy_results, warnings
from shared.services.analysis.searching import Letters, bounds, candidates, surviving, winners


class Evaluating:
    """Compares the policies side by side: `shared.services.analysis.running.Method`."""

    def __init__(self, store: JobStore[Evaluation]) -> None:
        self.store = store

    def wants_sample(self, analysis: Evaluation) -> bool:
        """Tell whether the first stage depends on what is in the log."""
        return analysis.seeks_better

    def first(self, analysis: Evaluation, chunks: Sequence[str], loop: LoopSettings, sample: Sequence[JoinedEvent]) -> Stage:
        """Plan a lane for all policies that learn from the same features; those of a search, if there is one, to its first look."""
        ends = bounds(len(chunks)) if analysis.seeks_better else (len(chunks),)
        tried = candidates(analysis.online, Letters.of(sample)) if len(ends) > 1 else ()
        compared = _searched(analysis, tried) if len(ends) > 1 else contenders(analysis.online, analysis.policies)
        lanes = lineups(compared, exploration_percentage=loop.exploration_percentage)
        return Stage.of(planned(lanes), first=0, last=ends[0], since=analysis.job.since, until=analysis.job.until)

    def following(self, analysis: Evaluation, board: Board, found: Sequence[Found]) -> Stage | None:
        """Drop the worse candidates at each look of a search, and after the last compare the best with all others."""
        ends, stage = bounds(len(board.chunks)) if analysis.seeks_better else (len(board.chunks),), len(board.stages)
        if stage >= len(ends):
            return None
        own = parse_arguments(analysis.online.arguments).interactions
        tried = [each for lane in board.stage.lanes for each in lane.contenders if each.source is PolicySource.OFFLINE_EXPERIMENTATION]
        if stage < len(ends) - 1:
            compared = _searched(analysis, surviving(tried, found, own))
        else:
            usual = contenders(analysis.online, analysis.policies)
            compared = (*usual, *winners(tried, found, own, taken=[each.name for each in usual]))
        lanes = lineups(compared, exploration_percentage=board.exploration_percentage)
        going_on = planned(lanes, board)
        return Stage.of(going_on, first=ends[stage - 1], last=ends[stage], since=analysis.job.since, until=analysis.job.until)

    def finished(self, analysis: Evaluation, board: Board, found: Sequence[Found]) -> tuple[Evaluation, Sequence[str]]:
        """Give the figures of all policies, and name the best."""
        taken = parts(found)
        results = policy_results(taken)
        told = warnings(taken) if taken else ["No decision of this range was left to chance: there is nothing to compare policies by."]
        if len(board.stages) > 1:
            since = ChunkName.parse(board.chunks[board.stage.first]).since
            told = [f"Better policies were searched on what is before {since:%Y-%m-%d %H:%M:%S} UTC; all figures are of the rest.", *told]
        elif analysis.seeks_better:
            told = ["The log of this range is a single chunk: too little to search for better policies.", *told]
        return replace(analysis, results=results, optimal_policy=optimal(results)), told


def _searched(analysis: Evaluation, tried: Sequence[Contender]) -> tuple[Contender, ...]:
    """Give those that go along in a search: the candidates, and whoever is compared in the end, since their learners learn already."""
    usual = contenders(analysis.online, analysis.policies)
    return (*[each for each in usual if each.is_learned or each.name == ONLINE], *tried)


def planned(lanes: Sequence[Lineup], before: Board | None = None) -> tuple[LanePlan, ...]:
    """Write lineups down; lanes of the stage before that learned from the same features go on."""
    known = {} if before is None else {lane.interactions: place for place, lane in enumerate(before.stage.lanes)}
    stage = 0 if before is None else len(before.stages) - 1
    return tuple([LanePlan(each.contenders, text, _begins(known, stage, text)) for each in lanes for text in [each.interactions.text()]])


def _begins(known: dict[str, int], stage: int, interactions: str) -> str:
    return lane_file(stage, known[interactions]) if interactions in known else ""
