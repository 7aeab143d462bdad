"""A page with three places, filled by one call without showing a story twice; each place is rewarded by itself.

Sets the loop's policy to one for several slots, so give it a loop of its own.
"""

from collections.abc import Mapping
from typing import Any

from azure.ai.personalizer import PersonalizerAdministrationClient, PersonalizerClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError

from examples.python.stage import Curve, stage
from examples.python.world import Visitor

REWARDS = {"read": 1.0, "glanced at": 0.5, "passed over": 0.0}
PLACES = {"hero": ("large", 1.0), "side": ("small", 0.6), "foot": ("small", 0.3)}
"""The size of each place, and the share of a reader's attention that it gets: the loop is told the first alone."""


def main() -> None:
    """Serve the readers and print the learning curve, a reward being the mean of the three places."""
    with stage(__doc__) as loop:
        options: Any = {"read_timeout": 5, "retry_total": 1, "use_env_settings": loop.proxies}
        credential = AzureKeyCredential(loop.key)
        administration = PersonalizerAdministrationClient(loop.endpoint, credential, **options)
        administration.update_policy({"name": "several slots", "arguments": "--ccb_explore_adf"})
        client: Any = PersonalizerClient(loop.endpoint, credential, **options)  # its methods are not declared
        curve = Curve(loop)
        for reader in loop.visitors("news"):
            shown, event_id = fill(client, reader)
            rewards = {place: REWARDS[reader.reacts_to(story, attention=PLACES[place][1])] for place, story in shown.items()}
            tell(client, event_id, rewards)
            blind, best = expectations(reader)
            curve.count(sum(rewards.values()) / len(PLACES), blind=blind, best=best)
        curve.tell()


def fill(client: Any, reader: Visitor) -> tuple[Mapping[str, str], str | None]:
    """Give the story of each place, and the event; the editors' order if Personalizer does not answer."""
    editors = {place: story["id"] for place, story in zip(PLACES, reader.actions, strict=False)}
    request = {
        "contextFeatures": [reader.context],
        "actions": [{"id": story["id"], "features": [story["features"]]} for story in reader.actions],
        "slots": [
            {"id": place, "features": [{"place": {"name": place, "size": PLACES[place][0]}}], "baselineAction": story}
            for place, story in editors.items()
        ],
    }
    try:
        answer = client.rank_multi_slot(request)
    except AzureError as error:
        print(f"Rank: {error}")
        return editors, None
    return {slot["id"]: slot["rewardActionId"] for slot in answer["slots"]}, answer["eventId"]


def tell(client: Any, event_id: str | None, rewards: Mapping[str, float]) -> None:
    """Send the rewards of all places in one call."""
    if event_id is None:
        return
    try:
        client.reward_multi_slot(event_id, {"reward": [{"slotId": place, "value": value} for place, value in rewards.items()]})
    except AzureError as error:
        print(f"Reward: {error}")


def expectations(reader: Visitor) -> tuple[float, float]:
    """Give the mean reward of a page filled blindly, and of the best one: the most wanted story where it is seen most."""
    stories = sorted((story["id"] for story in reader.actions), key=lambda story: -reader.interest[story])
    attention = [share for _, share in PLACES.values()]
    blind = [reader.expects(story, REWARDS, attention=share) for share in attention for story in stories]
    best = [reader.expects(story, REWARDS, attention=share) for story, share in zip(stories, attention, strict=False)]
    return sum(blind) / len(blind), sum(best) / len(best)


if __name__ == "__main__":
    main()
