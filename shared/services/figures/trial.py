"""The standing holdout as an experiment: events that were held out beside all others, as sums that windows add to.

An event counts 1/h on its side if it was held out, else 1/(1 − h), where h is the share that was to be held out when it was decided. So
the share may change at any time. The slots of a call are on the same side together: they are one event, which earns their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from shared.domain.events import JoinedEvent
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats, Largest, Smallest, Summed, Sums
from shared.services.figures.logged import Flags

LARGEST_REWARD: Final = 1e6
"""As far as rewards count."""

_POWERS: Final = ("w", "ww", "wr", "wwr", "wwrr")


@dataclass(frozen=True, eq=False, slots=True)
class Trial(Sums):
    """Sums over the events of the experiment by bucket, [B].

    ``held_out`` of the ``events`` were held out; ``expected`` sums the shares h that were to be, and ``variance`` h (1 − h). The others are
    sums of powers of the weights w and the rewards r of both sides, the largest weights that could have come about, and the range of r.
    """

    events: Summed
    held_out: Summed
    expected: Summed
    variance: Summed
    baseline_w: Summed
    baseline_ww: Summed
    baseline_wr: Summed
    baseline_wwr: Summed
    baseline_wwrr: Summed
    learned_w: Summed
    learned_ww: Summed
    learned_wr: Summed
    learned_wwr: Summed
    learned_wwrr: Summed
    baseline_bound: Largest
    learned_bound: Largest
    lowest_reward: Smallest
    highest_reward: Largest

    @staticmethod
    def none(size: int = 0) -> "Trial":
        """Give the sums of so many buckets without events."""
        return Trial(*(np.zeros(size) for _ in fields(Trial)))

    @property
    def moments(self) -> Moments:
        """Give what intervals are made of, [2, B]: the baseline's side, and that of the policy."""
        none, unknown = np.zeros((2, *self.events.shape)), np.full((2, *self.events.shape), np.nan)

        def both(name: str) -> Floats:
            return np.stack([getattr(self, f"{side}_{name}") for side in ("baseline", "learned")])

        sums = {name: both(name) for name in _POWERS}
        own = {
            "rounds": np.stack([self.events] * 2),
            "possible": np.stack([self.held_out, self.events - self.held_out]),
            "d": sums["wr"],
            "dd": sums["wwrr"],
            "ddd": unknown,
            "dddd": unknown,
            "largest_weight": both("bound"),
            "lowest_reward": np.stack([self.lowest_reward] * 2),
            "highest_reward": np.stack([self.highest_reward] * 2),
        }
        return Moments(**{**dict.fromkeys(Moments.__dataclass_fields__, none), **sums, **own})

    @property
    def difference(self) -> Moments:
        """Give what the interval of the difference is made of, [B]: an event of the baseline's side has its weight with a minus sign."""
        of_sides = {name: (getattr(self, f"baseline_{name}"), getattr(self, f"learned_{name}")) for name in _POWERS}
        sums = {name: learned + baseline * (1.0 if name.startswith("ww") else -1.0) for name, (baseline, learned) in of_sides.items()}
        unknown = np.full(self.events.shape, np.nan)
        own = {
            "rounds": self.events,
            "largest_weight": np.maximum(self.baseline_bound, self.learned_bound),
            "lowest_reward": self.lowest_reward,
            "highest_reward": self.highest_reward,
        }
        return Moments(**{**dict.fromkeys(Moments.__dataclass_fields__, unknown), **sums, **own})


@dataclass(frozen=True, eq=False, slots=True)
class Tried:
    """n events of the experiment, in the order of the log: when they were decided, in seconds since 1970, and what they earned."""

    seconds: Floats
    rewards: Floats
    shares: Floats
    is_held_out: Flags

    @staticmethod
    def of(events: Sequence[JoinedEvent]) -> "Tried":
        """Take those of the learned events that were part of it; the slots of a call are one."""
        found = [(each.decision, each.decision.holdout, each.reward) for each in events if each.skip is None and each.decision.holdout]
        keys = [(decision.event_id, decision.decided_at, "" if decision.slot else index) for index, (decision, _, _) in enumerate(found)]
        numbers: dict[tuple[object, ...], int] = {}
        places = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
        _, firsts = np.unique(places, return_index=True)
        rewards = np.clip(np.array([reward for _, _, reward in found], dtype=np.float64), -LARGEST_REWARD, LARGEST_REWARD)
        slots = np.bincount(places, minlength=len(numbers)).astype(np.float64)
        return Tried(
            seconds=np.array([decision.decided_at.timestamp() for decision, _, _ in found], dtype=np.float64)[firsts],
            rewards=np.bincount(places, weights=rewards, minlength=len(numbers)) / np.maximum(slots, 1.0),
            shares=np.array([holdout.share if holdout else 0.0 for _, holdout, _ in found], dtype=np.float64)[firsts],
            is_held_out=np.array([bool(holdout and holdout.is_held_out) for _, holdout, _ in found], dtype=np.bool_)[firsts],
        )

    def __len__(self) -> int:
        return len(self.seconds)

    def sums(self, places: Integers, size: int) -> Trial:
        """Sum up by the buckets that the events are in."""

        def summed(values: Floats) -> Floats:
            return np.bincount(places, weights=values, minlength=size).astype(np.float64)

        def merged(merge: np.ufunc, values: Floats) -> Floats:
            found = np.zeros(size)
            merge.at(found, places, values)
            return found

        shares, held, r = self.shares, self.is_held_out, self.rewards
        weights = {"baseline": held / shares, "learned": ~held / (1.0 - shares)}
        powers = {
            f"{side}_{name}": summed(values)
            for side, w in weights.items()
            for name, values in zip(_POWERS, (w, w * w, w * r, w * w * r, (w * r) ** 2), strict=True)
        }
        return Trial(
            events=summed(np.ones(len(self))),
            held_out=summed(held.astype(np.float64)),
            expected=summed(shares),
            variance=summed(shares * (1.0 - shares)),
            **powers,
            baseline_bound=merged(np.maximum, 1.0 / shares),
            learned_bound=merged(np.maximum, 1.0 / (1.0 - shares)),
            lowest_reward=merged(np.minimum, r),
            highest_reward=merged(np.maximum, r),
        )
