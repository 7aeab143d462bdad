"""Subscription keys: two are valid, none is a valid number of them to be given, and nothing happens without one."""

import pytest

from tests.http.building import KEY, QUERY_VERSION, TWO_KEYS, event_path, nothing_logged, path, rank_body, refused

CALLS = [
    (path("rank"), rank_body()),
    (event_path("e1", "reward"), {"value": 1}),
    (event_path("e1", "activate"), None),
    (path("rank", version=QUERY_VERSION), rank_body()),
]

NOT_KEYS = {
    "wrong": "wrong",
    "empty": "",
    "blank": "   ",
    "part of one": TWO_KEYS[0][:-1],
    "one with more": f"{TWO_KEYS[0]}x",
    "in another case": TWO_KEYS[0].upper(),
    "both": ",".join(TWO_KEYS),
    "not ascii": "clé",
    "very long": "k" * 20_000,
}


@pytest.mark.parametrize(("place", "body"), CALLS)
def test_without_a_key_everything_is_refused(quiet, place, body):
    refused(quiet.request("POST", place, body, keyed=False), 401, "401", naming=f"Send it in the {KEY} header")


@pytest.mark.parametrize("key", NOT_KEYS.values(), ids=NOT_KEYS)
def test_a_wrong_key_is_refused(quiet, key):
    for place, body in CALLS:
        refused(quiet.request("POST", place, body, headers={KEY: key}), 401, "401", naming="Access denied")


def test_who_has_no_key_leaves_no_trace(quiet):
    with nothing_logged(quiet):
        for place, body in CALLS:
            quiet.request("POST", place, body, keyed=False)
            for key in NOT_KEYS.values():
                quiet.request("POST", place, body, headers={KEY: key})


@pytest.mark.parametrize("key", NOT_KEYS.values(), ids=NOT_KEYS)
def test_no_refusal_repeats_a_key(quiet, key):
    answer = quiet.request("POST", path("rank"), rank_body(), headers={KEY: key})
    assert not any(each.encode() in answer.body for each in (*TWO_KEYS, *([key] if key.strip() else [])))


def test_a_wrong_key_is_refused_before_the_body_or_the_version_is_looked_at(quiet):
    for place in (path("rank"), path("rank", version="v9"), "/personalizer/rank"):
        assert quiet.request("POST", place, b"nonsense", headers={KEY: "wrong"}).status == 401


def test_a_key_in_the_query_or_as_a_bearer_token_is_none(quiet):
    assert quiet.request("POST", f"{path('rank')}?subscription-key={TWO_KEYS[0]}", rank_body(), keyed=False).status == 401
    bearer = {"Authorization": f"Bearer {TWO_KEYS[0]}"}
    assert quiet.request("POST", path("rank"), rank_body(), headers=bearer, keyed=False).status == 401


@pytest.mark.parametrize("key", TWO_KEYS)
@pytest.mark.parametrize("name", [KEY, KEY.lower(), KEY.upper()])
def test_both_keys_open_the_service_under_the_headers_name_in_any_case(quiet, key, name):
    assert quiet.request("POST", path("rank"), rank_body(), headers={name: key}, keyed=False).status == 201
    assert quiet.request("POST", event_path("e1", "reward"), {"value": 1}, headers={name: key}, keyed=False).status == 204
    assert quiet.request("POST", event_path("e1", "activate"), headers={name: key}, keyed=False).status == 204
    assert "loop" in quiet.request("GET", "/status", headers={name: key}, keyed=False).json


@pytest.mark.parametrize(("place", "body"), CALLS)
@pytest.mark.parametrize("headers", [{}, {KEY: ""}, {KEY: "anything"}, {KEY: "None"}])
def test_a_service_without_keys_refuses_everyone_and_says_what_to_set(keyless, place, body, headers):
    refused(keyless.request("POST", place, body, headers=headers, keyed=False), 401, "401", naming="PERSONALIZER_KEYS")


def test_a_service_without_keys_still_says_that_it_is_alive(keyless):
    answer = keyless.request("GET", "/status", keyed=False)
    assert answer.status == 200
    assert "loop" not in answer.json
    refused(keyless.request("GET", "/status", headers={KEY: "anything"}), 401, "401", naming="PERSONALIZER_KEYS")


def test_status_without_a_key_tells_of_the_service_only_and_with_a_wrong_one_nothing(quiet):
    assert quiet.request("GET", "/status", keyed=False).json.keys() == {"service", "apiStatus", "apiStatusMessage"}
    refused(quiet.request("GET", "/status", headers={KEY: "wrong"}), 401, "401", naming="Access denied")


def test_unknown_paths_and_methods_need_no_key(quiet):
    assert quiet.request("GET", "/nothing", keyed=False).status == 404
    assert quiet.request("GET", path("rank"), keyed=False).status == 405
