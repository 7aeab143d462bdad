"""The examples in JavaScript in their short form, through the official SDKs, against the app."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.node import find_node
from tests.examples.performing import MOST_FAILED, SCENARIOS, SETTINGS, SHARE, USUAL_SHARE, Told, environment, performed, wanted
from tests.examples.test_demo_command import KEY, Service
from tests.patience import PATIENCE
from tests.running import REPOSITORY, RunningApp
from tests.sdk import npm
from tests.stores import NewStorage

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def folder() -> Path:
    return npm.ensure_installed()


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, refused: subprocess.Popen[str], folder: Path, new_store: NewStorage) -> dict[str, Told]:
    node = find_node().node
    with RunningApp(new_store(), settings=SETTINGS, timers=True) as app:
        return performed({name: [node, f"{name}.js", "--short"] for name in wanted(request)}, app, folder)


@pytest.fixture(scope="module")
def refused(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """An example under way whose first forty calls are refused; it runs beside the others, as it too takes its time."""
    command = [find_node().node, "news.js", "--short"]
    with Service(troubles=[(503, [])] * 40) as service:
        given = environment(service.endpoint, KEY)
        with subprocess.Popen(command, cwd=folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            yield process
            process.kill()


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.sweep(keep=1)
def test_an_example_ends_well_above_picking_blindly(told, name):
    assert told[name].share >= SHARE.get(name, USUAL_SHARE), told[name].text


@pytest.mark.parametrize("name", SCENARIOS)
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


def test_an_application_shows_its_own_choice_when_personalizer_refuses(told, refused):
    text, _ = refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 0, text
    assert "Rank: " in text
    assert "Last third: reward" in text


def test_both_languages_have_the_same_scenarios(folder):
    python = {path.stem for path in (REPOSITORY / "examples" / "python").glob("*.py")} - {"__init__", "model_routing"}
    javascript = {path.stem for path in folder.glob("*.js")} - {"client"}
    # `model_routing` decides in its own process, which the Python package does
    assert python == javascript == {*SCENARIOS, "stage", "world"}


def test_an_example_in_javascript_starts_an_app_and_stops_it(folder):
    with subprocess.Popen(
        [find_node().node, "--input-type=module", "--eval", ASK_THE_STATUS],
        cwd=folder,
        env={**environment("", ""), "ENDPOINT": ""},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        text, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    status, endpoint = json.loads(text.splitlines()[-1])
    assert status == 200
    assert endpoint.startswith("http://127.0.0.1:")


ASK_THE_STATUS = """
import { onStage } from "./stage.js";

await onStage(async ({ endpoint, key }) => {
  const answer = await fetch(`${endpoint}/status`, { headers: { "Ocp-Apim-Subscription-Key": key } });
  console.log(JSON.stringify([answer.status, endpoint]));
});
"""
