import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.timers import next_due
from shared.domain.errors import SettingsError
from shared.domain.events import LearningMode
from shared.domain.keys import key_digest
from shared.domain.loop import ApprenticeLearning, RewardAggregation
from shared.runtime.settings import DEFAULTS, misspelt, read_settings
from shared.storage.embedded.times import AGREES
from shared.storage.settings import AccountSettings, FolderSettings, StorageSettings
from tests.patience import PATIENCE
from tests.running import REPOSITORY

ACCOUNT = {"AzureWebJobsStorage": "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=eA==;EndpointSuffix=core.windows.net"}


def settings(**values: str):
    return read_settings({**ACCOUNT, **{f"PERSONALIZER_{name}": value for name, value in values.items()}})


def test_the_defaults_are_those_of_azure_personalizer():
    loop = settings().loop
    assert (loop.reward_wait, loop.default_reward, loop.model_export_frequency) == (timedelta(minutes=10), 0.0, timedelta(minutes=5))
    assert (loop.reward_aggregation, loop.exploration_percentage, loop.learning_mode) == (
        RewardAggregation.EARLIEST,
        0.2,
        LearningMode.ONLINE,
    )
    assert loop.apprentice_learning is ApprenticeLearning.IMITATE


def test_an_empty_setting_is_the_default():
    assert settings(**{name.removeprefix("PERSONALIZER_"): "" for name in DEFAULTS}) == settings()


def test_values_are_read_as_they_are_documented():
    read = settings(
        KEYS=" one , two ",
        CLIENT_KEYS="four,five",
        CORS_ORIGINS="https://Shop.example.com/, http://localhost:3000",
        ADMIN_KEY=" three ",
        POLICY_ARGUMENTS="--cb_explore_adf --softmax",
        REWARD_WAIT_TIME="pt4h",
        DEFAULT_REWARD="-0.5",
        REWARD_AGGREGATION="SUM",
        LEARNING_MODE="loggingonly",
        APPRENTICE_LEARNING="observe",
        LOG_SHARDS="4",
        INGEST_GRACE="PT1S",
        TRAINER_SCHEDULE="*/5 * * * * *",
    )
    assert read.key_digests == (key_digest("one"), key_digest("two"))
    assert read.admin_digests == (key_digest("three"),)
    assert read.client_digests == (key_digest("four"), key_digest("five"))
    assert read.cors_origins == ("https://shop.example.com", "http://localhost:3000")
    assert read.loop.policy.arguments == "--cb_explore_adf --softmax"
    assert (read.loop.reward_wait, read.loop.default_reward) == (timedelta(hours=4), -0.5)
    assert (read.loop.reward_aggregation, read.loop.learning_mode) == (RewardAggregation.SUM, LearningMode.LOGGING_ONLY)
    assert read.loop.apprentice_learning is ApprenticeLearning.OBSERVE
    assert (read.log_shards, read.ingest_grace, read.trainer_schedule) == (4, timedelta(seconds=1), "*/5 * * * * *")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REWARD_WAIT_TIME", "10"),
        ("REWARD_WAIT_TIME", "ten minutes"),
        ("REWARD_WAIT_TIME", "PT0S"),
        ("REWARD_WAIT_TIME", "P31D"),
        ("REWARD_WAIT_TIME", "-PT5S"),
        ("DEFAULT_REWARD", "2"),
        ("DEFAULT_REWARD", "nan"),
        ("REWARD_AGGREGATION", "first"),
        ("EXPLORATION_PERCENTAGE", "20"),
        ("EXPLORATION_PERCENTAGE", "20%"),
        ("LEARNING_MODE", "Offline"),
        ("APPRENTICE_LEARNING", "both"),
        ("MODEL_EXPORT_FREQUENCY", "PT0S"),
        ("MODEL_POLL_INTERVAL", "P1D"),
        ("INGEST_GRACE", "PT2H"),
        ("TRAINER_SCHEDULE", "* * * * *"),
        ("TRAINER_SCHEDULE", "every minute"),
        ("TRAINER_SCHEDULE", "60 * * * * *"),
        ("TRAINER_SCHEDULE", "0 0 24 * * *"),
        ("TRAINER_SCHEDULE", "0 0 0 0 * *"),
        ("TRAINER_SCHEDULE", "0 0 0 1 13 *"),
        ("TRAINER_SCHEDULE", "0 0 0 * * 7"),
        ("TRAINER_SCHEDULE", "0 0 0 * * NOD"),
        ("TRAINER_SCHEDULE", "0 */0 * * * *"),
        ("TRAINER_SCHEDULE", "0 5- * * * *"),
        ("LOG_SHARDS", "0"),
        ("LOG_SHARDS", "1.5"),
        ("LOG_SHARDS", "inf"),
        ("MODELS_KEPT", "none"),
        ("MEMORY_MB", "255"),
        ("MEMORY_MB", "much"),
        ("MEMORY_MB", "512.5"),
        ("MEMORY_MB", "1e400"),
        ("KEYS", "a,b,c"),
        ("POLICY_ARGUMENTS", "--cb_explore_adf --nonsense"),
        ("POLICY_ARGUMENTS", "--epsilon 0.2"),
        ("POLICY_ARGUMENTS", "--cb_explore_adf" + " " * 2_000 + "--softmax"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name, value):
    with pytest.raises(SettingsError, match=f"PERSONALIZER_{name}"):
        settings(**{name: value})


@pytest.mark.parametrize("name", [name.removeprefix("PERSONALIZER_") for name in DEFAULTS])
def test_what_anyone_is_told_of_a_setting_repeats_nothing_of_its_value(name):
    """It may be a key that was meant for another setting."""
    values = ("s3cr3t", "s3cr3t" * 20, "--s3cr3t, s3cr3t, s3cr3t", "AccountKey=s3cr3t;s3cr3t")
    refusals = [refusal for value in values if (refusal := refusal_of(**{name: value}))]
    assert not [each.public for each in refusals if f"PERSONALIZER_{name}" not in each.public or "s3cr3t" in each.public]


def refusal_of(**values: str) -> SettingsError | None:
    try:
        settings(**values)
    except SettingsError as error:
        return error
    return None


def test_the_holder_of_the_settings_is_shown_a_value_that_is_shorter_than_a_key():
    with pytest.raises(SettingsError, match="PERSONALIZER_DEFAULT_REWARD is '2', but must be a number from -1 to 1"):
        settings(DEFAULT_REWARD="2")
    with pytest.raises(SettingsError, match="PERSONALIZER_DEFAULT_REWARD is 64 characters long, but must be"):
        settings(DEFAULT_REWARD="ab" * 32)


@pytest.mark.parametrize(
    ("schedule", "written"),
    [
        ("*/10 * * * * *", "*/10 * * * * *"),
        ("0 5/10 * * * *", "0 5/10 * * * *"),
        ("0 0-30/5,45 9-17 * * MON-FRI", "0 0-30/5,45 9-17 * * 1-5"),
        ("59 59 23 31 12 6", "59 59 23 31 12 6"),
        ("0 0 0 1 January,jul sun", "0 0 0 1 1,7 0"),
        ("00\t05  *\u00a0* * *", "0 5 * * * *"),
        ("0 0 0 29 feb *", "0 0 0 29 2 *"),
    ],
)
def test_a_schedule_is_written_as_every_host_reads_it(schedule, written):
    assert settings(TRAINER_SCHEDULE=schedule).trainer_schedule == written
    assert next_due(written, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "schedule",
    [
        "\u0663 * * * * *",
        "0 \uff15 * * * *",
        "0 0 0 * * Mondya",
        "0 0 0 * * Monx",
        "0 0 0 1 Janxyz *",
        "0 0 22-2 * * *",
        "0 0 0 * * fri-mon",
        "0 0 0 30 2 *",
        "0 0 0 31 4,6,9,11 *",
    ],
)
def test_a_schedule_that_some_host_cannot_read_or_that_never_comes_is_named(schedule):
    with pytest.raises(SettingsError, match="PERSONALIZER_TRAINER_SCHEDULE"):
        settings(TRAINER_SCHEDULE=schedule)


def parts_of(lowest: int, highest: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    values = st.integers(lowest, highest).map(str) | (st.sampled_from(names) if names else st.nothing())
    spans = st.just("*") | values | st.tuples(values, values).map("-".join)
    steps = st.just("") | st.integers(1, 99).map(lambda step: f"/{step}")
    return st.lists(st.tuples(spans, steps).map("".join), min_size=1, max_size=3).map(",".join)


FIELDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12, ("Jan", "february", "OCT", "Dece")), (0, 6, ("sun", "Monday", "sat")))


@given(schedule=st.tuples(*(parts_of(*field) for field in FIELDS)).map(" ".join))
def test_the_local_host_reads_each_schedule_that_is_accepted(schedule):
    try:
        read = settings(TRAINER_SCHEDULE=schedule).trainer_schedule
    except SettingsError:
        return
    assert settings(TRAINER_SCHEDULE=read).trainer_schedule == read
    assert next_due(read, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("account", ["AzureWebJobsStorage", "PERSONALIZER_STORAGE"])
@pytest.mark.parametrize("text", ["s3cr3t", "AccountKey=s3cr3t", "https://x.blob.core.windows.net/?sig=s3cr3t", "AccountName=x;s3cr3t"])
def test_what_is_no_connection_string_is_named_and_not_repeated(account, text):
    with pytest.raises(SettingsError, match=f"{account} must be a connection string") as refused:
        read_settings({**ACCOUNT, account: text})
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("key", ["s3cr3t!", "eA", "%%%=", "e A=="])
def test_a_key_of_storage_that_was_not_copied_whole_is_named_and_not_repeated(key):
    with pytest.raises(SettingsError, match="AzureWebJobsStorage has an AccountKey that is not base64") as refused:
        read_settings({"AzureWebJobsStorage": f"AccountName=x;AccountKey={key};EndpointSuffix=core.windows.net"})
    assert key not in str(refused.value)


@pytest.mark.parametrize("service", ["blob", "table", "queue"])
def test_an_address_of_storage_is_one(service):
    with pytest.raises(SettingsError, match=f"AzureWebJobsStorage__{service}ServiceUri must be an address that begins with https://"):
        read_settings({"AzureWebJobsStorage__accountName": "x", f"AzureWebJobsStorage__{service}ServiceUri": "x.core.windows.net"})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("BlobEndpoint=https://[::1/s3cr3t;TableEndpoint=https://t", "blobendpoint"),
        ("BlobEndpoint=https://b;TableEndpoint=s3cr3t", "tableendpoint"),
        ("BlobEndpoint=https://b:s3cr3t;TableEndpoint=https://t", "blobendpoint"),
    ],
)
def test_a_connection_string_that_can_never_be_used_is_named_by_its_wrong_part_and_not_repeated(text, part):
    with pytest.raises(SettingsError, match=f"AzureWebJobsStorage is a connection string whose {part} ") as refused:
        read_settings({"AzureWebJobsStorage": text})
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("name", ["two words", "mine/s3cr3t", "mine.blob.core.windows.net"])
def test_the_name_of_an_account_is_one(name):
    with pytest.raises(SettingsError, match="AzureWebJobsStorage__accountName must be the name of a storage account"):
        read_settings({"AzureWebJobsStorage__accountName": name})
    with pytest.raises(SettingsError, match="AzureWebJobsStorage must be a connection string"):
        read_settings({"AzureWebJobsStorage__accountName": " "})


@pytest.mark.parametrize("address", ["https://[::1/x", "https://x:port", "https://:1"])
def test_an_address_of_storage_names_a_host(address):
    with pytest.raises(SettingsError, match="AzureWebJobsStorage__blobServiceUri must be an address"):
        read_settings({"AzureWebJobsStorage__accountName": "x", "AzureWebJobsStorage__blobServiceUri": address})


@pytest.mark.parametrize("name", ["KEYS", "ADMIN_KEY", "CLIENT_KEYS", "REWARD_WAIT_TIME"])
def test_a_reference_to_a_secret_that_was_not_resolved_is_no_value(name):
    with pytest.raises(
        SettingsError, match=f"^PERSONALIZER_{name} is a reference to a secret in a key vault, which the platform could not"
    ):
        settings(**{name: "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/keys)"})


def account_of(storage: StorageSettings) -> AccountSettings:
    assert isinstance(storage, AccountSettings)
    return storage


def data_account(environment: dict[str, str]) -> AccountSettings:
    return account_of(read_settings(environment).storage)


def test_without_an_account_the_setting_that_is_missing_is_named():
    with pytest.raises(SettingsError, match="AzureWebJobsStorage"):
        read_settings({})


def test_the_data_account_may_be_another_than_the_hosts():
    account = data_account({**ACCOUNT, "PERSONALIZER_STORAGE__accountName": "mine"})
    assert (account.connection_string, account.blob_uri) == ("", "https://mine.blob.core.windows.net")


def test_the_queues_are_in_the_hosts_account_whatever_the_data_account():
    host = {"AzureWebJobsStorage__accountName": "host", "AzureWebJobsStorage__credential": "managedidentity"}
    read = read_settings({**host, "PERSONALIZER_STORAGE__accountName": "mine", "PERSONALIZER_STORAGE__clientId": "id"})
    assert (account_of(read.host_storage).queue_uri, account_of(read.host_storage).managed_identity) == (
        "https://host.queue.core.windows.net",
        True,
    )
    assert (account_of(read.host_storage).client_id, account_of(read.storage).client_id) == (None, "id")
    assert read_settings(host).host_storage == read_settings(host).storage


def test_the_queues_may_be_named_by_their_own_address():
    read = read_settings({"AzureWebJobsStorage__queueServiceUri": "https://q", "PERSONALIZER_STORAGE__accountName": "mine"})
    assert account_of(read.host_storage).queue_uri == "https://q"


def test_a_tool_beside_the_app_may_be_told_of_the_data_account_alone():
    read = read_settings({"PERSONALIZER_STORAGE__accountName": "mine"})
    assert (account_of(read.host_storage).connection_string, account_of(read.host_storage).queue_uri) == ("", "")


def test_a_blank_data_account_is_none():
    assert (
        read_settings({**ACCOUNT, "PERSONALIZER_STORAGE": " ", "PERSONALIZER_STORAGE_NOTE": "x"}).storage == read_settings(ACCOUNT).storage
    )


def test_a_managed_identity_needs_no_secret():
    account = data_account(
        {
            "AzureWebJobsStorage__blobServiceUri": "https://b",
            "AzureWebJobsStorage__tableServiceUri": "https://t",
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": "id",
        }
    )
    assert (account.blob_uri, account.table_uri, account.managed_identity, account.client_id) == ("https://b", "https://t", True, "id")


def test_an_embedded_store_has_data_and_queues_whatever_the_hosts_account(tmp_path):
    read = read_settings({**ACCOUNT, "PERSONALIZER_STORE": f" {tmp_path} "})
    assert read.storage == read.host_storage == FolderSettings(tmp_path, make=True)


def test_a_relative_store_is_one_place_wherever_a_process_goes_later(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read_settings({"PERSONALIZER_STORE": "store"}).storage == FolderSettings(tmp_path / "store", make=True)


@pytest.mark.parametrize("name", ["PERSONALIZER_STORAGE", "PERSONALIZER_STORAGE__accountName", "PERSONALIZER_STORAGE__tableServiceUri"])
def test_two_places_for_the_data_are_refused(name):
    with pytest.raises(SettingsError, match=f"PERSONALIZER_STORE and {name} name two places"):
        read_settings({"PERSONALIZER_STORE": "store", name: "mine"})


@pytest.mark.parametrize(
    "text", [ACCOUNT["AzureWebJobsStorage"], "https://x.blob.core.windows.net/?sig=eA==", "~nobody-of-that-name/store"]
)
def test_what_names_no_folder_is_no_store_and_no_key_in_it_is_repeated(text):
    with pytest.raises(SettingsError) as refused:
        read_settings({"PERSONALIZER_STORE": text})
    assert "eA==" not in str(refused.value)
    assert text.startswith("~") or "PERSONALIZER_STORAGE names an account" in str(refused.value)


def test_the_emulators_short_form_is_spelled_out():
    assert "TableEndpoint=http://127.0.0.1:10002" in data_account({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}).connection_string


def test_secrets_are_not_printed():
    shown = repr(settings(KEYS="a secret", ADMIN_KEY="a secret too"))
    assert "AccountKey" not in shown
    assert "a secret" not in shown
    assert key_digest("a secret") not in shown


def test_without_keys_there_are_none():
    assert (settings().key_digests, settings(KEYS=" , ").key_digests, settings(ADMIN_KEY=" ").admin_digests) == ((), (), ())


@given(seconds=st.floats(0, 3600), place=st.sampled_from([(ACCOUNT, 2.0), ({"PERSONALIZER_STORE": "a/folder"}, 0.5)]))
def test_for_every_grace_that_is_accepted_an_append_ends_before_it_by_what_clocks_may_differ(seconds, place):
    storage, unseen = place[0], timedelta(seconds=place[1])
    read = read_settings({**storage, "PERSONALIZER_INGEST_GRACE": f"PT{seconds:.3f}S"})
    assert read.append_deadline + unseen <= read.grace
    assert read.upload_grace / 2 + read.append_deadline + unseen <= read.grace
    assert timedelta(seconds=2) <= read.append_deadline <= timedelta(seconds=10)
    assert read.grace == max(read.ingest_grace, timedelta(seconds=2) + unseen)
    assert read.lookback == read.grace + read.append_deadline


def test_two_processes_of_a_store_may_both_be_as_wrong_as_is_taken_for_right_within_the_smallest_grace():
    read = read_settings({"PERSONALIZER_STORE": "a/folder", "PERSONALIZER_INGEST_GRACE": "PT0S"})
    assert read.append_deadline + 2 * timedelta(seconds=AGREES) < read.grace == timedelta(seconds=2.5)


def test_an_append_gives_up_well_inside_the_grace():
    assert settings().append_deadline <= settings().ingest_grace / 2
    assert (settings().grace, settings().upload_grace, settings().append_deadline) == (
        timedelta(seconds=30),
        timedelta(seconds=30),
        timedelta(seconds=10),
    )
    assert settings(INGEST_GRACE="PT1S").lookback > settings(INGEST_GRACE="PT1S").append_deadline


@pytest.mark.parametrize(
    "origins", ["*", "https://a.example.com", "http://localhost", "http://[::1]:3000", "capacitor://localhost", "https://a.b,https://c"]
)
def test_origins_are_written_as_browsers_write_them(origins):
    assert settings(CORS_ORIGINS=origins).cors_origins == tuple(origins.split(","))


@pytest.mark.parametrize(
    "origins",
    [
        "example.com",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://a b",
        "https://*.a.com",
        "null",
        "https://a;https://b",
        "https://u@a",
        "https://a:65536",
        "http://[1::2::3]x",
    ],
)
def test_what_is_no_origin_is_refused_by_name(origins):
    with pytest.raises(SettingsError, match=r"PERSONALIZER_CORS_ORIGINS is .* must hold origins such as https://www\.example\.com"):
        settings(CORS_ORIGINS=f"https://right.example.com,{origins}")


def test_the_port_that_browsers_leave_out_may_be_written():
    listed = "https://a.example:443,http://b.example:80,https://c.example:80,http://d.example:443,HTTPS://A.example"
    assert settings(CORS_ORIGINS=listed).cors_origins == (
        "https://a.example",
        "http://b.example",
        "https://c.example:80",
        "http://d.example:443",
    )


def test_there_may_be_a_hundred_origins():
    listed = [f"https://a{number}.example.com" for number in range(101)]
    assert len(settings(CORS_ORIGINS=",".join(listed[:100])).cors_origins) == 100
    with pytest.raises(SettingsError, match="at most 100"):
        settings(CORS_ORIGINS=",".join(listed))


def test_a_client_key_opens_less_than_any_other_key():
    with pytest.raises(SettingsError, match="PERSONALIZER_CLIENT_KEYS holds a key that is in PERSONALIZER_KEYS too"):
        settings(KEYS="one,two", CLIENT_KEYS="three,two")
    with pytest.raises(SettingsError, match="PERSONALIZER_CLIENT_KEYS holds a key that is in PERSONALIZER_KEYS too"):
        settings(KEYS="with a blank, two", CLIENT_KEYS="with a blank")
    with pytest.raises(SettingsError, match="in PERSONALIZER_ADMIN_KEY too"):
        settings(ADMIN_KEY="one", CLIENT_KEYS="one")
    with pytest.raises(SettingsError, match="PERSONALIZER_CLIENT_KEYS holds 3 keys"):
        settings(CLIENT_KEYS="one,two,three")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PERSONALIZER_KEY", "PERSONALIZER_KEYS"),
        ("PERSONALIZER_ADMINKEY", "PERSONALIZER_ADMIN_KEY"),
        ("PERSONALIZER_MODEL_KEPT", "PERSONALIZER_MODELS_KEPT"),
        ("PERSONALIZER_DEFUALT_REWARD", "PERSONALIZER_DEFAULT_REWARD"),
        ("personalizer_learning_mode", "PERSONALIZER_LEARNING_MODE"),
        ("PERSONALIZER_STORAGE__blobServiceUrl", "PERSONALIZER_STORAGE__blobServiceUri"),
        ("PERSONALIZER_STORAGE__clientID", "PERSONALIZER_STORAGE__clientId"),
    ],
)
def test_a_setting_of_nearly_a_known_name_is_told_unless_that_one_is_set(name, meant):
    assert misspelt({name: "x", **ACCOUNT}) == {name: meant}
    assert misspelt({name: "x", meant: "y"}) == {}


@pytest.mark.parametrize(
    "name", ["PERSONALIZER_LOCAL_DIR", "PERSONALIZER_LOG_LEVEL", "PERSONALIZER_ENDPOINT", "PERSONALIZER_STORAGE__tenantId", "KEY"]
)
def test_a_setting_of_others_is_none_of_ours(name):
    assert misspelt({name: "x", **dict.fromkeys(DEFAULTS, "")}) == {}


def test_what_is_read_is_not_misspelt():
    parts = ("accountName", "blobServiceUri", "tableServiceUri", "queueServiceUri", "credential", "clientId")
    accounts = [f"{account}__{part}" for account in ("PERSONALIZER_STORAGE", "AzureWebJobsStorage") for part in parts]
    for name in (*DEFAULTS, *ACCOUNT, *accounts, "PERSONALIZER_STORE", "PERSONALIZER_STORAGE"):
        assert misspelt({name: "x"}) == {}


def test_the_app_warns_of_a_misspelt_setting_by_its_name_alone(tmp_path):
    environment = {"PERSONALIZER_STORE": str(tmp_path), "PERSONALIZER_KEY": "s3cr3t", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", "import function_app"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stderr == "nothing reads the setting PERSONALIZER_KEY: PERSONALIZER_KEYS is meant, perhaps\n"
