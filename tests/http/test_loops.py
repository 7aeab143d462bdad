"""Many loops in one app: made and given keys by the administrator, apart from each other, and followed by every process."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from msrest.authentication import CognitiveServicesCredentials

from shared.storage import names
from shared.storage.files import Files
from shared.storage.loop_store import FileUsage
from tests.http.building import KEY, ON_ONE_HOST, QUERY_VERSION, VERSIONS, path, rank_body, refused
from tests.http.own_loops import ADMIN, SETTINGS, another_process
from tests.running import Answer, HostKind, RunningApp
from tests.stores import opened

POLL = 0.2


@pytest.fixture(scope="module")
def managed(host, new_store) -> Iterator[RunningApp]:
    """An app with an administrator, which the tests of this module share: each makes loops of its own, which stay."""
    with RunningApp(new_store(), kind=host, settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def second(managed: RunningApp, host: HostKind) -> Iterator[RunningApp]:
    """Another process of the same app."""
    with another_process(managed, host) as other:
        yield other


@pytest.fixture
def name(request) -> str:
    return "".join(character for character in f"l{abs(hash(request.node.name)) % 10**12}y" if character.isalnum())


class Loop(NamedTuple):
    """A loop as its application sees it."""

    app: RunningApp
    name: str
    keys: tuple[str, str]

    def at(self, app: RunningApp) -> "Loop":
        return self._replace(app=app)

    def call(self, method: str, rest: str, body: Any = None, *, version: str = "v1.0", key: str | None = None) -> Answer:
        return self.app.request(method, f"/loops/{self.name}{path(rest, version=version)}", body, headers={KEY: key or self.keys[0]})

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.app.request("GET", f"/loops/{self.name}/status", headers={KEY: self.keys[0]}).json["loop"]
        return found


def administer(app: RunningApp, method: str, place: str, body: Any = None) -> Answer:
    return app.request(method, place, body, headers=ADMIN)


def make(app: RunningApp, name: str, **body: Any) -> Loop:
    answer = administer(app, "PUT", f"/loops/{name}", body)
    assert answer.status == 201, answer.body
    return Loop(app, name, tuple(answer.json["keys"]))


def soon(is_so: Callable[[], bool], *, seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def answers(loop: Loop) -> bool:
    return loop.call("POST", "rank", rank_body()).status == 201


# --- administration --------------------------------------------------------------------------------------------------------


def test_a_loop_is_made_read_listed_changed_and_deleted(managed, name):
    made = administer(managed, "PUT", f"/loops/{name}", {"tier": "E0", "configuration": {"rewardWaitTime": "PT1H"}})
    assert made.status == 201
    keys = made.json.pop("keys")
    assert len(keys) == 2
    assert made.json["endpoint"] == f"{managed.base_url}/loops/{name}"
    assert (made.json["name"], made.json["tier"]) == (name, "E0")
    assert (made.json["configuration"]["learningMode"], made.json["configuration"]["rewardWaitTime"]) == ("Apprentice", "PT1H")
    described = {member: value for member, value in made.json.items() if member != "keys"}
    assert administer(managed, "GET", f"/loops/{name}").json == described
    listed = administer(managed, "GET", "/loops").json["value"]
    assert listed[0]["name"] == "default"
    assert described in listed
    again = administer(managed, "PUT", f"/loops/{name}", {"tier": "S0"})
    assert (again.status, "keys" in again.json) == (200, False)
    assert (again.json["tier"], again.json["configuration"]["learningMode"]) == ("S0", "Online")
    deleted = administer(managed, "DELETE", f"/loops/{name}")
    assert (deleted.status, deleted.body) == (204, b"")
    assert name not in [each["name"] for each in administer(managed, "GET", "/loops").json["value"]]
    for method in ("GET", "DELETE"):
        refused(administer(managed, method, f"/loops/{name}"), 404, "ResourceNotFound", naming=name)


def test_a_loop_needs_no_body(managed, name):
    answer = administer(managed, "PUT", f"/loops/{name}")
    assert (answer.status, answer.json["tier"]) == (201, "S0")


@pytest.mark.parametrize(
    ("body", "code", "target"),
    [
        ({"tier": "S1"}, "InvalidRequest", "tier"),
        ({"tier": 1}, "InvalidRequest", "tier"),
        ({"tear": "S0"}, "InvalidRequest", "tear"),
        ({"keys": ["a", "b"]}, "InvalidRequest", "keys"),
        (["tier"], "InvalidRequest", None),
        ({"configuration": ["tier"]}, "InvalidRequest", "configuration"),
        ({"configuration": {"defaultReward": 2}}, "InvalidServiceConfiguration", "defaultReward"),
        ({"configuration": {"defaultReward": "x"}}, "InvalidServiceConfiguration", "configuration.defaultReward"),
        ({"configuration": {"rewardWaitTime": "P31D"}}, "InvalidRewardWaitTime", "rewardWaitTime"),
    ],
)
def test_a_body_that_breaks_a_rule_makes_no_loop(managed, name, body, code, target):
    answer = administer(managed, "PUT", f"/loops/{name}", body)
    assert (answer.status, answer.json["error"]["code"], answer.json["error"].get("target")) == (400, code, target)
    told = administer(managed, "POST", f"/loops/{name}/preview", body)
    assert (told.status, told.json["error"]["code"], told.json["error"].get("target")) == (400, code, target)
    assert administer(managed, "GET", f"/loops/{name}").status == 404


@pytest.mark.parametrize("wrong", ["1news", "news-x", "x" * 32, "newsx0001", "a%2Fb", "caf%C3%A9", "a.b"])
def test_a_name_that_no_loop_can_have_is_refused(managed, wrong):
    for method, place in (("PUT", f"/loops/{wrong}"), ("POST", f"/loops/{wrong}/preview")):
        refused(administer(managed, method, place, {}), 400, "InvalidRequest", naming="the loop's name", target="loop")
    assert administer(managed, "GET", f"/loops/{wrong}").status == 404
    assert administer(managed, "DELETE", f"/loops/{wrong}").status == 404
    assert administer(managed, "POST", f"/loops/{wrong}/keys/1/regenerate").status == 404


@pytest.mark.parametrize(
    ("method", "place"), [("GET", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x"), ("POST", "/x/keys/1/regenerate")]
)
@pytest.mark.parametrize("key", [None, "", "wrong", "a loop's key"])
def test_only_the_administrator_may(managed, method, place, key):
    headers = {} if key is None else {KEY: managed.key if key == "a loop's key" else key}
    refused(managed.request(method, f"/loops{place}", headers=headers, keyed=False), 401, "401", naming="Access denied")


def test_an_app_without_an_administrators_key_says_what_to_set(quiet):
    for headers in ({}, {KEY: quiet.key}, {KEY: "None"}):
        refused(quiet.request("GET", "/loops", headers=headers, keyed=False), 401, "401", naming="PERSONALIZER_ADMIN_KEY")


def test_the_administrators_key_opens_no_loop(managed, name):
    loop = make(managed, name)
    refused(loop.call("POST", "rank", rank_body(), key=ADMIN[KEY]), 401, "401", naming="Access denied")
    refused(managed.request("POST", path("rank"), rank_body(), headers=ADMIN), 401, "401", naming="Access denied")


def test_the_default_loop_cannot_be_deleted(managed):
    refused(administer(managed, "DELETE", "/loops/default"), 400, "InvalidRequest", naming="default", target="loop")
    assert managed.request("POST", path("rank"), rank_body()).status == 201


@pytest.mark.parametrize(
    ("method", "place", "allowed"), [("POST", "", "GET"), ("POST", "/x", "GET, PUT, DELETE"), ("GET", "/x/keys/1/regenerate", "POST")]
)
def test_another_method_is_told_the_right_ones(managed, method, place, allowed):
    answer = managed.request(method, f"/loops{place}", {})
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", "))


# --- serving ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_loop_serves_what_the_default_one_does_in_every_version(managed, name, version):
    loop = make(managed, f"{name}{VERSIONS.index(version)}z")
    ranked = loop.call("POST", "rank", rank_body(eventId="e 1"), version=version)
    assert (ranked.status, ranked.json["eventId"]) == (201, "e 1")
    assert loop.call("POST", "events/e%201/reward", {"value": 1}, version=version).status == 204
    assert loop.call("POST", "events/e%201/activate", version=version).status == 204
    assert loop.call("GET", "configurations/service", version=version).json["rewardWaitTime"] == "PT10M"
    assert loop.call("GET", "configurations/policy", version=version).json["arguments"] == "--cb_explore_adf"
    counters = loop.status()["counters"]
    assert (counters["ranked"], counters["rewards"]) == (1, 1)


def test_the_official_sdk_needs_only_the_loops_endpoint_and_key(managed, name):
    loop = make(managed, name)
    client: Any = PersonalizerClient(f"{managed.base_url}/loops/{name}", CognitiveServicesCredentials(loop.keys[1]))
    with client:
        answer = client.rank(RankRequest(actions=[RankableAction(id="a", features=[{"x": 1}])]))
        client.events.reward(answer.event_id, value=1.0)
        client.events.activate(answer.event_id)
    assert loop.status()["counters"]["ranked"] == 1


@pytest.mark.parametrize(
    "rest", ["/loops/{}//personalizer/v1.0//rank/", "/LOOPS/{}/Personalizer/V1.0/RANK", "/loops//{}/personalizer/v1.0/rank"]
)
def test_a_loop_is_found_through_doubled_slashes_and_in_any_case(managed, name, rest):
    loop = make(managed, f"{name}{sum(map(ord, rest))}z")
    for shown in (loop.name, loop.name.upper()):
        assert managed.request("POST", rest.format(shown), rank_body(), headers={KEY: loop.keys[0]}).status == 201


def test_loops_share_neither_keys_nor_events_nor_configuration(managed, name):
    one, other = make(managed, f"{name}a"), make(managed, f"{name}b")
    for loop, key in ((one, other.keys[0]), (other, one.keys[1]), (one, managed.key)):
        refused(loop.call("POST", "rank", rank_body(), key=key), 401, "401", naming="Access denied")
    assert managed.request("POST", path("rank"), rank_body(), headers={KEY: one.keys[0]}).status == 401
    before = managed.request("GET", "/status").json["loop"]["counters"]
    for number in range(3):
        one.call("POST", "rank", rank_body(eventId=f"e{number}"))
    one.call("POST", "events/e0/reward", {"value": 1})
    body = {**one.call("GET", "configurations/service", version=QUERY_VERSION).json, "learningMode": "LoggingOnly"}
    assert one.call("PUT", "configurations/service", body, version=QUERY_VERSION).status == 200
    assert one.call("PUT", "configurations/policy", {"name": "x", "arguments": "--cb_explore_adf --softmax"}).status == 200
    assert (one.status()["counters"]["ranked"], other.status()["counters"]["ranked"]) == (3, 0)
    assert managed.request("GET", "/status").json["loop"]["counters"] == before
    assert other.call("GET", "configurations/service", version="v1.1-preview.1").json["learningMode"] == "Online"
    assert other.call("GET", "configurations/policy").json["name"] == "default"
    assert managed.request("GET", path("configurations/policy")).json["name"] == "default"


def test_the_same_event_id_in_two_loops_is_drawn_independently(managed, name):
    one, other = make(managed, f"{name}a"), make(managed, f"{name}b")
    drawn = [[loop.call("POST", "rank", rank_body(eventId=f"e{n}")).json["rewardActionId"] for n in range(25)] for loop in (one, other)]
    assert drawn[0] != drawn[1]


def test_a_loop_that_is_not_there_is_told_only_to_holders_of_a_key(managed):
    for place in ("/loops/nobody/personalizer/v1.0/rank", "/loops/No.Loop/personalizer/v1.0/rank"):
        for key in (managed.key, ADMIN[KEY]):
            refused(managed.request("POST", place, rank_body(), headers={KEY: key}), 404, "ResourceNotFound", naming="there is no loop")
        refused(managed.request("POST", place, rank_body(), keyed=False), 401, "401", naming="Send it")


def test_to_others_a_loop_that_is_not_there_looks_like_one_whose_key_they_lack(managed, name):
    make(managed, name)
    answers = [
        managed.request("POST", f"/loops/{each}/personalizer/v1.0/rank", rank_body(), headers={KEY: "wrong"}) for each in (name, "nobody")
    ]
    assert answers[0].status == answers[1].status == 401
    assert answers[0].json == answers[1].json


def test_a_loops_status_tells_of_that_loop_and_without_a_key_of_none(managed, name):
    loop = make(managed, name, tier="E0")
    assert (loop.status()["name"], loop.status()["learningMode"]) == (name, "Apprentice")
    for place in (f"/loops/{name}/status", "/loops/nobody/status"):
        answer = managed.request("GET", place, keyed=False)
        assert (answer.status, "loop" in answer.json) == (200, False)
    refused(managed.request("GET", f"/loops/{name}/status", headers={KEY: managed.key}), 401, "401", naming="Access denied")


# --- keys ------------------------------------------------------------------------------------------------------------------


@ON_ONE_HOST
@pytest.mark.parametrize("number", [1, 2])
def test_a_new_key_opens_and_the_old_one_closes_at_once_here_and_soon_elsewhere(managed, second, name, number):
    loop = make(managed, f"{name}{number}z")
    old, kept = loop.keys[number - 1], loop.keys[2 - number]
    assert loop.at(second).call("POST", "rank", rank_body(), key=old).status == 201
    answer = administer(managed, "POST", f"/loops/{loop.name}/keys/{number}/regenerate")
    assert (answer.status, answer.json["number"]) == (200, number)
    new = answer.json["key"]
    assert loop.call("POST", "rank", rank_body(), key=old).status == 401
    soon(lambda: loop.at(second).call("POST", "rank", rank_body(), key=old).status == 401, seconds=POLL + 3)
    for app in (managed, second):
        for key in (new, kept):
            assert loop.at(app).call("POST", "rank", rank_body(), key=key).status == 201
            assert loop.at(app).call("POST", "events/e/reward", {"value": 1}, key=key).status == 204


@ON_ONE_HOST
def test_an_old_key_closes_for_callers_that_only_send_rewards_too(managed, second, name):
    """Such a process never asks for a model; it has to look for new keys all the same."""
    loop = make(managed, name)
    assert loop.at(second).call("POST", "events/e/reward", {"value": 1}).status == 204
    administer(managed, "POST", f"/loops/{name}/keys/1/regenerate")
    soon(lambda: loop.at(second).call("POST", "events/e/reward", {"value": 1}).status == 401, seconds=POLL + 3)


@pytest.mark.parametrize("number", ["0", "3", "one", "1%2F2"])
def test_there_are_two_keys(managed, name, number):
    refused(
        administer(managed, "POST", f"/loops/default/keys/{number}/regenerate"),
        404,
        "ResourceNotFound",
        naming="key 1 and key 2",
        target="number",
    )


@ON_ONE_HOST
def test_the_default_loop_takes_the_apps_keys_until_one_was_regenerated(host, storage):
    keys = {"PERSONALIZER_KEYS": "first,second"}
    app = RunningApp(storage, kind=host, settings={**SETTINGS, **keys})
    app.key = "second"

    def opens(key: str) -> bool:
        return app.request("POST", path("rank"), rank_body(), headers={KEY: key}).status == 201

    with app:
        assert [opens(key) for key in ("first", "second")] == [True, True]
        new = administer(app, "POST", "/loops/default/keys/1/regenerate").json["key"]
        assert [opens(key) for key in ("first", "second", new)] == [False, True, True]
        app.stop()
        app.start()
        assert [opens(key) for key in ("first", "second", new)] == [False, True, True], "a restart does not bring the old key back"


def test_keys_are_neither_stored_nor_logged_nor_told_again(managed, name):
    loop = make(managed, name)
    new = administer(managed, "POST", f"/loops/{name}/keys/1/regenerate").json["key"]
    loop.call("POST", "rank", rank_body(), key="wrong")
    told = administer(managed, "GET", "/loops").body + administer(managed, "GET", f"/loops/{name}").body + managed.logs.encode()

    async def record() -> bytes:
        account = opened(managed.storage)
        try:
            file = await Files(account, names.MODELS).read(names.configuration_file(name))
        finally:
            await account.close()
        assert file is not None
        return file.data

    stored = asyncio.run(record())
    for key in (*loop.keys, new, ADMIN[KEY]):
        assert key.encode() not in stored + told


# --- deletion --------------------------------------------------------------------------------------------------------------


@ON_ONE_HOST
def test_a_deleted_loop_is_gone_here_at_once_and_elsewhere_soon(managed, second, name):
    loop = make(managed, name)
    assert loop.at(second).call("POST", "rank", rank_body()).status == 201
    assert administer(managed, "DELETE", f"/loops/{name}").status == 204
    refused(loop.call("POST", "rank", rank_body()), 404, "ResourceNotFound", naming=name)
    soon(lambda: loop.at(second).call("POST", "rank", rank_body()).status == 404, seconds=POLL + 3)
    refused(loop.call("POST", "rank", rank_body(), key="wrong"), 401, "401", naming="Access denied")


@ON_ONE_HOST
def test_a_loop_made_again_starts_empty_and_its_old_keys_stay_closed(managed, second, name):
    old = make(managed, name, configuration={"explorationPercentage": 0.9})
    for number in range(4):
        assert old.at(second).call("POST", "rank", rank_body(eventId=f"e{number}")).status == 201
    administer(managed, "DELETE", f"/loops/{name}")
    new = make(managed, name)
    assert new.status()["counters"]["ranked"] == 0
    assert new.call("GET", "configurations/service").json["explorationPercentage"] == 0.2
    for here in (new, new.at(second)):
        soon(partial(answers, here), seconds=POLL + 3)
        assert old.at(here.app).call("POST", "rank", rank_body()).status == 401
    assert new.status()["counters"]["ranked"] == new.at(second).status()["counters"]["ranked"] == 2


@ON_ONE_HOST
def test_a_loop_made_in_one_process_is_served_by_another_that_had_not_found_it(managed, second, name):
    place = f"/loops/{name}/personalizer/v1.0/rank"
    assert second.request("POST", place, rank_body()).status == 404
    loop = make(managed, name)
    soon(lambda: loop.at(second).call("POST", "rank", rank_body()).status == 201, seconds=POLL + 3)


# --- F0 --------------------------------------------------------------------------------------------------------------------


def spend(loop: Loop, *, left: int) -> None:
    """Let others have been granted all but so many of this month's calls."""

    async def grant() -> None:
        account = opened(loop.app.storage)
        try:
            wanted = 50_000 - left
            month = f"{datetime.now(UTC):%Y%m}"
            assert await FileUsage(account, place=f"{loop.name}x0001").grant(month, wanted=wanted, limit=50_000) == wanted
        finally:
            await account.close()

    asyncio.run(grant())


@ON_ONE_HOST
def test_f0_answers_its_monthly_number_in_all_processes_together_and_then_403(managed, second, name):
    loop = make(managed, name, tier="F0")
    spend(loop, left=30)
    statuses = [loop.at(app).call("POST", "rank", rank_body()).status for _ in range(25) for app in (managed, second)]
    assert statuses.count(201) == 30
    assert set(statuses) == {201, 403}
    answer = loop.call("POST", "rank", rank_body())
    refused(answer, 403, "403", naming="50000 Rank calls a calendar month. The quota will be replenished in ")
    assert answer.json["error"]["message"].startswith("Out of call volume quota")
    assert "retry-after" not in answer.headers, "clients would repeat a call that cannot succeed before the next month"
    assert loop.call("POST", "events/e/reward", {"value": 1}).status == 204, "only Rank is counted"
    assert loop.call("GET", "configurations/service").status == 200
    assert loop.status()["counters"]["ranked"] == 30


@ON_ONE_HOST
def test_f0_counts_no_call_that_was_refused(managed, name):
    loop = make(managed, name, tier="F0")
    spend(loop, left=2)
    for _ in range(5):
        assert loop.call("POST", "rank", {"actions": []}).status == 400
    assert [loop.call("POST", "rank", rank_body()).status for _ in range(3)] == [201, 201, 403]


@ON_ONE_HOST
def test_a_raised_tier_answers_at_once(managed, name):
    loop = make(managed, name, tier="F0")
    spend(loop, left=0)
    assert loop.call("POST", "rank", rank_body()).status == 403
    assert administer(managed, "PUT", f"/loops/{name}", {"tier": "S0"}).status == 200
    assert loop.call("POST", "rank", rank_body()).status == 201
