"""Feature importances as analyses: what a policy loses that was learned without a feature."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from shared.domain.evaluation import FeatureImportance, FeatureScore, JobStatus, PolicySource
from shared.domain.events import JoinedEvent
from shared.domain.loop import LoopSettings
from shared.domain.ports import JobStore
from shared.evaluation.importance import Importance, Loss, importances
from shared.learning.arguments import parse_arguments
from shared.services.analysis.board import Board, LanePlan, Stage
from shared.services.analysis.features import MOST_FEATURES, Feature, features_of
from shared.services.analysis.lane import Contender
from shared.services.analysis.results import Found

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
        lanes = weighed(features_of(sample, most=MOST_FEATURES), loop.policy.arguments, rounds=MOST_ROUNDS)
        return Stage.of(lanes, first=0, last=len(chunks), since=analysis.job.since, until=analysis.job.until)

    def following(self, analysis: FeatureImportance, board: Board, found: Sequence[Found]) -> Stage | None:
        """Have nothing more to do."""
        return None

    def finished(self, analysis: FeatureImportance, board: Board, found: Sequence[Found]) -> tuple[FeatureImportance, Sequence[str]]:
        """Give the scores, the largest first."""
        ranked = ranking([*zip(board.stage.lanes, found, strict=True)])
        if not ranked:
            return analysis, ["No decision of this range was left to chance. So features cannot be compared."]
        scores = tuple([FeatureScore(feature.namespace, feature.name, rank.score, (rank.lower, rank.upper)) for feature, rank in ranked])
        unclear = sum(rank.lower <= 0.0 < rank.score for _, rank in ranked)
        told = f"Over {len(found[0].values)} rounds, with the loop's own policy and learner."
        noise = f" {unclear} of the scores may be noise: their 95 % intervals reach 0." if unclear else ""
        return replace(analysis, scores=scores), [told + noise]

    async def concluded(self, analysis: FeatureImportance, found: Sequence[Found]) -> tuple[JobStatus, str]:
        """Have nothing more to do."""
        return JobStatus.SUCCEEDED, ""


def weighed(features: Sequence[Feature], arguments: str, *, rounds: int) -> tuple[LanePlan, ...]:
    """Plan a lane with all features, and one without each, for a policy of these arguments."""
    interactions = parse_arguments(arguments).interactions.text()
    return tuple(
        [
            LanePlan((Contender(_named(each), PolicySource.CUSTOM, arguments),), interactions, without=each, values_kept=rounds)
            for each in (None, *features)
        ]
    )


def ranking(lanes: Sequence[tuple[LanePlan, Found]]) -> list[tuple[Feature, Importance]]:
    """Weigh each feature by lanes that `weighed` planned, the most important first; nothing where there is nothing to go by."""
    if not lanes or len(lanes[0][1].values) <= 1:
        return []
    features = {_named(plan.without): plan.without for plan, _ in lanes if plan.without is not None}
    without = [found.values for plan, found in lanes if plan.without is not None]
    if not without:
        return []
    ranked = importances([*features], Loss.of_values(np.array(lanes[0][1].values), np.array(without)))
    return [(features[each.feature], each) for each in ranked]


def _named(feature: Feature | None) -> str:
    return _WHOLE if feature is None else feature.text
