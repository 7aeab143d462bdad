"""A whole resource of Azure Personalizer becomes a loop, whatever stops the command half-way."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from cli.migrate import AZURE, OURS, Wishes, adapt, verdict
from shared.domain.clock import SystemClock
from shared.domain.errors import RequestError
from shared.domain.evaluation import PolicySource, Report
from shared.domain.loop import LearningPolicy, LoopRecord, LoopSettings
from shared.services.loops.loops import Loops
from shared.services.loops.records import edit
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from tests.cli.running import Done, run_async
from tests.keeping import pointer_of
from tests.stores import opened

SAVED = {
    "rewardWaitTime": "00:30:00",
    "defaultReward": 0.0,
    "rewardAggregation": "earliest",
    "explorationPercentage": 0.2,
    "modelExportFrequency": "00:05:00",
    "logMirrorEnabled": True,
    "logMirrorSasUri": "https://old.blob.core.windows.net/container?se=2020-08-13T00%3A00Z&sp=rwl&sr=c&sig=secretsignature",
    "logRetentionDays": 90,
    "lastConfigurationEditDate": "2023-01-01T00:00:00Z",
    "learningMode": "Apprentice",
    "isAutoOptimizationEnabled": True,
    "autoOptimizationFrequency": "28.00:00:00",
    "modelRetrainDays": 0,
}
POLICY = {"name": "old", "arguments": "--cb_explore_adf --epsilon 0.2 --power_t 0 -l 0.001 --cb_type mtr -q ::"}
EVENTS = 700
NOW = datetime(2026, 5, 17, tzinfo=UTC)


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    await FileLoopStore(account).names()
    yield account
    await account.close()


@pytest.fixture
def saved(tmp_path):
    (tmp_path / "configuration.json").write_bytes(orjson.dumps(SAVED))
    (tmp_path / "policy.json").write_bytes(orjson.dumps(POLICY))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.json").write_bytes(logged(EVENTS))
    return tmp_path


def logged(count: int) -> bytes:
    """A log in which each kind of user likes an action of its own."""
    chance, at, lines = random.Random(1), datetime(2023, 5, 17, tzinfo=UTC), []
    for number in range(count):
        kind, chosen = chance.randrange(3), chance.randrange(3)
        told = {
            "_label_cost": -float(chance.random() < (0.8 if kind == chosen else 0.1)),
            "_label_probability": 1 / 3,
            "_label_Action": chosen + 1,
            "_labelIndex": chosen,
            "Timestamp": (at + timedelta(seconds=20 * number)).isoformat().replace("+00:00", "Z"),
            "EventId": f"e{number}",
            "a": [chosen + 1, *[each + 1 for each in range(3) if each != chosen]],
            "p": [1 / 3] * 3,
            "c": {
                "FromUrl": [{"user": {"kind": f"k{kind}"}}],
                "_multi": [{"i": {"id": f"a{each}"}, "j": [{"t": f"t{each}"}]} for each in range(3)],
            },
        }
        lines.append(orjson.dumps(told) + b"\n")
    return b"".join(lines)


async def migrate(saved: Path, storage: str, *more: str) -> Done:
    configuration, policy = str(saved / "configuration.json"), str(saved / "policy.json")
    command = ("migrate", "shop", "--configuration", configuration, "--policy", policy, "--logs", str(saved / "logs"))
    return await run_async(*command, "--storage", storage, "--endpoint", "https://mine.example", *more)


async def test_settings_policy_and_log_are_there_then_and_what_to_keep_is_said(account, storage, saved):
    done = await migrate(saved, storage)
    assert (done.code, done.errors) == (0, "")
    stored = await FileLoopStore(account).read("shop")
    assert stored is not None
    record = stored[0]
    wanted = {
        "reward_wait": timedelta(minutes=30),
        "log_retention_days": -1,
        "log_mirror_enabled": False,
        "is_auto_optimization_enabled": False,
    }
    assert {name: record.overrides[name] for name in wanted} == wanted
    assert record.overrides["learning_mode"] == "Apprentice"
    assert record.overrides["policy"].arguments == POLICY["arguments"]
    assert not {"model_retrain_days", "log_mirror_sas_uri"} & record.overrides.keys()
    assert (await pointer_of(account, record.place)).learned == EVENTS
    assert "https://mine.example/loops/shop" in done.text
    assert done.text.count("key 1") == 1
    assert done.text.count("\nKeep ") == 1
    assert "secretsignature" not in done.text
    for member in ("logRetentionDays", "modelRetrainDays", "isAutoOptimizationEnabled", "logMirrorEnabled"):
        assert done.text.count(f"\n{member}: ") == 1


async def test_run_again_it_goes_on_and_tells_no_key_a_second_time(account, storage, saved):
    first = (await migrate(saved, storage, "--no-compare", "--json")).json
    assert first["learned"] == EVENTS
    again = (await migrate(saved, storage, "--json")).json
    assert (len(first["keys"]), again["keys"], again["isNew"]) == (2, None, False)
    assert again["imported"] == {"events": 0, "repeated": EVENTS, "refused": 0}
    stored = await FileLoopStore(account).read("shop")
    assert stored is not None
    assert (await pointer_of(account, stored[0].place)).learned == again["learned"] == EVENTS
    assert {each["name"] for each in again["policies"]} >= {"online", OURS, AZURE}


async def record(account: Storage) -> LoopRecord:
    stored = await FileLoopStore(account).read("shop")
    assert stored is not None
    return stored[0]


def here(account: Storage) -> Loops:
    return Loops(FileLoopStore(account), defaults=LoopSettings(), clock=SystemClock(), check_mirror=lambda _: None)


async def test_what_was_changed_since_stays_whatever_is_run_again_and_is_told(account, storage, saved):
    await migrate(saved, storage, "--no-compare")
    changed = {"reward_wait": timedelta(hours=1), "log_retention_days": 100_000}
    await here(account).put("shop", None, changed)
    await edit(FileLoopStore(account), "shop", lambda record: record.overriding({"policy": LearningPolicy("reset", "--cb_explore_adf")}))
    before = await record(account)
    again = await migrate(saved, storage, "--no-compare")
    assert (again.code, again.errors) == (0, "")
    assert await record(account) == before
    assert "rewardWaitTime PT1H (saved: PT30M), logRetentionDays 100000 (saved: -1). --again takes it over." in again.text
    assert "policy: the loop's own policy stays: reset (--cb_explore_adf). --again takes it over." in again.text
    assert "instead of 90" not in again.text, "what is not done is not said to be done"
    taken = (await migrate(saved, storage, "--no-compare", "--again", "--json")).json
    assert taken["takenOver"] == ["configuration", "policy"]
    after = (await record(account)).settings(LoopSettings())
    assert (after.reward_wait, after.log_retention_days, after.policy.arguments) == (timedelta(minutes=30), -1, POLICY["arguments"])


async def test_a_setting_that_follows_the_app_again_is_not_taken_over_a_second_time(account, storage, saved):
    await migrate(saved, storage, "--no-compare")

    def unset(record: LoopRecord) -> LoopRecord:
        return replace(record, overrides={name: value for name, value in record.overrides.items() if name != "reward_wait"})

    await edit(FileLoopStore(account), "shop", unset)
    again = (await migrate(saved, storage, "--no-compare", "--json")).json
    assert again["takenOver"] == []
    assert "reward_wait" not in (await record(account)).overrides


async def test_run_again_without_a_change_it_says_what_was_taken_over_before(account, storage, saved):
    await migrate(saved, storage, "--no-compare")
    before = await record(account)
    again = (await migrate(saved, storage, "--no-compare", "--json")).json
    assert again["changes"] == ["configuration: was copied before.", "policy: was copied before."]
    assert await record(account) == before


async def test_a_configuration_that_is_found_later_is_taken_over_then(account, storage, saved):
    first = await run_async("migrate", "shop", "--logs", str(saved / "logs"), "--storage", storage, "--no-compare", "--json")
    assert first.json["takenOver"] == []
    assert (await record(account)).overrides["log_retention_days"] == -1
    then = (await migrate(saved, storage, "--no-compare", "--json")).json
    assert then["takenOver"] == ["configuration", "policy"]
    assert (await record(account)).overrides["reward_wait"] == timedelta(minutes=30)
    assert any("all is learned again" in each for each in then["changes"])


async def test_a_loop_that_was_set_up_by_hand_keeps_its_settings_and_it_is_told(account, storage, saved):
    await here(account).put("shop", None, {"reward_wait": timedelta(hours=2)})
    done = (await migrate(saved, storage, "--no-compare", "--json")).json
    assert done["takenOver"] == ["policy"]
    assert (await record(account)).overrides["reward_wait"] == timedelta(hours=2)
    assert any("rewardWaitTime PT2H (saved: PT30M)" in each for each in done["changes"])


async def test_an_address_of_a_mirror_is_told_by_its_name_alone(account, storage, saved):
    await migrate(saved, storage, "--no-compare")
    late = {**SAVED, "logMirrorSasUri": str(SAVED["logMirrorSasUri"]).replace("2020-08-13", "2100-08-13")}
    (saved / "configuration.json").write_bytes(orjson.dumps(late))
    done = await migrate(saved, storage, "--mirror", "--no-compare")
    assert "logMirrorEnabled False (saved: True), logMirrorSasUri" in done.text
    assert "secretsignature" not in done.text


async def test_a_file_that_grew_and_a_log_that_came_later_are_added(account, storage, saved):
    await migrate(saved, storage, "--no-compare")
    (saved / "logs" / "a.json").write_bytes(logged(EVENTS + 50))
    (saved / "more.json").write_bytes(logged(EVENTS + 80))
    again = (await migrate(saved, storage, str(saved / "more.json"), "--no-compare", "--json")).json
    assert again["imported"]["events"] == 80


async def test_a_policy_that_cannot_be_followed_holds_nothing_up_and_is_named(account, storage, saved):
    (saved / "policy.json").write_bytes(orjson.dumps({"name": "old", "arguments": "--cats 4"}))
    done = await migrate(saved, storage, "--no-compare")
    assert done.code == 0
    assert "policy: is not supported and is left out: " in done.text
    assert "--cats" in done.text


async def test_files_as_powershell_writes_them_are_read(account, storage, saved):
    (saved / "configuration.json").write_bytes(orjson.dumps(SAVED).decode().encode("utf-16"))
    assert (await migrate(saved, storage, "--no-compare")).code == 0


@pytest.mark.parametrize("content", [b"", b"[]", b"not json", b"\xff\xfe\x00"])
async def test_a_file_that_is_no_saved_answer_is_refused_before_anything_is_made(account, storage, saved, content):
    (saved / "configuration.json").write_bytes(content)
    assert "configuration.json" in (await migrate(saved, storage)).told
    assert await FileLoopStore(account).read("shop") is None


async def test_a_dead_mirror_that_is_asked_for_is_refused_and_the_next_run_goes_on(account, storage, saved):
    told = (await migrate(saved, storage, "--mirror")).told
    assert "expired at 2020-08-13" in told
    assert "Nothing was changed: correct the saved configuration, or leave out --mirror." in told
    assert await FileLoopStore(account).read("shop") is None
    done = await migrate(saved, storage, "--no-compare")
    assert done.code == 0
    assert "logMirrorSasUri is left out: its signature expired at 2020-08-13T00:00:00Z. To mirror the log, make a new one" in done.text


def test_a_mirror_is_offered_as_long_as_its_signature_holds():
    late = {**SAVED, "logMirrorSasUri": str(SAVED["logMirrorSasUri"]).replace("2020-08-13", "2100-08-13")}
    (told,) = [each for each in adapt(late, Wishes(), now=NOW).changes if each.startswith("logMirrorEnabled")]
    assert told == "logMirrorEnabled: off instead of on, and logMirrorSasUri is left out (--mirror copies both)."


def test_what_is_asked_for_is_taken_over_as_it_was_saved():
    adapted = adapt(SAVED, Wishes(is_mirrored=True, is_optimised=True, retention_days=90), now=NOW)
    assert {name: adapted.members[name] for name in SAVED.keys() - {"lastConfigurationEditDate", "modelRetrainDays"}} == {
        name: value for name, value in SAVED.items() if name not in ("lastConfigurationEditDate", "modelRetrainDays")
    }
    assert [told.partition(":")[0] for told in adapted.changes] == ["modelRetrainDays"]


def valued(name: str, value: float, width: float) -> Report:
    return Report(
        name=name,
        title=name,
        source=PolicySource.CUSTOM,
        slot="",
        rounds=1_000,
        estimates={"calibrated_dr": value},
        intervals={"default": (value - width, value + width)},
        effective_rounds=900.0,
        mean_weight=1.0,
        mean_weight_interval=(0.9, 1.1),
        is_sound=True,
        largest_weight=3.0,
        largest_possible_weight=3.0,
        forced=0,
    )


@pytest.mark.parametrize(
    ("ours", "azure", "width", "kept"),
    [
        (0.5, 0.3, 0.05, "Keep this service's own policy (python -m cli policy reset --loop shop --key KEY): it would have earned 0.500"),
        (0.3, 0.5, 0.05, "Keep Azure's policy, which is in force"),
        (0.5, 0.48, 0.05, "does not tell it (0.500 (0.450 to 0.550) an event)"),
        (0.5, None, 0.05, "Keep this service's own policy: the shown actions"),
    ],
)
def test_which_policy_to_keep_is_said_in_one_sentence(ours, azure, width, kept):
    reports = [valued("online", 0.2, width), valued(OURS, ours, width)]
    said = verdict([*reports, *([] if azure is None else [valued(AZURE, azure, width)])], "shop")
    assert kept in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("ours", "azure", "in_force", "kept"),
    [
        (0.5, 0.3, OURS, "Keep this service's own policy, which is in force: it would"),
        (0.3, 0.5, OURS, "Keep Azure's policy, which is not in force (--again takes it over): it would"),
        (0.3, 0.5, "", "Keep Azure's policy, which is not in force (--again takes it over): it would"),
    ],
)
def test_a_policy_is_said_to_be_in_force_only_if_it_is(ours, azure, in_force, kept):
    reports = [valued("online", 0.2, 0.05), valued(OURS, ours, 0.05), valued(AZURE, azure, 0.05)]
    assert kept in verdict(reports, "shop", in_force=in_force)


async def test_a_log_of_apprentice_mode_is_said_to_tell_no_policies_apart(account, storage, saved):
    lines = [orjson.loads(line) for line in logged(EVENTS).splitlines()]
    for line in lines:
        line["_label_probability"], line["p"] = 1.0, [1.0, 0.0, 0.0]
    (saved / "logs" / "a.json").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    done = (await migrate(saved, storage, "--json")).json
    assert (done["learned"], done["policies"], done["warnings"]) == (EVENTS, [], [])
    assert "cannot say which policy" in done["verdict"]


async def test_probabilities_that_cannot_be_the_true_ones_are_said_to_make_figures_doubtful(account, storage, saved):
    log = logged(EVENTS).replace(b'"p":[0.3333333333333333,', b'"p":[0.8,')
    (saved / "logs" / "a.json").write_bytes(log.replace(b':0.3333333333333333,"', b':0.8,"').replace(b"0.3333333333333333", b"0.1"))
    done = await migrate(saved, storage)
    assert "Beware: The mean weight of " in done.text


async def test_a_log_that_is_not_there_is_told_before_anything_is_made(account, storage, saved):
    done = await migrate(saved, storage, str(saved / "nothing"))
    assert (done.code, done.text) == (2, "")
    assert "there is no file" in done.errors
    assert await FileLoopStore(account).read("shop") is None


def test_where_nothing_was_left_to_chance_the_log_is_said_to_tell_nothing():
    assert "cannot say which policy" in verdict([], "shop")


@pytest.mark.parametrize("wrapped", [{"id": "x", "properties": SAVED}, {"Properties": SAVED}, {"properties": {"configuration": SAVED}}])
def test_a_configuration_that_was_saved_inside_of_another_object_is_found(wrapped):
    assert adapt(wrapped, Wishes(), now=NOW).members == adapt(SAVED, Wishes(), now=NOW).members


@pytest.mark.parametrize("other", [{"id": "x", "location": "westeurope"}, {"error": {"code": "401"}}, {"properties": {"sku": "S0"}}])
def test_a_file_without_any_setting_is_refused_instead_of_learning_under_other_rewards(other):
    with pytest.raises(RequestError, match="no setting that is known"):
        adapt(other, Wishes(), now=NOW)


@pytest.mark.parametrize("name", ["logRetentionDays", "modelRetrainDays", "logMirrorEnabled", "rewardWaitTime"])
def test_a_value_that_is_none_is_refused_without_being_told(name):
    with pytest.raises(RequestError) as refused:
        adapt({"defaultReward": 0.5, name: {"a": "sig=SECRET" * 1_000}}, Wishes(), now=NOW)
    assert "SECRET" not in str(refused.value)
    assert name in str(refused.value)
