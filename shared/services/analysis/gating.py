"""Whether a policy that a search found may take the place of the online one, by bounds that hold whenever one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.evaluation import PRESENT, PolicySource
from shared.evaluation.intervals import ALPHA
from shared.evaluation.sequences import confidence_sequence
from shared.services.analysis.results import Part
from shared.services.analysis.titles import called, title_of

_NOTHING: Final = "There was nothing to compare the online policy with."


@dataclass(frozen=True, slots=True)
class Verdict:
    """The name of the policy that may take the place of the online one ("": none may), and why, in words."""

    name: str
    reason: str


def verdict(found: Sequence[Part]) -> Verdict:
    """Take the candidate that would have earned most, if its lower bound is above the upper bound of the present policy.

    It has to be above that of what was shown as well: a policy that others have served, in an imported log, is not replaced by a worse one.

    Bounds are anytime-valid, for all of them together (Bonferroni): a search that a timer repeats is looked at again and again. To ask
    for no more than a lower bound above the online one's is not enough: of two policies that earn the same, the one whose rewards are
    predicted has the higher lower bound.
    """
    whole = [each for each in found if not each.slot]
    online = next((each for each in whole if each.contender.source is PolicySource.ONLINE), None)
    candidates = [each for each in whole if each.contender.source is PolicySource.OFFLINE_EXPERIMENTATION]
    if online is None or not candidates:
        return Verdict("", _NOTHING)
    present = next((each for each in whole if each.contender.name == PRESENT), None)
    best, alpha = max(candidates, key=_mean), ALPHA / (len(candidates) + 2)
    least = _bounds(best, alpha)[0]
    name, title = best.contender.name, called(best.contender)
    rivals = [each for each in (present, online) if each is not None]
    told = [f"{title} would have earned {_mean(best):.3f}, at least {least:.3f}"]
    told += [f"{title_of(each.contender)} {_mean(each):.3f}, at most {_bounds(each, alpha)[1]:.3f}" for each in rivals]
    if all(least > _bounds(each, alpha)[1] for each in rivals):
        return Verdict(name, f"{'; '.join(told)}. It takes the present policy's place.")
    return Verdict("", f"{'; '.join(told)}. That is not enough to take the present policy's place.")


def _mean(part: Part) -> float:
    return part.estimate().expected_reward


def _bounds(part: Part, alpha: float) -> tuple[float, float]:
    interval = confidence_sequence(part.moments, largest_weight=part.largest_weight, alpha=alpha, rewards=part.rewards)
    return float(interval.lower), float(interval.upper)
