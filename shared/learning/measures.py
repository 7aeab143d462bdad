"""How large each number usually is: what puts numeric features of any scale on a common one.

A number is measured against the first values of its own feature: linearly by their largest size, if that is more than 1, and by
rank between their quantiles, which spreads them evenly whatever their distribution.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import NUMERIC, Floats, Hashes

SAMPLE: Final = 256
"""Values of a feature that are kept to measure it by; the measure is taken anew whenever their number has doubled."""

MOST: Final = 1024
"""Features that are measured; of any further ones only the sign and what lies within ± 1 count."""

REACH: Final = 4.0
"""A scaled value is clipped to ± this: what is far out of a feature's usual range must not outweigh all others."""

EDGES: Final = 8
_FEW: Final = 32
"""Numbers that are measured one by one, which takes less time than all the arrays that more of them are worth."""

_LEAST_SAMPLE: Final = 8
_LEAST_EDGES: Final = 3
_SMALLEST: Final = 1e-9
_TINY: Final = 1.0 / 16.0


@dataclass(frozen=True, slots=True)
class Measure:
    """One feature's: its largest usual size, and its quantiles, none where too few values differ."""

    size: float
    edges: tuple[float, ...] = ()

    def scaled(self, value: float) -> float:
        """Divide by the usual size.

        >>> Measure(2000.0).scaled(500.0), Measure(2.0).scaled(-1e9)
        (0.25, -4.0)
        """
        scaled = value / self.size
        return -REACH if scaled < -REACH else REACH if scaled > REACH else scaled

    def ranked(self, value: float) -> float:
        """Give the place between the quantiles, from -1 to 1; the scaled value, as far as that, where there are none.

        >>> Measure(90.0, (0.0, 10.0, 90.0)).ranked(10.0), Measure(90.0, (0.0, 10.0, 90.0)).ranked(50.0)
        (0.0, 0.5)
        """
        edges = self.edges
        if not edges:
            return min(max(value / self.size, -1.0), 1.0)
        if not edges[0] < value < edges[-1]:
            return -1.0 if value <= edges[0] else 1.0
        at = bisect_right(edges, value) - 1
        between = (value - edges[at]) / (edges[at + 1] - edges[at])
        return 2.0 * (at + between) / (len(edges) - 1) - 1.0


UNKNOWN: Final = Measure(1.0)
"""Of a feature that was never measured."""


@dataclass(frozen=True, eq=False, slots=True)
class Measures:
    """The measures of all features, for one value at a time or for arrays of them.

    ``hashes`` are sorted, shape [J]; ``sizes`` have shape [J]; ``edges`` [J, EDGES] end in infinities where there are fewer.
    """

    hashes: Hashes
    sizes: Floats
    edges: Floats
    _counts: npt.NDArray[np.int64] = field(init=False)
    _by_hash: Mapping[int, Measure] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_counts", np.isfinite(self.edges).sum(axis=1))
        rows = zip(self.hashes.tolist(), self.sizes.tolist(), self.edges.tolist(), self._counts.tolist(), strict=True)
        object.__setattr__(self, "_by_hash", {feature: Measure(size, tuple(edges[:count])) for feature, size, edges, count in rows})

    @staticmethod
    def none() -> "Measures":
        """Give the measures of no feature at all."""
        return Measures(np.zeros(0, np.uint32), np.zeros(0), np.zeros((0, EDGES)))

    def of(self, feature: int) -> Measure:
        """Give the measure of one feature."""
        return self._by_hash.get(feature, UNKNOWN)

    def scaled(self, hashes: Hashes, values: npt.ArrayLike) -> Floats:
        """Do for arrays of shape [n] what `Measure.scaled` does; what is no number keeps its value, within `REACH`."""
        scaled = np.array(values, dtype=np.float64)
        numeric = np.flatnonzero(hashes & NUMERIC)
        if len(numeric) <= _FEW:
            scaled[numeric] = [self.of(feature).scaled(value) for feature, value in _pairs(hashes, scaled, numeric)]
            return np.clip(scaled, -REACH, REACH)
        known, at = self._find(hashes[numeric])
        sizes = np.ones(len(numeric))
        sizes[known] = self.sizes[at]
        scaled[numeric] /= sizes
        reached: Floats = np.clip(scaled, -REACH, REACH)
        return reached

    def ranked(self, hashes: Hashes, values: npt.ArrayLike) -> Floats:
        """Do for arrays of shape [n] what `Measure.ranked` does; what is no number keeps its value, within `REACH`."""
        everything = np.asarray(values, dtype=np.float64)
        ranked = np.clip(everything, -REACH, REACH)
        numeric = np.flatnonzero(hashes & NUMERIC)
        if len(numeric) <= _FEW:
            ranked[numeric] = [self.of(feature).ranked(value) for feature, value in _pairs(hashes, everything, numeric)]
            return ranked
        given = everything[numeric]
        known, at = self._find(hashes[numeric])
        sizes = np.ones(len(numeric))
        sizes[known] = self.sizes[at]
        numbers = np.clip(given / sizes, -1.0, 1.0)
        edged = self._counts[at] > 0
        places = known[edged]
        numbers[places] = self._between(given[places], at[edged])
        ranked[numeric] = numbers
        return ranked

    def _between(self, values: Floats, features: npt.NDArray[np.int64]) -> Floats:
        edges, last = self.edges[features], self._counts[features] - 1
        below = np.clip((edges <= values[:, None]).sum(axis=1) - 1, 0, last - 1)
        rows = np.arange(len(values))
        left, right = edges[rows, below], edges[rows, below + 1]
        places: Floats = 2.0 * (below + np.clip((values - left) / (right - left), 0.0, 1.0)) / last - 1.0
        return places

    def _find(self, hashes: Hashes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Give which of these are measured, and where their measures stand."""
        if not len(self.hashes):
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        known = np.flatnonzero(self.hashes[at] == hashes)
        return known, at[known]


@dataclass(eq=False, slots=True)
class Samples:
    """The first values of each numeric feature, in the order in which the features were met."""

    values: dict[int, list[float]] = field(default_factory=dict)
    _known: dict[int, tuple[int, Measure]] = field(default_factory=dict)  # each feature's, and by how many of its values

    def observe(self, hashes: Hashes, values: npt.NDArray[np.float32]) -> bool:
        """Keep what is still wanted of arrays of shape [n]; tells whether any measure changes by it."""
        numeric = np.flatnonzero(hashes & NUMERIC)
        wanted = [(feature, value) for feature, value in self._wanted(hashes[numeric], values[numeric])]
        before = {feature: _measured(len(self.values.get(feature, ()))) for feature, _ in wanted}
        for feature, value in wanted:
            if len(sample := self.values.setdefault(feature, [])) < SAMPLE:
                sample.append(value)
        return any(_measured(len(self.values[feature])) != count for feature, count in before.items())

    def measures(self) -> Measures:
        """Measure each feature by the largest power of two of its first values."""
        features = sorted(self.values)
        measured = [self._measure(feature) for feature in features]
        edges = np.full((len(features), EDGES), np.inf)
        for row, measure in zip(edges, measured, strict=True):
            row[: len(measure.edges)] = measure.edges
        return Measures(np.array(features, dtype=np.uint32), np.array([measure.size for measure in measured]), edges)

    def _measure(self, feature: int) -> Measure:
        """Measure one feature, unless it has been measured by as many values before."""
        sample = self.values[feature]
        count = _measured(len(sample))
        if self._known.get(feature, (0, UNKNOWN))[0] != count:
            self._known[feature] = (count, _measure(sample[:count]))
        return self._known[feature][1]

    def _wanted(self, hashes: Hashes, values: npt.NDArray[np.float32]) -> Iterable[tuple[int, float]]:
        """Leave out, without a step in Python for each of their values, the features that have enough."""
        features = np.unique(hashes).tolist()
        new = [feature for feature in features if feature not in self.values][: MOST - len(self.values)]
        open_ = [feature for feature in features if 0 < len(self.values.get(feature, ())) < SAMPLE]
        kept = np.isin(hashes, np.array(new + open_, dtype=np.uint32))
        return zip(hashes[kept].tolist(), values[kept].tolist(), strict=True)


def _pairs(hashes: Hashes, values: Floats, places: npt.NDArray[np.int64]) -> Iterable[tuple[int, float]]:
    return zip(hashes[places].tolist(), values[places].tolist(), strict=True)


def _measured(count: int) -> int:
    """Give the largest power of two that is no more than this, 0 for none."""
    return 1 << count.bit_length() - 1 if count else 0


def _measure(sample: list[float]) -> Measure:
    first = np.array(sample)
    size = _size(float(np.abs(first).max()), is_full=len(first) == SAMPLE)
    if len(first) < _LEAST_SAMPLE:
        return Measure(size)
    edges = np.quantile(first, np.linspace(0.0, 1.0, EDGES))
    edges = edges[np.diff(edges, prepend=-np.inf) > _SMALLEST * (edges[-1] - edges[0])]  # rounding makes no two quantiles of one
    return Measure(size, tuple(edges.tolist()) if len(edges) >= _LEAST_EDGES else ())


def _size(largest: float, *, is_full: bool) -> float:
    """Leave numbers within ± 1 as they are, unless all of a full sample are tiny.

    The weights of words are such numbers: what they are to each other would be lost if each were put to its own scale.
    """
    return max(largest, _SMALLEST) if is_full and largest < _TINY else max(largest, 1.0)
