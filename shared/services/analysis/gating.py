"""Whether a policy that a search found may take the place of the online one, by bounds that hold whenever one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.evaluation import PRESENT, PolicySource
from shared.evaluation.intervals import ALPHA
from shared.services.analysis.lifting import anytime_lift_ends
from shared.services.analysis.results import Part, is_trusted
from shared.services.analysis.titles import called, title_of

_NOTHING: Final = "There was nothing to compare the online policy with."


@dataclass(frozen=True, slots=True)
class Verdict:
    """The name of the policy that may take the place of the online one ("": none may), and why, in words."""

    name: str
    reason: str


def verdict(found: Sequence[Part]) -> Verdict:
    """Take the candidate that would have earned most, if it surely earns more than the present policy.

    It has to earn more than what was shown as well: a policy that others have served, in an imported log, is not replaced by a worse one.

    The difference is taken round by round, and its bound is anytime-valid, for all candidates together (Bonferroni): a search that a timer
    repeats is looked at again and again. Of the two that it has to be better than, it has to be better than each, so they share no chance.
    """
    whole = [each for each in found if not each.slot]
    online = next((each for each in whole if each.contender.source is PolicySource.ONLINE), None)
    candidates = [each for each in whole if each.contender.source is PolicySource.OFFLINE_EXPERIMENTATION]
    if online is None or not candidates:
        return Verdict("", _NOTHING)
    present = next((each for each in whole if each.contender.name == PRESENT), None)
    best, alpha = max(candidates, key=_mean), ALPHA / len(candidates)
    name, title = best.contender.name, called(best.contender)
    rivals = [(each, anytime_lift_ends(best, each, alpha=alpha)[0]) for each in (present, online) if each is not None]
    told = [f"{title} would have earned {_mean(best):.3f}"]
    told += [f"{title_of(each.contender)} {_mean(each):.3f} ({_told(best, each, least)})" for each, least in rivals]
    if not is_trusted(best):
        told += [f"the mean weight of {title} is not 1, so its figure is not to be trusted"]
    elif all(least > 0.0 for _, least in rivals):
        return Verdict(name, f"{'; '.join(told)}. It takes the present policy's place.")
    return Verdict("", f"{'; '.join(told)}. That is not enough to take the present policy's place.")


def _told(best: Part, other: Part, least: float) -> str:
    return f"{_mean(best) - _mean(other):+.3f}, at least {least:+.3f}"


def _mean(part: Part) -> float:
    return part.estimate().expected_reward
