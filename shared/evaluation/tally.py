"""All that an evaluation keeps of the rounds it has read: what a shard gives, and what all shards together are."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np

from shared.domain.errors import UnreadableError
from shared.evaluation import estimators
from shared.evaluation.intervals import ALPHA, UNIT, Interval, Range, cressie_read
from shared.evaluation.likelihood import BINS, WeightTable
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers, Rounds
from shared.evaluation.series import Series
from shared.evaluation.shrinking import FAMILIES, Candidates
from shared.evaluation.sums import Floats

DEFAULT: Final = "calibrated_dr"
"""The estimator of choice; docs/internals/estimators.md has the figures."""


@dataclass(frozen=True, eq=False, slots=True)
class Tally:
    """The sums of one slot, of P policies: a series of moments [P, B], a table of weights, and candidates by family."""

    series: Series
    table: WeightTable
    candidates: Mapping[str, Candidates]

    @staticmethod
    def of(rounds: Rounds, minutes: Integers) -> "Tally":
        """Sum up rounds [P, n], decided in these minutes [n] since 1970."""
        candidates = {name: Candidates.of(rounds, family) for name, family in FAMILIES.items()}
        return Tally(Series.of(rounds, minutes), WeightTable.of(rounds), candidates)

    def __add__(self, other: "Tally") -> "Tally":
        candidates = {name: mine + other.candidates[name] for name, mine in self.candidates.items()}
        return Tally(self.series + other.series, self.table + other.table, candidates)

    def estimates(self, *, largest_weight: float = inf) -> dict[str, Floats]:
        """Give every estimator's value for each policy."""
        moments = self.series.total
        return {
            **closed_forms(moments, largest_weight=largest_weight),
            **{name: candidates.value for name, candidates in self.candidates.items()},
            "mle": self.table.value(largest_weight=largest_weight),
        }

    def plain(self) -> dict[str, Any]:
        """Give nothing but mappings, lists and finite numbers."""
        candidates = {name: each.plain() for name, each in self.candidates.items()}
        return {"series": self.series.plain(), "table": self.table.plain(), "candidates": candidates}

    @staticmethod
    def of_plain(plain: Mapping[str, Any]) -> "Tally":
        """Read back what `plain` gave; raises `UnreadableError` for anything else."""
        if not isinstance(plain, Mapping) or set(plain) != {"series", "table", "candidates"}:
            raise UnreadableError("a tally consists of a series, a table and candidates")
        families = plain["candidates"]
        if not isinstance(families, Mapping) or set(families) != set(FAMILIES):
            raise UnreadableError(f"the candidates of a tally are those of {', '.join(FAMILIES)}")
        candidates = {name: Candidates.of_plain(families[name]) for name in FAMILIES}
        tally = Tally(Series.of_plain(plain["series"]), WeightTable.of_plain(plain["table"]), candidates)
        _check_shapes(tally)
        return tally


def default_interval(moments: Moments, *, largest_weight: float, alpha: float = ALPHA, rewards: Range = UNIT) -> Interval:
    """Give the interval to show beside the default estimate: Cressie and Read's, which holds best, wide enough to include the estimate."""
    interval = cressie_read(moments, alpha=alpha, largest_weight=largest_weight, rewards=rewards)
    value = estimators.calibrated_doubly_robust(moments)
    return Interval(np.minimum(interval.lower, value), np.maximum(interval.upper, value))


def _check_shapes(tally: Tally) -> None:
    policies = tally.series.moments.rounds.shape[:-1]
    sizes = [(tally.table.rounds.shape, BINS)]
    sizes += [(each.rounds.shape, len(FAMILIES[name].limits)) for name, each in tally.candidates.items()]
    if any(shape != (*policies, size) for shape, size in sizes):
        raise UnreadableError(f"not all parts of a tally are of {policies} policies")


def closed_forms(moments: Moments, *, largest_weight: float = inf) -> dict[str, Floats]:
    """Give what moments are enough for: for a bucket or a window as well."""
    return {
        "ips": estimators.ips(moments),
        "snips": estimators.snips(moments),
        "dm": estimators.direct(moments),
        "dr": estimators.doubly_robust(moments),
        "calibrated_dr": estimators.calibrated_doubly_robust(moments),
        "sndr": estimators.self_normalised_doubly_robust(moments),
        "cressie_read": estimators.cressie_read(moments, largest_weight=largest_weight),
    }
