"""The examples in Python in their short form, through the official SDKs, against the app."""

import re
import subprocess
import sys

import pytest

from tests.examples.performing import IN_PROCESS, MOST_FAILED, SCENARIOS, SETTINGS, SHARE, USUAL_SHARE, Told, environment, performed, wanted
from tests.examples.test_demo_command import KEY, Service
from tests.patience import PATIENCE
from tests.running import REPOSITORY, RunningApp
from tests.stores import NewStorage

pytestmark = [pytest.mark.slow, pytest.mark.long]


def command(name: str) -> list[str]:
    return [sys.executable, "-m", f"examples.python.{name}", "--short"]


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, new_store: NewStorage) -> dict[str, Told]:
    with RunningApp(new_store(), settings=SETTINGS, timers=True) as app:
        return performed({name: command(name) for name in wanted(request)}, app, REPOSITORY)


@pytest.mark.parametrize("name", [*SCENARIOS, *IN_PROCESS])
@pytest.mark.sweep(keep=1)
def test_an_example_ends_well_above_picking_blindly(told, name):
    assert told[name].share >= SHARE.get(name, USUAL_SHARE), told[name].text


@pytest.mark.parametrize("name", [*SCENARIOS, *IN_PROCESS])
@pytest.mark.sweep(keep=1)
def test_an_example_prints_a_curve_and_nearly_all_calls_are_answered_in_time(told, name):
    lines = told[name].text.splitlines()
    assert len([line for line in lines if "█" in line]) == 10
    failed = [line for line in lines if line.startswith(("Rank:", "Reward:", "Personalizer:"))]
    assert len(failed) <= MOST_FAILED, failed


@pytest.mark.parametrize("name", ["apprentice"])
def test_the_apprentice_goes_online_once_it_chooses_as_the_rule(told, name):
    before, _, after = told[name].text.partition("visitors: Online")
    assert "chooses as the rule in" in before
    assert after.count("█") > 0
    since = re.search(r"^Since the switch, \d+ visitors: reward ([\d.]+), the rule alone ([\d.]+)\.$", after, re.MULTILINE)
    assert since
    reward, rule = map(float, since.groups())
    assert ("That is less than the rule." in after) == (reward < rule) or abs(reward - rule) < 0.001


@pytest.mark.parametrize("name", ["model_routing"])
def test_the_router_tells_what_one_model_for_all_would_have_earned(told, name):
    line = told[name].text.splitlines()[-1]
    alone = re.findall(r"(cheap|balanced|strong) (-?\d\.\d{3})", line)
    assert [model for model, _ in alone] == ["cheap", "balanced", "strong"]
    assert max(float(reward) for _, reward in alone) < told[name].best


@pytest.mark.parametrize("name", ["news", "movies", "products"])
@pytest.mark.sweep(keep=1)
def test_an_application_shows_its_own_choice_when_personalizer_refuses(name):
    refusals = [(503, [("Retry-After", "0")])] * 40
    with Service(troubles=refusals) as service:
        done = subprocess.run(
            [sys.executable, "-c", SOME_VISITORS.format(name=name)],
            cwd=REPOSITORY,
            env=environment(service.endpoint, KEY),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 0, done.stderr
    assert "Rank: " in done.stdout
    assert "Last third: reward" in done.stdout


SOME_VISITORS = """
import examples.python.stage as stage
from examples.python.{name} import main

stage.VISITORS, stage.SECONDS = 60, 0.0
main()
"""
