"""A product to feature in a shop, through the newer SDK: 1 if it is bought, 0.5 if it is put into the basket."""

from typing import Any

from azure.ai.personalizer import PersonalizerClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError

from examples.python.stage import Curve, Stage, stage
from examples.python.world import Visitor

REWARDS = {"bought": 1.0, "put into the basket": 0.5, "left": 0.0}


def main() -> None:
    """Serve the shoppers and print the learning curve."""
    with stage(__doc__) as loop, connect(loop) as client:
        curve = Curve(loop)
        for shopper in loop.visitors("products"):
            product, event_id = choose(client, shopper)
            reward = REWARDS[shopper.reacts_to(product)]
            tell(client, event_id, reward)
            curve.add(reward, shopper, REWARDS)
        curve.tell()


def connect(loop: Stage) -> Any:
    """Open a client that would rather fail than keep a shopper waiting."""
    credential = AzureKeyCredential(loop.key)
    return PersonalizerClient(loop.endpoint, credential, read_timeout=2, retry_total=1, use_env_settings=loop.proxies)


def choose(client: Any, shopper: Visitor) -> tuple[str, str | None]:
    """Give the product to feature, and the event to reward; the shop's own first one if Personalizer does not answer."""
    request = {
        "contextFeatures": [shopper.context],
        "actions": [{"id": product["id"], "features": [product["features"]]} for product in shopper.actions],
    }
    try:
        answer = client.rank(request)
    except AzureError as error:
        print(f"Rank: {error}")
        return shopper.actions[0]["id"], None
    return answer["rewardActionId"], answer["eventId"]


def tell(client: Any, event_id: str | None, reward: float) -> None:
    """Send the reward; one that is lost counts as the loop's default reward."""
    if event_id is None:
        return
    try:
        client.reward(event_id, {"value": reward})
    except AzureError as error:
        print(f"Reward: {error}")


if __name__ == "__main__":
    main()
