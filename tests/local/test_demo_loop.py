"""The demo's loop: made once, its key kept whenever the machine stops, and nobody else's loop touched."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.banner import banner
from local.demo_loop import CONFIGURATION, NAME, ask, demo_key
from local.listening import LOOPBACK, Place
from tests.http.building import KEY, path
from tests.running import RunningApp
from tests.stores import NewStorage

ADMIN_KEY = "the-administrators-key"


@pytest.fixture(scope="module")
def running(new_store: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_store(), settings={"PERSONALIZER_ADMIN_KEY": ADMIN_KEY}) as running:
        yield running


@pytest.fixture
def app(running: RunningApp) -> Iterator[RunningApp]:
    """The app of this file, which has no such loop before a test and after it."""
    yield running
    running.request("DELETE", f"/loops/{NAME}", headers={KEY: ADMIN_KEY})


def opens(app: RunningApp, key: str | None) -> bool:
    answer = app.request("GET", f"/loops/{NAME}{path('configurations/service', version='v1.1-preview.3')}", headers={KEY: key or ""})
    return answer.status == 200 and CONFIGURATION.items() <= answer.json.items()


def test_the_loop_is_made_once_and_its_key_is_for_its_owner_only(app: RunningApp, tmp_path: Path):
    first = demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path)
    assert opens(app, first)
    assert demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path) == first
    assert stat.S_IMODE((tmp_path / "demo-key").stat().st_mode) == 0o600
    assert app.request("GET", path("configurations/service", version="v1.1-preview.3")).json["rewardWaitTime"] == "PT10M"


def test_a_start_that_ended_before_the_key_was_kept_is_made_up_for(app: RunningApp, tmp_path: Path):
    lost = demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path)
    (tmp_path / "demo-key").rename(tmp_path / "demo-key.unfinished")
    (tmp_path / "demo-key.unfinished").write_text("")
    found = demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path)
    assert found != lost
    assert opens(app, found)
    assert [each.name for each in tmp_path.iterdir()] == ["demo-key"]


def test_a_loop_of_this_name_that_is_somebodys_own_keeps_its_keys(app: RunningApp, tmp_path: Path, capsys):
    theirs = ask(Place(LOOPBACK, app.port), "PUT", f"/loops/{NAME}", ADMIN_KEY, {"configuration": CONFIGURATION}).body["keys"][0]
    assert demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path) is None
    assert "was not made by this command" in capsys.readouterr().err
    assert opens(app, theirs)


def test_a_store_that_was_emptied_gets_a_new_loop(app: RunningApp, tmp_path: Path):
    (tmp_path / "demo-key").write_text("of an earlier store")
    assert opens(app, demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path))
    assert (tmp_path / "demo-key.earlier").read_text() == "of an earlier store"


def test_a_kept_key_that_is_not_the_loops_is_not_shown_and_it_is_said_how_both_are_made_anew(app: RunningApp, tmp_path: Path, capsys):
    demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path)
    (tmp_path / "demo-key").write_text("of another store")
    assert demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path) is None
    assert f"the key in {tmp_path / 'demo-key'} is not its loop's: delete that file and the loop 'demo'" in capsys.readouterr().err
    assert app.request("DELETE", f"/loops/{NAME}", headers={KEY: ADMIN_KEY}).status == 204
    (tmp_path / "demo-key").unlink()
    assert opens(app, demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path))


def test_a_loop_that_is_brought_over_from_an_earlier_store_is_opened_by_its_own_key(app: RunningApp, tmp_path: Path):
    own = demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path)
    (tmp_path / "demo-key").rename(tmp_path / "demo-key.earlier")
    (tmp_path / "demo-key").write_text("of the store between")
    assert demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path) == own
    assert (tmp_path / "demo-key").read_text() == own


def test_an_app_that_refuses_goes_without_a_demo_and_says_why(app: RunningApp, tmp_path: Path, capsys):
    assert demo_key(Place(LOOPBACK, app.port), "not the administrator's", tmp_path) is None
    assert "could not be made: 401" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_banner_begins_with_the_demo_where_there_is_one():
    given = {"key": "k", "admin_key": "a"}
    shown = banner([Place(LOOPBACK, 7071)], "UseDevelopmentStorage=true", demo_key="d", **given)
    assert shown.index("http://127.0.0.1:7071/demo#key=d&loop=demo") < shown.index("Endpoint")
    assert "/demo" not in banner([Place(LOOPBACK, 7071)], "UseDevelopmentStorage=true", demo_key=None, **given)
