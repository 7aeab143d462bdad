"""What happened, by the command line: the latest events, why one was decided so, what was changed, and two models side by side."""

from collections.abc import Iterator

import pytest

from tests.browser.traffic import SETTINGS, learned, ranked
from tests.cli.running import Done, run
from tests.running import RunningApp
from tests.stores import NewStorage


@pytest.fixture(scope="module")
def service(new_store: NewStorage) -> Iterator[RunningApp]:
    """A service that has published two models, the first of which has learned of both actions."""
    with RunningApp(new_store(), settings=SETTINGS) as running:
        for number in (1, 2):
            ranked(running, 3, reward=1.0 if number == 1 else None, named=f"batch{number}-")
            learned(running, 3 * number)
        yield running


@pytest.fixture(scope="module")
def cli(service: RunningApp):
    environment = {"PERSONALIZER_ENDPOINT": service.base_url, "PERSONALIZER_KEY": service.key}

    def command(*arguments: str, is_said: bool = False) -> Done:
        answer = run(*arguments, environment=environment)
        assert (answer.code, bool(answer.errors)) == (0, is_said), answer
        return answer

    return command


def test_the_latest_events_are_listed_and_chosen(cli):
    found = cli("events", "list", "--json").json
    assert (len(found["value"]), found["lookedAt"]["events"], found["lookedAt"]["isCut"]) == (6, 6, False)
    assert len(cli("events", "list", "--rewarded", "--json").json["value"]) == 3
    assert len(cli("events", "list", "--not-rewarded", "--top", "2", "--json").json["value"]) == 2
    assert cli("events", "list", "--action", "none of them", "--json").json["value"] == []
    assert cli("events", "list", "--until", "2001-01-01", "--json").json["value"] == []
    text = cli("events", "list").text
    assert found["value"][0]["eventId"] in text
    assert "6 events were looked at." in text


def test_an_event_is_shown_with_all_actions_and_the_reasons(cli):
    newest = cli("events", "list", "--top", "1", "--json").json["value"][0]
    (decision,) = cli("events", "show", newest["eventId"], "--json").json["decisions"]
    assert [each["id"] for each in decision["actions"]] == ["a", "b"]
    shown = cli("events", "show", newest["eventId"]).text
    assert "probability" in shown
    for action in decision["actions"]:
        assert action["reasons"][0]["name"] in shown


def test_what_was_changed_is_told_with_who_changed_it(cli):
    assert cli("config", "history", "--json").json == []
    cli("config", "set", "explorationPercentage=0.4", "--json")
    (change,) = cli("config", "history", "--json").json
    assert (change["by"], change["kind"], change["members"][0]["new"]) == ("key 1", "settings", "0.4")
    assert "explorationPercentage" in cli("config", "history").text


def test_two_models_are_put_side_by_side(cli):
    newest, older = [each["version"] for each in cli("models", "list", "--json").json][:2]
    found = cli("models", "compare", older, newest, "--json").json
    assert (found["from"]["version"], found["to"]["version"]) == (older, newest)
    assert found["moved"]
    assert found["moved"][0]["name"] in cli("models", "compare", older, newest).text


def test_what_the_present_model_knows_more_is_said_before_an_earlier_one_takes_its_place(cli, tmp_path):
    newest, older = cli("models", "list", "--json").json[:2]
    assert newest["learned"] > older["learned"]
    gone_back = cli("models", "restore", older["version"], "--json", is_said=True)
    assert f"{older['version']} knows {older['learned']} event" in gone_back.errors
    assert f"python -m cli models restore {newest['version']}" in gone_back.errors
    assert cli("models", "restore", newest["version"], "--json").json["learned"] == newest["learned"]
    cli("models", "export", str(tmp_path / "model.zip"))
    imported = cli("models", "import", str(tmp_path / "model.zip"), "--json", is_said=True)
    assert f"which knows {newest['learned']} event" in imported.errors
