"""A news site that exists only here: readers, hours and articles with known click probabilities.

What a reader likes depends on the hour, so neither the reader nor the hour alone is enough to choose well. Articles come and
go, so it is their features that have to be learned. Half-way all tastes are redrawn, so what was learned has to be unlearned.
"""

from dataclasses import dataclass

import numpy as np

from examples.events import Action, Event, Programme

READERS = ("Ann", "Ben", "Cleo", "Dan")
HOURS = ("morning", "noon", "evening")
TOPICS = ("politics", "sports", "music", "food", "science", "travel", "health", "finance")
DEVICES = ("mobile", "desktop")

FAVOURITE, SECOND, OTHER = 0.8, 0.45, 0.06
SHOWN = 10
ARTICLES_A_TOPIC = 2
EVENTS_A_NEW_ARTICLE = 25
LIFETIME = EVENTS_A_NEW_ARTICLE * ARTICLES_A_TOPIC * len(TOPICS)

Tastes = dict[tuple[str, str], tuple[str, str]]
"""Favourite and second topic of each reader at each hour."""


@dataclass(frozen=True, slots=True)
class Article:
    """A piece in the pool; `published` counts events and is negative for what was there before the first."""

    number: int
    topic: str
    length: str
    published: int

    def freshness(self, now: int) -> float:
        """1 when new, 0 at the end of its life; one digit, as an app would round it."""
        return round(1.0 - min(now - self.published, LIFETIME) / LIFETIME, 1)


def draw_tastes(rng: np.random.Generator, *, unlike: Tastes | None = None) -> Tastes:
    """Draw what every reader likes at every hour; no favourite of `unlike` stays one."""
    tastes: Tastes = {}
    for reader in READERS:
        for hour in HOURS:
            forbidden = unlike[reader, hour][0] if unlike else None
            favourite, second = rng.choice([topic for topic in TOPICS if topic != forbidden], size=2, replace=False)
            tastes[reader, hour] = str(favourite), str(second)
    return tastes


def click_probability(tastes: Tastes, reader: str, hour: str, article: Article, now: int) -> float:
    """Multiply the interest in the topic by what length and age take away.

    Long reads lose in the morning, short ones in the evening; stale news loses everywhere.
    """
    favourite, second = tastes[reader, hour]
    interest = FAVOURITE if article.topic == favourite else SECOND if article.topic == second else OTHER
    unfit = (hour, article.length) in {("morning", "long"), ("evening", "short")}
    return interest * (0.75 if unfit else 1.0) * (0.7 + 0.3 * article.freshness(now))


def opening_pool(rng: np.random.Generator) -> list[Article]:
    """Fill the pool as if the site had been running for a lifetime: oldest first, every topic as often as any other."""
    size = ARTICLES_A_TOPIC * len(TOPICS)
    topics = rng.permutation(np.repeat(TOPICS, ARTICLES_A_TOPIC))
    return [_write(rng, number, str(topics[number]), published=(number - size) * EVENTS_A_NEW_ARTICLE) for number in range(size)]


def news(*, events: int, seed: int) -> Programme:
    """Write a run of `events` visits; equal seeds give equal runs."""
    rng = np.random.default_rng(seed)
    drift_at = events // 2
    tastes = draw_tastes(rng)
    pool = opening_pool(rng)
    visits = []
    for now in range(events):
        if now == drift_at:
            tastes = draw_tastes(rng, unlike=tastes)
        if now and now % EVENTS_A_NEW_ARTICLE == 0:
            oldest = pool.pop(0)
            pool.append(_write(rng, pool[-1].number + 1, oldest.topic, published=now))
        visits.append(_visit(rng, tastes, pool, now))
    return Programme(name=f"a news site, seed {seed}", events=visits, drift_at=drift_at)


def _write(rng: np.random.Generator, number: int, topic: str, *, published: int) -> Article:
    return Article(number=number, topic=topic, length="short" if rng.random() < 0.5 else "long", published=published)


def _visit(rng: np.random.Generator, tastes: Tastes, pool: list[Article], now: int) -> Event:
    reader, hour, device = (str(rng.choice(names)) for names in (READERS, HOURS, DEVICES))
    drawn = [pool[i] for i in rng.choice(len(pool), size=SHOWN, replace=False)]
    newest_first = sorted(drawn, key=lambda article: article.published, reverse=True)
    return Event(
        context={"reader": {"name": reader}, "visit": {"hour": hour, "device": device}},
        actions=tuple(_as_action(article, now) for article in newest_first),
        expected=tuple(click_probability(tastes, reader, hour, article, now) for article in newest_first),
        chance=float(rng.random()),
    )


def _as_action(article: Article, now: int) -> Action:
    features: dict[str, str | float] = {"topic": article.topic, "length": article.length, "freshness": article.freshness(now)}
    return Action(id=f"article-{article.number}", features={"article": features})
