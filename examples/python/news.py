"""A news page with one large story: the one that this reader wants, on this device and in this season."""

import uuid
from typing import Any

from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from msrest.authentication import CognitiveServicesCredentials
from msrest.exceptions import ClientException

from examples.python.stage import Curve, Stage, stage
from examples.python.world import Visitor

REWARDS = {"read": 1.0, "glanced at": 0.5, "passed over": 0.0}


def main() -> None:
    """Serve the readers and print the learning curve."""
    with stage(__doc__) as loop, connect(loop) as client:
        curve = Curve(loop)
        for reader in loop.visitors("news"):
            story, event_id = choose(client, reader)
            reward = REWARDS[reader.reacts_to(story)]
            tell(client, event_id, reward)
            curve.add(reward, reader, REWARDS)
        curve.tell()


def connect(loop: Stage) -> Any:
    """Open a client that would rather fail than keep a page waiting."""
    client: Any = PersonalizerClient(loop.endpoint, CognitiveServicesCredentials(loop.key))  # type: ignore[no-untyped-call]
    client.config.connection.timeout = 2  # seconds
    client.config.retry_policy.retries = 1
    client.config.proxies.use_env_settings = loop.proxies
    return client


def choose(client: Any, reader: Visitor) -> tuple[str, str | None]:
    """Give the story to show, and the event to reward; the editors' first story if Personalizer does not answer."""
    request = RankRequest(
        event_id=str(uuid.uuid4()),
        context_features=[reader.context],
        actions=[RankableAction(id=story["id"], features=[story["features"]]) for story in reader.actions],
    )
    try:
        answer = client.rank(request)
    except ClientException as error:
        print(f"Rank: {error}")
        return reader.actions[0]["id"], None
    return answer.reward_action_id, answer.event_id


def tell(client: Any, event_id: str | None, reward: float) -> None:
    """Send the reward; one that is lost counts as the loop's default reward, so nothing is worth waiting for."""
    if event_id is None:
        return
    try:
        client.events.reward(event_id, value=reward)
    except ClientException as error:
        print(f"Reward: {error}")


if __name__ == "__main__":
    main()
