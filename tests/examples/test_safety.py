"""An example sends no simulated events to a loop that may have real visitors."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples.errors import OthersDataError
from examples.safety import check_loop
from examples.status import LoopStatus
from local.node import find_node
from tests.examples.performing import SCENARIOS, environment
from tests.examples.test_demo_command import KEY, Service
from tests.patience import PATIENCE
from tests.running import REPOSITORY
from tests.sdk import npm

ELSEWHERE = "https://personalizer.example"
HERE = "http://127.0.0.1:7071"


@pytest.mark.parametrize(
    ("endpoint", "status"),
    [
        (ELSEWHERE, LoopStatus(name="default", ranked=0, learned=0)),
        (ELSEWHERE, LoopStatus(name="demo", ranked=1234, learned=1000)),
        (HERE, LoopStatus()),
    ],
    ids=["empty", "demo", "here, and does not say"],
)
def test_an_empty_loop_and_the_loop_demo_may_be_used(endpoint, status):
    check_loop(endpoint, status, command="")


@pytest.mark.parametrize(
    ("endpoint", "status", "said"),
    [
        (ELSEWHERE, LoopStatus(name="default", ranked=1234, learned=0), "The loop default has 1,234 events"),
        (HERE, LoopStatus(name="shop", ranked=1, learned=0), "The loop shop has 1 events"),
        (HERE, LoopStatus(name="imported", ranked=0, learned=20_001), "The loop imported has 20,001 events"),
        (ELSEWHERE, LoopStatus(), "does not say"),
    ],
    ids=["another service", "here", "an imported log", "does not say"],
)
def test_a_loop_that_may_have_real_visitors_is_refused_with_the_command_that_uses_it_anyway(endpoint, status, said):
    with pytest.raises(OthersDataError, match=said) as refused:
        check_loop(endpoint, status, command="add --anyway")
    assert str(refused.value).endswith("add --anyway")


def command(language: str, name: str) -> tuple[list[str], Path]:
    if language == "python":
        return [sys.executable, "-m", f"examples.python.{name}"], REPOSITORY
    return [find_node().node, f"{name}.js"], npm.ensure_installed()


def run(language: str, name: str, endpoint: str) -> subprocess.CompletedProcess[str]:
    words, folder = command(language, name)
    return subprocess.run(words, cwd=folder, env=environment(endpoint, KEY), capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.sweep(keep=4)
@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_example_stops_before_it_sends_anything(language, name):
    with Service(loop={"name": "shop", "counters": {"ranked": 1234, "learned": 1000}}) as service:
        done = run(language, name, service.endpoint)
        assert not service.ranked
    assert (done.returncode, done.stdout) == (2, "")
    assert "The loop shop has 1,234 events already." in done.stderr
    assert done.stderr.endswith("To send simulated events all the same: add --anyway\n")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_an_example_stops_at_another_machine_that_does_not_say_how_many_events_it_has(language):
    with Service() as service:
        done = run(language, "news", service.endpoint.replace("127.0.0.1", "0.0.0.0"))
        assert not service.ranked
    assert done.returncode == 2
    assert "does not say whether its loop has events already." in done.stderr
