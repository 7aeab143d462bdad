"""Pages of other origins: what a browser is told, and what the key can do that a page may carry."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.building import KEY, ON_ONE_HOST, VERSIONS, code_of, event_path, nothing_logged, path, rank_body, refused
from tests.http.own_loops import ADMIN, SETTINGS, own_loop
from tests.running import Answer, HostKind, RunningApp

SHOP, BLOG, STRANGER = "https://shop.example.com", "http://localhost:3000", "https://evil.example.com"
SEEN = {KEY: "seen-by-everybody"}
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": f"content-type,{KEY.lower()}"}
RANK = path("rank")


@pytest.fixture(scope="module")
def page(host: HostKind, new_store: Any) -> Iterator[RunningApp]:
    """An app that pages of two origins may call, with client keys."""
    settings = {**SETTINGS, "PERSONALIZER_CORS_ORIGINS": f"{SHOP}/, {BLOG.upper()}", "PERSONALIZER_CLIENT_KEYS": f"{SEEN[KEY]},seen-too"}
    with RunningApp(new_store(), kind=host, settings=settings) as running:
        yield running


def asked(app: RunningApp, place: str, origin: str, **headers: str) -> Answer:
    return app.request("OPTIONS", place, headers={"Origin": origin, **ASKS, **headers}, keyed=False)


def origins_of(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [SHOP, BLOG])
@pytest.mark.parametrize(
    "place",
    [RANK, path("rank", version=VERSIONS[-1]), event_path("e1", "reward"), f"/loops/x{RANK}", "/status", "/openapi.json", "/nothing"],
)
def test_a_browser_that_asks_is_told_what_a_page_of_a_known_origin_may_send(page, origin, place):
    answer = asked(page, place, origin)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == ASKS["Access-Control-Request-Headers"]
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", [STRANGER, f"{SHOP}.evil.example.com", "https://example.com", "null", SHOP.replace("https", "http"), ""])
def test_a_browser_that_asks_for_a_page_of_another_origin_is_told_nothing(page, origin):
    answer = asked(page, RANK, origin)
    assert answer.status == 405
    assert origins_of(answer) == {}


def test_what_is_no_question_of_a_browser_is_refused_as_before(page):
    for headers in ({}, {"Origin": SHOP}, {"Origin": SHOP, "Access-Control-Request-Method": "TRACE"}, ASKS):
        answer = page.request("OPTIONS", RANK, headers=headers, keyed=False)
        assert (answer.status, code_of(answer)) == (405, "BadRequest")


@pytest.mark.parametrize("names", ["", "a b", "x" * 2_000, "a,,b", "a:b", "é"])
def test_names_that_no_header_has_are_not_allowed(page, names):
    answer = asked(page, RANK, SHOP, **{"Access-Control-Request-Headers": names})
    assert answer.status == 204
    assert "access-control-allow-headers" not in answer.headers


def test_every_answer_to_a_known_origin_can_be_read_and_its_ids_too(page):
    answers = [
        page.request("POST", RANK, rank_body("a", "b"), headers={"Origin": SHOP}),
        page.request("POST", event_path("e1", "reward"), {"value": 1}, headers={"Origin": SHOP}),
        page.request("POST", RANK, b"nonsense", headers={"Origin": SHOP}),
        page.request("POST", RANK, rank_body(), headers={"Origin": SHOP}, keyed=False),
        page.request("GET", "/nothing", headers={"Origin": SHOP}),
        page.request("GET", "/openapi.json", headers={"Origin": SHOP}),
    ]
    assert [answer.status for answer in answers] == [201, 204, 400, 401, 404, 200]
    for answer in answers:
        assert origins_of(answer).keys() == {"access-control-allow-origin", "access-control-expose-headers"}
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "apim-request-id" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"].endswith("Origin")


def test_an_answer_that_differs_by_origin_and_by_compression_says_both(page):
    answer = page.request("GET", "/openapi.json", headers={"Origin": SHOP, "Accept-Encoding": "gzip"})
    assert (answer.headers["vary"], answer.headers["content-encoding"]) == ("Accept-Encoding, Origin", "gzip")


def test_answers_to_other_origins_and_to_none_are_not_marked(page):
    for headers in ({"Origin": STRANGER}, {}):
        answer = page.request("POST", RANK, rank_body("a", "b"), headers=headers)
        assert (answer.status, origins_of(answer), answer.headers["vary"]) == (201, {}, "Origin")


@ON_ONE_HOST
@pytest.mark.parametrize(
    ("settings", "origin", "allowed"),
    [
        ({}, SHOP, None),
        ({"PERSONALIZER_CORS_ORIGINS": "*"}, STRANGER, "*"),
        ({"PERSONALIZER_CORS_ORIGINS": SHOP, "WEBSITE_CORS_ALLOWED_ORIGINS": SHOP}, SHOP, None),
        ({"PERSONALIZER_CORS_ORIGINS": SHOP, "WEBSITE_CORS_ALLOWED_ORIGINS": "https://portal.azure.com"}, SHOP, SHOP),
    ],
    ids=["no origin is set", "any", "the platform marks it", "the platform marks others"],
)
def test_origins_are_the_settings_and_what_the_platform_marks_is_not_marked_twice(host, new_store, settings, origin, allowed):
    with RunningApp(new_store(), kind=host, settings=settings) as app:
        answer = app.request("POST", RANK, rank_body("a", "b"), headers={"Origin": origin})
        assert (answer.status, answer.headers.get("access-control-allow-origin")) == (201, allowed)
        if settings.get("PERSONALIZER_CORS_ORIGINS", "*") == "*":
            assert "vary" not in answer.headers


# --- client keys -----------------------------------------------------------------------------------------------------------

FOR_PAGES = [("rank", rank_body("a", "b"), 201), ("events/e1/reward", {"value": 1}, 204), ("events/e1/activate", None, 204)]
FOR_SLOTS = [
    ("multislot/rank", {**rank_body("a", "b"), "slots": [{"id": "s", "baselineAction": "a"}]}, 201),
    ("multislot/events/e1/reward", {"reward": [{"slotId": "s", "value": 1}]}, 204),
    ("multislot/events/e1/activate", None, 204),
]
NOT_FOR_PAGES = [
    ("GET", path("configurations/service")),
    ("PUT", path("configurations/service")),
    ("GET", path("configurations/policy")),
    ("GET", path("model", version=VERSIONS[1])),
    ("DELETE", path("model")),
    ("DELETE", path("logs")),
    ("GET", path("logs/properties")),
    ("POST", path("logs/interactions")),
    ("GET", path("evaluations")),
    ("GET", path("events/e1")),
    ("GET", path("status")),
    ("GET", "/figures"),
    ("GET", "/models/serving"),
    ("POST", "/logs/decisions"),
    ("GET", "/status"),
    ("GET", "/loops"),
    ("POST", "/loops/default/keys/client/regenerate"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key", [SEEN, {KEY: "seen-too"}], ids=["one", "the other"])
def test_a_client_key_ranks_rewards_and_activates_in_every_version(page, version, key):
    for place, body, status in FOR_PAGES:
        assert page.request("POST", path(place, version=version), body, headers=key, keyed=False).status == status


@pytest.mark.parametrize(("method", "place"), NOT_FOR_PAGES)
def test_a_client_key_does_nothing_else(page, method, place):
    answer = page.request(method, place, {} if method in ("POST", "PUT") else None, headers=SEEN, keyed=False)
    assert (answer.status, code_of(answer)) == (401, "401")


def test_who_sends_a_client_key_where_it_does_not_open_is_told_so(page):
    answer = page.request("GET", path("configurations/service"), headers=SEEN, keyed=False)
    refused(answer, 401, "401", naming="this is a client key, which may only rank, reward and activate")


def test_a_client_key_opens_its_own_loop_alone_and_several_slots_of_it(page):
    with own_loop(page) as loop:
        assert loop.request("POST", RANK, rank_body("a", "b"), headers=SEEN).status == 401
        made = page.request("POST", f"/loops/{loop.name}/keys/client/regenerate", headers=ADMIN)
        assert (made.status, made.json.keys()) == (200, {"key"})
        key = {KEY: made.json["key"]}
        policy = {"name": "slots", "arguments": "--ccb_explore_adf --epsilon 0.2"}
        assert loop.request("PUT", path("configurations/policy"), policy).status == 200
        for place, body, status in FOR_SLOTS:
            assert loop.request("POST", path(place, version=VERSIONS[1]), body, headers=key).status == status
        assert loop.request("GET", path("configurations/policy"), headers=key).status == 401
        assert page.request("POST", RANK, rank_body("a", "b"), headers=key, keyed=False).status == 401
        newer = {KEY: page.request("POST", f"/loops/{loop.name}/keys/client/regenerate", headers=ADMIN).json["key"]}
        place, body, _ = FOR_SLOTS[0]
        assert [loop.request("POST", path(place, version=VERSIONS[1]), body, headers=each).status for each in (key, newer)] == [401, 201]
        assert made.json["key"] not in page.logs


def test_only_the_administrator_makes_a_client_key(page):
    refused(page.request("POST", "/loops/default/keys/client/regenerate"), 401, "401", naming="PERSONALIZER_ADMIN_KEY")
    assert page.request("POST", "/loops/nowhere/keys/client/regenerate", headers=ADMIN).status == 404


def test_what_a_client_key_is_refused_leaves_no_trace(page):
    with nothing_logged(page):
        for method, place in NOT_FOR_PAGES:
            page.request(method, place, {} if method in ("POST", "PUT") else None, headers=SEEN, keyed=False)
