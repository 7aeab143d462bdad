"""What Rank scores with: one weight for each cross of a context feature with an action feature, and an action's own waves.

All members of the learner's ensemble are linear in these, so their average is one model of the same shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from math import sqrt
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.learning.crosses import CELLS, cells
from shared.learning.encoding import CONSTANT, NUMERIC, EncodedSituation, Floats32, Hashes, Row
from shared.learning.fourier import AMPLITUDE, WAVES, frequencies, phases
from shared.learning.interactions import EVERYTHING, Interactions, groups_of
from shared.learning.local_ridge import SIZE, LocalRidge
from shared.learning.local_ridge import prior_draws as prior_draws_of_arms
from shared.learning.measures import UNKNOWN, Measures
from shared.learning.segments import starts_of
from shared.learning.shared_ridge import DRAWS, FORGETTING, RECENT, STEADY, SharedRidge, prior_draws

_LEAST_SHARE: Final = 0.02
"""A member with less of a share has nothing to say about what is uncertain."""

_AMPLITUDES: Final = np.array([1.0] + [AMPLITUDE] * WAVES, dtype=np.float32)
_CONTEXT_PLACES: Final = 4096
_ACTION_PLACES: Final = 512
_FILLED_AT_ONCE: Final = 1 << 19  # crosses: bounds the memory that the widest request takes

Places = npt.NDArray[np.int64]


class Scores(NamedTuple):
    """Of K actions: the estimated rewards [K], and what M draws from the posterior deviate from them [K, M] (M may be 0)."""

    mean: Floats32
    draws: Floats32


class Mixture(NamedTuple):
    """The shares of the learner's members in their average."""

    steady: float
    recent: float
    local: float
    recent_local: float

    def remembered(self, learned: int) -> float:
        """Give how many events the average remembers: recent members forget."""
        forgetful = self.recent + self.recent_local
        return learned - forgetful * max(learned - 1.0 / (1.0 - FORGETTING), 0.0)


MEMBERS: Final = len(Mixture._fields)


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """A published model; nothing in it changes but what it remembers of features met lately (by one thread at a time).

    ``cells`` (uint32 [n], ascending) are the crosses that were met, ``weights`` (float32 [n, 1 or 1 + DRAWS]) their weights and
    perhaps draws; ``ridge`` scales the draws of the others. ``deviation`` is that of rewards around predictions, and ``remembered``
    how many of the ``learned`` events still count. ``arms`` (uint32 [a]) are ids' hashes with weights of their own,
    ``arm_weights`` (float32 [a + 1, 1 or 1 + DRAWS, SIZE]), which count for ``share`` of the score; the last row is for all others.
    It scores what was encoded for its ``interactions``.
    """

    learned: int
    remembered: float
    deviation: float
    share: float
    ridge: float
    cells: Hashes
    weights: Floats32
    arms: Hashes
    arm_weights: Floats32
    measures: Measures
    interactions: Interactions = EVERYTHING
    _memory: "list[_Memory]" = field(default_factory=list, init=False, repr=False)

    @staticmethod
    def cold() -> "Model":
        """Give a model that knows nothing."""
        return Model(0, 0.0, 0.5, 0.0, 1.0, *_no_weights(), *_no_arms(), Measures.none())

    @staticmethod
    def of(shared: SharedRidge, local: LocalRidge, measures: Measures, mixture: Mixture, *, learned: int, deviation: float) -> "Model":
        """Average the members of an ensemble; draws are those of the one with the largest share that has any."""
        of_shared, of_local = mixture.steady + mixture.recent, mixture.local + mixture.recent_local
        ask_shared = shared.is_open and of_shared >= max(of_local, _LEAST_SHARE)
        met = np.flatnonzero(shared.met)
        weights = shared.weights[met].astype(np.float64)
        mean = (mixture.steady * weights[:, STEADY] + mixture.recent * weights[:, RECENT]) / of_shared if of_shared else weights[:, STEADY]
        columns = [mean, *(weights[:, 2:].T if ask_shared else ())]
        arms = _arms(local, mixture, draws=not ask_shared and of_local >= _LEAST_SHARE) if of_local else _no_arms()
        return Model(
            learned,
            mixture.remembered(learned),
            deviation,
            of_local,
            shared.precision,
            met.astype(np.uint32),
            np.column_stack(columns).astype(np.float32),
            *arms,
            measures,
        )

    @property
    def is_cold(self) -> bool:
        """Whether it has yet to learn from a first event."""
        return self.learned == 0

    def scores(self, encoded: EncodedSituation) -> Scores:
        """Estimate the reward of each action, and how far off the estimate may be."""
        if not self._memory:
            self.prepare()
        return self._memory[0].scores(encoded)

    def prepare(self) -> None:
        """Lay out what scoring takes, so that no request has to wait for it; who only writes a model does without."""
        self._memory.append(_Memory(self))


class _Memory:
    """What pairs of features that were met lately are worth, so that they need not be looked up, and multiplied out, again.

    A place is a number for a context feature or for an action; ``pairs`` [context places · action places, channels] has what each
    pair of places adds to the score per unit of the context feature, ``known`` which of them were filled in. When places run
    out, all of that side are given anew.
    """

    def __init__(self, model: Model) -> None:
        self._measures = model.measures
        self._mask = model.interactions.mask
        self._share = model.share
        self._arms = {arm: number for number, arm in enumerate(model.arms.tolist())}
        self._arm_weights = model.arm_weights * _AMPLITUDES
        self._table = _whole_table(model)
        channels = model.weights.shape[1]
        self._most_contexts = _CONTEXT_PLACES // channels  # where there are draws, there are few features
        self._pairs = np.zeros((self._most_contexts * _ACTION_PLACES, channels), dtype=np.float32)
        self._known = np.zeros(len(self._pairs), dtype=np.bool_)
        self._contexts: dict[int, int] = {}
        self._frequencies = np.zeros((self._most_contexts, WAVES), dtype=np.float32)
        self._actions: dict[Row, int] = {}
        self._arm_of = np.zeros(_ACTION_PLACES, dtype=np.int64)
        self._shared_share = np.ones(_ACTION_PLACES, dtype=np.float32)

    def scores(self, encoded: EncodedSituation) -> Scores:
        contexts, actions = self._context_places(encoded.context.hashes), self._action_places(encoded.actions)
        if not self._share:
            shared = self._shared(encoded, contexts, actions)
            return Scores(shared[:, 0], shared[:, 1:])
        own = self._own(encoded.context, contexts, actions)
        shares = self._shared_share.take(actions)
        if not shares.any():
            return Scores(own[:, 0], own[:, 1:])
        shared = self._shared(encoded, contexts, actions)
        return Scores(shares * shared[:, 0] + own[:, 0], shared[:, 1:] if shared.shape[1] > 1 else own[:, 1:])

    def _own(self, context: Row, contexts: Places, actions: Places) -> Floats32:
        waves = np.empty(SIZE, dtype=np.float32)
        waves[0] = 1.0
        np.cos(self._ranked(context) @ self._frequencies.take(contexts, axis=0), out=waves[1:])
        arms = self._arm_weights.take(self._arm_of.take(actions), axis=0)
        own: Floats32 = np.matmul(arms.reshape(-1, SIZE), waves, dtype=np.float32)
        return own.reshape(len(actions), -1)

    def _shared(self, encoded: EncodedSituation, contexts: Places, actions: Places) -> Floats32:
        scaled = self._scaled(encoded.context)
        pairs = contexts[:, None] * _ACTION_PLACES + actions
        if not (known := self._known.take(pairs)).all():
            self._fill(encoded, pairs, ~known)
        channels = self._pairs.shape[1]
        if channels == 1:
            single: Floats32 = scaled @ self._pairs.ravel().take(pairs)
            return single[:, None]
        several: Floats32 = scaled @ self._pairs.take(pairs, axis=0).reshape(len(scaled), -1)
        return several.reshape(-1, channels)

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
            if len(known) + len(new) > self._most_contexts:
                known.clear()
                self._known[:] = False
                new = list(names)
            first = len(known)
            known.update(zip(new, range(first, first + len(new)), strict=True))
            if self._share:
                self._frequencies[first : len(known)] = frequencies(np.array(new, dtype=np.uint32))
                if CONSTANT in new:
                    self._frequencies[known[CONSTANT]] = phases()
            places = [known[name] for name in names]
        return np.array(places)

    def _action_places(self, rows: tuple[Row, ...]) -> Places:
        known = self._actions
        places = [known.get(row, -1) for row in rows]
        if -1 in places:
            new = [row for row in dict.fromkeys(rows) if row not in known]
            if len(known) + len(new) > _ACTION_PLACES:
                known.clear()
                self._known[:] = False
                new = list(dict.fromkeys(rows))
            first = len(known)
            known.update(zip(new, range(first, first + len(new)), strict=True))
            arms = np.array([self._arms.get(row.hashes[0], len(self._arms)) for row in new])
            self._arm_of[first : len(known)] = arms
            self._shared_share[first : len(known)] = np.where(arms < len(self._arms), 1.0 - self._share, 1.0)
            places = [known[row] for row in rows]
        return np.array(places)

    def _fill(self, encoded: EncodedSituation, pairs: Places, missing: npt.NDArray[np.bool_]) -> None:
        """Look up the pairs of all context features and of all actions of which one is missing."""
        contexts, actions = np.flatnonzero(missing.any(axis=1)), np.flatnonzero(missing.any(axis=0))
        features = np.array(encoded.context.hashes, dtype=np.uint32)[contexts]
        rows, places = [encoded.actions[number] for number in actions.tolist()], pairs[np.ix_(contexts, actions)]
        step = max(_FILLED_AT_ONCE // (len(features) * max([len(row.hashes) for row in rows])), 1)
        for first in range(0, len(rows), step):
            self._fill_some(features, rows[first : first + step], places[:, first : first + step])

    def _fill_some(self, features: Hashes, rows: Sequence[Row], pairs: Places) -> None:
        names = np.array([name for row in rows for name in row.hashes], dtype=np.uint32)
        values = np.array([value for row in rows for value in row.values], dtype=np.float32)
        starts = starts_of(np.array([len(row.hashes) for row in rows]))[:-1]
        of_context = features[:, None]
        worth = self._table.take(cells(of_context, names), axis=0)
        worth *= self._measures.scaled(names, values).astype(np.float32)[:, None]
        if self._mask is not None:
            worth *= self._mask[groups_of(of_context), groups_of(names)][:, :, None]
        self._pairs[pairs] = np.add.reduceat(worth, starts, axis=1)
        self._known[pairs] = True


def _whole_table(model: Model) -> Floats32:
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


def _arms(local: LocalRidge, mixture: Mixture, *, draws: bool) -> tuple[Hashes, Floats32]:
    channels = 1 + DRAWS if draws else 1
    weights = np.zeros((len(local.arms) + 1, channels, SIZE), dtype=np.float32)
    for number, arm in enumerate(local.arms.values()):
        surer = arm.steady if mixture.local >= mixture.recent_local else arm.recent
        weights[number, 1:] = surer.weights[:, 1:channels].T
        weights[number, 0] = mixture.local * arm.steady.weights[:, 0] + mixture.recent_local * arm.recent.weights[:, 0]
    weights[-1, 1:] = prior_draws_of_arms().T[: channels - 1]
    return np.array(list(local.arms), dtype=np.uint32), weights


def _no_weights() -> tuple[Hashes, Floats32]:
    return np.zeros(0, np.uint32), np.zeros((0, 1), np.float32)


def _no_arms() -> tuple[Hashes, Floats32]:
    return np.zeros(0, np.uint32), np.zeros((1, 1, SIZE), np.float32)
