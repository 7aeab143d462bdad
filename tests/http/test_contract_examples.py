"""The published API description's own example requests, where a copy of it lies beside the repository."""

import json
from typing import Any

import pytest

from tests.http.building import QUERY_VERSION, VERSIONS, event_path, path, probabilities
from tests.running import REPOSITORY

EXAMPLES = REPOSITORY.parent / "shared" / "contract" / "openapi" / "examples"
FOLDERS = ("v1.0-preview", *VERSIONS)


def parameters(folder: str, name: str) -> dict[str, Any]:
    file = EXAMPLES / folder / f"{name}.json"
    if not file.exists():
        pytest.skip(f"no copy of the published API description beside the repository ({folder}/{name}.json)")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))["parameters"]
    return found


def body(found: dict[str, Any], *names: str) -> Any:
    return next(found[name] for name in (*names, "body") if name in found)


def version_of(folder: str) -> str:
    return "v1.0" if folder == "v1.0-preview" else folder


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_example_rank_is_answered_as_documented(app, folder):
    asked = body(parameters(folder, "Rank"), "rankRequest")
    answer = app.request("POST", path("rank", version=version_of(folder)), asked)
    assert answer.status == 201
    assert answer.json["eventId"] == asked["eventId"]
    assert [action["id"] for action in answer.json["ranking"]][1] == "SportsArticle", "the excluded action keeps its place"
    assert dict(probabilities(answer))["SportsArticle"] == 0.0


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_example_reward_is_taken(app, folder):
    found = parameters(folder, "Events_Reward")
    answer = app.request("POST", event_path(found["eventId"], "reward", version=version_of(folder)), body(found, "reward"))
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_example_activation_is_taken(app, folder):
    found = parameters(folder, "Events_Activate")
    assert app.request("POST", event_path(found["eventId"], "activate", version=version_of(folder))).status == 204


def test_the_latest_version_has_examples_of_its_own_query():
    assert parameters(QUERY_VERSION, "Rank")["api-version"] == QUERY_VERSION
