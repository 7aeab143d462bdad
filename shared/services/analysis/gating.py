"""Whether a policy that a search found may take the place of the online one, by bounds that hold whenever one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.evaluation import PolicySource
from shared.evaluation.intervals import ALPHA
from shared.evaluation.sequences import confidence_sequence
from shared.services.analysis.results import Part

_NOTHING: Final = "There was nothing to compare the online policy with."


@dataclass(frozen=True, slots=True)
class Verdict:
    """The name of the policy that may take the place of the online one ("": none may), and why, in words."""

    name: str
    reason: str


def verdict(found: Sequence[Part]) -> Verdict:
    """Take the candidate that would have earned most, if its lower bound is above the upper bound of the online policy.

    Bounds are anytime-valid, for all of them together (Bonferroni): a search that a timer repeats is looked at again and again. To ask
    for no more than a lower bound above the online one's is not enough: of two policies that earn the same, the one whose rewards are
    predicted has the higher lower bound.
    """
    whole = [each for each in found if not each.slot]
    online = next((each for each in whole if each.contender.source is PolicySource.ONLINE), None)
    candidates = [each for each in whole if each.contender.source is PolicySource.OFFLINE_EXPERIMENTATION]
    if online is None or not candidates:
        return Verdict("", _NOTHING)
    best, alpha = max(candidates, key=_mean), ALPHA / (len(candidates) + 1)
    least, most = _bounds(best, alpha)[0], _bounds(online, alpha)[1]
    name = best.contender.name
    told = f"{name} would have earned {_mean(best):.3f}, at least {least:.3f}; online earned {_mean(online):.3f}, at most {most:.3f}"
    if least > most:
        return Verdict(name, f"{told}: {name} takes its place.")
    return Verdict("", f"{told}: that is not enough to take its place.")


def _mean(part: Part) -> float:
    return part.estimate().expected_reward


def _bounds(part: Part, alpha: float) -> tuple[float, float]:
    interval = confidence_sequence(part.moments, largest_weight=part.largest_weight, alpha=alpha, rewards=part.rewards)
    return float(interval.lower), float(interval.upper)
