"""Why a score is what it is: what each feature, and each pair of features, adds to it.

The shared part is a sum over pairs already. The waves of an action's own part are divided among the context's features by
integrated gradients from a context without features (Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks"),
which have a closed form here: a wave's change goes to each feature in proportion to what it adds to the wave's angle.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.domain.events import Situation
from shared.learning.crosses import cells
from shared.learning.encoding import CONSTANT, END, NO_ID, NUMERIC, Encoder, Floats, Hashes, Row
from shared.learning.fourier import AMPLITUDE, frequencies, phases
from shared.learning.interactions import Interactions, groups_of
from shared.learning.model import Model

_STILL: Final = 1e-9
"""An angle this small is as good as none: the gradient is taken in its place."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a feature of the context adds to the score together with a feature of the action, each "" where it plays no part."""

    context: str
    action: str
    worth: float


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
    encoder = _NamingEncoder(model.interactions)
    encoded = encoder.encode(situation)
    context, own = encoded.context, encoded.actions[action]
    parts = _of_shared(model, context, own) | _of_arm(model, context, own)
    named = [Contribution(encoder.name(of), encoder.name(with_), worth) for (of, with_), worth in parts.items() if worth]
    named.sort(key=lambda each: -abs(each.worth))
    return Explanation(situation.actions[action].id, float(model.scores(encoded).mean[action]), tuple(named))


_Parts = dict[tuple[int, int], float]
"""Worths by the hashes of a context feature and an action feature."""

_NOTHING: Final = 0
"""In place of an action feature: the action as a whole."""


def _of_shared(model: Model, context: Row, action: Row) -> _Parts:
    share = 1.0 - model.share if action.hashes[0] in model.arms else 1.0
    of_context, of_action = (np.array(row.hashes, dtype=np.uint32) for row in (context, action))
    values = np.outer(model.measures.scaled(of_context, context.values), model.measures.scaled(of_action, action.values))
    if (mask := model.interactions.mask) is not None:
        values *= mask[groups_of(of_context)[:, None], groups_of(of_action)]
    worths = share * values * _weights(model, cells(of_context[:, None], of_action))
    pairs = [(of, with_) for of in context.hashes for with_ in action.hashes]
    return dict(zip(pairs, worths.ravel().tolist(), strict=True))


def _of_arm(model: Model, context: Row, action: Row) -> _Parts:
    places = np.flatnonzero(model.arms == action.hashes[0])
    if not len(places):
        return {}
    weights = model.arm_weights[places[0], 0].astype(np.float64)
    hashes = np.array(context.hashes, dtype=np.uint32)
    ranked = model.measures.ranked(hashes, context.values)[1:]
    angles = ranked[:, None] * frequencies(hashes[1:]) / np.sqrt(max(len(ranked), 1))
    shares = _divided(angles, phases().astype(np.float64)) @ (AMPLITUDE * weights[1:])
    alone = weights[0] + AMPLITUDE * float(np.cos(phases()) @ weights[1:])
    return {(CONSTANT, _NOTHING): alone} | {(of, _NOTHING): worth for of, worth in zip(context.hashes[1:], shares.tolist(), strict=True)}


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


class _NamingEncoder(Encoder):
    """Encodes alike, and remembers the name of every feature it meets; for one situation."""

    def __init__(self, interactions: Interactions) -> None:
        super().__init__(interactions)
        self._names = {CONSTANT: "", NO_ID: "", _NOTHING: ""}

    def name(self, feature: int) -> str:
        """Give a feature's name: ``namespace.name`` or ``namespace.name=value``."""
        return self._names.get(feature) or self._names.get(feature & ~NUMERIC, "")

    def _fresh(self, text: str) -> int:
        feature = super()._fresh(text)
        self._names.setdefault(feature, _readable(text))
        return feature

    def _place(self, array: int, position: int) -> int:
        feature = super()._place(array, position)
        self._names.setdefault(feature, f"{self.name(array)}[{position}]")
        return feature


def _readable(text: str) -> str:
    """Undo how the encoder writes a feature.

    >>> _readable(f"cuser{END}age"), _readable(f"auser{END}group{END}reader"), _readable(f"i{END}a1"), _readable(f"c{END}age")
    ('user.age', 'user.group=reader', 'id=a1', 'age')
    """
    if text.startswith(f"i{END}"):
        return f"id={text[2:]}"
    if END not in text:
        return "other features"
    namespace, name, *value = text[1:].split(END, 2)
    return ".".join(part for part in (namespace, name) if part) + "".join(f"={each}" for each in value)
