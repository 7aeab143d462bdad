"""A host that is a fork of one that waits is as one that was started: in its settings, its signals, its end and what it draws by chance."""

import signal
import sys

import pytest

from tests.http.building import rank
from tests.running import AppDidNotStartError, RunningApp

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="hosts are forks on Linux alone")]


@pytest.fixture(scope="module")
def twins(new_store):
    with RunningApp(new_store()) as one, RunningApp(new_store()) as other:
        yield one, other


def test_each_has_a_process_settings_and_a_log_of_its_own(twins):
    one, other = twins
    assert one.pid != other.pid
    assert [app.request("GET", "/status", headers={"Ocp-Apim-Subscription-Key": one.key}, keyed=False).status for app in twins] == [
        200,
        401,
    ]
    assert "401" not in one.logs


def test_each_draws_other_numbers(twins):
    drawn = {rank(app).json["eventId"] for app in twins for _ in range(2)}
    assert len(drawn) == 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_it_ends_by_signals_and_starts_again(new_store, number, code):
    with RunningApp(new_store()) as app:
        app.send(number)
        assert app.wait() == code
        app.start()
        assert app.request("GET", "/status").status == 200


def test_it_ends_with_who_started_it(new_store):
    with RunningApp(new_store()) as app:
        app.close_input()
        assert app.wait() == 0


def test_what_is_wrong_is_in_its_log_and_its_exit_code(new_store):
    app = RunningApp(new_store())
    app.command.append("--no-such-option")
    with pytest.raises(AppDidNotStartError, match=r"exit code 2\n(?s:.)*--no-such-option"), app:
        pass
