"""Every command, request and piece of code in the README and the documentation works as it is printed.

The blocks of a page run in their order, in one folder, against an app that has learned something. Where a page says ``$ENDPOINT``, ``$KEY``
and the like, they are given as its reader would give them.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import TypeAdapter

from local.processes import free_port
from shared.api.configuration import ConfigurationChanges
from shared.api.decisions import DecisionsResponse
from shared.api.gates import GateContract
from shared.api.rank import ExplainedAction, RankRequest
from shared.api.receipts import ReceiptBody
from shared.api.wire import WireModel
from shared.domain.events import JoinedEvent
from shared.joining.chunks import compressed
from shared.joining.dsjson import lines
from shared.storage.loop_records import read_record
from tests import asking, ready_hosts
from tests.builders import decision, observation
from tests.deployments import put_release
from tests.docs.snippets import NOT_HERE, READ, Snippet, snippets
from tests.http.building import KEY, rank_body
from tests.patience import PATIENCE
from tests.running import REPOSITORY, RunningApp
from tests.stores import opened, settings_of

pytestmark = pytest.mark.long

LOCAL = "http://127.0.0.1:7071"
IN_AZURE = "https://NAME.azurewebsites.net"
JOINED_LOG = "docs/how-to/joined-log.md"
LOG_FILES = "docs/internals/log-files.md"
ADMIN = "the-administrators-key"
STRICT = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\n'
"""Stops at the first command that fails, a refused call included."""

HAS_FORKS = sys.platform == "linux"

LANGUAGES = {"bash", "http", "python", "javascript", "java", "json", READ}
SHORT_WAITS = {
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S",
}
OF_AZURE: dict[str, dict[str, Any]] = {
    "configuration.json": {
        "rewardWaitTime": "PT4H",
        "defaultReward": 0.0,
        "rewardAggregation": "earliest",
        "explorationPercentage": 0.2,
        "modelExportFrequency": "PT5M",
        "logMirrorEnabled": False,
        "logMirrorSasUri": "",
        "logRetentionDays": 90,
        "learningMode": "Apprentice",
        "isAutoOptimizationEnabled": True,
        "autoOptimizationFrequency": "P28D",
        "autoOptimizationStartDate": "2022-09-20T00:00:00Z",
        "lastConfigurationEditDate": "2022-10-25T23:14:43",
    },
    "policy.json": {"name": "default", "arguments": "--cb_explore_adf --epsilon 0.2 --power_t 0 -l 0.001 --cb_type mtr -q ::"},
}
"""What Azure answered to GET configurations/service and configurations/policy."""

OWN_PAGE = "docs/how-to/personalise-a-page-of-your-own.md"
WITH_SERVICE = (OWN_PAGE,)
"""Pages for a reader whose service is that of `make run`, which the command line finds."""

WITH_STORAGE = ("docs/how-to/import-a-log.md", "docs/migrate-from-azure-personalizer.md")
"""Pages that say that the account and the service are those of the environment."""

SPOILING = ("docs/concepts/evaluations.md", "docs/how-to/joined-log.md")
"""Pages that would leave the default loop unfit for others."""

LEARNED = ("first", "second")
SAYS = {
    "docs/concepts/evaluations.md:6": r"(?s)the baseline.*chance.*square",
    "docs/internals/the-wire.md:2": r'(?s)etag: ".*modelVersion.*"stored":1,"repeated":0,"refused":\[\{"line":3,.*NotReproduced',
    "docs/internals/the-wire.md:3": r"204",
    "docs/how-to/import-a-log.md:1": r"40 events of 40 lines are new in the joined log of the loop news",
    f"{OWN_PAGE}:6": r"after 150 visitors: \d+ of the last 10",
    "docs/migrate-from-azure-personalizer.md:1": r"(?s)key 1.*40 events were imported.*\nKeep ",
    "README.md:3": r"show (pasta|ice-cream)",
    "docs/concepts/models.md:7": r"is identical: the joined log gives the same bytes",
    "docs/internals/signed-models.md:1": r"Verified OK",
}
"""What a block prints, where that is told."""

ALL = list(snippets())


def of(*languages: str) -> list[Snippet]:
    return [each for each in ALL if each.language in languages]


def runnable() -> dict[str, list[Snippet]]:
    found: dict[str, list[Snippet]] = defaultdict(list)
    for each in of("bash", "http", "python"):
        if not each.not_here:
            found[each.page].append(each)
    return found


# --- what there is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snippet", ALL, ids=str)
def test_every_block_says_what_it_is(snippet):
    assert snippet.language in LANGUAGES, f"name one of {sorted(LANGUAGES)}; {READ} is for what is not run"


def test_no_command_is_left_out_for_nothing():
    assert {name for each in ALL for name in each.not_here} == set(NOT_HERE)


@pytest.mark.parametrize("snippet", of("bash"), ids=str)
def test_every_command_can_be_read_by_the_shell(snippet):
    read = subprocess.run(["bash", "-n"], input=snippet.text, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (read.returncode, read.stderr) == (0, "")


# --- what is shown, and not run ------------------------------------------------------------------------------------------


def as_body(kind: type[WireModel]) -> Callable[[str], object]:
    return lambda text: kind.model_validate_json(text, strict=False)


def as_receipt(text: str) -> None:
    shown, members = json.loads(text), ReceiptBody.model_json_schema(by_alias=True)["properties"]
    assert shown.keys() <= members.keys()


SHOWN: dict[str, Callable[[str], object]] = {
    "docs/concepts/features.md:3": lambda text: TypeAdapter(list[ExplainedAction]).validate_json(text),
    "docs/concepts/features.md:1": as_body(RankRequest),
    "docs/internals/the-wire.md:1": as_body(DecisionsResponse),
    "docs/how-to/gate-a-policy-change.md:2": as_body(GateContract),
    "docs/how-to/look-up-an-event.md:2": as_receipt,
    "docs/how-to/joined-log.md:2": as_body(ConfigurationChanges),
    "docs/internals/configuration.md:1": lambda text: read_record("default", text.encode()),
}
"""How a block of JSON is read."""


@pytest.mark.parametrize("snippet", of("json"), ids=str)
def test_every_example_of_json_is_what_it_is_said_to_be(snippet):
    SHOWN[str(snippet)](snippet.text)


@pytest.mark.skipif(shutil.which("node") is None, reason="JavaScript is read by node, which is not here")
@pytest.mark.parametrize("snippet", of("javascript"), ids=str)
def test_all_javascript_can_be_read_by_node(snippet, tmp_path):
    module = tmp_path / "snippet.mjs"
    module.write_text(snippet.text, "utf-8")
    read = subprocess.run(["node", "--check", str(module)], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_the_javascript_for_the_older_sdk_is_that_of_its_tests():
    (snippet,) = [each for each in of("javascript") if each.page == "docs/how-to/point-an-sdk-app-here.md"]
    made = (REPOSITORY / "tests" / "sdk" / "cognitiveservices.mjs").read_text("utf-8")
    *_, base = snippet.text.strip().splitlines()
    assert base.partition(".")[2] in made


# --- what is run -----------------------------------------------------------------------------------------------------------


class Reader(NamedTuple):
    """Someone who follows the pages, with an app to call."""

    app: RunningApp
    storage: str
    version: str
    spoilt: str
    """The key of a loop that no other page needs."""
    port: int
    """A free one, for what a page has its reader start."""


@pytest.fixture(scope="module")
def reader(new_account) -> Iterator[Reader]:
    storage = new_account()
    settings = {**SHORT_WAITS, "PERSONALIZER_KEYS": "another-key,the-key-in-use", "PERSONALIZER_ADMIN_KEY": ADMIN}
    running = RunningApp(storage, settings=settings)
    running.key = "the-key-in-use"
    with running:
        made = running.request("PUT", "/loops/spoilt", headers={KEY: ADMIN}).json["keys"][0]
        yield Reader(running, storage, [learned(running, event_id) for event_id in LEARNED][-1], made, free_port())


def learned(app: RunningApp, event_id: str) -> str:
    """Have an event learned, in a window and so a chunk of its own, and give the model's version."""
    assert app.request("POST", "/personalizer/v1.0/rank", rank_body(eventId=event_id)).status == 201
    assert app.request("POST", f"/personalizer/v1.0/events/{event_id}/reward", {"value": 0.5}).status == 204
    before, until = app.request("GET", "/status").json["loop"]["modelVersion"], time.monotonic() + PATIENCE
    while (version := app.request("GET", "/status").json["loop"]["modelVersion"]) == before:
        assert time.monotonic() < until, app.logs
        app.request("POST", "/admin/functions/train")
        time.sleep(0.2)
    return str(version)


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has something in it."""

    async def fill(place: Path) -> None:
        storage = opened(str(place))
        await put_release(storage, loops=["default"])
        await storage.close()

    place = tmp_path_factory.mktemp("own") / "store"
    asyncio.run(fill(place))
    return place


@pytest.fixture
def folder(reader: Reader, own_store: Path, tmp_path: Path) -> Iterator[Path]:
    """A clone as `make run` leaves it: with the key and the store in it."""
    (tmp_path / ".local").mkdir()
    shutil.copytree(own_store, tmp_path / ".local" / "store")
    (tmp_path / ".local" / "keys").write_text(reader.app.key)
    for name, saved in OF_AZURE.items():
        (tmp_path / name).write_text(json.dumps(saved))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "0000000000.json").write_bytes(lines(some_events()))
    (tmp_path / "log.json.gz").write_bytes(compressed(lines(some_events())))
    for name in ("cli", "infra", "shared", "examples"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "open_personalizer").symlink_to(REPOSITORY / "client" / "open_personalizer")  # as if it were installed
    yield tmp_path
    for started in tmp_path.glob("*.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(started.read_text()), signal.SIGTERM)


def some_events() -> list[JoinedEvent]:
    """Give a log of others: 40 events of yesterday, of which those of the first action were good."""
    begin, chosen = datetime.now(UTC) - timedelta(days=1), [number % 2 for number in range(40)]
    times = [begin + timedelta(seconds=number) for number in range(40)]
    made = [
        decision(f"e{n}", at=at, chosen=action, probabilities=(0.5, 0.5)) for n, (at, action) in enumerate(zip(times, chosen, strict=True))
    ]
    return [JoinedEvent(each, 1.0 - each.chosen, (observation(each.event_id, 1.0 - each.chosen, at=each.decided_at),)) for each in made]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
@pytest.mark.parametrize("page", runnable())
def test_what_a_page_says_can_be_done_in_its_order(reader, folder, page):
    answers: dict[str, Any] = {}
    for snippet in runnable()[page]:
        text = given(reader, snippet.text)
        if snippet.language == "http":
            answers |= asked(reader, text.replace("{eventId}", answers.get("eventId", "")))
        else:
            command = [sys.executable, "-c", text] if snippet.language == "python" else ["bash", "-c", STRICT + text]
            printed = run(command, folder, environment(reader, page))
            assert re.search(SAYS.get(str(snippet), ""), printed), printed


def test_the_joined_log_is_read_as_printed_and_a_line_has_the_members_that_are_told(reader, folder):
    (snippet,) = [each for each in of("python") if each.page == LOG_FILES]
    code = f"{given(reader, snippet.text)}\nprint(json.dumps(events))"
    events = json.loads(run([sys.executable, "-c", code], folder, environment(reader, LOG_FILES)))
    assert [(event["EventId"], event["_label_cost"]) for event in events] == [(event_id, -0.5) for event_id in LEARNED]
    assert set(events[0]) | {"_skipLearn", "SkipReason", "Slot", "Proposed", "Holdout"} == members_of_a_line()


def members_of_a_line() -> set[str]:
    """Read the table of members, of which `VWState.m` names an inner one."""
    page = (REPOSITORY / JOINED_LOG).read_text("utf-8").split("## A line")[1]
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    return {name.split(".")[0] for row in rows for name in re.findall(r"`(.*?)`", row)}


def given(reader: Reader, text: str) -> str:
    """Fill in what a reader would."""
    text = text.replace(LOCAL, reader.app.base_url).replace(IN_AZURE, reader.app.base_url)
    text = (
        text.replace(".venv/bin/python", sys.executable)
        .replace("python3 ", f"{sys.executable} ")
        .replace("AzureWebJobsStorage='...'", f"AzureWebJobsStorage='{reader.storage}'")
    )
    if HAS_FORKS:
        text = text.replace(f"{sys.executable} -m cli ", f"{command_line()[0]} ")
    text = text.replace("127.0.0.1:8123", f"127.0.0.1:{reader.port}").replace('"127.0.0.1", 8123', f'"127.0.0.1", {reader.port}')
    text = text.replace("PERSONALIZER_KEYS=KEY", f"PERSONALIZER_KEYS={reader.app.key}").replace("00000041-36c28f7b92d1", reader.version)
    return f"STORAGE = {reader.storage!r}\n{text}" if "(STORAGE)" in text else text


def command_line() -> tuple[str, int]:
    """Give what stands for the command line, with the socket that it is told of: of what it does, most would be imports."""
    return ready_hosts.standing_for(sys.executable, "cli")


def asked(reader: Reader, text: str) -> dict[str, Any]:
    line, _, body = text.partition("\n")
    method, path = line.split()
    answer = reader.app.request(method, path, json.loads(body) if body else None)
    assert answer.status < 300, answer.body
    return dict(answer.json) if answer.body else {}


def run(command: list[str], folder: Path, told: dict[str, str]) -> str:
    sockets = [command_line()[1]] if HAS_FORKS else []
    told = told | {asking.CONTROL: str(*sockets)}
    done = subprocess.run(command, cwd=folder, env=told, pass_fds=sockets, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(reader: Reader, page: str) -> dict[str, str]:
    """Give this process's environment without what could lead a call elsewhere, and with what a reader would have set."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept = {name: value for name, value in kept.items() if not name.startswith(("PERSONALIZER_", "AzureWebJobs"))}
    app = reader.app
    endpoint, key = (f"{app.base_url}/loops/spoilt", reader.spoilt) if page in SPOILING else (app.base_url, app.key)
    told = {"ENDPOINT": endpoint, "KEY": key, "ADMIN_KEY": ADMIN, "EVENT_ID": "first", "XDG_STATE_HOME": "state"}
    if page in WITH_STORAGE:
        told |= settings_of(reader.storage)
    if page in (*WITH_STORAGE, *WITH_SERVICE):
        told |= {"PERSONALIZER_ENDPOINT": endpoint, "PERSONALIZER_ADMIN_KEY": ADMIN}
    return {**kept, **told}
