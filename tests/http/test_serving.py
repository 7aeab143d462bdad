"""The model and the settings, for clients that decide by themselves."""

import time
from base64 import b64decode
from collections.abc import Iterator

import pytest

from shared.learning import artifact
from tests.http.building import ON_ONE_HOST, path, refused
from tests.http.own_loops import QUICK, OwnLoop, own_loop
from tests.http.test_model import learn
from tests.patience import PATIENCE
from tests.running import Answer, Asked

CONFIGURATION = path("configurations/service", version="v1.1-preview.3")


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    with own_loop(shared, **QUICK, explorationPercentage=0.3) as loop:
        yield loop


def serving(app: Asked, *, known: str = "", method: str = "GET") -> Answer:
    return app.request(method, "/models/serving", headers={"If-None-Match": known} if known else None)


def other_than(app: Asked, tag: str) -> Answer:
    deadline = time.monotonic() + PATIENCE
    while (answer := serving(app, known=tag)).status == 304:
        assert time.monotonic() < deadline, app.logs
        time.sleep(0.1)
    return answer


def test_before_the_first_model_there_are_settings_and_a_ticket(own):
    answer = serving(own)
    assert answer.status == 200
    body = answer.json
    assert (body["algorithm"], body["loop"], body["modelVersion"], body["model"], body["pollSeconds"]) == (1, own.name, "", None, 0.2)
    assert body["settings"] == {
        "learningMode": "Online",
        "apprenticeLearning": "Imitate",
        "explorationPercentage": 0.3,
        "policyArguments": "--cb_explore_adf",
        "holdoutPercentage": 0.0,
    }
    assert 0 < len(body["ticket"]) <= 8192


def test_who_has_it_already_is_sent_nothing(own):
    tag = serving(own).headers["etag"]
    answer = serving(own, known=tag)
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert serving(own, known='"another"').status == 200
    head = serving(own, method="HEAD")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", tag)


@ON_ONE_HOST
def test_a_new_model_is_news_and_the_one_that_is_served(own):
    before = serving(own)
    version = learn(own, "e")
    answer = other_than(own, before.headers["etag"])
    assert answer.json["modelVersion"] == version
    assert artifact.load_model(b64decode(answer.json["model"])).learned >= 12
    assert answer.json["ticket"] != before.json["ticket"]


@ON_ONE_HOST
def test_changed_settings_are_news(own):
    before = serving(own)
    settings = own.request("GET", CONFIGURATION).json
    assert own.request("PUT", CONFIGURATION, {**settings, "learningMode": "Apprentice"}).status == 200
    answer = other_than(own, before.headers["etag"])
    assert answer.json["settings"]["learningMode"] == "Apprentice"
    assert answer.json["ticket"] != before.json["ticket"]


def test_nobody_without_a_full_key_is_told(quiet, shared):
    refused(quiet.request("GET", "/models/serving", keyed=False), 401, "401", naming="Access denied")
