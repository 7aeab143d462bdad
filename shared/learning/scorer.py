"""How a model scores fast: what it needs of features met lately is laid out, so that it need not be hashed, and looked up, again."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from math import isnan, sqrt
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from shared.learning import joint_ridge
from shared.learning.bends import Bends, Places
from shared.learning.crosses import CELLS, Mask, cells, groups_of, mask_of
from shared.learning.encoding import CONSTANT, NUMERIC, EncodedSituation, Floats32, Hashes, Row
from shared.learning.fourier import WAVES, frequencies, phases
from shared.learning.interactions import Interactions
from shared.learning.measures import UNKNOWN, Measure, Measures
from shared.learning.segments import Positions, ranges, starts_of
from shared.learning.shared_ridge import prior_draws

CONTEXT_PLACES: Final = 4096
ACTION_PLACES: Final = 512
_MOST_ROWS: Final = 4 * ACTION_PLACES
"""Actions by what they are, of which several may say the same."""

_FIRST_PLACES: Final = 32
"""Of each side; there are twice as many whenever more are needed: a loop of a few actions takes a hundredth of what the widest takes."""

_LOOKED_UP_AT_ONCE: Final = 3 << 17
"""Crosses: bounds the memory that the widest request takes, and what is laid out beyond what a request asks for."""

_FLOATS_AT_ONCE: Final = 1 << 19
"""Numbers that are laid out for several situations at a time."""

_TAKEN_AT_ONCE: Final = 1 << 14
"""Numbers of context features with all actions, of which those that a request asks for are taken."""

_ROUNDING: Final = 1e-9
_PLACE: Final = np.dtype(np.int64)
_FLOAT32: Final = np.dtype(np.float32)


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


_Offered = tuple[Places, Floats32, bool]
"""Of the actions of a request: their places [K], how much the shared part counts for each [K], and whether it does for any."""


def shares_of_shared(local: float, joint: float) -> tuple[float, float]:
    """Give what is left to the shared part of an action that has a part of its own, and of another one."""
    left = 1.0 - joint
    return (left - local if left - local > _ROUNDING else 0.0), (left if left > _ROUNDING else 0.0)


class Scorer:
    """Scores by a model; what it remembers changes nothing in what it gives. May be shared between threads, which wait for each other.

    Each context feature and each action met has a place; there are as many as were needed so far. When no more may be made, all of that
    side are given anew. An action that an encoder forgot, and made anew, has the place that it had.
    """

    def __init__(self, model: Weights) -> None:
        self._measures = model.measures
        has_joint = bool(model.joint_share) or len(model.joint_weights) > 1
        self._bends = Bends(model.arm_weights, model.joint_weights, has_own=bool(model.share), has_joint=has_joint)
        self._arms = {arm: number for number, arm in enumerate(model.arms.tolist())}
        self._pairs = _Pairs(_Table(model), mask_of(model.interactions))
        self._contexts: dict[int, int] = {}
        """The place of each context feature."""
        self._measures_of: dict[int, Measure] = {}
        """The measure of each of them that is a number."""
        self._actions: dict[Row, int] = {}
        self._places_of: dict[tuple[tuple[int, ...], tuple[float, ...]], int] = {}
        self._last: tuple[tuple[Row, ...], _Offered] = (), (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32), False)
        """The actions of the last request, which have places still."""
        self._shared_share = np.zeros(0, dtype=np.float32)
        self._shares = shares_of_shared(model.share, model.joint_share)
        self._asks_shared = model.weights.shape[1] > 1
        self._frequencies = np.zeros((0, self._bends.waves), dtype=np.float32)
        """Of each context feature, those of the actions' own waves and those of the joint ones, as far as there are such parts."""
        self._lock = Lock()
        """Held while places are in use: another thread might give them to other features and actions."""

    def scores(self, encoded: EncodedSituation) -> Scores:
        """Do what `shared.learning.model.Model.scores` says."""
        with self._lock:
            return self._scores(encoded)

    def _scores(self, encoded: EncodedSituation) -> Scores:
        contexts, ranked, scaled = self._laid_out(encoded.context)
        actions, shares, has_shares = self._offered(encoded.actions)
        if not self._bends.waves:
            shared = self._shared(encoded.context, scaled, contexts, actions)
            return Scores(shared[:, 0], shared[:, 1:])
        bent = self._bends.scores(ranked.dot(self._frequencies.take(contexts, 0)), actions)
        if not self._asks_shared and not has_shares:
            return Scores(bent[:, 0], bent[:, 1:])
        shared = self._shared(encoded.context, scaled, contexts, actions)
        mean = shares * shared[:, 0]
        mean += bent[:, 0]
        return Scores(mean, (shared if shared.shape[1] > bent.shape[1] else bent)[:, 1:])

    # --- many situations at once ---------------------------------------------------------------------------------------

    def scores_of_many(self, situations: Sequence[EncodedSituation]) -> Iterator[tuple[Places, Scores]]:
        """Give what `scores` gives of each of them, those with as many actions together.

        With the scores, [n, K] and [n, K, M], comes where each of the n stands among those given, shape [n].
        """
        for first, last in self._fitting(situations, 0, len(situations)):
            with self._lock:
                found = list(self._scores_of_some(situations[first:last]))
            yield from [(first + places, scores) for places, scores in found]

    def _scores_of_some(self, situations: Sequence[EncodedSituation]) -> Iterator[tuple[Places, Scores]]:
        """Do so for situations whose features, and whose actions, all have a place at the same time."""
        some = _Situations.of(situations, self._measures)
        of_features = self._context_places(tuple(some.features.tolist()))
        contexts, actions = of_features.take(some.feature_of), self._action_places(some.actions)
        if self._asks_shared or self._shared_share.take(actions).any():
            self._pairs.look_up_together(some.features, of_features, np.unique(actions))
        angles = _angles(some, contexts, self._frequencies)
        for rows in _alike(some.widths):
            width = int(some.widths[rows[0]])
            asked = actions.take(some.action_starts.take(rows)[:, None] + np.arange(width))
            for piece in _pieces_of(len(rows), self._floats(width)):
                yield rows[piece], self._scores_of_alike(some, rows[piece], asked[piece], contexts, angles)

    def _fitting(self, situations: Sequence[EncodedSituation], first: int, last: int) -> Iterator[tuple[int, int]]:
        """Cut situations into parts whose features, and whose actions, all have a place at the same time."""
        features = {name for each in situations[first:last] for name in each.context.hashes}
        rows = {row for each in situations[first:last] for row in each.actions}
        actions = {(row.hashes, row.values) for row in rows}
        is_too_much = len(features) > self._pairs.most_contexts or len(actions) > ACTION_PLACES or len(rows) > _MOST_ROWS
        if last - first > 1 and is_too_much:
            middle = (first + last) // 2
            yield from self._fitting(situations, first, middle)
            yield from self._fitting(situations, middle, last)
        elif last > first:
            yield first, last

    def _floats(self, width: int) -> int:
        """Bound how many numbers a situation of so many actions is laid out in."""
        return width * self._bends.size

    def _scores_of_alike(self, some: "_Situations", rows: Places, actions: Places, contexts: Places, angles: Floats32) -> Scores:
        """Score situations of K actions each, which have the places ``actions`` [n, K]."""
        if not self._bends.waves:
            shared = self._shared_of_many(some, rows, contexts, actions)
            return Scores(shared[..., 0], shared[..., 1:])
        bent = self._bends.scores_of_many(angles.take(rows, axis=0), actions)
        shares = self._shared_share.take(actions)
        if not self._asks_shared and not shares.any():
            return Scores(bent[..., 0], bent[..., 1:])
        shared = self._shared_of_many(some, rows, contexts, actions)
        return Scores(shares * shared[..., 0] + bent[..., 0], max(bent, shared, key=_channels)[..., 1:])

    def _shared_of_many(self, some: "_Situations", rows: Places, contexts: Places, actions: Places) -> Floats32:
        shared = np.empty((*actions.shape, self._pairs.channels), dtype=np.float32)
        for alike in _alike(some.sizes.take(rows)):
            size = int(some.sizes[rows[alike[0]]])
            for piece in _pieces_of(len(alike), size * shared[0].size):
                which = alike[piece]
                entries = some.starts.take(rows[which])[:, None] + np.arange(size)
                worths = self._pairs.worths_of_many(some.hashes.take(entries), contexts.take(entries), actions[which])
                of_these = some.scaled.take(entries)[:, None, :] @ worths.reshape(len(which), size, -1)
                shared[which] = of_these.reshape(len(which), *shared.shape[1:])
        return shared

    # -------------------------------------------------------------------------------------------------------------------

    def _shared(self, context: Row, scaled: Floats32, contexts: Places, actions: Places) -> Floats32:
        worths = self._pairs.worths(context.hashes, contexts, actions)
        shared: Floats32 = scaled.dot(worths.reshape(len(contexts), -1))
        return shared.reshape(len(actions), -1)

    def _laid_out(self, context: Row) -> tuple[Places, Floats32, Floats32]:
        """Give the places of the context's features, their values between their quantiles, and their values put to scale.

        Values between quantiles are divided by the root of their number; the constant stands for the phases.
        """
        try:
            places, ranked, scaled = self._told(context)
        except KeyError:
            self._context_places(context.hashes)
            places, ranked, scaled = self._told(context)
        ranked[0] = 1.0
        count = len(places)
        return np.fromiter(places, _PLACE, count), np.fromiter(ranked, _FLOAT32, count), np.fromiter(scaled, _FLOAT32, count)

    def _told(self, context: Row) -> tuple[list[int], list[float], list[float]]:
        names, count = context.hashes, len(context.hashes)
        places = list(map(self._contexts.__getitem__, names))
        share = 1.0 / sqrt(max(count - 1, 1))
        ranked, scaled = [share] * count, [1.0] * count  # as all that is said once, and is no number
        for at, value in enumerate(context.values):
            name = names[at]
            if name & NUMERIC:
                measure = self._measures_of[name]
                ranked[at], scaled[at] = share * measure.ranked(value), measure.scaled(value)
            elif value != 1.0:  # something said more than once, or folded
                scaled[at] = worth = UNKNOWN.scaled(value)
                ranked[at] = share * worth
        return places, ranked, scaled

    def _context_places(self, names: tuple[int, ...]) -> Places:
        known = self._contexts
        new = [name for name in names if name not in known]
        if len(known) + len(new) > self._pairs.most_contexts:
            known.clear()
            self._measures_of.clear()
            self._pairs.forget()
            new = list(names)
        if new:
            self._give_context_places(new)
        return np.array([known[name] for name in names])

    def _give_context_places(self, new: list[int]) -> None:
        known, first = self._contexts, len(self._contexts)
        self._measures_of.update({name: self._measures.of(name) for name in new if name & NUMERIC})
        known.update({name: place for place, name in enumerate(new, start=first)})
        self._make_room_for_contexts(len(known))
        hashes, given = np.array(new, dtype=np.uint32), self._frequencies[first : len(known)]
        if self._bends.has_own:
            given[:, :WAVES] = frequencies(hashes)
            if CONSTANT in new:
                given[new.index(CONSTANT), :WAVES] = phases()
        if self._bends.has_joint:
            given[:, -WAVES:] = joint_ridge.joint_frequencies(hashes)
            if CONSTANT in new:
                given[new.index(CONSTANT), -WAVES:] = 0.0  # it is no feature to be similar in

    def _offered(self, rows: tuple[Row, ...]) -> "_Offered":
        last, offered = self._last
        if rows != last:
            actions = self._action_places(rows)
            shares = self._shared_share.take(actions)
            offered = actions, shares, bool(np.count_nonzero(shares))
            self._last = rows, offered
        return offered

    def _action_places(self, rows: tuple[Row, ...]) -> Places:
        known = self._actions
        try:
            return np.fromiter(map(known.__getitem__, rows), _PLACE, len(rows))
        except KeyError:
            self._meet_actions(rows)
            return np.array([known[row] for row in rows])

    def _meet_actions(self, rows: tuple[Row, ...]) -> None:
        """Give a place to all of them that have none, those of all others anew if there are too many."""
        known = self._actions
        unknown = [row for row in dict.fromkeys(rows) if row not in known]
        new = self._unlike(unknown)
        if len(self._places_of) + len(new) > ACTION_PLACES or len(known) + len(unknown) > _MOST_ROWS:
            known.clear()
            self._last = (), self._last[1]
            self._places_of.clear()
            self._pairs.forget(actions=True)
            unknown = list(dict.fromkeys(rows))
            new = self._unlike(unknown)
        if new:
            self._give_places(new)
        for row in unknown:
            known[row] = self._places_of[row.hashes, row.values]

    def _unlike(self, rows: Iterable[Row]) -> list[Row]:
        """Leave out rows that say what one says that has a place, or what one of them says before."""
        return list({(row.hashes, row.values): row for row in rows if (row.hashes, row.values) not in self._places_of}.values())

    def _give_places(self, new: list[Row]) -> None:
        first = len(self._places_of)
        last = first + len(new)
        self._places_of.update({(row.hashes, row.values): first + number for number, row in enumerate(new)})
        self._make_room_for_actions(last)
        entries = _Entries.of(new)
        self._pairs.add(entries, self._measures)
        arms = np.array([self._arms.get(row.hashes[0], len(self._arms)) for row in new])
        self._shared_share[first:last] = np.where(arms < len(self._arms), *self._shares)
        angles = joint_ridge.action_angles(*entries, self._measures) if self._bends.has_joint else None
        self._bends.give(first, arms, angles)

    def _make_room_for_contexts(self, count: int) -> None:
        if count <= self._pairs.contexts:
            return
        self._pairs.make_room(contexts=count)
        self._frequencies = _longer(self._frequencies, self._pairs.contexts)

    def _make_room_for_actions(self, count: int) -> None:
        if count <= self._pairs.actions:
            return
        self._pairs.make_room(actions=count)
        self._bends.make_room(self._pairs.actions)
        self._shared_share = _longer(self._shared_share, self._pairs.actions)


def _channels(part: Floats32) -> int:
    return int(part.shape[-1])


class _Entries(NamedTuple):
    """The entries of rows, one after another; those of row i from ``starts[i]`` up to ``starts[i + 1]``."""

    names: Hashes
    values: Floats32
    starts: Positions

    @staticmethod
    def of(rows: Sequence[Row]) -> "_Entries":
        return _Entries(
            np.array([name for row in rows for name in row.hashes], dtype=np.uint32),
            np.array([value for row in rows for value in row.values], dtype=np.float32),
            starts_of(np.array([len(row.hashes) for row in rows], dtype=np.int64)),
        )


class _Situations(NamedTuple):
    """n situations: their contexts' entries one after another, from ``starts[i]`` on ``sizes[i]`` of them, as numbers to score with.

    ``features`` are the distinct ones of the ``hashes``, and ``feature_of`` tells for each entry which it is. The actions stand one after
    another as well, from ``action_starts[i]`` on ``widths[i]`` of them.
    """

    hashes: Hashes
    scaled: Floats32
    ranked: Floats32
    starts: Places
    sizes: Places
    features: Hashes
    feature_of: Places
    actions: tuple[Row, ...]
    action_starts: Places
    widths: Places

    @staticmethod
    def of(situations: Sequence[EncodedSituation], measures: Measures) -> "_Situations":
        """Lay out situations, at least one."""
        rows = [each.context for each in situations]
        sizes = np.array([len(each.hashes) for each in rows], dtype=np.int64)
        widths = np.array([len(each.actions) for each in situations], dtype=np.int64)
        hashes = np.array([name for each in rows for name in each.hashes], dtype=np.uint32)
        values = np.array([value for each in rows for value in each.values])
        starts = starts_of(sizes)[:-1]
        ranked = measures.ranked(hashes, values) * np.repeat(1.0 / np.sqrt(np.maximum(sizes - 1, 1)), sizes)
        ranked[starts] = 1.0  # the constant stands for the phases
        features, feature_of = np.unique(hashes, return_inverse=True)
        return _Situations(
            hashes,
            measures.scaled(hashes, values).astype(np.float32),
            ranked.astype(np.float32),
            starts,
            sizes,
            features,
            feature_of,
            tuple([action for each in situations for action in each.actions]),
            starts_of(widths)[:-1],
            widths,
        )


def _angles(some: _Situations, contexts: Places, of_features: Floats32) -> Floats32:
    """Add up the frequencies of each context's features, shape [n, waves]."""
    angles = np.empty((len(some.sizes), of_features.shape[1]), dtype=np.float32)
    for alike in _alike(some.sizes):
        size = int(some.sizes[alike[0]])
        for piece in _pieces_of(len(alike), max(size * angles.shape[1], 1)):
            entries = some.starts.take(alike[piece])[:, None] + np.arange(size)
            angles[alike[piece]] = (some.ranked.take(entries)[:, None, :] @ of_features.take(contexts.take(entries), axis=0))[:, 0]
    return angles


def _alike(numbers: Places) -> Iterator[Places]:
    """Give the places of equal numbers together."""
    for number in np.unique(numbers).tolist():
        yield np.flatnonzero(numbers == number)


def _pieces_of(count: int, floats: int) -> Iterator[slice]:
    """Cut so many rows of so many numbers each into pieces that the processor's caches hold."""
    most = max(_FLOATS_AT_ONCE // floats, 1)
    for first in range(0, count, most):
        yield slice(first, min(first + most, count))


Entries = TypeVar("Entries", bound=npt.NDArray[Any])


def _longer(array: Entries, length: int) -> Entries:
    """Give the array with zeros behind it, so many entries in all."""
    longer: Entries = np.zeros((length, *array.shape[1:]), dtype=array.dtype)  # type: ignore[assignment]  # the same kind
    longer[: len(array)] = array
    return longer


def _places_for(count: int, present: int, most: int) -> int:
    """Tell how many places to make where so many are needed: at least twice as many as there are."""
    return min(max(2 * present, 1 << (count - 1).bit_length(), _FIRST_PLACES), most)


class _Table:
    """What a unit of each cross is worth: its weight, and draws if there are any; what was never met is worth the same in all models."""

    def __init__(self, model: Weights) -> None:
        self.channels = model.weights.shape[1]
        self._root = np.float32(sqrt(model.ridge))
        self._places: npt.NDArray[np.uint16 | np.uint32] = np.zeros(CELLS, np.uint16 if len(model.cells) < 1 << 16 else np.uint32)
        self._places[model.cells] = np.arange(1, len(model.cells) + 1)
        self._weights = np.concatenate([np.zeros((1, self.channels), np.float32), model.weights])

    def take(self, crosses: Hashes) -> Floats32:
        """Give what each is worth, shape [..., channels]; the caller's to change."""
        places = self._places.take(crosses)
        worths: Floats32 = self._weights.take(places, axis=0)
        if self.channels > 1:
            unmet = places == 0
            draws = _unknown_draws().take(crosses[unmet], axis=0)
            draws /= self._root
            worths[unmet, 1:] = draws
        return worths


class _Pairs:
    """What each context feature adds to the score of each action, per unit of the feature.

    ``_worths`` has shape [contexts, actions, channels], the places that there are; ``_known`` tells which of them were looked up, and all
    others are NaN. The entries of the actions stand one after another: those at place p from ``_starts[p]`` up to ``_starts[p + 1]``.
    """

    def __init__(self, table: _Table, mask: Mask | None) -> None:
        self._table = table
        self._mask = mask
        self.channels = table.channels
        self.most_contexts = CONTEXT_PLACES // table.channels  # where there are draws, there are few features
        self._names = np.zeros(0, dtype=np.uint32)
        self._values = np.zeros(0, dtype=np.float32)
        self._starts: Positions = np.zeros(1, dtype=np.int64)
        self._lay_out(0, 0)

    def _lay_out(self, contexts: int, actions: int) -> None:
        self.contexts, self.actions = contexts, actions
        self._worths = np.full((contexts, actions, self._table.channels), np.nan, dtype=np.float32)
        self._rows = self._worths[:, :, 0] if self._table.channels == 1 else self._worths
        self._flat = self._worths.ravel() if self._table.channels == 1 else self._worths.reshape(-1, self._table.channels)
        self._known = np.zeros((contexts, actions), dtype=np.bool_)

    def make_room(self, *, contexts: int = 0, actions: int = 0) -> None:
        """Have as many places, or more; there are never more than `CONTEXT_PLACES` and `ACTION_PLACES`."""
        worths, known = self._worths, self._known
        self._lay_out(
            _places_for(contexts, self.contexts, self.most_contexts) if contexts > self.contexts else self.contexts,
            _places_for(actions, self.actions, ACTION_PLACES) if actions > self.actions else self.actions,
        )
        before = np.s_[: known.shape[0], : known.shape[1]]
        self._worths[before], self._known[before] = worths, known

    def forget(self, *, actions: bool = False) -> None:
        """Forget all that was looked up, and perhaps the actions."""
        self._known[:], self._worths[:] = False, np.nan
        if actions:
            self._names, self._values, self._starts = self._names[:0], self._values[:0], self._starts[:1]

    def add(self, entries: "_Entries", measures: Measures) -> None:
        """Give these actions the next places."""
        self._names = np.concatenate([self._names, entries.names])
        self._values = np.concatenate([self._values, measures.scaled(entries.names, entries.values).astype(np.float32)])
        self._starts = np.concatenate([self._starts, entries.starts[1:] + self._starts[-1]])

    def worths(self, names: tuple[int, ...], contexts: Places, actions: Places) -> Floats32:
        """Give what these context features, which have these places, add to these actions: [n, K], or [n, K, channels] if several."""
        given = self._taken(contexts, actions)
        flat = given.ravel()
        if isnan(flat.dot(flat)):  # one product finds it sooner than a look at each
            known = self._known[np.ix_(contexts, actions)]
            self._look_up(np.array(names, dtype=np.uint32), contexts, actions, known)
            given = self._taken(contexts, actions)
        return given

    def _taken(self, contexts: Places, actions: Places) -> Floats32:
        if len(contexts) * self.actions * self.channels <= _TAKEN_AT_ONCE:  # whole rows first: quicker than to work out each place
            given: Floats32 = self._rows.take(contexts, 0).take(actions, 1)
        else:
            given = self._flat.take(contexts[:, None] * self.actions + actions, axis=0)
        return given

    def worths_of_many(self, names: Hashes, contexts: Places, actions: Places) -> Floats32:
        """Do so for situations with n features and K actions each, [m, n] and [m, K]: [m, n, K], or [m, n, K, channels]."""
        pairs = contexts[:, :, None] * self.actions + actions[:, None, :]
        for row in np.flatnonzero(~self._known.take(pairs).all(axis=(1, 2))).tolist():
            known = self._known.take(pairs[row])
            if not known.all():  # what was looked up for those before may be all that it needs
                self._look_up(names[row], contexts[row], actions[row], known)
        given: Floats32 = self._flat.take(pairs, axis=0)
        return given

    def look_up_together(self, names: Hashes, contexts: Places, actions: Places) -> None:
        """Look up what is missing of these features with these actions, unless it is too much: most of it will be asked for."""
        lacking = ~self._known[np.ix_(contexts, actions)].all(axis=1)
        crosses = np.count_nonzero(lacking) * int((self._starts[actions + 1] - self._starts[actions]).sum())
        if crosses <= _LOOKED_UP_AT_ONCE:
            self._look_up_all(names[lacking], contexts[lacking], actions)

    def _look_up(self, names: Hashes, contexts: Places, actions: Places, known: npt.NDArray[np.bool_]) -> None:
        """Look up what is missing; for a feature that was met before, of all actions at once, since more will be asked for."""
        if not known.any():
            self._look_up_all(names, contexts, actions)
            return
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
            worths = self._table.take(cells(names[:, None], with_))
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


@cache
def _unknown_draws() -> Floats32:
    """Give the draws of every cross, were none of them ever met, for a ridge of 1."""
    return prior_draws(np.arange(CELLS), 1.0).astype(np.float32)
