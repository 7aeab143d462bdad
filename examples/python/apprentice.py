"""From your own rule to Personalizer: Apprentice mode until it chooses as you do, then Online.

Until the switch shoppers see what the rule chooses, and nothing else. After it the loop tries other products, so that for some hundred
shoppers it may earn less than the rule would have; the last lines say what both earned of the same shoppers.

Changes the loop's configuration, so give it a loop of its own.
"""

from collections.abc import Sequence
from typing import Any

from azure.ai.personalizer import PersonalizerAdministrationClient, PersonalizerClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError

from examples.python.stage import Curve, stage
from examples.python.world import Visitor

REWARDS = {"bought": 1.0, "put into the basket": 0.5, "left": 0.0}
RULE = {"little": "product-d", "medium": "product-c", "much": "product-c"}
ENOUGH_EVENTS, ENOUGH_AGREEMENT = 60, 0.7
"""Of the latest events: how many to judge by, and how many in which the loop would have chosen as the rule did."""
LOOK_EVERY = 20


def main() -> None:
    """Serve the shoppers, switch when the loop has understood, and print the learning curve."""
    with stage(__doc__, short=480) as loop:
        options: Any = {"read_timeout": 5, "retry_total": 1, "use_env_settings": loop.proxies}
        credential = AzureKeyCredential(loop.key)
        administration = PersonalizerAdministrationClient(loop.endpoint, credential, **options)
        client: Any = PersonalizerClient(loop.endpoint, credential, **options)  # its methods are not declared
        begin(administration)
        apprentice: Apprentice | None = Apprentice(administration)
        curve = Curve(loop)
        online: list[tuple[float, float]] = []
        for number, shopper in enumerate(loop.visitors("products")):
            if apprentice and number % LOOK_EVERY == 0 and apprentice.agrees():
                apprentice = None
                change(administration, learningMode="Online")
                print(f"          after {number} visitors: Online", flush=True)
            reward = serve(client, shopper)
            curve.add(reward, shopper, REWARDS)
            if not apprentice:
                online.append((reward, REWARDS[shopper.reacts_to(RULE[shopper.context["shopper"]["spends"]])]))
        curve.tell()
        tell(online)


class Apprentice:
    """Watches how often the loop would have chosen as the rule."""

    def __init__(self, administration: PersonalizerAdministrationClient) -> None:
        self._administration = administration
        self._judged = (0, 0)

    def agrees(self) -> bool:
        """Tell whether it did often enough, in the events that were learned since it was last asked."""
        metrics = self._administration.get_service_configuration().get("latestApprenticeModeMetrics") or {}
        events, imitated = metrics.get("numberOfEvents", 0), metrics.get("numberOfImitatedEvents", 0)
        latest = events - self._judged[0]
        if latest < ENOUGH_EVENTS:
            return False
        agreement = (imitated - self._judged[1]) / latest
        self._judged = events, imitated
        print(f"          chooses as the rule in {agreement:.0%} of the latest {latest}", flush=True)
        return bool(agreement >= ENOUGH_AGREEMENT)


def tell(online: Sequence[tuple[float, float]]) -> None:
    """Say what was earned since the switch, beside what the rule would have earned of the same shoppers."""
    if not online:
        print("It did not choose as the rule did often enough for a switch: all of them saw the choice of the rule.")
        return
    reward, rule = (sum(values) / len(online) for values in zip(*online, strict=True))
    print(f"Since the switch, {len(online)} visitors: reward {reward:.3f}, the rule alone {rule:.3f}.")
    if reward < rule:
        print("That is less than the rule. The loop tries other products, and has to see some hundred visitors before that pays.")


def own_choice_first(shopper: Visitor) -> Sequence[Any]:
    """Put what the shop's own rule would show at the head: in Apprentice mode that is what Rank answers."""
    chosen = RULE[shopper.context["shopper"]["spends"]]
    return sorted(shopper.actions, key=lambda product: product["id"] != chosen)


def serve(client: Any, shopper: Visitor) -> float:
    """Show one product and give its reward, in either mode by the same calls."""
    products = own_choice_first(shopper)
    request = {
        "contextFeatures": [shopper.context],
        "actions": [{"id": product["id"], "features": [product["features"]]} for product in products],
    }
    try:
        answer = client.rank(request)
        reward = REWARDS[shopper.reacts_to(answer["rewardActionId"])]
        client.reward(answer["eventId"], {"value": reward})
    except AzureError as error:  # the shop shows its own choice, as it always did
        print(f"Personalizer: {error}")
        return REWARDS[shopper.reacts_to(products[0]["id"])]
    return reward


def begin(administration: PersonalizerAdministrationClient) -> None:
    """Start as an apprentice; a week of the log lets the switch begin with what was learned."""
    change(administration, modelRetrainDays=7)
    change(administration, learningMode="Apprentice")


def change(administration: PersonalizerAdministrationClient, **members: Any) -> None:
    """Write the configuration back with some members changed, as one PUT needs all of them."""
    administration.update_service_configuration({**administration.get_service_configuration(), **members})


if __name__ == "__main__":
    main()
