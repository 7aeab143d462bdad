"""Feature importances as analyses: what a policy loses that was learned without a feature."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from shared.domain.evaluation import FeatureImportance, FeatureScore, JobStatus, PolicySource
from shared.domain.events import JoinedEvent
from shared.domain.loop import LoopSettings
from shared.domain.ports import JobStore
from shared.evaluation.importance import Loss, importances
from shared.learning.arguments import parse_arguments
from shared.services.analysis.board import Board, LanePlan, Stage
from shared.services.analysis.features import Feature, features_of
from shared.services.analysis.lane import Contender
from shared.services.analysis.results import Found

MOST_FEATURES: Final = 50
"""The most frequent ones are weighed."""

MOST_ROUNDS: Final = 20_000
"""Of the range, from its beginning: every feature takes a learner of its own over all of them."""

_WHOLE: Final = "all features"


class Weighing:
    """Learns with all features, and without each of them: `shared.services.analysis.running.Method`."""

    def __init__(self, store: JobStore[FeatureImportance]) -> None:
        self.store = store

    def wants_sample(self, analysis: FeatureImportance) -> bool:
        """Take the features from the log."""
        return True

    def first(self, analysis: FeatureImportance, chunks: Sequence[str], loop: LoopSettings, sample: Sequence[JoinedEvent]) -> Stage:
        """Plan a lane with all features, and one without each."""
        interactions = parse_arguments(loop.policy.arguments).interactions.text()
        found: list[Feature | None] = [None, *features_of(sample, most=MOST_FEATURES)]
        lanes = [
            LanePlan(
                (Contender(_WHOLE if each is None else f"{each.namespace}.{each.name}", PolicySource.CUSTOM, loop.policy.arguments),),
                interactions,
                without=each,
                values_kept=MOST_ROUNDS,
            )
            for each in found
        ]
        return Stage.of(tuple(lanes), first=0, last=len(chunks), since=analysis.job.since, until=analysis.job.until)

    def following(self, analysis: FeatureImportance, board: Board, found: Sequence[Found]) -> Stage | None:
        """Have nothing more to do."""
        return None

    def finished(self, analysis: FeatureImportance, board: Board, found: Sequence[Found]) -> tuple[FeatureImportance, Sequence[str]]:
        """Give the scores, the largest first."""
        whole, *others = found
        if not others or len(whole.values) <= 1:
            return analysis, ["No decision of this range was left to chance: there is nothing to weigh features by."]
        features = {str(number): board.stage.lanes[number].without for number in range(1, len(found))}
        loss = Loss.of_values(np.array(whole.values), np.array([each.values for each in others]))
        ranked = importances([*features], loss)
        scores = [FeatureScore(each.namespace, each.name, rank.score) for rank in ranked if (each := features[rank.feature]) is not None]
        unclear = sum(rank.lower <= 0.0 < rank.score for rank in ranked)
        told = f"Over {len(whole.values)} rounds, with the loop's own policy and learner."
        noise = f" {unclear} of the scores may be noise: their 95 % intervals reach 0." if unclear else ""
        return replace(analysis, scores=tuple(scores)), [told + noise]

    async def concluded(self, analysis: FeatureImportance, found: Sequence[Found]) -> tuple[JobStatus, str]:
        """Have nothing more to do."""
        return JobStatus.SUCCEEDED, ""
