"""How a model scores fast: what it needs of features met lately is laid out, so that it need not be hashed, and looked up, again."""

from collections.abc import Iterator
from functools import cache
from math import sqrt
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.learning import joint_ridge
from shared.learning.crosses import CELLS, Mask, cells, groups_of, mask_of
from shared.learning.encoding import CONSTANT, NUMERIC, EncodedSituation, Floats32, Hashes, Row
from shared.learning.fourier import AMPLITUDE, WAVES, frequencies, phases
from shared.learning.interactions import Interactions
from shared.learning.local_ridge import SIZE
from shared.learning.measures import UNKNOWN, Measures
from shared.learning.segments import Positions, ranges, starts_of
from shared.learning.shared_ridge import prior_draws

CONTEXT_PLACES: Final = 4096
ACTION_PLACES: Final = 512

_AMPLITUDES: Final = np.array([1.0] + [AMPLITUDE] * WAVES, dtype=np.float32)
_LOOKED_UP_AT_ONCE: Final = 1 << 19
"""Crosses: bounds the memory that the widest request takes, and what is laid out beyond what a request asks for."""

_ROUNDING: Final = 1e-9

Places = npt.NDArray[np.int64]


class Scores(NamedTuple):
    """Of K actions: the estimated rewards [K], and what M draws from the posterior deviate from them [K, M] (M may be 0)."""

    mean: Floats32
    draws: Floats32


class Weights(NamedTuple):
    """What is scored with; `shared.learning.model.Model` says what each is."""

    share: float
    ridge: float
    cells: Hashes
    weights: Floats32
    arms: Hashes
    arm_weights: Floats32
    joint_share: float
    joint_weights: Floats32
    measures: Measures
    interactions: Interactions


def shares_of_shared(local: float, joint: float) -> tuple[float, float]:
    """Give what is left to the shared part of an action that has a part of its own, and of another one."""
    left = 1.0 - joint
    return (left - local if left - local > _ROUNDING else 0.0), (left if left > _ROUNDING else 0.0)


class Scorer:
    """Scores by a model, for one thread at a time; what it remembers changes nothing in what it gives.

    Each context feature and each action met has a place. When places run out, all of that side are given anew.
    """

    def __init__(self, model: Weights) -> None:
        self._measures = model.measures
        self._share = model.share
        self._arms = {arm: number for number, arm in enumerate(model.arms.tolist())}
        self._arm_weights = model.arm_weights * _AMPLITUDES
        self._pairs = _Pairs(_whole_table(model), mask_of(model.interactions))
        self._contexts: dict[int, int] = {}
        self._frequencies = np.zeros((self._pairs.most_contexts, WAVES), dtype=np.float32)
        self._actions: dict[Row, int] = {}
        self._arm_of = np.zeros(ACTION_PLACES, dtype=np.int64)
        self._shared_share = np.ones(ACTION_PLACES, dtype=np.float32)
        self._shares = shares_of_shared(model.share, model.joint_share)
        self._joint_constant = model.joint_weights[:, 0]
        self._joint_weights = joint_ridge.as_turns(model.joint_weights)
        self._asks_shared = model.weights.shape[1] > 1
        self._has_joint = bool(model.joint_share) or len(model.joint_weights) > 1
        self._joint_frequencies = np.zeros((self._pairs.most_contexts if self._has_joint else 0, WAVES), dtype=np.float32)
        self._joint_actions = np.zeros((ACTION_PLACES if self._has_joint else 0, 2 * WAVES), dtype=np.float32)

    def scores(self, encoded: EncodedSituation) -> Scores:
        """Do what `shared.learning.model.Model.scores` says."""
        context = encoded.context
        contexts, actions = self._context_places(context.hashes), self._action_places(encoded.actions)
        if not self._share and not self._has_joint:
            shared = self._shared(context, contexts, actions)
            return Scores(shared[:, 0], shared[:, 1:])
        ranked, parts = self._ranked(context), []
        if self._share:
            parts.append(self._own(ranked, contexts, actions))
        if self._has_joint:
            parts.append(self._joint(ranked, contexts, actions))
        mean = parts[0][:, 0] if len(parts) == 1 else parts[0][:, 0] + parts[1][:, 0]
        shares = self._shared_share.take(actions)
        if self._asks_shared or shares.any():
            parts.append(shared := self._shared(context, contexts, actions))
            shares *= shared[:, 0]
            shares += mean
            mean = shares
        drawn = max(parts, key=_channels)
        return Scores(mean, drawn[:, 1:])

    def _joint(self, ranked: Floats32, contexts: Places, actions: Places) -> Floats32:
        turned = joint_ridge.turned(self._joint_weights, ranked @ self._joint_frequencies.take(contexts, axis=0))
        joint: Floats32 = self._joint_actions.take(actions, axis=0) @ turned
        joint += self._joint_constant
        return joint

    def _own(self, ranked: Floats32, contexts: Places, actions: Places) -> Floats32:
        waves = np.empty(SIZE, dtype=np.float32)
        waves[0] = 1.0
        np.cos(ranked @ self._frequencies.take(contexts, axis=0), out=waves[1:])
        arms = self._arm_weights.take(self._arm_of.take(actions), axis=0)
        own: Floats32 = np.matmul(arms.reshape(-1, SIZE), waves, dtype=np.float32)
        return own.reshape(len(actions), -1)

    def _shared(self, context: Row, contexts: Places, actions: Places) -> Floats32:
        worths = self._pairs.worths(context.hashes, contexts, actions)
        shared: Floats32 = self._scaled(context) @ worths.reshape(len(contexts), -1)
        return shared.reshape(len(actions), -1)

    def _scaled(self, context: Row) -> Floats32:
        """Give the context's values put to scale."""
        scaled, measure_of = list(context.values), self._measures.of
        for number, name in enumerate(context.hashes):
            if name & NUMERIC:
                scaled[number] = measure_of(name).scaled(scaled[number])
            elif scaled[number] != 1.0:  # something said more than once, or folded
                scaled[number] = UNKNOWN.scaled(scaled[number])
        return np.array(scaled, dtype=np.float32)

    def _ranked(self, context: Row) -> Floats32:
        """Give the context's values between their quantiles, over the root of their number; the constant stands for the phases."""
        measure_of, share = self._measures.of, 1.0 / sqrt(max(len(context.hashes) - 1, 1))
        ranked = [share] * len(context.hashes)
        for number, (name, value) in enumerate(zip(context.hashes, context.values, strict=True)):
            if name & NUMERIC:
                ranked[number] = share * measure_of(name).ranked(value)
            elif value != 1.0:
                ranked[number] = share * UNKNOWN.scaled(value)
        ranked[0] = 1.0
        return np.array(ranked, dtype=np.float32)

    def _context_places(self, names: tuple[int, ...]) -> Places:
        known = self._contexts
        places = [known.get(name, -1) for name in names]
        if -1 in places:
            new = [name for name in names if name not in known]
            if len(known) + len(new) > self._pairs.most_contexts:
                known.clear()
                self._pairs.forget()
                new = list(names)
            first = len(known)
            known.update(zip(new, range(first, first + len(new)), strict=True))
            if self._share:
                self._frequencies[first : len(known)] = frequencies(np.array(new, dtype=np.uint32))
                if CONSTANT in new:
                    self._frequencies[known[CONSTANT]] = phases()
            if self._has_joint:
                self._joint_frequencies[first : len(known)] = joint_ridge.joint_frequencies(np.array(new, dtype=np.uint32))
                if CONSTANT in new:
                    self._joint_frequencies[known[CONSTANT]] = 0.0  # it is no feature to be similar in
            places = [known[name] for name in names]
        return np.array(places)

    def _action_places(self, rows: tuple[Row, ...]) -> Places:
        known = self._actions
        places = [known.get(row, -1) for row in rows]
        if -1 in places:
            new = [row for row in dict.fromkeys(rows) if row not in known]
            if len(known) + len(new) > ACTION_PLACES:
                known.clear()
                self._pairs.forget(actions=True)
                new = list(dict.fromkeys(rows))
            first = len(known)
            known.update(zip(new, range(first, first + len(new)), strict=True))
            self._pairs.add(new, self._measures)
            arms = np.array([self._arms.get(row.hashes[0], len(self._arms)) for row in new])
            self._arm_of[first : len(known)] = arms
            self._shared_share[first : len(known)] = np.where(arms < len(self._arms), *self._shares)
            if self._has_joint:
                self._joint_actions[first : len(known)] = self._turns_of(new)
            places = [known[row] for row in rows]
        return np.array(places)

    def _turns_of(self, rows: list[Row]) -> Floats32:
        """Give what each action multiplies a turned context with, shape [rows, 2 · WAVES]."""
        hashes = np.array([name for row in rows for name in row.hashes], dtype=np.uint32)
        values = np.array([value for row in rows for value in row.values], dtype=np.float32)
        starts = starts_of(np.array([len(row.hashes) for row in rows], dtype=np.int64))
        return joint_ridge.as_partners(joint_ridge.action_angles(hashes, values, starts, self._measures))


def _channels(part: Floats32) -> int:
    return int(part.shape[1])


class _Pairs:
    """What each context feature adds to the score of each action, per unit of the feature.

    ``_worths`` has shape [context places, action places, channels]; ``_known`` tells which of them were looked up. The entries of
    the actions stand one after another: those at place p from ``_starts[p]`` up to ``_starts[p + 1]``.
    """

    def __init__(self, table: Floats32, mask: Mask | None) -> None:
        self._table = table
        self._mask = mask
        channels = table.shape[1]
        self.most_contexts = CONTEXT_PLACES // channels  # where there are draws, there are few features
        self._worths = np.zeros((self.most_contexts, ACTION_PLACES, channels), dtype=np.float32)
        self._flat = self._worths.ravel() if channels == 1 else self._worths.reshape(-1, channels)
        self._known = np.zeros((self.most_contexts, ACTION_PLACES), dtype=np.bool_)
        self._names = np.zeros(0, dtype=np.uint32)
        self._values = np.zeros(0, dtype=np.float32)
        self._starts: Positions = np.zeros(1, dtype=np.int64)

    def forget(self, *, actions: bool = False) -> None:
        """Forget all that was looked up, and perhaps the actions."""
        self._known[:] = False
        if actions:
            self._names, self._values, self._starts = self._names[:0], self._values[:0], self._starts[:1]

    def add(self, rows: list[Row], measures: Measures) -> None:
        """Give these actions the next places."""
        names = np.array([name for row in rows for name in row.hashes], dtype=np.uint32)
        values = np.array([value for row in rows for value in row.values], dtype=np.float32)
        starts = starts_of(np.array([len(row.hashes) for row in rows]))
        self._names = np.concatenate([self._names, names])
        self._values = np.concatenate([self._values, measures.scaled(names, values).astype(np.float32)])
        self._starts = np.concatenate([self._starts, starts[1:] + self._starts[-1]])

    def worths(self, names: tuple[int, ...], contexts: Places, actions: Places) -> Floats32:
        """Give what these context features, which have these places, add to these actions: [n, K], or [n, K, channels] if several."""
        pairs = contexts[:, None] * ACTION_PLACES + actions
        known = self._known.take(pairs)
        if not known.all():
            self._look_up(np.array(names, dtype=np.uint32), contexts, actions, known)
        given: Floats32 = self._flat.take(pairs, axis=0)
        return given

    def _look_up(self, names: Hashes, contexts: Places, actions: Places, known: npt.NDArray[np.bool_]) -> None:
        """Look up what is missing; for a feature that was met before, of all actions at once, since more will be asked for."""
        met, is_new = known.any(axis=1), ~known.any(axis=0)
        self._look_up_all(names[~met], contexts[~met], actions)
        self._look_up_all(names[met], contexts[met], actions[is_new])
        lacking = met & ~known[:, ~is_new].all(axis=1)
        is_small = np.count_nonzero(lacking) * len(self._names) <= _LOOKED_UP_AT_ONCE
        self._look_up_all(names[lacking], contexts[lacking], np.arange(len(self._starts) - 1) if is_small else actions)

    def _look_up_all(self, names: Hashes, contexts: Places, actions: Places) -> None:
        if not len(names) or not len(actions):
            return
        sizes = self._starts[actions + 1] - self._starts[actions]
        for first, last in _pieces(sizes, _LOOKED_UP_AT_ONCE // len(names)):
            piece, starts = actions[first:last], starts_of(sizes[first:last])
            entries = ranges(self._starts[piece], sizes[first:last])
            with_ = self._names[entries]
            worths = self._table.take(cells(names[:, None], with_), axis=0)
            worths *= self._values[entries, None]
            if self._mask is not None:
                worths *= self._mask[groups_of(names)[:, None], groups_of(with_)][:, :, None]
            places = np.ix_(contexts, piece)
            self._worths[places] = np.add.reduceat(worths, starts[:-1], axis=1)
            self._known[places] = True


def _pieces(sizes: Positions, most: int) -> Iterator[tuple[int, int]]:
    """Cut segments into pieces of ``most`` entries together, or of one segment."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, before + most, side="right")), first + 1)
        yield first, last
        first = last


def _whole_table(model: Weights) -> Floats32:
    channels = model.weights.shape[1]
    table = np.zeros((CELLS, channels), dtype=np.float32)
    if channels > 1:
        np.divide(_unknown_draws(), np.float32(sqrt(model.ridge)), out=table[:, 1:])
    table[model.cells] = model.weights
    return table


@cache
def _unknown_draws() -> Floats32:
    """Give the draws of every cross, were none of them ever met, for a ridge of 1."""
    return prior_draws(np.arange(CELLS), 1.0).astype(np.float32)
