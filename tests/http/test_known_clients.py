"""Requests of the shapes that public plugins and samples send, contents made anew: each is served from its first call to its reward."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.http.building import ON_ONE_HOST, Log, log_since, path
from tests.running import Answer, RunningApp


def php(document: Any) -> bytes:
    """Write JSON as PHP does: an empty map is a list, slashes and all that is not ASCII are escaped."""
    text = json.dumps(document, separators=(",", ":")).replace("{}", "[]").replace("/", "\\/")
    return text.encode()


def words(text: str) -> dict[str, int]:
    """Count a text's words as both plugins for WordPress do: an empty text has one word, which is empty."""
    return dict.fromkeys(text.split(" "), 1)


def sent(app: RunningApp, place: str, body: bytes) -> Answer:
    return app.request("POST", place, body, headers={"Content-Type": "application/json"})


def shown(log: Log, event_id: str) -> dict[str, Any]:
    decision = next(each for each in log.decisions if each.event_id == event_id)
    found: dict[str, Any] = json.loads(decision.situation)
    return found


async def test_a_widget_of_wordpress_shows_a_post_and_rewards_the_click(app):
    """Posts' ids are numbers, a post without an excerpt has a word without a letter, and nobody's place is an empty map."""
    since = datetime.now(UTC)
    posts = [
        {"id": 101, "features": [{"Atitle": words("Ten ways to bake"), "Bexcerpt": words(""), "_URL": "http://blog.example.com/?p=101"}]},
        {
            "id": 102,
            "features": [{"Atitle": words("Été à Paris"), "Bexcerpt": words("A walk"), "Categories": {"Travel": 1}, "Tags": {"city": 1}}],
        },
    ]
    device = {"OSFamily": "Linux", "UAFamily": "Firefox", "DeviceFamily": "Other", "DeviceBrand": None, "DeviceModel": None}
    body = php({"contextFeatures": [{"location": {}, "device": device}], "actions": posts, "deferActivation": False})
    answer = sent(app, path("rank"), body)
    assert answer.status == 201, answer.body
    assert answer.json["rewardActionId"] in {"101", "102"}
    assert answer.headers["x-personalizer-left-out"] == "actions[0].features[0].Bexcerpt"
    assert sent(app, path(f"events/{answer.json['eventId']}/reward"), b'{"value":1}').status == 204
    logged = shown(await log_since(app, since), answer.json["eventId"])
    assert [each["i"]["id"] for each in logged["_multi"]] == ["101", "102"]
    assert logged["_multi"][0]["j"][0]["Bexcerpt"] == {}


async def test_a_block_of_wordpress_is_admitted_by_the_status_and_leaves_out_the_post_it_stands_in(app):
    """It puts two slashes behind the endpoint, and taking out a post makes its list of posts an object with numbers for names.

    In Azure no function is reached by a path that begins with two slashes: the endpoint needs a path, such as that of a loop.
    """
    endpoint = "/loops/default/"
    status = app.request("GET", f"{endpoint}/personalizer/v1.0/status")
    assert (status.status, "error" in status.json) == (200, False)
    assert "error" in app.request("GET", f"{endpoint}/personalizer/v1.0/status", keyed=False).json
    posts = {
        str(place): {"id": 200 + place, "features": [{"title": words(f"Post {place}"), "excerpt": words(""), "Categories": {"News": 1}}]}
        for place in (0, 1, 3, 4, 5)
    }
    agent = {"_ua": "Mozilla/5.0", "_DeviceFamily": "Mac", "_OSFamily": "Mac OS X", "DeviceBrand": "Apple", "DeviceModel": "Mac"}
    context = [{"userAgent": agent}, {"weekDay": "workweek", "timeOfDay": "pm"}]
    answer = sent(app, f"{endpoint}/personalizer/v1.0/rank", php({"contextFeatures": context, "actions": posts, "deferActivation": False}))
    assert answer.status == 201, answer.body
    assert {each["id"] for each in answer.json["ranking"]} == {"200", "201", "203", "204", "205"}
    reward = f"{endpoint}/personalizer/v1.0/events/{answer.json['eventId']}/reward"
    assert [sent(app, reward, php({"value": value})).status for value in (1, 0)] == [204, 204]


async def test_a_shop_recommends_other_products_and_rewards_by_their_place(app):
    """Written by .NET's client: decimals, empty lists of categories, and the product of the page among what is excluded."""
    products = [
        {
            "id": f"{number}",
            "features": [
                {"Categories": [3, 7][: number % 3], "price": -1.0, "has_discount": False, "vendor": "No Vendor", "rating": number}
            ],
        }
        for number in range(31, 36)
    ]
    context = [{"store": "1"}, {"current_product": 30}, {"currency_used": "Euro"}, {"logged": True}, {"Last_activity": "Today"}]
    body = {"contextFeatures": context, "actions": products, "excludedActions": ["30"]}
    answer = sent(app, path("rank"), json.dumps(body, indent=2).encode())
    assert answer.status == 201, answer.body
    for place in range(1, 4):
        value = json.dumps({"value": 1.0 / (place * 10.0 + 1.0)}, indent=2).encode()
        assert sent(app, path(f"events/{answer.json['eventId']}/reward"), value).status == 204


@ON_ONE_HOST
async def test_the_official_notebook_reads_what_it_prints_and_goes_through_its_loop(app):
    """It asks when the model was last changed before there is one, takes a time for granted, and sends whole numbers as rewards."""
    since = datetime.now(UTC)
    properties = app.request("GET", path("model/properties")).json
    assert properties["lastModifiedTime"] == "0001-01-01T00:00:00+00:00" or properties["lastModifiedTime"].endswith("Z")
    assert app.request("GET", path("configurations/policy")).json.keys() == {"name", "arguments"}
    assert "rewardWaitTime" in app.request("GET", path("configurations/service")).json
    drinks = [
        {"id": name, "features": [{"type": kind, "origin": origin, "organic": organic}]}
        for name, kind, origin, organic in (("Mocha", "hot", "Kenya", "yes"), ("Iced latte", "cold", "Peru", "no"))
    ]
    visits = [("Sunny", "Morning", 1), ("Rainy", "Evening", 0), ("Snowy", "Afternoon", 1)]
    for number, (weather, time_of_day, reward) in enumerate(visits):
        event_id = f"{number:032x}"
        context = [{"timeofday": time_of_day, "weather": weather, "name": "Ada"}]
        body = {"contextFeatures": context, "actions": drinks, "excludedActions": [], "eventId": event_id, "deferActivation": False}
        answer = sent(app, path("rank"), json.dumps(body).encode())
        assert (answer.status, answer.json["eventId"]) == (201, event_id)
        assert sent(app, path(f"events/{event_id}/reward"), json.dumps({"value": reward}).encode()).status == 204
    log = await log_since(app, since)
    rewards = {each.event_id: each.reward for each in log.observations}
    assert [rewards[f"{number:032x}"] for number in range(3)] == [1.0, 0.0, 1.0]
