"""Commands that are told nothing: they work with the service of this machine, and send its keys nowhere else."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.status import _print, is_wrong
from shared.advice.advice import Code
from shared.domain.errors import SettingsError
from shared.runtime.own_machine import FILE, FOLDER_SETTING, OwnService, own_folder, read_own_service, with_own_settings, write_own_service
from tests.cli.running import Done, run
from tests.running import RunningApp
from tests.stores import NewStorage, settings_of

ADMIN = "the administrator's own key"
Command = Callable[..., Done]


@pytest.fixture(scope="module")
def service(new_store: NewStorage) -> Iterator[RunningApp]:
    settings = {"PERSONALIZER_ADMIN_KEY": ADMIN, "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S", "PERSONALIZER_REWARD_WAIT_TIME": "PT3S"}
    with RunningApp(new_store(), settings=settings) as running:
        yield running


@pytest.fixture
def folder(service: RunningApp, tmp_path: Path) -> Path:
    """The folder of `make run`, in which the service told of itself."""
    (tmp_path / "keys").write_text(f"{service.key}\n")
    (tmp_path / "admin-key").write_text(ADMIN)
    settings = {**settings_of(service.storage), "PERSONALIZER_REWARD_WAIT_TIME": "PT3S"}
    keys = {"default": str(tmp_path / "keys"), "gone": str(tmp_path / "no-such-file")}
    write_own_service(tmp_path, OwnService(service.base_url, settings, key_files=keys, admin_key_file=str(tmp_path / "admin-key")))
    return tmp_path


@pytest.fixture
def cli(folder: Path) -> Command:
    return lambda *arguments, **environment: run(*arguments, environment={FOLDER_SETTING: str(folder), **environment})


def done(answer: Done, code: int = 0) -> Done:
    assert (answer.code, answer.errors) == (code, ""), answer.text
    return answer


def test_a_command_that_is_told_nothing_finds_endpoint_keys_storage_and_settings(cli):
    assert done(cli("config", "get", "rewardWaitTime")).text == "PT3S\n"
    assert "default" in done(cli("loops", "list")).text
    assert done(cli("stats", "--json")).json["rewardWaitTimeSeconds"] == 3
    assert done(cli("models", "list", "--json")).json == []
    assert "ranked" in cli("status").text


def test_keys_of_this_machine_are_sent_to_its_own_service_only(cli, service):
    assert "no key of the loop" in cli("config", "get", "--endpoint", "http://127.0.0.1:1").told
    assert "no key of the administrator" in cli("loops", "list", PERSONALIZER_ENDPOINT="http://127.0.0.1:1").told
    assert done(cli("config", "get", "--endpoint", f"{service.base_url}/")).code == 0


def test_what_is_told_comes_before_what_is_found(cli, tmp_path):
    assert "401" in cli("config", "get", "--key", "wrong").told
    assert "401" in cli("loops", "list", PERSONALIZER_ADMIN_KEY="wrong").told
    assert str(tmp_path / "none") in cli("stats", PERSONALIZER_STORE=str(tmp_path / "none")).told
    assert str(tmp_path / "other") in cli("stats", "--storage", str(tmp_path / "other")).told


def test_a_loop_whose_key_is_not_kept_here_asks_for_it(cli):
    assert "no key of the loop" in (told := cli("config", "get", "--loop", "news").told)
    assert "use --key or PERSONALIZER_KEY." in told
    assert "python -m cli keys regenerate 1 --loop news makes a new one" in told
    assert "no key of the loop" in cli("config", "get", "--loop", "gone").told


def test_a_setting_of_the_environment_stands_before_the_services_own(folder):
    here = {FOLDER_SETTING: str(folder)}
    write_own_service(folder, OwnService("http://127.0.0.1:1", {"PERSONALIZER_STORE": "/data", "PERSONALIZER_REWARD_WAIT_TIME": "PT3S"}))
    told = {**here, "PERSONALIZER_REWARD_WAIT_TIME": "PT9S"}
    assert with_own_settings(told) == {**told, "PERSONALIZER_STORE": "/data"}
    for elsewhere in ("PERSONALIZER_STORE", "PERSONALIZER_STORAGE", "PERSONALIZER_STORAGE__accountName", "AzureWebJobsStorage"):
        assert with_own_settings({**here, elsewhere: "x"}) == {**here, elsewhere: "x"}
    assert with_own_settings({**here, "AzureWebJobsStorage": " "})["PERSONALIZER_STORE"] == "/data"


def test_the_file_is_for_its_owner_and_one_that_cannot_be_read_is_in_the_way_of_nobody_who_does_not_need_it(folder, cli, service):
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    for text, told in (("{", "cannot be read"), ('{"endpoint": 1}', "cannot be read"), ("[]", "cannot be read")):
        (folder / FILE).write_text(text)
        assert told in cli("config", "get").told
        assert done(cli("config", "get", "--endpoint", service.base_url, "--key", service.key)).code == 0
        assert cli("stats", "--storage", service.storage).code == 0
    (folder / FILE).write_text('{"endpoint": "http://127.0.0.1:1", "settings": {}, "format": 2, "more": true}')
    assert "newer release" in cli("config", "get").told


def test_where_nothing_ever_ran_the_usual_endpoint_is_asked(tmp_path):
    assert read_own_service(tmp_path) is None
    assert own_folder({}).name == ".local"
    (tmp_path / FILE).mkdir()
    with pytest.raises(SettingsError):
        read_own_service(tmp_path)


def test_models_are_listed_exported_imported_gone_back_to_and_begun_anew(cli, service, tmp_path):
    actions = [{"id": each, "features": [{"taste": each}]} for each in ("sweet", "sour")]
    ranked = service.request("POST", "/personalizer/v1.0/rank", {"actions": actions, "eventId": "first event/1"})
    assert ranked.status == 201
    assert service.request("POST", "/personalizer/v1.0/events/first%20event%2F1/reward", {"value": 0.5}).status == 204
    assert service.request("POST", "/admin/functions/train", {}).status == 202
    shown = done(cli("events", "show", "first event/1"))
    assert "0.5" in shown.text
    assert cli("events", "show", "first event/1", "--json").json["decisions"][0]["fate"] in {"pending", "learned"}
    assert "nobody's [b]event[/b]" in cli("events", "show", "nobody's [b]event[/b]").told
    exported = cli("models", "export", str(tmp_path / "model.zip"))
    assert "The model is in" in done(exported).text
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []
    done(cli("models", "import", str(tmp_path / "model.zip"), "--json"))
    kept = done(cli("models", "list", "--json")).json
    assert [each["kind"] for each in kept] == ["imported"]
    assert done(cli("models", "restore", kept[0]["version"], "--json")).json["version"] == kept[0]["version"]
    assert kept[0]["version"] in done(cli("models", "list")).text
    assert "ResourceNotFound" in cli("models", "restore", "00000000-none").told
    assert done(cli("schedules", "list")).text == "There is no schedule. `schedules set ID` makes one.\n"
    (tmp_path / "no.zip").write_bytes(b"PK")
    assert "InvalidModelImportFormat" in cli("models", "import", str(tmp_path / "no.zip")).told
    assert "No such file" in cli("models", "import", str(tmp_path / "none.zip")).told
    assert cli("models", "reset").code == 130
    assert done(cli("models", "reset", "--yes")).text == "The loop default begins without a model.\n"


def test_the_status_says_by_its_exit_code_whether_something_is_wrong(cli):
    found = cli("status", "--json")
    assert found.json["loop"]["name"] == "default"
    assert found.code == is_wrong(found.json)
    strict = cli("status", "--json", "--strict")
    assert strict.code == bool(strict.json["loop"]["advice"])


def told(*codes: str, **others: Any) -> dict[str, Any]:
    loop = {"advice": [{"code": code, "message": "", "feature": None} for code in codes], "error": None}
    return {"apiStatus": "Valid", "apiStatusMessage": "", "loop": {**loop, **others}}


@pytest.mark.parametrize("code", Code)
def test_a_loop_that_is_only_young_has_no_fault_unless_one_is_strict(code):
    is_young = code in {"nothingRanked", "waiting", "learningAnew", "apprentice", "longWait", "fewEvents"}
    assert is_wrong(told(code)) is not is_young
    assert is_wrong(told(code), is_strict=True)
    assert is_wrong(told("fewEvents", code)) is not is_young


def test_a_loop_whose_progress_cannot_be_read_or_whose_model_is_not_served_has_a_fault():
    degraded = {**told(), "apiStatus": "Degraded"}
    assert (is_wrong(told()), is_wrong(told(), is_strict=True), is_wrong(degraded)) == (False, False, True)
    assert is_wrong(told(error="the newest model is not served"))
    assert is_wrong(told("ofALaterRelease"))


def test_a_status_without_counters_is_printed_all_the_same(capsys):
    unread = dict.fromkeys(("publishedModelVersion", "publishedModelLearned", "modelVersion", "watermark", "lagSeconds", "counters"))
    found = told(name="news", learningMode="Online", rewardWaitTime="PT1H", importedEvents=None, **unread)
    _print({**found, "apiStatus": "Degraded", "apiStatusMessage": "The loop's progress cannot be read: it is away"})
    assert "it is away" in capsys.readouterr().out
