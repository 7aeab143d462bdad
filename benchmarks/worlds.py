"""Worlds that are made from a seed, and whose chances are known: what the best action earns is known as well.

`world_segments` and `world_drift` have few actions without features, `world_catalog` items that are numbers, `world_shop` items that are
text, a price and a quality that no feature tells, and `world_clicks` a click in 1 to 3 of 100 choices.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.problems import Event, Problem, known
from shared.domain.events import Action, Features, Situation

Floats = npt.NDArray[np.float64]

ROUNDS = 20_000
CLICKS = "world_clicks"
FITTED = 0.75
"""The share of a world of clicks that a fit may see: it is held against the learner on the rest."""

_PLANS = ("free", "student", "family", "business")
_OFFERS = ("discount", "trial", "upgrade")
_EARNED = ((0.65, 0.45, 0.35), (0.35, 0.65, 0.45), (0.25, 0.45, 0.6), (0.45, 0.6, 0.9))
_ITEMS, _OFFERED = 200, 20

Round = tuple[Situation, Sequence[float]]
"""A request and what each of its actions earns on average."""


@dataclass(frozen=True, slots=True)
class World:
    """A world to be played for so many rounds."""

    name: str
    rounds: int = ROUNDS


def make(world: World, *, seed: int) -> Problem:
    """Make the rounds that this seed plays; items, visitors and clicks all follow from it."""
    rng = np.random.default_rng([seed, 1000])
    events = []
    for situation, expected in WORLDS[world.name](rng, world.rounds):
        clicks = rng.random(len(expected)) < np.asarray(expected)
        events.append(Event(situation, tuple(expected), tuple(clicks.astype(float).tolist())))
    return Problem(world.name, events)


def _segments(rng: np.random.Generator, rounds: int) -> Iterator[Round]:
    """Offer three actions to four groups of visitors; the hour says nothing."""
    actions = tuple(known(name, {}) for name in _OFFERS)
    for number in range(rounds):
        plan = int(rng.integers(len(_PLANS)))
        yield Situation(({"visitor": {"plan": _PLANS[plan], "hour": number // 100 % 24}},), actions), _EARNED[plan]


def _drift(rng: np.random.Generator, rounds: int) -> Iterator[Round]:
    """Offer the same; from the middle on each offer earns what its neighbour did."""
    for number, (situation, expected) in enumerate(_segments(rng, rounds)):
        yield situation, expected if number < rounds // 2 else (*expected[1:], expected[0])


def _catalog(rng: np.random.Generator, rounds: int) -> Iterator[Round]:
    """Offer 20 of 200 items: points of a square, like the visitor. The further away an item is, the less it earns."""
    points = rng.random((_ITEMS, 2))
    items = [known(f"item-{number}", {"item": {"x": x, "y": y}}) for number, (x, y) in enumerate(points.tolist())]
    for _ in range(rounds):
        visitor, offered = rng.random(2), rng.choice(_ITEMS, _OFFERED, replace=False)
        expected = np.clip(0.9 - 0.8 * np.linalg.norm(points[offered] - visitor, axis=1), 0.05, 0.95)
        yield _offer({"x": float(visitor[0]), "y": float(visitor[1])}, items, offered), expected.tolist()


def _shop(rng: np.random.Generator, rounds: int) -> Iterator[Round]:
    """Offer 20 of 200 items by category, brand and price to visitors with an interest, an age and a budget.

    A fifth of what tells items apart is a quality of each item's own that no feature tells.
    """
    categories, brands = rng.integers(8, size=_ITEMS), rng.integers(12, size=_ITEMS)
    prices, qualities = rng.random(_ITEMS), rng.normal(0.0, 0.1, _ITEMS)
    likes, trusts = rng.normal(0.0, 0.15, (6, 8)), rng.normal(0.0, 0.1, (4, 12))
    items = [
        known(f"item-{number}", {"item": {"category": f"c{category}", "brand": f"b{brand}", "price": round(5 + 95 * price, 2)}})
        for number, (category, brand, price) in enumerate(zip(categories.tolist(), brands.tolist(), prices.tolist(), strict=True))
    ]
    for _ in range(rounds):
        interest, age, budget = int(rng.integers(6)), int(rng.integers(4)), float(rng.random())
        offered = rng.choice(_ITEMS, _OFFERED, replace=False)
        suits = likes[interest, categories[offered]] + trusts[age, brands[offered]] + qualities[offered]
        expected = np.clip(0.45 + suits - 0.3 * np.abs(prices[offered] - budget), 0.02, 0.95)
        context: Features = {"interest": f"i{interest}", "age": f"a{age}", "budget": round(5 + 95 * budget, 2)}
        yield _offer(context, items, offered), expected.tolist()


def _clicks(rng: np.random.Generator, rounds: int) -> Iterator[Round]:
    """Offer 10 of 100 articles, each clicked once in some 70 times by a visitor whom chance sends, in 35 by whom it suits best.

    The logarithm of the odds is the sum of what topic and interest, and device and form, have to do with each other.
    """
    topics, forms = rng.integers(8, size=100), rng.integers(4, size=100)
    likes, habits = rng.normal(0.0, 0.5, (6, 8)), rng.normal(0.0, 0.35, (3, 4))
    articles = [
        known(f"article-{number}", {"item": {"topic": f"t{topic}", "form": f"f{form}"}})
        for number, (topic, form) in enumerate(zip(topics.tolist(), forms.tolist(), strict=True))
    ]
    for _ in range(rounds):
        interest, device, offered = int(rng.integers(6)), int(rng.integers(3)), rng.choice(100, 10, replace=False)
        odds = np.exp(likes[interest, topics[offered]] + habits[device, forms[offered]] - 4.4)
        yield _offer({"interest": f"i{interest}", "device": f"d{device}"}, articles, offered), (odds / (1 + odds)).tolist()


def fitted(events: Sequence[Event]) -> Floats:
    """Give what a fit would earn in the last quarter of a world of clicks, a round each: what is possible, where clicks are rare.

    The fit knows the true form, sees the clicks of *all* actions of the rounds before, and then shows what it thinks best. It has the
    least logarithmic loss, by Newton's steps, with a precision of 1 for each weight around the rate of all clicks.
    """
    pairs = np.array([_pairs(event.situation) for event in events])
    clicks = np.array([event.rewards for event in events])
    seen = int(FITTED * len(events))
    cells, places = np.unique(pairs[:seen].reshape(-1, 2), axis=0, return_inverse=True)
    shown, clicked = np.bincount(places.ravel()), np.bincount(places.ravel(), weights=clicks[:seen].ravel())
    design = np.zeros((len(cells), int(pairs.max()) + 1))
    np.put_along_axis(design, cells, 1.0, axis=1)
    rate = (clicked.sum() + 1) / (shown.sum() + 2)
    weights = np.zeros(design.shape[1])
    for _ in range(10):
        chance = 1 / (1 + np.exp(-np.log(rate / (1 - rate)) - design @ weights))
        slopes = design.T @ (clicked - shown * chance) - weights
        weights += np.linalg.solve(design.T @ (design * (shown * chance * (1 - chance))[:, None]) + np.eye(len(weights)), slopes)
    best = weights[pairs[seen:]].sum(axis=2).argmax(axis=1)
    return np.array([event.expected[shown] for event, shown in zip(events[seen:], best.tolist(), strict=True)])


def _pairs(situation: Situation) -> list[tuple[int, int]]:
    """Give the numbers of interest and topic, and of device and form, as they meet in each action."""
    visitor = _features(situation.context[0], "visitor")
    articles = [_features(action.features[0], "item") for action in situation.actions]
    return [
        (_number(visitor["interest"]) * 8 + _number(article["topic"]), 48 + _number(visitor["device"]) * 4 + _number(article["form"]))
        for article in articles
    ]


def _features(features: Features, namespace: str) -> Mapping[str, object]:
    found = features[namespace]
    if not isinstance(found, dict):
        raise TypeError(f"{namespace} is no namespace")
    return found


def _number(text: object) -> int:
    return int(str(text)[1:])


def _offer(context: Features, items: Sequence[Action], offered: npt.NDArray[np.int64]) -> Situation:
    return Situation(({"visitor": context},), tuple([items[number] for number in offered.tolist()]))


WORLDS: Mapping[str, Callable[[np.random.Generator, int], Iterator[Round]]] = {
    "world_segments": _segments,
    "world_drift": _drift,
    "world_catalog": _catalog,
    "world_shop": _shop,
    CLICKS: _clicks,
}
