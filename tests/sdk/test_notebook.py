"""The simulation of Azure Personalizer's public tutorial, made again from what it describes, through the official SDK and unchanged.

Four people ask for a coffee, in some weather and at some time of the day. Each has a favourite for each weather and time; to be served
that earns 1, anything else 0. At first the service knows nothing, and the rewards of a hundred calls come to what chance gives. Once a
model is learned they come to far more; when all the favourites change, less is earned until they are learned, too.
"""

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest, RewardRequest
from msrest.authentication import CognitiveServicesCredentials

from tests.running import RunningApp
from tests.sdk.places import SETTINGS, Place, place_at
from tests.stores import NewStorage

pytestmark = pytest.mark.slow

PEOPLE = ("Alice", "Bob", "Cathy", "Dave")
WEATHERS = ("Sunny", "Rainy", "Snowy")
TIMES = ("Morning", "Afternoon", "Evening")
COFFEES = {
    "Cappucino": [{"type": "hot", "origin": "kenya", "organic": "yes", "roast": "dark"}],
    "Cold brew": [{"type": "cold", "origin": "brazil", "organic": "yes", "roast": "light"}],
    "Iced mocha": [{"type": "cold", "origin": "ethiopia", "organic": "no", "roast": "light"}],
    "Latte": [{"type": "hot", "origin": "brazil", "organic": "no", "roast": "dark"}],
}
A_HUNDRED = 100
ROUNDS = 2


@pytest.fixture(scope="module")
def place(new_store: NewStorage) -> Iterator[Place]:
    """The app by itself: what is learned is this module's alone."""
    with RunningApp(new_store(), settings=SETTINGS, as_azure=False) as app:
        yield place_at(app, "{app}")


class Notebook:
    """One run of the tutorial's loop."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.client: Any = PersonalizerClient(place.endpoint, CognitiveServicesCredentials(place.key))
        self.client.config.proxies.use_env_settings = False
        self.chance = random.Random(4)
        self.favourites = self.tastes()

    def tastes(self) -> dict[tuple[str, str, str], str]:
        """Draw what each person likes in which weather and when: by the weather, or by the time, as people do."""
        favourites = {}
        for person in PEOPLE:
            by_weather, liked = self.chance.random() < 0.5, self.chance.sample(sorted(COFFEES), 3)
            for weather in WEATHERS:
                for time in TIMES:
                    favourites[person, weather, time] = liked[WEATHERS.index(weather) if by_weather else TIMES.index(time)]
        return favourites

    def visits(self, count: int) -> float:
        """Serve so many, and give the share that got the favourite."""
        return sum(self.visit() for _ in range(count)) / count

    def visit(self) -> int:
        person, weather, time = (self.chance.choice(each) for each in (PEOPLE, WEATHERS, TIMES))
        actions = [RankableAction(id=name, features=features) for name, features in COFFEES.items()]
        context = [{"timeofday": time}, {"weather": weather}, {"name": person}]
        event_id = uuid.UUID(int=self.chance.getrandbits(128)).hex
        answer = self.client.rank(RankRequest(actions=actions, context_features=context, excluded_actions=[], event_id=event_id))
        assert answer.event_id == event_id
        reward = int(answer.reward_action_id == self.favourites[person, weather, time])
        self.client.events.reward(event_id, RewardRequest(value=reward).value)
        return reward

    def learns(self) -> None:
        """Wait, as the tutorial has its reader wait, until what was served is learned and served."""
        ranked = self.place.status()["counters"]["ranked"]
        self.place.until(lambda: self.place.train()["counters"]["learned"] == ranked)
        status = self.place.status()
        self.place.until(lambda: self.place.status()["modelVersion"] == status["publishedModelVersion"])


def test_the_simulation_of_the_tutorial_is_learned_and_learned_again_when_tastes_change(place):
    notebook = Notebook(place)
    first = notebook.visits(A_HUNDRED)
    assert first < 0.45, "nothing is known yet"
    for _ in range(ROUNDS):
        notebook.learns()
        notebook.visits(A_HUNDRED)
    notebook.learns()
    learned = notebook.visits(A_HUNDRED)
    assert learned > 0.75
    notebook.favourites = notebook.tastes()
    changed = notebook.visits(A_HUNDRED)
    assert changed < learned - 0.2
    for _ in range(2 * ROUNDS):
        notebook.learns()
        notebook.visits(A_HUNDRED)
    notebook.learns()
    assert notebook.visits(A_HUNDRED) > changed + 0.2
