"""A letter by mail whose rewards come late and in parts: opened, clicked, ordered. What never arrives does not count.

Sets the loop's aggregation to `sum` and its default reward to 0, so give it a loop of its own.
"""

import heapq
import random
import time
from collections.abc import Iterator
from typing import Any

from azure.ai.personalizer import PersonalizerAdministrationClient, PersonalizerClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError

from examples.python.stage import Curve, stage
from examples.python.world import Visitor

WORTH = {"bought": 1.0, "put into the basket": 0.5, "left": 0.0}
PARTS = {"bought": (0.2, 0.3, 0.5), "put into the basket": (0.2, 0.3), "left": ()}
"""Opened 0.2, clicked 0.3, ordered 0.5: the loop sums them up. Who does nothing sends nothing: the default reward."""
BOUNCED = 0.1
LONGEST_DELAY = 1.2


def main() -> None:
    """Send the letters, and each reward when its time has come."""
    with stage(__doc__) as loop:
        options: Any = {"read_timeout": 5, "retry_total": 1, "use_env_settings": loop.proxies}
        credential = AzureKeyCredential(loop.key)
        prepare(PersonalizerAdministrationClient(loop.endpoint, credential, **options))
        client: Any = PersonalizerClient(loop.endpoint, credential, **options)  # its methods are not declared
        chance, post, curve = random.Random(loop.seed), Post(), Curve(loop)
        for reader in loop.visitors("products"):
            product, event_id = choose(client, reader)
            reaction = reader.reacts_to(product)
            if event_id and chance.random() >= BOUNCED:  # it has arrived: only now the choice was shown to anybody
                attempt(lambda event_id=event_id: client.activate(event_id))
                for part in PARTS[reaction]:
                    post.send(event_id, part, after=chance.uniform(0.1, LONGEST_DELAY))
            for due_id, part in post.due():
                attempt(lambda due_id=due_id, part=part: client.reward(due_id, {"value": part}))
            curve.add(WORTH[reaction], reader, WORTH)
        curve.tell()


def prepare(administration: PersonalizerAdministrationClient) -> None:
    """Say what several rewards and none come to. The wait time has to be longer than rewards take: here seconds."""
    configuration = administration.get_service_configuration()
    administration.update_service_configuration({**configuration, "rewardAggregation": "sum", "defaultReward": 0.0})


def choose(client: Any, reader: Visitor) -> tuple[str, str | None]:
    """Give the product to write about; with `deferActivation` the event waits until the letter has arrived."""
    request = {
        "contextFeatures": [reader.context],
        "actions": [{"id": product["id"], "features": [product["features"]]} for product in reader.actions],
        "deferActivation": True,
    }
    answer = attempt(lambda: client.rank(request))
    return (answer["rewardActionId"], answer["eventId"]) if answer else (reader.actions[0]["id"], None)


def attempt(call: Any) -> Any:
    """Call, and go on without when it fails: what is not activated is not learned, what is not rewarded earns the default."""
    try:
        return call()
    except AzureError as error:
        print(f"Personalizer: {error}")
        return None


class Post:
    """What readers will do, by the time they do it."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, str, float]] = []

    def send(self, event_id: str, value: float, *, after: float) -> None:
        """Have a part of a reward come later."""
        heapq.heappush(self._waiting, (time.monotonic() + after, event_id, value))

    def due(self) -> Iterator[tuple[str, float]]:
        """Take out what has come in the meantime."""
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            yield heapq.heappop(self._waiting)[1:]


if __name__ == "__main__":
    main()
