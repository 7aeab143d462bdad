"""Why a score is what it is: what each feature, and each pair of features, adds to it.

The shared part is a sum over pairs already. The waves of an action's own part are divided among the context's features, and joint
waves among the context's and the action's alike, by integrated gradients from a situation without features (Sundararajan, Taly & Yan
2017, "Axiomatic attribution for deep networks"), which have a closed form here: a wave's change goes to each feature in proportion to
what it adds to the wave's angle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.domain.events import Situation
from shared.learning import joint_ridge
from shared.learning.crosses import cells, groups_of, mask_of
from shared.learning.encoding import CONSTANT, END, NO_ID, NUMERIC, Encoder, Floats, Hashes, Row
from shared.learning.fourier import AMPLITUDE, frequencies, phases
from shared.learning.interactions import Interactions
from shared.learning.model import Model
from shared.learning.scorer import shares_of_shared

LONGEST_NAME: Final = 256
OTHERS: Final = "other features"
"""The name of all that is not told one by one."""

_STILL: Final = 1e-9
"""A worth this small is as good as none, and so is an angle: the gradient is taken in its place."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a feature of the context adds to the score together with a feature of the action, each "" where it plays no part."""

    context: str
    action: str
    worth: float

    @property
    def name(self) -> str:
        """One name for it.

        >>> Contribution("user.age", "news.topic", 0.5).name, Contribution("", "news.topic", 0.5).name
        ('user.age^news.topic', 'news.topic')
        """
        return f"{self.context}^{self.action}" if self.context and self.action else self.context or self.action


@dataclass(frozen=True, slots=True)
class Explanation:
    """An action's score (the estimated reward, without what exploration adds) and its parts, the largest first.

    The worths sum to the score, up to float32 rounding.
    """

    action_id: str
    score: float
    contributions: tuple[Contribution, ...]


def explain(model: Model, situation: Situation, action: int) -> Explanation:
    """Take the score of one action apart; a cold model scores 0, for no reason."""
    encoder = NamingEncoder(model.interactions, readable)
    encoded = encoder.encode(situation)
    context, own = encoded.context, encoded.actions[action]
    parts = _of_shared(model, context, own)
    for more in (_of_arm(model, context, own, turned_by(model, context)), JointParts(model, context).of(own)):
        for pair, worth in more.items():
            parts[pair] = parts.get(pair, 0.0) + worth
    named = [Contribution(encoder.name(of), encoder.name(with_), worth) for (of, with_), worth in parts.items() if worth]
    named.sort(key=lambda each: -abs(each.worth))
    return Explanation(situation.actions[action].id, float(model.scores(encoded).mean[action]), tuple(named))


def explain_all(model: Model, situation: Situation, *, most: int) -> tuple[Explanation, ...]:
    """Take the scores of all actions apart, by features whatever their value, in the order of the request.

    At most ``most`` contributions each, the largest first; what the others are worth comes last, as `OTHERS`. Names have no
    values, and no more than `LONGEST_NAME` characters. An action by itself, without any feature, is its ``id``.
    """
    encoder = NamingEncoder(model.interactions, _feature)
    encoded = encoder.encode(situation)
    turned, joint = turned_by(model, encoded.context), JointParts(model, encoded.context)
    context = _Groups.of([encoder.name(each) for each in encoded.context.hashes])
    explanations = []
    for action, row in zip(situation.actions, encoded.actions, strict=True):
        own = _Groups.of([encoder.name(each) for each in row.hashes])
        grid = own.summed(context.summed(_grid(model, encoded.context, row)).T).T
        parts = _largest(grid, context.names, own.names, most)
        for (of, with_), worth in (*_of_arm(model, encoded.context, row, turned).items(), *joint.of(row).items()):
            names = encoder.name(of), encoder.name(with_)
            pair = names if any(names) else ("", _ALONE)
            parts[pair] = parts.get(pair, 0.0) + worth
        score = sum(parts.values())  # not asked of the model, which remembers the features that it is asked about
        explanations.append(Explanation(action.id, score, _few(parts, most)))
    return tuple(explanations)


_Named = dict[tuple[str, str], float]
"""Worths by the names of a context feature and an action feature."""

_ALONE: Final = "id"


@dataclass(frozen=True, slots=True)
class _Groups:
    """Features that share a name: the names, in order, and for each feature the place of its own."""

    names: tuple[str, ...]
    places: tuple[int, ...]

    @staticmethod
    def of(features: Sequence[str]) -> "_Groups":
        names = tuple(dict.fromkeys(features))
        place = {name: number for number, name in enumerate(names)}
        return _Groups(names, tuple([place[each] for each in features]))

    def summed(self, worths: Floats) -> Floats:
        """Add up the rows [features, n] of each name."""
        if len(self.names) == len(self.places):
            return worths
        totals = np.zeros((len(self.names), worths.shape[1]))
        np.add.at(totals, list(self.places), worths)
        return totals


def _largest(grid: Floats, contexts: Sequence[str], actions: Sequence[str], most: int) -> _Named:
    """Name the largest of all pairs, and sum up the others."""
    flat = grid.ravel()
    order = np.argsort(-np.abs(flat), kind="stable")[:most] if len(flat) <= most else np.argpartition(-np.abs(flat), most)[:most]
    rest = float(flat.sum() - flat[order].sum())
    found = [(divmod(place, len(actions)), worth) for place, worth in zip(order.tolist(), flat[order].tolist(), strict=True) if worth]
    named = {(contexts[of], actions[with_]): worth for (of, with_), worth in found}
    return named | ({(OTHERS, ""): rest} if len(flat) > most else {})


def _few(parts: _Named, most: int) -> tuple[Contribution, ...]:
    rest = parts.pop((OTHERS, ""), 0.0)
    ordered = sorted(parts.items(), key=lambda part: -abs(part[1]))
    told = [Contribution(of, with_, worth) for (of, with_), worth in ordered[:most] if worth]
    rest += sum([worth for _, worth in ordered[most:]])
    return (*told, Contribution(OTHERS, "", rest)) if abs(rest) > _STILL else tuple(told)


_Parts = dict[tuple[int, int], float]
"""Worths by the hashes of a context feature and an action feature."""

_NOTHING: Final = 0
"""In place of an action feature: the action as a whole."""


def _of_shared(model: Model, context: Row, action: Row) -> _Parts:
    pairs = [(of, with_) for of in context.hashes for with_ in action.hashes]
    return dict(zip(pairs, _grid(model, context, action).ravel().tolist(), strict=True))


def _grid(model: Model, context: Row, action: Row) -> Floats:
    """Give what each pair of features adds by the weights that all actions share, [context features, action features]."""
    of_arms, of_others = shares_of_shared(model.share, model.joint_share)
    share = of_arms if action.hashes[0] in model.arms else of_others
    of_context, of_action = (np.array(row.hashes, dtype=np.uint32) for row in (context, action))
    values = np.outer(model.measures.scaled(of_context, context.values), model.measures.scaled(of_action, action.values))
    if (mask := mask_of(model.interactions)) is not None:
        values *= mask[groups_of(of_context)[:, None], groups_of(of_action)]
    worths: Floats = share * values * _weights(model, cells(of_context[:, None], of_action))
    return worths


def _of_arm(model: Model, context: Row, action: Row, turned: Floats) -> _Parts:
    places = np.flatnonzero(model.arms == action.hashes[0])
    if not len(places):
        return {}
    weights = model.arm_weights[places[0], 0].astype(np.float64)
    shares = turned @ (AMPLITUDE * weights[1:])
    return {(CONSTANT, _NOTHING): alone_by(weights)} | {
        (of, _NOTHING): worth for of, worth in zip(context.hashes[1:], shares.tolist(), strict=True)
    }


def alone_by(weights: Floats) -> float:
    """Give what an action's own weights [SIZE] add for a context without features."""
    return float(weights[0]) + AMPLITUDE * float(np.cos(phases()) @ weights[1:])


def turned_by(model: Model, context: Row) -> Floats:
    """Give how each feature of the context moves each wave, [features without the constant, WAVES]."""
    hashes = np.array(context.hashes, dtype=np.uint32)
    ranked = model.measures.ranked(hashes, context.values)[1:]
    angles = ranked[:, None] * frequencies(hashes[1:]) / np.sqrt(max(len(ranked), 1))
    return _divided(angles, phases().astype(np.float64))


class JointParts:
    """What the joint part of a model adds to the scores of actions in a context."""

    def __init__(self, model: Model, context: Row) -> None:
        self._model = model
        self._context = context
        if not model.joint_share:
            return
        weights = model.joint_weights[0].astype(np.float64)
        self._constant = float(weights[0])
        self._of_cosines, self._of_sines = (joint_ridge.AMPLITUDE * half for half in np.split(weights[1:], 2))
        self._angles = self._turns(context, range(1, len(context.hashes)))

    def of(self, action: Row) -> _Parts:
        """Divide it among the features of both sides; nothing where the model has no such part."""
        if not self._model.joint_share:
            return {}
        features = range(1, len(action.hashes)) or range(1)  # the id is one where there is no other
        angles = np.concatenate([self._angles, self._turns(action, features)])
        total = angles.sum(axis=0)
        moves = np.abs(total) > _STILL
        change = self._of_cosines * (np.cos(total) - 1.0) + self._of_sines * np.sin(total)
        slopes = np.where(moves, change / np.where(moves, total, 1.0), self._of_sines)
        worths = (angles @ slopes).tolist()
        pairs = [(of, _NOTHING) for of in self._context.hashes[1:]] + [(_NOTHING, action.hashes[place]) for place in features]
        return {(CONSTANT, _NOTHING): self._constant + float(self._of_cosines.sum())} | dict(zip(pairs, worths, strict=True))

    def _turns(self, row: Row, places: range) -> Floats:
        """Give what each of these features adds to each wave's angle, [features, WAVES]."""
        hashes = np.array([row.hashes[place] for place in places], dtype=np.uint32)
        ranked = self._model.measures.ranked(hashes, [row.values[place] for place in places])
        if places == range(1):  # the id, where it is alone
            ranked = np.ones(1)
        turns: Floats = ranked[:, None] * joint_ridge.joint_frequencies(hashes) / np.sqrt(max(len(places), 1))
        return turns


def _divided(angles: Floats, starts: Floats) -> Floats:
    """Divide ``cos(start + Σ angles) − cos(start)`` of each wave among the features, [n, WAVES]."""
    total = angles.sum(axis=0)
    moves = np.abs(total) > _STILL
    slopes = np.where(moves, (np.cos(starts + total) - np.cos(starts)) / np.where(moves, total, 1.0), -np.sin(starts))
    divided: Floats = angles * slopes
    return divided


def _weights(model: Model, wanted: Hashes) -> Floats:
    if not len(model.cells):
        return np.zeros(wanted.shape)
    at = np.minimum(np.searchsorted(model.cells, wanted), len(model.cells) - 1)
    weights: Floats = np.where(model.cells[at] == wanted, model.weights[at, 0], 0.0).astype(np.float64)
    return weights


class NamingEncoder(Encoder):
    """Encodes alike, and remembers the name of every feature it meets; for one situation, or as many as `known` allows."""

    def __init__(self, interactions: Interactions, named: Callable[[str], str]) -> None:
        super().__init__(interactions)
        self._named = named
        self._names = {CONSTANT: "", NO_ID: "", _NOTHING: ""}

    @property
    def known(self) -> int:
        """How many features have names."""
        return len(self._names)

    def name(self, feature: int) -> str:
        """Give a feature's name: ``namespace.name`` or ``namespace.name=value``."""
        return self._names.get(feature) or self._names.get(feature & ~NUMERIC, "")

    def _fresh(self, text: str) -> int:
        feature = super()._fresh(text)
        if feature not in self._names:
            self._names[feature] = self._named(text)
        return feature

    def _place(self, array: int, position: int) -> int:
        feature = super()._place(array, position)
        if feature not in self._names:
            self._names[feature] = f"{self.name(array)}[{position}]" if self._named is not _feature else self.name(array)
        return feature


def readable(text: str) -> str:
    """Undo how the encoder writes a feature.

    >>> readable(f"cuser{END}age"), readable(f"auser{END}group{END}reader"), readable(f"i{END}a1"), readable(f"c{END}age")
    ('user.age', 'user.group=reader', 'id=a1', 'age')
    """
    if text.startswith(f"i{END}"):
        return f"id={text[2:]}"
    if END not in text:
        return OTHERS
    namespace, name, *value = text[1:].split(END, 2)
    return ".".join(part for part in (namespace, name) if part) + "".join(f"={each}" for each in value)


def _feature(text: str) -> str:
    """Name a feature as the encoder writes it, whatever its value.

    >>> _feature(f"cuser{END}age"), _feature(f"auser{END}group{END}reader"), _feature(f"i{END}a1"), _feature(f"c{END}age")
    ('user.age', 'user.group', 'id', 'age')
    """
    if text.startswith(f"i{END}"):
        return _ALONE
    if END not in text:
        return OTHERS
    namespace, name = text[1:].split(END, 2)[:2]
    return ".".join(part for part in (namespace, name) if part)[:LONGEST_NAME]
