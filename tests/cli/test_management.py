"""Loops, keys, configuration and policy through the running service, by its own words."""

import hashlib
from collections.abc import Iterator

import pytest

from tests.cli.running import Done, run
from tests.running import RunningApp
from tests.stores import NewStorage, settings_of

ADMIN = "the administrator's own key"


@pytest.fixture(scope="module")
def service(new_store: NewStorage) -> Iterator[RunningApp]:
    settings = {"PERSONALIZER_ADMIN_KEY": ADMIN, "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S"}
    with RunningApp(new_store(), settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def cli(service: RunningApp):
    environment = {
        "PERSONALIZER_ENDPOINT": service.base_url,
        "PERSONALIZER_KEY": service.key,
        "PERSONALIZER_ADMIN_KEY": ADMIN,
        **settings_of(service.storage),
        "PERSONALIZER_KEYS": service.key,
    }

    def command(*arguments: str, **others: str) -> Done:
        return run(*arguments, environment={**environment, **others})

    return command


def done(answer: Done) -> Done:
    assert (answer.code, answer.errors) == (0, "")
    return answer


def test_a_loop_is_made_listed_shown_changed_and_deleted(cli):
    made = done(
        cli("loops", "create", "news", "--tier", "e0", "--set", "rewardWaitTime=PT1H", "--set", "defaultReward=-0.5", "--json")
    ).json
    assert (made["tier"], made["configuration"]["rewardWaitTime"], made["configuration"]["defaultReward"]) == ("E0", "PT1H", -0.5)
    first, second = made["keys"]
    assert done(cli("config", "get", "rewardWaitTime", "--loop", "news", PERSONALIZER_KEY=first)).text == "PT1H\n"
    changed = cli("loops", "create", "news", "--tier", "S0", "--change", "--json")
    assert (changed.code, "tier: E0 -> S0\n  learningMode: Apprentice -> Online" in changed.errors) == (0, True)
    changed = changed.json
    assert ("keys" in changed, changed["tier"]) == (False, "S0")
    listed = done(cli("loops", "list"))
    assert [row.split()[:2] for row in listed.text.splitlines()[1:]] == [["default", "S0"], ["news", "S0"]]
    assert [loop["name"] for loop in done(cli("loops", "list", "--json")).json] == ["default", "news"]
    assert "news" in done(cli("loops", "show", "news")).text
    kept = cli("loops", "delete", "news")
    assert (kept.code, kept.errors.endswith("Stopped.\n")) == (130, True)
    assert done(cli("loops", "delete", "news", "--yes")).text == "The loop news is deleted.\n"
    assert "there is no loop" in cli("loops", "show", "news").told
    assert second not in listed.text


def test_a_loop_that_is_there_is_not_changed_unless_that_is_asked_for_and_what_differs_is_said(cli):
    done(cli("loops", "create", "kept", "--set", "rewardWaitTime=PT1H"))
    same = cli("loops", "create", "kept", "--set", "rewardWaitTime=PT1H", "--json")
    assert (same.code, "there already, as it is asked for. Nothing is changed." in same.errors) == (0, True)
    assert "keys" not in same.json
    asked = ("--tier", "F0", "--set", "rewardWaitTime=PT2H", "--set", "logRetentionDays=30")
    other = cli("loops", "create", "kept", *asked, "--json")
    assert (other.code, "Nothing is changed. With --change it would be:" in other.errors) == (1, True)
    for line in ("tier: S0 -> F0", "rewardWaitTime: PT1H -> PT2H", "logRetentionDays: 90 -> 30", "There is no model yet"):
        assert line in other.errors
    assert other.json == done(cli("loops", "show", "kept", "--json")).json
    changed = cli("loops", "create", "kept", *asked, "--change", "--json")
    assert (changed.code, "It is changed:" in changed.errors) == (0, True)
    assert (changed.json["tier"], changed.json["configuration"]["logRetentionDays"]) == ("F0", 30)
    assert "rewardWaitTime" in cli("loops", "create", "kept", "--set", "rewardWaitTime=P99D").told
    secret = "https://mine123.blob.core.windows.net/logs?sp=wl&sr=c&se=2040-08-13T00%3A00Z&sig=secret"
    mirrored = cli("loops", "create", "kept", "--set", "logMirrorEnabled=true", "--set", f"logMirrorSasUri={secret}")
    assert (mirrored.code, "sig=secret" in mirrored.errors) == (1, False)
    assert done(cli("loops", "delete", "kept", "--yes"))


def test_keys_are_told_apart_by_digest_and_made_anew(cli, service):
    first, second = done(cli("loops", "create", "keyed", "--json")).json["keys"]
    digests = [each["digest"] for each in done(cli("keys", "list", "--loop", "keyed", "--json")).json]
    assert digests == [hashlib.sha256(key.encode()).hexdigest() for key in (first, second)]
    new = done(cli("keys", "regenerate", "1", "--loop", "keyed")).text.strip()
    assert done(cli("policy", "get", "--loop", "keyed", "--key", new)).code == 0
    assert "401" in cli("policy", "get", "--loop", "keyed", "--key", first).told
    assert hashlib.sha256(service.key.encode()).hexdigest() in done(cli("keys", "list")).text
    assert "No key" in done(cli("keys", "list", PERSONALIZER_KEYS="")).text
    assert done(cli("keys", "regenerate", "2", "--loop", "keyed", "--json")).json["number"] == 2
    assert "NUMBER" in cli("keys", "regenerate", "3").told
    of_client = done(cli("keys", "regenerate", "client", "--loop", "keyed")).text.strip()
    assert "client key" in cli("policy", "get", "--loop", "keyed", "--key", of_client).told
    listed = done(cli("keys", "list", "--loop", "keyed", "--json")).json
    assert [each["number"] for each in listed] == [1, 2, "client"]
    assert listed[2] == {"number": "client", "digest": hashlib.sha256(of_client.encode()).hexdigest(), "source": "stored"}


def test_a_part_of_the_configuration_is_changed_and_the_rest_stays(cli):
    before = done(cli("config", "get", "--json")).json
    after = done(cli("config", "set", "explorationPercentage=0.3", "logRetentionDays=-1", "--json")).json
    unchanged = set(before) - {"explorationPercentage", "logRetentionDays", "lastConfigurationEditDate"}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert (after["explorationPercentage"], after["logRetentionDays"]) == (0.3, -1)
    assert done(cli("config", "get", "logRetentionDays", "--json")).json == -1
    assert "explorationPercentage" in done(cli("config", "get")).text
    refused = cli("config", "set", "rewardWaitTime=PT99H99D").told
    assert "rewardWaitTime" in refused
    assert "InvalidServiceConfiguration" in refused
    assert "no member 'rewardWait'" in cli("config", "set", "rewardWait=PT1H").told
    assert "no member 'x'" in cli("config", "get", "x").told
    assert "MEMBER=VALUE" in cli("config", "set", "rewardWaitTime").told


def test_days_to_learn_again_are_set_to_the_value_in_force_in_one_request(cli, service):
    days = done(cli("config", "get", "modelRetrainDays", "--json")).json
    told = cli("config", "set", f"modelRetrainDays={days}", "--json")
    assert (told.code, told.json["modelRetrainDays"]) == (0, days)
    assert f"A later change that has the model learned again will learn the last {days} days only" in told.errors
    assert "A later change" not in cli("config", "set", f"modelRetrainDays={days}").errors, "they are set already"
    done(cli("config", "unset", "modelRetrainDays"))
    assert "A later change" in cli("config", "set", f"modelRetrainDays={days}").errors
    done(cli("config", "unset", "modelRetrainDays"))


def test_a_member_that_was_set_follows_the_app_again(cli):
    own = done(cli("config", "get", "--json")).json
    done(cli("config", "set", "modelExportFrequency=PT1M", "rewardAggregation=sum"))
    after = done(cli("config", "unset", "modelExportFrequency", "REWARDAGGREGATION", "--json")).json
    assert {name: after[name] for name in ("modelExportFrequency", "rewardAggregation")} == {
        "modelExportFrequency": own["modelExportFrequency"],
        "rewardAggregation": "earliest",
    }
    assert done(cli("config", "unset", "modelExportFrequency", "--json")).json == after
    assert "'rewardWait' is not a member" in cli("config", "unset", "rewardWait").told


def test_a_policy_is_read_replaced_and_taken_back_and_one_of_an_evaluation_applied(cli, service):
    own = done(cli("policy", "get", "--json")).json
    changed = done(cli("policy", "set", "square=--cb_explore_adf --squarecb", "--json")).json
    assert changed == {"name": "square", "arguments": "--cb_explore_adf --squarecb"}
    assert "square" in done(cli("policy", "get")).text
    assert "without effect" not in done(cli("policy", "get")).text
    idle = done(cli("policy", "set", "model=--cb_adf --cb_explore_adf --csoaa_ldf multiline --csoaa_rank --squarecb --coin")).text
    assert "taken without effect: --cb_adf, --csoaa_ldf, --csoaa_rank, --coin " in idle
    assert done(cli("policy", "reset", "--json")).json["arguments"] == own["arguments"]
    asked = {
        "name": "first",
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-01-02T00:00:00Z",
        "policies": [{"name": "soft", "arguments": "--cb_explore_adf --softmax"}],
    }
    assert service.request("PUT", "/personalizer/evaluations/e1?api-version=2022-09-01-preview", asked).status in (200, 201, 202)
    refused = cli("policy", "apply", "e1", "soft", "--gate", "lift>0, events>=10")
    assert (refused.code, "does not pass the gate" in refused.text, "figures: the evaluation has to" in refused.text) == (1, True, True)
    refused = cli("policy", "apply", "e1", "soft", "--gate", "lift>0", "--json")
    (ruled,) = refused.json["gate"]
    assert (refused.code, ruled["policyName"], ruled["isPassed"], [each["isKept"] for each in ruled["checks"]]) == (
        1,
        "soft",
        False,
        [False],
    )
    assert cli("policy", "apply", "e1", "soft", "--gate", "lift<0").code == 2, "a gate that cannot be read is sent nowhere"
    assert done(cli("policy", "get", "--json")).json["arguments"] == own["arguments"], "so far nothing has changed"
    assert done(cli("policy", "apply", "e1", "soft", "--json")).json["arguments"] == "--cb_explore_adf --softmax"
    assert "EvaluationNotFound" in cli("policy", "apply", "e2", "soft").told
    assert "nonsense" in cli("policy", "set", "x=--nonsense").told
    assert "NAME=ARGUMENTS" in cli("policy", "set", "plain").told


def test_what_cannot_be_done_is_told_in_one_line(cli, service):
    assert "does not answer: nothing listens there" in cli("config", "get", "--endpoint", "http://127.0.0.1:1").told
    assert "does not answer" in cli("config", "get", "--endpoint", "nonsense").told
    assert "no key of the loop default was given" in cli("config", "get", PERSONALIZER_KEY="").told
    assert "401" in cli("loops", "list", "--admin-key", "wrong").told
    assert "there is no loop" in cli("config", "get", "--loop", "nobody").told
    assert "is the endpoint right" in cli("config", "get", "--endpoint", f"{service.base_url}/docs#").told
    assert "No such command" in cli("nonsense").told
    assert "No such option" in cli("stats", "--nonsense").told
    bare = cli("loops")
    assert (bare.code, bare.errors) == (2, "This cannot be done: a command is missing: name one of those above.\n")
    assert "there is no folder /nowhere for model.zip" in cli("models", "export", "/nowhere/model.zip").told
    assert "there is no folder /nowhere for all.zip" in cli("backup", "/nowhere/all.zip").told


def test_a_loop_s_name_is_no_way_to_another_path(cli):
    assert cli("loops", "show", "../status").code == 2
    assert cli("config", "get", "--loop", "../../loops").code == 2
