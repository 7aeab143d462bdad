"""How much each member of the ensemble counts in the average: as much as makes the *average* predict best, and not each one alone.

Members err in different ways: what one knows of an item by its id, another knows of a visitor's taste. Their shares are those of a convex
combination with the least squared error (stacking: Breiman 1996, "Stacked regressions") over the latest events, each predicted before it
was learned.
"""

from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.learning.encoding import Floats
from shared.learning.model import MEMBERS

_DISCOUNT: Final = 0.998
_MARGIN: Final = 0.5
"""How far beyond the rewards seen a prediction may count as wrong."""

_RESERVE: Final = 10.0
"""In events' squared errors: by so much a recent member has to be better for counting fully. It errs more, and among many members one
seems better by chance."""

_CHANGED: Final = 25.0
"""In events' squared errors: by so much the best recent member is better than the best steady one when the world has changed."""

_NEARER: Final = 0.5
"""Of the squares by which both differ: how much nearer the rewards lie to the recent member."""

_MISSED: Final = 2.0
"""In standard deviations: by so much the best steady member promises too much when the world has changed."""

_RIDGE: Final = 1e-6  # of the mean squared error: what differs less is equal, and of equals the fewest and first count
_NEGLIGIBLE: Final = 1e-3
_ROUNDING: Final = 1e-9
_TINY: Final = 1e-30

_IS_RECENT: Final = np.arange(MEMBERS) % 2 == 1
"""The members are pairs of a steady and a recent one (`shared.learning.model.Mixture`)."""


@dataclass(eq=False, slots=True)
class Losses:
    """The sums of the products of each two members' errors, [MEMBERS, MEMBERS] in the order of `Mixture`, and the number of events.

    ``promised`` [MEMBERS] sums up the squares of what each predicted, and ``missed`` [MEMBERS] the products of that and of what it was too
    much by. All of them fade with each event. ``lowest`` and ``highest`` are those of all rewards seen, of 0 and of 1.
    """

    products: Floats = field(default_factory=lambda: np.zeros((MEMBERS, MEMBERS)))
    promised: Floats = field(default_factory=lambda: np.zeros(MEMBERS))
    missed: Floats = field(default_factory=lambda: np.zeros(MEMBERS))
    events: float = 0.0
    lowest: float = 0.0
    highest: float = 1.0

    @property
    def squared(self) -> Floats:
        """The members' own squared errors, shape [MEMBERS]."""
        return self.products.diagonal()

    def add(self, predictions: Floats, rewards: Floats, counts: Floats | None = None) -> None:
        """Count what the members predicted, [n, MEMBERS], before they learned the rewards [n], each 1 or ``counts`` [n] times."""
        self.lowest, self.highest = min(self.lowest, float(rewards.min())), max(self.highest, float(rewards.max()))
        predicted = np.clip(predictions, self.lowest - _MARGIN, self.highest + _MARGIN)
        errors = predicted - rewards[:, None]
        fading = _DISCOUNT ** np.arange(len(rewards) - 1, -1, -1.0)
        if counts is not None:
            fading = fading * counts
        faded = _DISCOUNT ** len(rewards)
        added = errors.T @ (errors * fading[:, None])
        self.products = faded * self.products + (added + added.T) / 2.0  # the same both ways, to the last bit
        self.promised = faded * self.promised + fading @ (predicted * predicted)
        self.missed = faded * self.missed + fading @ (predicted * errors)
        self.events = faded * self.events + float(fading.sum())

    def shares(self) -> Floats:
        """Give each member's share in the average, shape [MEMBERS]: none is negative, and together they are 1."""
        shares = _least(self.products, np.where(_IS_RECENT, _RESERVE * self._per_event, 0.0))
        shares[shares < _NEGLIGIBLE] = 0.0
        given: Floats = shares / shares.sum()
        return given

    def deviation(self) -> float:
        """Give the standard deviation of rewards around the best member's predictions; near .5 before there are any."""
        return sqrt((float(self.squared.min()) + 5.0) / (self.events + 20.0))

    def show_change(self) -> bool:
        """Tell whether what was learned long ago misleads.

        Then the best recent member is better than the best steady one, beyond chance; where the two differ, rewards are near to the recent
        one; and the more the steady one expected, the more it was too much. The last alone tells a change from a policy that has become
        better: what that shows now is predicted best by what saw little else, but the steady member expects too little of it.
        """
        squared = self.squared
        steady, recent = (int(which[squared[which].argmin()]) for which in (np.flatnonzero(~_IS_RECENT), np.flatnonzero(_IS_RECENT)))
        ahead = float(squared[steady] - squared[recent])
        apart = float(squared[steady] + squared[recent] - 2.0 * self.products[steady, recent])
        by_chance = sqrt(self._per_event * float(self.promised[steady]))
        return ahead > _CHANGED * self._per_event and ahead > _NEARER * apart and float(self.missed[steady]) > _MISSED * by_chance

    def begin_anew(self) -> None:
        """Let each steady member count as its recent one does, as which it begins anew."""
        of = np.repeat(np.flatnonzero(_IS_RECENT), 2)
        self.products = self.products[np.ix_(of, of)]
        self.promised, self.missed = self.promised[of], self.missed[of]

    @property
    def _per_event(self) -> float:
        return float(self.squared.min()) / max(self.events, 1.0)


@cache
def _supports() -> npt.NDArray[np.bool_]:
    """Give every set of members but the empty one, the smallest first, shape [sets, MEMBERS]."""
    return np.array([np.isin(range(MEMBERS), chosen) for size in range(1, MEMBERS + 1) for chosen in combinations(range(MEMBERS), size)])


def _least(products: Floats, costs: Floats) -> Floats:
    """Give the w ≥ 0 with Σw = 1 that makes ``w·products·w + costs·w`` least.

    Each set of members that may count gives a system of linear equations; of the answers without a negative share the least is taken,
    of equal ones the first with the fewest members.
    """
    chosen = _supports()
    size = len(products)
    equations = np.zeros((len(chosen), size + 1, size + 1))
    both = chosen[:, :, None] & chosen[:, None, :]
    scale = products.trace() / size + _TINY
    equations[:, :size, :size] = np.where(both, 2.0 * (products / scale + _RIDGE * np.eye(size)), np.eye(size))
    equations[:, size, :size] = equations[:, :size, size] = chosen
    right = np.ones((len(chosen), size + 1))
    right[:, :size] = -costs / scale * chosen
    shares = np.linalg.solve(equations, right[:, :, None])[:, :size, 0]
    values = np.einsum("sm,mn,sn->s", shares, products, shares) + shares @ costs
    values[shares.min(axis=1) < -_ROUNDING] = np.inf
    first = int((values <= values.min() + _RIDGE * scale).argmax())
    least: Floats = np.maximum(shares[first], 0.0)
    return least
