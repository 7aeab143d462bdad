"""GET changes: who changed what and when, for the holder of a key of the loop; and no key is ever told."""

from collections.abc import Iterator

import pytest

from tests.http.building import KEY, path, refused
from tests.http.own_loops import ADMIN, OwnLoop, own_loop

PLACE = path("configurations/service", version="2022-09-01-preview")
POLICY = path("configurations/policy", version="2022-09-01-preview")


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    with own_loop(shared) as loop:
        yield loop


def changes(app: OwnLoop, query: str = ""):
    answer = app.request("GET", f"/changes{query}")
    assert answer.status == 200, answer.body
    return answer.json["value"]


def test_settings_policy_keys_and_models_are_told_newest_first_with_who_changed_them(own):
    settings = own.request("GET", PLACE).json
    assert own.request("PUT", PLACE, {**settings, "rewardWaitTime": "PT1H"}).status == 200
    second = own.app.request("POST", f"/loops/{own.name}/keys/2/regenerate", headers=ADMIN).json["key"]
    policy = {"name": "mine", "arguments": "--cb_explore_adf --softmax"}
    assert own.request("PUT", POLICY, policy, headers={KEY: second}).status == 200
    found = changes(own)
    assert [(each["by"], each["kind"]) for each in found] == [
        ("key 2", "policy"),
        ("administrator", "keys"),
        ("key 1", "settings"),
        ("administrator", "loopMade"),
    ]
    assert found[0]["members"] == [{"name": "policy", "old": "--cb_explore_adf", "new": policy["arguments"]}]
    assert found[2]["members"] == [{"name": "rewardWaitTime", "old": "PT10M", "new": "PT1H"}]
    assert all(each["isCertain"] for each in found)
    text = str(found)
    assert not [key for key in (own.key, second) if key in text]


def test_what_changes_nothing_is_no_change(own):
    settings = own.request("GET", PLACE).json
    before = changes(own)
    assert own.request("PUT", PLACE, settings).status == 200
    assert own.request("PUT", PLACE, {**settings, "rewardWaitTime": "PT0S"}).status == 400
    assert changes(own) == before


def test_a_loop_that_is_made_again_knows_nothing_of_its_earlier_life(shared):
    with own_loop(shared, rewardWaitTime="PT1H") as first:
        assert shared.request("DELETE", f"/loops/{first.name}", headers=ADMIN).status == 204
        made = shared.request("PUT", f"/loops/{first.name}", {}, headers=ADMIN)
        again = first._replace(key=made.json["keys"][0])
        assert [each["kind"] for each in changes(again)] == ["loopMade"]


def test_so_many_are_told_as_are_wanted(own):
    assert len(changes(own, "?top=1")) == 1
    for top in ("0", "501", "x", "-1"):
        refused(own.request("GET", f"/changes?top={top}"), 400, "InvalidRequest", naming="top", target="top")


def test_who_has_no_key_is_told_nothing(own):
    assert own.request("GET", "/changes", keyed=False).status == 401
