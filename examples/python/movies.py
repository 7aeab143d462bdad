"""A movie to begin the evening with, that this household has not just seen: from 0 to 1 by how much of it is watched."""

from typing import Any

from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from msrest.authentication import CognitiveServicesCredentials
from msrest.exceptions import ClientException

from examples.python.stage import Curve, Stage, stage
from examples.python.world import Visitor

REWARDS = {"watched to the end": 1.0, "stopped half-way": 0.5, "not started": 0.0}


def main() -> None:
    """Serve the households and print the learning curve."""
    with stage(__doc__) as loop, connect(loop) as client:
        curve = Curve(loop)
        for household in loop.visitors("movies"):
            seen = household.actions[-1]["id"]  # as the application's own records would tell
            movie, event_id = choose(client, household, seen)
            reward = REWARDS[household.reacts_to(movie)]
            tell(client, event_id, reward)
            curve.add(reward, household, REWARDS, without=[seen])
        curve.tell()


def connect(loop: Stage) -> Any:
    """Open a client that would rather fail than keep a screen empty."""
    client: Any = PersonalizerClient(loop.endpoint, CognitiveServicesCredentials(loop.key))  # type: ignore[no-untyped-call]
    client.config.connection.timeout = 2  # seconds
    client.config.retry_policy.retries = 1
    client.config.proxies.use_env_settings = loop.proxies
    return client


def choose(client: Any, household: Visitor, seen: str) -> tuple[str, str | None]:
    """Give the movie to offer, and the event to reward; the first unseen one if Personalizer does not answer."""
    request = RankRequest(
        context_features=[household.context],
        actions=[RankableAction(id=movie["id"], features=[movie["features"]]) for movie in household.actions],
        excluded_actions=[seen],  # it stays in the list, so that the model sees the same movies every time
    )
    try:
        answer = client.rank(request)
    except ClientException as error:
        print(f"Rank: {error}")
        return household.actions[0]["id"], None
    return answer.reward_action_id, answer.event_id  # the service made the id


def tell(client: Any, event_id: str | None, reward: float) -> None:
    """Send the reward; one that is lost counts as the loop's default reward."""
    if event_id is None:
        return
    try:
        client.events.reward(event_id, value=reward)
    except ClientException as error:
        print(f"Reward: {error}")


if __name__ == "__main__":
    main()
