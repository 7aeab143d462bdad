"""A model's weights by name: hashes cannot be turned back, so names come from events that have the features."""

from dataclasses import dataclass
from heapq import nsmallest
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.domain.events import Situation
from shared.learning.crosses import CELLS, cells, groups_of, mask_of
from shared.learning.encoding import Floats, Hashes, Row
from shared.learning.explanation import LONGEST_NAME, JointParts, NamingEncoder, alone_by, readable, turned_by
from shared.learning.fourier import AMPLITUDE
from shared.learning.model import Model

MOST_FEATURES: Final = 50_000
MOST_PAIRS: Final = CELLS
"""How many features, and pairs of features, get names; of more pairs those are kept that most events have."""

MOST_WORTHS: Final = 1_000
"""How many features are told of an action's own part, the largest."""

_AT_ONCE: Final = 1 << 20  # pairs that wait to be counted: bounds the memory
_ACTION: Final = np.uint64(0xFFFFFFFF)
_SHIFT: Final = np.uint64(32)


@dataclass(frozen=True, slots=True)
class PairWeight:
    """A weight that all actions share: of a feature of the context ("": any) with one of the action, as so many ``events`` had them.

    Both values, multiplied and divided by ``scale``, are multiplied by ``weight``. Pairs that meet in one ``cell`` share it.
    """

    context: str
    action: str
    weight: float
    scale: float
    events: int
    cell: int


@dataclass(frozen=True, slots=True)
class OwnWorth:
    """What a feature of the context has added to the estimate of an action with a part of its own, on average of ``events``."""

    context: str
    worth: float
    events: int


@dataclass(frozen=True, slots=True)
class OwnPart:
    """An action's own part: what it is worth ``alone``, without any feature, and what each feature adds, the largest first."""

    action: str
    alone: float
    worths: tuple[OwnWorth, ...]


@dataclass(frozen=True, slots=True)
class JointWorth:
    """What a feature of the context, or of the action, has added by the joint part to the estimate of what was shown, on average."""

    context: str
    action: str
    worth: float
    events: int


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    events: int = 0


class NamedWeights:
    """Collects names from events, one by one."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._encoder = NamingEncoder(model.interactions, lambda text: readable(text)[:LONGEST_NAME])
        self._pairs = np.zeros(0, dtype=np.uint64)
        self._counts = np.zeros(0, dtype=np.int64)
        self._waiting: list[npt.NDArray[np.uint64]] = []
        self._waits = 0
        self._arms = AMPLITUDE * model.arm_weights[:-1, 0, 1:].astype(np.float64).T
        self._own: dict[int, Floats] = {}
        self._own_events: dict[int, int] = {}
        self._joint: dict[tuple[int, int], _Mean] = {}

    @property
    def features(self) -> int:
        """How many features have a name by now."""
        return self._encoder.known

    @property
    def is_full(self) -> bool:
        """Whether no further event is to be taken."""
        return self.features >= MOST_FEATURES

    def take(self, situation: Situation, action: int) -> None:
        """Take the names of an event's features, with the action that was learned about."""
        encoded = self._encoder.encode(situation)
        of, with_ = (np.array(row.hashes, dtype=np.uint64) for row in (encoded.context, encoded.actions[action]))
        self._waiting.append((of[:, None] << _SHIFT | with_).ravel())
        self._waits += len(of) * len(with_)
        if self._waits >= _AT_ONCE:
            self._count()
        if self._arms.shape[1]:
            self._turn(encoded.context)
        for pair, worth in JointParts(self._model, encoded.context).of(encoded.actions[action]).items():
            mean = self._joint.setdefault(pair, _Mean())
            mean.total += worth
            mean.events += 1

    def _turn(self, context: Row) -> None:
        for feature, worths in zip(context.hashes[1:], turned_by(self._model, context) @ self._arms, strict=True):
            self._own[feature] = self._own[feature] + worths if feature in self._own else worths
            self._own_events[feature] = self._own_events.get(feature, 0) + 1

    def _count(self) -> None:
        """Add what waits to the counts: of pairs that the model has a weight for."""
        found, counts = np.unique(np.concatenate(self._waiting or [self._pairs[:0]]), return_counts=True)
        self._waiting, self._waits = [], 0
        kept = np.isin(_cells(found), self._model.cells) & self._is_crossed(found)
        pairs, places = np.unique(np.concatenate([self._pairs, found[kept]]), return_inverse=True)
        totals = np.bincount(places, np.concatenate([self._counts, counts[kept]]), len(pairs)).astype(np.int64)
        if len(pairs) > MOST_PAIRS:
            most = np.sort(np.argpartition(-totals, MOST_PAIRS)[:MOST_PAIRS])
            pairs, totals = pairs[most], totals[most]
        self._pairs, self._counts = pairs, totals

    def _is_crossed(self, pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        mask = mask_of(self._model.interactions)
        if mask is None:
            return np.ones(len(pairs), dtype=np.bool_)
        crossed: npt.NDArray[np.bool_] = mask[groups_of(_context(pairs)), groups_of(_action(pairs))]
        return crossed

    def pairs(self) -> list[PairWeight]:
        """Give the weights that have names, the largest first."""
        self._count()
        name, measures = self._encoder.name, self._model.measures
        at = _cells(self._pairs)
        weights = self._model.weights[np.searchsorted(self._model.cells, at), 0].astype(np.float64)
        ones = np.ones(len(self._pairs))
        sizes = [1.0 / measures.scaled(hashes, ones) for hashes in (_context(self._pairs), _action(self._pairs))]
        columns = [each.tolist() for each in (_context(self._pairs), _action(self._pairs), weights, sizes[0] * sizes[1], self._counts, at)]
        found = [
            PairWeight(name(of), name(with_), weight, scale, events, cell)
            for of, with_, weight, scale, events, cell in zip(*columns, strict=True)
        ]
        return sorted(found, key=lambda each: (-abs(each.weight), each.context, each.action))

    def own_parts(self) -> list[OwnPart]:
        """Give the own part of each action that has one and a name, in the order of the names."""
        parts = []
        for place, arm in enumerate(self._model.arms.tolist()):
            worths = [
                OwnWorth(self._encoder.name(feature), float(sums[place]) / self._own_events[feature], self._own_events[feature])
                for feature, sums in self._own.items()
            ]
            worths = nsmallest(MOST_WORTHS, worths, key=lambda each: (-abs(each.worth), each.context))
            alone = alone_by(self._model.arm_weights[place, 0].astype(np.float64))
            if name := self._encoder.name(arm):
                parts.append(OwnPart(name.removeprefix("id="), alone, tuple(worths)))
        return sorted(parts, key=lambda each: each.action)

    def joint_worths(self) -> list[JointWorth]:
        """Give what features add by the joint part, the largest first, and among them what it adds without any ("" and "")."""
        name = self._encoder.name
        found = [JointWorth(name(of), name(with_), each.total / each.events, each.events) for (of, with_), each in self._joint.items()]
        return nsmallest(MOST_WORTHS, found, key=lambda each: (-abs(each.worth), each.context, each.action))

    def unnamed(self) -> int:
        """Tell how many of the model's weights no event had a name for."""
        self._count()
        return len(self._model.cells) - len(np.unique(_cells(self._pairs)))


def _context(pairs: npt.NDArray[np.uint64]) -> Hashes:
    return (pairs >> _SHIFT).astype(np.uint32)


def _action(pairs: npt.NDArray[np.uint64]) -> Hashes:
    return (pairs & _ACTION).astype(np.uint32)


def _cells(pairs: npt.NDArray[np.uint64]) -> Hashes:
    return cells(_context(pairs), _action(pairs))
