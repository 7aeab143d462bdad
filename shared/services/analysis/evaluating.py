"""Evaluations as analyses: policies compared over a range of the log, and better ones searched before, if that was asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from shared.domain.evaluation import ONLINE, Evaluation, EvaluationKind, JobStatus, PolicySource
from shared.domain.events import JoinedEvent
from shared.domain.loop import LoopSettings
from shared.domain.ports import JobStore
from shared.evaluation.importance import groups
from shared.joining.chunks import ChunkName
from shared.learning.arguments import parse_arguments
from shared.services.analysis.board import Board, LanePlan, Stage, lane_file
from shared.services.analysis.features import Feature, features_of
from shared.services.analysis.gating import verdict
from shared.services.analysis.lane import Contender, Lineup, contenders, lineups
from shared.services.analysis.results import Found, notes, optimal, parts, policy_results, warnings
from shared.services.analysis.searching import Letters, bounds, candidates, surviving, winners
from shared.services.analysis.weighing import ranking, weighed

WEIGHED_FEATURES: Final = 15
WEIGHED_ROUNDS: Final = 3_000
"""An evaluation weighs features beside; a feature importance does so with more care."""

Promote = Callable[[Evaluation, str], Awaitable[bool]]
"""Puts a policy of an automatic evaluation to use, and tells whether that could be."""


class Evaluating:
    """Compares the policies side by side: `shared.services.analysis.running.Method`."""

    def __init__(self, store: JobStore[Evaluation], promote: Promote) -> None:
        self.store = store
        self._promote = promote

    def wants_sample(self, analysis: Evaluation) -> bool:
        """Tell whether the first stage depends on what is in the log."""
        return analysis.seeks_better or analysis.weighs

    def first(self, analysis: Evaluation, chunks: Sequence[str], loop: LoopSettings, sample: Sequence[JoinedEvent]) -> Stage:
        """Plan a lane for all policies that learn from the same features; those of a search, if there is one, to its first look."""
        ends = bounds(len(chunks)) if analysis.seeks_better else (len(chunks),)
        tried = candidates(analysis.online, Letters.of(sample)) if len(ends) > 1 else ()
        compared = _searched(analysis, tried) if len(ends) > 1 else contenders(analysis.online, analysis.policies)
        lineup = lineups(compared, exploration_percentage=loop.exploration_percentage)
        lanes = planned(lineup if len(ends) == 1 else _alone(lineup))
        if len(ends) == 1:
            lanes += _weighed(analysis, features_of(sample, most=WEIGHED_FEATURES))
        return Stage.of(lanes, first=0, last=ends[0], since=analysis.job.since, until=analysis.job.until)

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
        lineup = lineups(compared, exploration_percentage=board.exploration_percentage)
        going_on = planned(lineup if stage == len(ends) - 1 else _alone(lineup), board)
        if stage == len(ends) - 1:
            going_on += _weighed(analysis, board.features[:WEIGHED_FEATURES])
        return Stage.of(going_on, first=ends[stage - 1], last=ends[stage], since=analysis.job.since, until=analysis.job.until)

    def finished(self, analysis: Evaluation, board: Board, found: Sequence[Found]) -> tuple[Evaluation, Sequence[str]]:
        """Give the figures of all policies, and name the best."""
        lanes = [*zip(board.stage.lanes, found, strict=True)]
        taken = parts([each for plan, each in lanes if not plan.values_kept])
        ranked = ranking([(plan, each) for plan, each in lanes if plan.values_kept])
        results = policy_results(taken)
        told = warnings(taken) if taken else ["No decision of this range was left to chance. So policies cannot be compared."]
        told = [*told, *notes(found)]
        if len(board.stages) > 1:
            since = ChunkName.parse(board.chunks[board.stage.first]).since
            told = [
                f"Better policies were searched before {since:%Y-%m-%d %H:%M:%S} UTC; all figures are of the time after it.",
                *told,
            ]
        elif analysis.seeks_better:
            told = ["The log of this range is a single chunk. That is too little to search for better policies.", *told]
        important = tuple([tuple(group) for group in groups([each for _, each in ranked])])
        return replace(analysis, results=results, optimal_policy=optimal(results), important=important), told

    async def concluded(self, analysis: Evaluation, found: Sequence[Found]) -> tuple[JobStatus, str]:
        """Put the best policy to use if automatic optimisation asked for it, and if that is surely better."""
        if analysis.kind is not EvaluationKind.AUTO:
            return JobStatus.SUCCEEDED, ""
        ruled = await asyncio.to_thread(lambda: verdict(parts(found)))
        if not ruled.name:
            return JobStatus.ONLINE_POLICY_RETAINED, ruled.reason
        if not await self._promote(analysis, ruled.name):
            return JobStatus.ONLINE_POLICY_RETAINED, f"{ruled.reason} But the loop's policy, or its settings, were changed meanwhile."
        return JobStatus.OPTIMAL_POLICY_APPLIED, ruled.reason


def _weighed(analysis: Evaluation, features: Sequence[Feature]) -> tuple[LanePlan, ...]:
    return weighed(features, analysis.online.arguments, rounds=WEIGHED_ROUNDS) if analysis.weighs else ()


def _searched(analysis: Evaluation, tried: Sequence[Contender]) -> tuple[Contender, ...]:
    """Give those that go along in a search: the candidates, and whoever is compared in the end, since their learners learn already."""
    usual = contenders(analysis.online, analysis.policies)
    return (*[each for each in usual if each.is_learned or each.name == ONLINE], *tried)


def planned(lanes: Sequence[Lineup], before: Board | None = None) -> tuple[LanePlan, ...]:
    """Write lineups down; lanes of the stage before that learned from the same features go on."""
    known = {} if before is None else {lane.interactions: place for place, lane in enumerate(before.stage.lanes)}
    stage = 0 if before is None else len(before.stages) - 1
    return tuple(
        [
            LanePlan(
                each.contenders,
                text := each.interactions.text(),
                _begins(known, stage, text),
                beside_present=each.beside_present,
            )
            for each in lanes
        ]
    )


def _alone(lanes: Sequence[Lineup]) -> list[Lineup]:
    """Have no lane compare with the present policy of another: while a search goes on, candidates are compared with each other only."""
    return [replace(each, beside_present=False) for each in lanes]


def _begins(known: dict[str, int], stage: int, interactions: str) -> str:
    return lane_file(stage, known[interactions]) if interactions in known else ""
