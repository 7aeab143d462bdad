"""Requests and decisions of a made-up news site: about 1.5 kB of JSON at 10 actions, 7 kB at 50."""

from datetime import datetime
from typing import Any

import numpy as np

from shared.domain.events import Action, Decision, LearningMode, Situation
from shared.joining.dsjson import situation_text
from shared.learning.encoding import Encoder

CATALOGUE = 200
"""Articles in all; a request offers some of them. So actions recur, as they do for an application."""

_TOPICS = ("politics", "sports", "music", "food", "science", "travel", "health", "finance")
_DEVICES = ("mobile", "desktop", "tablet")
_COUNTRIES = ("AT", "BR", "DE", "FR", "IN", "JP", "SE", "US")


class Traffic:
    """Seeded: the same seed gives the same readers and articles. No feature of one ``brand`` is one of another."""

    def __init__(self, *, actions: int, seed: int, brand: str = "") -> None:
        self._rng = np.random.default_rng(seed)
        self._actions = actions
        self._brand = brand
        self._articles = [self._article(number) for number in range(CATALOGUE)]
        self._encoder = Encoder()

    def body(self, event_id: str) -> dict[str, Any]:
        """Make a Rank request: 10 features of context, 7 of each action."""
        offered = self._rng.choice(CATALOGUE, self._actions, replace=False)
        return {"contextFeatures": self._context(), "actions": [self._articles[number] for number in offered], "eventId": event_id}

    def situation(self) -> Situation:
        """Give a request as the domain sees it."""
        body = self.body("")
        actions = tuple(Action(action["id"], tuple(action["features"])) for action in body["actions"])
        return Situation(context=tuple(body["contextFeatures"]), actions=actions)

    def decision(self, event_id: str, at: datetime) -> Decision:
        """Make a decision as a policy would that explores 20 %."""
        situation = self.situation()
        best = int(self._rng.integers(self._actions))
        rest = 0.2 / self._actions
        probabilities = tuple(0.8 + rest if index == best else rest for index in range(self._actions))
        chosen = best if self._rng.random() < 0.8 else int(self._rng.integers(self._actions))
        return Decision(
            event_id=event_id,
            decided_at=at,
            model_version="00000001-0123456789ab",
            mode=LearningMode.ONLINE,
            probabilities=probabilities,
            chosen=chosen,
            deferred=False,
            situation=situation_text(situation),
            encoded=self._encoder.encode(situation).logged(chosen),
        )

    def reward(self) -> float:
        """Draw a click."""
        return float(self._rng.random() < 0.3)

    def _pick(self, options: tuple[str, ...]) -> str:
        return options[int(self._rng.integers(len(options)))]

    def _context(self) -> list[dict[str, Any]]:
        rng, brand = self._rng, self._brand
        return [
            {f"{brand}user": {"segment": f"s{rng.integers(50)}", "age": int(rng.integers(16, 90)), "subscriber": bool(rng.random() < 0.2)}},
            {f"{brand}device": {"type": self._pick(_DEVICES), "browser": f"b{rng.integers(5)}", "width": int(rng.integers(3, 20)) * 100}},
            {f"{brand}place": {"country": self._pick(_COUNTRIES), "language": f"l{rng.integers(6)}"}},
            {f"{brand}time": {"weekday": int(rng.integers(7)), "hour": f"h{rng.integers(24)}"}},
        ]

    def _article(self, number: int) -> dict[str, Any]:
        rng = self._rng
        features = {
            "topic": self._pick(_TOPICS),
            "author": f"author{rng.integers(30)}",
            "words": int(rng.integers(100, 3000)),
            "age": round(float(rng.random()), 2),
            "video": bool(rng.random() < 0.3),
            "region": self._pick(_COUNTRIES),
            "popularity": round(float(rng.random()), 3),
        }
        return {"id": f"{self._brand}article-{number:04d}", "features": [{f"{self._brand}article": features}]}
