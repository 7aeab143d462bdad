"""What a policy would have earned on average, out of sums; nan where there is nothing to say it by.

Each takes `Moments` of any shape and gives an array of that shape.
"""

from typing import Final

import numpy as np

from shared.evaluation.moments import Moments
from shared.evaluation.sums import Floats

_STILL: Final = 1e-10
"""A variance is a rounding error where it is this part of the mean square."""

_EVEN: Final = 1e-12
"""A mean weight that is as near to 1 as this is 1."""

_FEW: Final = 100.0
"""Effective rounds with which α and β of `calibrated_doubly_robust` count half: fitted to fewer, they follow chance."""


def ips(moments: Moments) -> Floats:
    """Weigh each reward by w: unbiased, and noisy (Horvitz & Thompson 1952; Li et al. 2011, arXiv 1003.5956)."""
    return ratio(moments.wr, moments.rounds)


def snips(moments: Moments) -> Floats:
    """Divide by the sum of weights instead of the rounds: less noise, a vanishing bias (Swaminathan & Joachims 2015)."""
    return ratio(moments.wr, moments.w)


def direct(moments: Moments) -> Floats:
    """Trust the predictions: hardly any noise, and all of their bias (Beygelzimer & Langford 2009, arXiv 0812.4044)."""
    return ratio(moments.expected, moments.rounds)


def doubly_robust(moments: Moments) -> Floats:
    """Put the predictions right by their weighted errors: unbiased, with the noise of errors only (Dudík et al. 2011, arXiv 1103.4601)."""
    return ratio(moments.d, moments.rounds)


def self_normalised_doubly_robust(moments: Moments) -> Floats:
    """Do so with the errors' weighted mean, as `snips` does (Thomas & Brunskill 2016, arXiv 1604.00923, as WDR)."""
    return direct(moments) + ratio(moments.d - moments.expected, moments.w)


def calibrated_doubly_robust(moments: Moments, *, largest_weight: float = np.inf) -> Floats:
    """Do as `doubly_robust` does, with predictions α + β q of which this log's noise is least (Vlassis et al. 2019; Owen 2013, 8.9).

    α alone would be nearly `snips`, β = 1 alone `doubly_robust`: with many rounds it is no noisier than either, however bad q is.
    With few effective rounds (Σw)²/Σw² (Kish 1965) it leans on `cressie_read`, which fits nothing.
    """
    effective = np.nan_to_num(ratio(moments.w**2, moments.ww))
    share = effective**2 / (effective**2 + _FEW**2)
    fitted = np.clip(np.nan_to_num(fitted_doubly_robust(moments)), moments.lowest_reward, moments.highest_reward)
    is_one = np.abs(moments.w - moments.rounds) <= _EVEN * moments.rounds  # the mean weight: nothing has to be reweighed
    plain = np.where(is_one, snips(moments), cressie_read(moments, largest_weight=largest_weight))
    return share * fitted + (1.0 - share) * plain


def fitted_doubly_robust(moments: Moments) -> Floats:
    """Give the part of `calibrated_doubly_robust` that is fitted: a regression of w r on w − 1 and e, whose means are known to be 0."""
    n = moments.rounds
    alpha, beta = calibration(moments)
    return ratio(moments.wr, n) - alpha * (ratio(moments.w, n) - 1.0) - beta * ratio(moments.e, n)


def calibration(moments: Moments) -> tuple[Floats, Floats]:
    """Give α and β of the predictions α + β q of which the noise is least: the slopes of a regression of wr on w and e.

    β is that of the part of e which w does not tell (Frisch & Waugh 1933): so another zero or unit of rewards and predictions changes the
    slopes as it has to, and nothing else.
    """
    n = moments.rounds
    w, e, wr = ratio(moments.w, n), ratio(moments.e, n), ratio(moments.wr, n)
    of_w, of_e, both = ratio(moments.ww, n) - w * w, ratio(moments.ee, n) - e * e, ratio(moments.we, n) - w * e
    with_w, with_e = ratio(moments.wwr, n) - w * wr, ratio(moments.wre, n) - e * wr
    varies = of_w > _STILL * ratio(moments.ww, n)
    told, slope = (np.where(varies, ratio(each, of_w), 0.0) for each in (both, with_w))
    rest = of_e - told * both
    beta = np.where(rest > _STILL * ratio(moments.ee, n), ratio(with_e - told * with_w, rest), 0.0)
    return slope - beta * told, beta


def cressie_read(moments: Moments, *, largest_weight: float = np.inf) -> Floats:
    """Reweigh the rounds as little as makes the mean weight 1 (Karampatziakis, Langford & Mineiro 2020, arXiv 1906.03323).

    ``largest_weight`` is the largest that can be, not the largest seen. What the reweighing leaves over earns the mean logged reward.
    """
    n, missing_from = moments.rounds, moments.w < moments.rounds
    fake = np.where(missing_from, np.maximum(largest_weight, moments.largest_weight), 0.0)
    known = np.where(np.isfinite(fake), fake, 0.0)
    mean, mean_of_squares = (known + moments.w) / (1.0 + n), (known**2 + moments.ww) / (1.0 + n)
    spread = mean**2 - mean_of_squares
    endless = ~np.isfinite(fake)
    gamma = np.where(endless, -ratio(1.0 + n, n), ratio(mean_of_squares - mean, spread))
    beta = np.where(endless, 0.0, ratio(1.0 - mean, spread))
    covered = (-gamma * moments.w - beta * moments.ww) / (1.0 + n)
    value = (-gamma * moments.wr - beta * moments.wwr) / (1.0 + n)
    return value + np.maximum(0.0, 1.0 - covered) * ratio(moments.rewards, n)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide, and give nan for what is divided by 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: Floats = np.where(denominator == 0.0, np.nan, np.divide(numerator, denominator))
    return quotient
