"""How far a log can tell about a policy at all: shown beside every estimate."""

from dataclasses import dataclass

from shared.evaluation.estimators import ratio
from shared.evaluation.intervals import ALPHA, Flags, Interval, mean_weight
from shared.evaluation.moments import Moments
from shared.evaluation.sums import Floats


@dataclass(frozen=True, eq=False, slots=True)
class WeightHealth:
    """Figures about weights, of the shape of the sums.

    The mean weight's interval holds 1 if the logged probabilities are true and the policy is covered. ``effective_rounds`` is how many
    rounds of the policy's own would tell as much (Kish 1965). ``uncovered`` rounds had actions that the policy could choose and the log
    could not hold; ``unsupported`` is the policy's probability of those, on average over all rounds: the estimate may be off by as much
    of the rewards' range.
    """

    mean: Floats
    interval: Interval
    effective_rounds: Floats
    largest: Floats
    possible: Floats
    uncovered: Floats
    unsupported: Floats

    @staticmethod
    def of(moments: Moments, *, alpha: float = ALPHA) -> "WeightHealth":
        """Read the figures off the sums."""
        return WeightHealth(
            mean=ratio(moments.w, moments.rounds),
            interval=mean_weight(moments, alpha=alpha),
            effective_rounds=ratio(moments.w**2, moments.ww),
            largest=moments.largest_weight,
            possible=moments.possible,
            uncovered=moments.uncovered,
            unsupported=ratio(moments.unsupported, moments.rounds),
        )

    @property
    def is_sound(self) -> Flags:
        """Tell whether the mean weight is what it must be: whether the interval holds 1."""
        return self.interval.covers(1.0)
