"""Records of loops: written on condition, read by everyone, and polled for."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.domain.errors import BusyError, ConflictError, NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.events import LearningMode
from shared.domain.loop import ApprenticeLearning, LearningPolicy, LoopRecord, LoopSettings, Remains, RewardAggregation, Tier
from shared.storage import names, polling
from shared.storage.files import Files
from shared.storage.loop_records import read_record, write_record
from shared.storage.loop_store import FileLoopStore, FileUsage
from shared.storage.polling import StoredConfiguration

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FULL = LoopRecord(
    "news",
    overrides={
        "reward_wait": timedelta(hours=4),
        "learning_mode": LearningMode.APPRENTICE,
        "policy": LearningPolicy("mine", "--cb_explore_adf --softmax"),
        "auto_optimization_start": NOW,
        "log_mirror_sas_uri": "https://x.blob.core.windows.net/c?sig=s",
    },
    tier=Tier.F0,
    keys=("a" * 64, ""),
    created_at=NOW,
    life=3,
    deleted_at=NOW,
    remains=(Remains("newsx0002", NOW),),
)


@pytest.fixture
def store(account) -> FileLoopStore:
    return FileLoopStore(account)


async def put_text(account, text: bytes, loop: str = "default") -> None:
    files = Files(account, names.MODELS)
    await files.delete(names.configuration_file(loop))
    await files.write_once(names.configuration_file(loop), text)


# --- text ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [FULL, LoopRecord("default"), LoopRecord("news", life=1, created_at=NOW)])
def test_what_was_written_is_read_back(record):
    assert read_record(record.name, write_record(record)) == record


@given(
    wait=st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)),
    reward=st.floats(-1, 1),
    aggregation=st.sampled_from(RewardAggregation),
    days=st.integers(-1, 2**31 - 1),
)
def test_settings_survive_to_the_microsecond_and_the_last_bit(wait, reward, aggregation, days):
    overrides = {"reward_wait": wait, "default_reward": reward, "reward_aggregation": aggregation, "log_retention_days": days}
    assert read_record("default", write_record(LoopRecord("default", overrides))).overrides == overrides


def test_only_what_is_overridden_is_stored():
    assert b"reward_wait" not in write_record(LoopRecord("default", {"default_reward": 0.5}))


def test_a_configuration_of_the_first_format_is_read_as_overrides():
    record = read_record("default", b'{"format": 1, "reward_wait": "PT5S", "learning_mode": "Apprentice"}')
    assert record == LoopRecord("default", {"reward_wait": timedelta(seconds=5), "learning_mode": LearningMode.APPRENTICE})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": "x"}',
        b'{"format": 1, "nonsense": 1}',
        b'{"format": 1, "reward_wait": "PT0S"}',
        b'{"format": 1, "name": "other"}',
        b'{"format": 2, "settings": {"name": "other"}}',
        b'{"format": 2, "settings": {"reward_wait": "PT0S"}}',
        b'{"format": 2, "settings": []}',
        b'{"format": 2, "nonsense": 1}',
        b'{"format": 2, "keys": "abc"}',
        b'{"format": 2, "tier": "S9"}',
        b'{"format": 2, "name": "other"}',
    ],
)
def test_a_record_that_cannot_be_used_is_refused(text):
    with pytest.raises(UnreadableError):
        read_record("default", text)


def test_a_record_of_a_later_release_is_refused_by_name():
    with pytest.raises(NewerFormatError, match="configuration"):
        read_record("default", b'{"format": 6}')


def test_a_record_shows_no_keys():
    assert "a" * 64 not in repr(FULL)


# --- storage ---------------------------------------------------------------------------------------------------------------


async def test_a_record_is_written_only_over_the_one_that_was_read(store):
    assert await store.read("news") is None
    first = await store.write(FULL, expected=None)
    assert await store.read("news") == (FULL, first)
    second = await store.write(replace(FULL, tier=Tier.S0), expected=first)
    for stale in (None, first):
        with pytest.raises(ConflictError):
            await store.write(replace(FULL, tier=Tier.E0), expected=stale)
    assert await store.read("news") == (replace(FULL, tier=Tier.S0), second)


async def test_the_loops_are_listed_by_their_records_not_by_what_their_lives_left(store, account):
    assert list(await store.names()) == []
    for name in ("zoo", "default", "news"):
        await store.write(LoopRecord(name), expected=None)
    files = Files(account, names.MODELS)
    for place in ("newsx0001", "default", "zoox0002"):
        for number in range(3):
            await files.write_once(names.model_file(place, str(number)), b"x")
    assert list(await store.names()) == ["default", "news", "zoo"]


async def test_the_keys_of_a_record_of_a_later_release_are_still_known(store, account):
    await put_text(account, b'{"format": 99, "keys": ["", "d1"], "client_keys": ["d2"], "other": {}, "tier": "E0"}')
    with pytest.raises(NewerFormatError):
        await store.read("default")
    assert await store.keys_of("default") == LoopRecord("default", keys=("", "d1"), client_keys=("d2",))


async def test_a_record_without_a_client_key_is_one_that_earlier_releases_read(store, account):
    await store.write(LoopRecord("news", keys=("d1", "d2"), life=1), expected=None)
    file = await Files(account, names.MODELS).read(names.configuration_file("news"))
    assert file is not None
    assert orjson.loads(file.data)["format"] == 2
    assert "client_keys" not in orjson.loads(file.data)
    with_one = LoopRecord("news", keys=("d1", "d2"), life=1, client_keys=("d3",))
    await store.write(with_one, expected=file.etag)
    found = await store.read("news")
    assert found is not None
    assert found[0] == with_one
    stored = await Files(account, names.MODELS).read(names.configuration_file("news"))
    assert stored is not None
    assert orjson.loads(stored.data)["format"] == 3


async def test_a_stored_configuration_overrides_the_app_settings(account):
    configuration = StoredConfiguration(account, defaults=LoopSettings(exploration_percentage=0.1))
    assert (await asyncio.to_thread(configuration.read)).exploration_percentage == 0.1
    await put_text(account, b'{"format": 1, "reward_wait": "PT5S", "learning_mode": "Apprentice", "apprentice_learning": "Observe"}')
    for _ in range(2):
        settings = await asyncio.to_thread(configuration.read)
        assert (settings.reward_wait, settings.learning_mode) == (timedelta(seconds=5), LearningMode.APPRENTICE)
        assert (settings.apprentice_learning, settings.exploration_percentage) == (ApprenticeLearning.OBSERVE, 0.1)
    await Files(account, names.MODELS).delete(names.configuration_file("default"))
    assert (await asyncio.to_thread(configuration.read)).reward_wait == LoopSettings().reward_wait


async def test_a_record_that_cannot_be_read_any_more_leaves_the_last_one_in_force(account, store):
    record = LoopRecord("default", {"default_reward": 0.5}, keys=("k1", "k2"))
    await store.write(record, expected=None)
    configuration = StoredConfiguration(account, defaults=LoopSettings())
    assert (await asyncio.to_thread(configuration.read)).default_reward == 0.5
    for text in (b'{"format": 6}', b"nonsense", b'{"format": 2, "settings": {"default_reward": 7}}'):
        await put_text(account, text)
        with pytest.raises(UnreadableError):
            await asyncio.to_thread(configuration.read)
        assert configuration.record == record


async def test_a_change_that_is_told_of_late_takes_no_later_one_back(account, store):
    """A process wrote the first change, heard of the second by polling, and is told of the first only then."""
    first, second = (LoopRecord("default", {"default_reward": reward}, keys=("", f"k{reward}")) for reward in (0.25, 0.5))
    await store.write(second, expected=await store.write(first, expected=None))
    configuration = StoredConfiguration(account, defaults=LoopSettings())
    assert (await asyncio.to_thread(configuration.read)).default_reward == 0.5
    configuration.note(first)
    assert configuration.record == second, "a key that was revoked since is not let in again"
    assert (await asyncio.to_thread(configuration.read)).default_reward == 0.5
    assert configuration.record == second


async def test_while_storage_does_not_answer_the_change_that_was_made_here_is_in_force_until_it_does(account, store, monkeypatch):
    first, second = (LoopRecord("default", {"default_reward": reward}) for reward in (0.25, 0.5))
    etag = await store.write(first, expected=None)
    configuration = StoredConfiguration(account, defaults=LoopSettings())
    await asyncio.to_thread(configuration.read)
    await store.write(second, expected=etag)
    configuration.note(second)
    with monkeypatch.context() as broken:
        broken.setattr(polling, "_changed", _silent)
        with pytest.raises(StorageUnavailableError):
            configuration.read()
    assert configuration.record == second
    assert (await asyncio.to_thread(configuration.read)).default_reward == 0.5


def _silent(*asked: object, **known: object) -> None:
    raise StorageUnavailableError("storage did not answer")


async def test_a_slow_look_takes_back_nothing_that_a_faster_one_has_found(account, store, monkeypatch):
    first, second = (LoopRecord("default", {"default_reward": reward}) for reward in (0.25, 0.5))
    etag = await store.write(first, expected=None)
    configuration = StoredConfiguration(account, defaults=LoopSettings())
    look, answers = polling._changed, []

    def slow(*asked, **known):
        answer = look(*asked, **known)
        answers.append(answer)
        if len(answers) == 1:  # while this answer is on its way, another thread looks
            asyncio.run_coroutine_threadsafe(store.write(second, expected=etag), main).result()
            assert configuration.read().default_reward == 0.5
        return answer

    main = asyncio.get_running_loop()
    monkeypatch.setattr(polling, "_changed", slow)
    assert (await asyncio.to_thread(configuration.read)).default_reward == 0.5
    assert configuration.record == second


# --- usage -----------------------------------------------------------------------------------------------------------------


async def test_no_more_is_granted_than_there_is_however_many_ask_at_once(account):
    usages = [FileUsage(account, place="newsx0001") for _ in range(4)]
    granted: list[int] = []

    async def take(usage: FileUsage) -> None:
        while True:
            try:
                number = await usage.grant("202611", wanted=7, limit=100)
            except BusyError:
                continue
            if not number:
                return
            granted.append(number)

    await asyncio.gather(*map(take, usages))
    assert sum(granted) == 100
    assert set(granted) == {7, 100 % 7}
    assert await usages[0].grant("202612", wanted=7, limit=100) == 7
    assert await FileUsage(account, place="newsx0002").grant("202611", wanted=7, limit=100) == 7


@pytest.mark.parametrize(("text", "error"), [(b"{}", UnreadableError), (b'{"format": 2, "granted": 1}', NewerFormatError)])
async def test_a_count_that_cannot_be_read_grants_nothing(account, text, error):
    await Files(account, names.MODELS).write_once(names.usage_file("default", "202611"), text)
    with pytest.raises(error):
        await FileUsage(account, place="default").grant("202611", wanted=1, limit=1)


def test_only_a_record_with_a_feature_or_a_holdout_is_one_that_earlier_releases_refuse():
    settings: list[dict[str, Any]] = [{"default_reward": 0.5}, {"breakdown_feature": "user.device"}, {"holdout_percentage": 0.1}]
    records = [LoopRecord("news", each) for each in (*settings, settings[1] | settings[2])]
    assert [orjson.loads(write_record(each))["format"] for each in records] == [2, 4, 5, 5]
    assert [read_record("news", write_record(each)) for each in records] == records


def test_a_policy_that_follows_the_app_is_read_back_and_by_earlier_releases_as_it_was_then():
    policy = LearningPolicy("reset", "--cb_explore_adf --softmax")
    record = LoopRecord("news", {"policy": policy}, has_apps_policy=True)
    text = write_record(record)
    assert read_record("news", text) == record
    stored = orjson.loads(text)
    assert (stored["format"], stored["settings"]["policy"]) == (2, {"name": policy.name, "arguments": policy.arguments, "is_apps": True})
    assert TypeAdapter(LoopSettings).validate_python(stored["settings"]).policy == policy, "so do earlier releases read it"
    assert read_record("news", write_record(LoopRecord("news", {"policy": policy}))).has_apps_policy is False
