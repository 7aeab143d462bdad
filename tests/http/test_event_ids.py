"""Event ids: whatever Rank takes in its body, Reward and Activate find in their path."""

import secrets
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from tests.http.building import QUERY_VERSION, activate, event_path, log_since, nothing_logged, path, rank, refused, reward

EVENT_IDS = {
    "plain": "75269AD0-BFEE-4598-8196-C57383D38E10",
    "slashes": "a/b//c/",
    "spaces": " two  words ",
    "plus": "1+1",
    "percent": "100%",
    "percent and digits": "100%25",
    "not ascii": "événement-日本語-🎉",
    "reserved": ":?#[]@!$&'()*,;=",
    "unreserved": "-._~",
    "quotes": "\"'`<>\\^{}|",
    "a version": "v1.0",
    "a verb": "reward",
    "dots inside": "a..b.c",
    "control characters": "tab\tnewline\nunit\x1f",
    "256 characters": "x" * 256,
    "256 characters beyond ascii": "é" * 256,
    "256 characters beyond the basic plane": "🎉" * 256,
}


def unique(event_id: str) -> str:
    """Make an id that this run has not used, no longer than the given one if that is long."""
    return secrets.token_hex(4) + (event_id[8:] if len(event_id) > 100 else event_id)


@pytest.mark.parametrize("example", EVENT_IDS.values(), ids=EVENT_IDS)
async def test_reward_and_activate_find_the_id_that_rank_was_given(app, example):
    since, event_id = datetime.now(UTC), unique(example)
    ranked = rank(app, eventId=event_id)
    assert (ranked.status, ranked.json["eventId"]) == (201, event_id)
    assert (reward(app, event_id).status, activate(app, event_id).status) == (204, 204)
    log = await log_since(app, since)
    assert [decision.event_id for decision in log.decisions] == [event_id]
    assert [(observation.event_id, observation.reward) for observation in log.observations] == [(event_id, 1.0), (event_id, None)]


@pytest.mark.parametrize(
    ("encoded", "event_id"),
    [
        ("{}%2Fx", "{}/x"),
        ("{}%2fx", "{}/x"),
        ("{}%2F%2fx", "{}//x"),
        ("%2F{}%2F", "/{}/"),
        ("{}%20x", "{} x"),
        ("{}+x", "{}+x"),
        ("{}%2Bx", "{}+x"),
        ("{}%25", "{}%"),
        ("{}%c3%a9", "{}é"),
        ("{}%3Ax:y", "{}:x:y"),
        ("{}(x)*'!", "{}(x)*'!"),
        ("{}%41", "{}A"),
    ],
)
@pytest.mark.parametrize("prefix", ["/personalizer/v1.0/events/", "/personalizer//v1.0/events/"])
async def test_the_path_is_decoded_once_however_the_caller_encodes_it(app, prefix, encoded, event_id):
    since, mark = datetime.now(UTC), secrets.token_hex(4)
    assert app.request("POST", f"{prefix}{encoded.format(mark)}/reward", {"value": 1}).status == 204
    assert [observation.event_id for observation in (await log_since(app, since)).observations] == [event_id.format(mark)]


async def test_an_encoded_slash_in_an_id_is_the_slash_itself_to_rank_as_it_is_to_reward(app):
    since, mark = datetime.now(UTC), secrets.token_hex(4)
    ranked = rank(app, eventId=f"{mark}%2Fx%2fy")
    assert (ranked.status, ranked.json["eventId"]) == (201, f"{mark}/x/y")
    assert reward(app, f"{mark}%2Fx%2fy").status == 204
    log = await log_since(app, since)
    assert [decision.event_id for decision in log.decisions] == [f"{mark}/x/y"]
    assert [observation.event_id for observation in log.observations] == [f"{mark}/x/y"]


async def test_an_id_with_slashes_is_found_under_every_kind_of_version(app):
    since, event_id = datetime.now(UTC), f"{secrets.token_hex(4)}/x/y"
    for version in ("v1.0", "v1.1-preview.3", QUERY_VERSION):
        assert app.request("POST", event_path(event_id, "activate", version=version)).status == 204
    assert [observation.event_id for observation in (await log_since(app, since)).observations] == [event_id] * 3


async def test_ids_keep_their_case_whatever_that_of_the_path(app):
    since, event_id = datetime.now(UTC), f"{secrets.token_hex(4)}-MiXed"
    assert app.request("POST", f"/PERSONALIZER/V1.0/EVENTS/{event_id}/REWARD", {"value": 1}).status == 204
    assert [observation.event_id for observation in (await log_since(app, since)).observations] == [event_id]


def test_an_id_made_by_the_service_differs_every_time_and_fits_in_a_path_as_it_is(app):
    ids = {rank(app).json["eventId"] for _ in range(15)} | {rank(app, eventId=None).json["eventId"] for _ in range(15)}
    assert len(ids) == 30
    assert all(quote(event_id, safe="") == event_id and 16 <= len(event_id) <= 256 for event_id in ids)


@pytest.mark.parametrize("character", ["x", "é", "🎉", "/"])
def test_257_characters_are_too_many_everywhere(quiet, character):
    event_id = character * 257
    with nothing_logged(quiet):
        refused(rank(quiet, eventId=event_id), 400, "InvalidRankRequest", naming="eventId: ", target="eventId")
        refused(reward(quiet, event_id), 400, "InvalidRewardRequest", naming="eventId: at most 256", target="eventId")
        refused(activate(quiet, event_id), 400, "InvalidEventIdToActivate", naming="eventId: at most 256", target="eventId")


@pytest.mark.parametrize("event_id", [True, ["e1"], {"id": "e1"}, []])
def test_rank_takes_no_event_id_that_is_neither_text_nor_number(quiet, event_id):
    with nothing_logged(quiet):
        refused(rank(quiet, eventId=event_id), 400, "InvalidRankRequest", naming="eventId: ", target="eventId")


@pytest.mark.parametrize("begin", [path("events"), "/loops/default/personalizer/v1.1-preview.2/events", "/personalizer/v1.0//events"])
def test_an_empty_id_is_named(quiet, begin):
    for verb, code in (("reward", "InvalidRewardRequest"), ("activate", "InvalidEventIdToActivate")):
        refused(quiet.request("POST", f"{begin}//{verb}", {"value": 1}), 400, code, naming="eventId: is missing", target="eventId")


@pytest.mark.parametrize("begin", ["/personalizer/v1.0/", "/loops/default/personalizer/v1.1-preview.3/multislot/", "/personalizer/"])
def test_an_empty_id_is_named_where_a_proxy_has_made_one_slash_of_two(quiet, begin):
    for verb in ("reward", "activate", "Reward/"):
        answer = quiet.request("POST", f"{begin}events/{verb}?api-version=2022-09-01-preview", {"value": 1})
        refused(answer, 400, "InvalidRequest", naming="eventId: is missing between /events/ and /", target="eventId")
    refused(
        quiet.request("GET", f"{path('events')}/reward"), 404, "ResourceNotFound", naming="event 'reward' was not found", target="eventId"
    )


def as_decoded(event_id: str) -> str:
    """Give the part of a path that such an id becomes where a server in front of the app decodes its slashes."""
    return quote(event_id, safe="/")


SPANNING = [
    "{}/b",
    "{}/b//c/",
    "/{}/",
    "{}/reward",
    "{}/activate",
    "{}/reward/activate",
    "{}/activate/reward",
    "{}/events/x",
    "{}/events/x/reward",
    "v1.0/{}",
    "multislot/{}",
    "{}/événement/🎉 x",
]


@pytest.mark.parametrize("example", SPANNING)
@pytest.mark.parametrize("version", ["v1.0", QUERY_VERSION])
@pytest.mark.parametrize("loop", ["", "/loops/default"])
@pytest.mark.sweep(keep=24)
async def test_an_id_whose_slashes_were_decoded_on_the_way_is_the_same_id(app, example, version, loop):
    since, event_id = datetime.now(UTC), example.format(secrets.token_hex(4))
    for verb in ("reward", "activate"):
        there = path(f"events/{as_decoded(event_id)}/{verb}", version=version)
        assert app.request("POST", loop + there, {"value": 1}).status == 204
    log = await log_since(app, since)
    assert [(each.event_id, each.reward) for each in log.observations] == [(event_id, 1.0), (event_id, None)]


@pytest.mark.parametrize("example", ["{}/b", "{}/b//c/", "{}/reward", "{}/b/activate", "/{}"])
def test_an_event_whose_ids_slashes_were_decoded_on_the_way_can_be_looked_up(app, example):
    event_id = example.format(secrets.token_hex(4))
    assert rank(app, eventId=event_id).status == 201
    for version in ("v1.1-preview.3", QUERY_VERSION):
        answer = app.request("GET", path(f"events/{as_decoded(event_id)}", version=version))
        assert (answer.status, answer.json["eventId"]) == (200, event_id)


def test_a_path_that_only_might_name_such_an_event_is_none_unless_there_is_one(quiet):
    refused(quiet.request("GET", path("events/e1/praise")), 404, "ResourceNotFound", naming="there is nothing at /")
    refused(quiet.request("PUT", path("events/a/b/reward"), {"value": 1}), 405, "BadRequest", naming="use POST")
    refused(quiet.request("GET", path("events/a/b/reward")), 405, "BadRequest", naming="use POST")
    refused(quiet.request("POST", path("events/a/b")), 404, "ResourceNotFound", naming="there is nothing at /")
    refused(quiet.request("POST", path("events/a/b/reward", version="v9"), {"value": 1}), 404, "ResourceNotFound", naming="v1.0, v1.1")


def test_events_nobody_ranked_are_rewarded_and_activated_all_the_same(app):
    assert reward(app, "never-ranked").status == 204
    assert activate(app, "never-ranked").status == 204


@pytest.mark.parametrize("encoded", ["%FF", "%C3", "%ED%A0%80", "%", "%zz"])
def test_escapes_that_are_not_utf_8_are_taken_as_they_stand(app, encoded):
    assert app.request("POST", path(f"events/{encoded}/reward"), {"value": 1}).status == 204
