"""What an evaluation comes to, in one sentence: whether another policy earns more than that of now, and how sure that is.

Sure at 95 % is a difference whose interval lies above 0. It is taken round by round, over the same events, and the intervals hold for all
compared policies together (Bonferroni): of several policies the best looks better than it is.
"""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final

from shared.domain.evaluation import PolicySource, Verdict
from shared.evaluation.intervals import ALPHA
from shared.services.analysis.lifting import lift_ends, present_of
from shared.services.analysis.results import Part, forced_share, is_trusted
from shared.services.analysis.titles import called, title_of

_NOTHING: Final = Verdict(
    "Keep the present policy: no decision of this range was left to chance, so there is nothing to compare policies by."
)
_LEAST_FREE: Final = 0.01
"""The least share of the rounds, of those in which another action could have been shown, by which policies are compared."""

_MOST_MORE: Final = 100
"""So many times the events that were logged are too many to wait for."""


def judged(found: Sequence[Part]) -> Verdict:
    """Compare the best of the other policies with the present one, or what was shown where that was not valued; of slots, all together.

    Without any other policy, the present one is compared with the baseline.
    """
    whole = [each for each in found if not each.slot]
    own = present_of(found)
    forced = forced_share(found)
    if own is None or is_nothing_told(found):
        return _NOTHING
    if forced > 1.0 - _LEAST_FREE:
        return Verdict(
            "Keep the present policy: fewer than 1 % of the decisions of this range were left to chance, too few to compare policies by."
        )
    others = [each for each in whole if _is_other(each, own)]
    if others:
        return _of_others(own, others)
    baseline = next((each for each in whole if each.contender.source is PolicySource.BASELINE), None)
    return _against_baseline(own, baseline) if baseline is not None else _NOTHING


def is_nothing_told(found: Sequence[Part]) -> bool:
    """Whether no decision was left to chance, so that the log does not tell policies apart."""
    return not found or forced_share(found) == 1.0


def _is_other(part: Part, own: Part) -> bool:
    """Whether a loop could be served by it instead."""
    could_be = part.contender.source in (PolicySource.CUSTOM, PolicySource.OFFLINE_EXPERIMENTATION)
    return could_be and part is not own and part.contender.arguments != own.contender.arguments


def _of_others(own: Part, others: Sequence[Part]) -> Verdict:
    best, alpha = max(others, key=_mean), ALPHA / len(others)
    gain, ours, name = _mean(best) - _mean(own), title_of(own.contender), called(best.contender)
    if gain <= 0.0:
        is_sure = all(_lead(own, each, alpha) > 0.0 and is_trusted(each) for each in others) and is_trusted(own)
        return Verdict(f"Keep {ours}: it earns more than all others, sure at 95 %." if is_sure else f"Keep {ours}: no other looks better.")
    for each in (best, own):
        if not is_trusted(each):
            why = f"this log does not tell enough of what {called(each.contender)} would choose"
            return Verdict(f"Not known whether {name} earns more than {ours}: {why}.")
    if _lead(best, own, alpha) > 0.0:
        return Verdict(f"{_capital(name)} earns more than {ours} by {gain:.3f} an event, sure at 95 %.", best.contender.name)
    more = _more(gain, _lead(best, own, alpha), float(own.moments.rounds))
    if more is None:
        return Verdict(f"Keep {ours}: {name} would have earned {gain:.3f} more an event, which is too little to tell from chance.")
    return Verdict(
        f"Not known yet whether {name} earns more than {ours} ({gain:.3f} an event so far): it takes about {more:,} more events.",
        more_events=more,
    )


def _against_baseline(own: Part, baseline: Part) -> Verdict:
    ahead, behind = (own, baseline) if _mean(own) >= _mean(baseline) else (baseline, own)
    gain, lead = _mean(ahead) - _mean(behind), _lead(ahead, behind, ALPHA)
    first, second = title_of(ahead.contender), title_of(behind.contender)
    if not (is_trusted(own) and is_trusted(baseline)):
        return Verdict(f"Not known whether {first} earns more than {second}: this log does not tell enough of what they would choose.")
    if lead > 0.0:
        return Verdict(f"{_capital(first)} earns more than {second} by {gain:.3f} an event, sure at 95 %.")
    more = _more(gain, lead, float(own.moments.rounds))
    if more is None:
        return Verdict(f"{_capital(first)} and {second} earn almost the same.")
    return Verdict(
        f"Not known yet whether {first} earns more than {second} ({gain:.3f} an event so far): it takes about {more:,} more events.",
        more_events=more,
    )


def _mean(part: Part) -> float:
    return part.estimate().expected_reward


def _lead(ahead: Part, behind: Part, alpha: float) -> float:
    """Tell how much more the one earns at least, below 0 if it may earn less."""
    return lift_ends(ahead, behind, alpha=alpha)[0]


def _more(gain: float, lead: float, rounds: float) -> int | None:
    """Tell about how many more events it takes until the interval, which shrinks with the root of the events, leaves 0; None: far too many.

    >>> _more(0.02, -0.02, 1_000.0), _more(0.0, -0.1, 1_000.0), _more(0.001, -0.1, 1_000.0)
    (3000, None, None)
    """
    if gain <= 0.0:
        return None
    more = rounds * ((1.0 - lead / gain) ** 2 - 1.0)
    return None if more > _MOST_MORE * rounds else _rounded(more)


def _rounded(number: float) -> int:
    """Round up to two figures.

    >>> _rounded(12_345.0), _rounded(0.5), _rounded(3_000.0)
    (13000, 1, 3000)
    """
    unit: int = 10 ** max(floor(log10(max(number, 1.0))) - 1, 0)
    return ceil(round(number / unit, 6)) * unit


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
