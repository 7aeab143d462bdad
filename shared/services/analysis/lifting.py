"""How much more one policy earns than another, with intervals of the difference: which are much narrower than those of the two."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from typing import Final

import numpy as np

from shared.domain.evaluation import BASELINE, ONLINE, PRESENT, Lift, PolicySource, Report
from shared.evaluation.intervals import ALPHA, Interval
from shared.evaluation.pairs import Pairs, lift_interval, lift_sequence
from shared.evaluation.sequences import confidence_sequence
from shared.services.analysis.results import Part, interval_of, report

RIVALS: Final = (PRESENT, ONLINE, BASELINE)
"""Those whom every policy is compared with; the first that there is stands for the policy of now."""

Ends = tuple[float, float]


def reports(found: Sequence[Part]) -> list[Report]:
    """Say all there is to say of each policy, and how much more it earns than those that an evaluation always compares, slot by slot."""
    rivals = {(each.contender.name, each.slot): each for each in found if _is_rival(each)}
    return [_with_lifts(each, [rivals[name, each.slot] for name in RIVALS if (name, each.slot) in rivals]) for each in found]


def present_of(found: Sequence[Part]) -> Part | None:
    """Give the present policy over all slots, or what was shown where that was not valued."""
    whole = {each.contender.name: each for each in found if not each.slot and _is_rival(each)}
    return next((whole[name] for name in (PRESENT, ONLINE) if name in whole), None)


def lift_of(part: Part, other: Part, *, alpha: float = ALPHA) -> Lift:
    """Tell how much more a policy earns than another one."""
    value = part.estimate().expected_reward - other.estimate().expected_reward
    value = value if part.has_evidence and other.has_evidence else nan
    pairs = part.against(other)
    differing = None if pairs is None else float(pairs.scope.differing / pairs.scope.rounds)
    return Lift(value, lift_ends(part, other, alpha=alpha), anytime_lift_ends(part, other, alpha=alpha), differing)


def lift_ends(part: Part, other: Part, *, alpha: float = ALPHA) -> Ends:
    """Give the interval of the difference for one look, wide enough to include the difference of the two figures."""
    value = part.estimate().expected_reward - other.estimate().expected_reward
    pairs, turned = _pairs(part, other)
    if pairs is None:
        return _around(value, _apart(*[interval_of(each.moments, each, alpha=alpha / 2.0) for each in (part, other)]))
    return _around(value, _turned(lift_interval(pairs, alpha=alpha, rewards=part.rewards), turned))


def anytime_lift_ends(part: Part, other: Part, *, alpha: float = ALPHA) -> Ends:
    """Give the interval of the difference that holds at all looks at once."""
    pairs, turned = _pairs(part, other)
    if pairs is None:
        return _apart(*[_sequence(each, alpha / 2.0) for each in (part, other)])
    return _turned(lift_sequence(pairs, alpha=alpha, rewards=part.rewards), turned)


def _with_lifts(part: Part, rivals: Sequence[Part]) -> Report:
    lifts = {each.contender.name: lift_of(part, each) for each in rivals if each is not part}
    own = next((each for each in rivals if each.contender.name in (PRESENT, ONLINE)), None)
    if own is None or own is part:
        return replace(report(part), lifts=lifts)
    name = own.contender.name
    return replace(report(part), lifts=lifts, lift=lifts[name].value, compared_with=name)


def _is_rival(part: Part) -> bool:
    """Whether it is one of those by its source as well: no custom policy is taken for what was shown, whatever it is called."""
    name, source = part.contender.name, part.contender.source
    return name in RIVALS and source is {PRESENT: PolicySource.CUSTOM, ONLINE: PolicySource.ONLINE, BASELINE: PolicySource.BASELINE}[name]


def _pairs(part: Part, other: Part) -> tuple[Pairs | None, bool]:
    """Give the pair's sums, and whether they are of the other one beside this one."""
    mine = part.against(other)
    return (mine, False) if mine is not None else (other.against(part), True)


def _turned(interval: Interval, is_turned: bool) -> Ends:
    ends = float(interval.lower), float(interval.upper)
    return (-ends[1], -ends[0]) if is_turned else ends


def _sequence(part: Part, alpha: float) -> Interval:
    return confidence_sequence(part.moments, largest_weight=part.largest_weight, alpha=alpha, rewards=part.rewards)


def _apart(mine: Interval, other: Interval) -> Ends:
    return float(mine.lower - other.upper), float(mine.upper - other.lower)


def _around(value: float, ends: Ends) -> Ends:
    return float(np.fmin(ends[0], value)), float(np.fmax(ends[1], value))
