"""The page on the joined log: what it says of a line is what is in one."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.docs.snippets import snippets
from tests.http.building import rank_body
from tests.running import REPOSITORY, RunningApp

PAGE = "docs/how-to/read-the-joined-log.md"


@pytest.fixture
def running(storage: str) -> Iterator[RunningApp]:
    """The app with an empty store and short waits."""
    settings = {
        "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
        "PERSONALIZER_INGEST_GRACE": "PT0S",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    }
    with RunningApp(storage, settings=settings) as app:
        yield app


@pytest.mark.slow
def test_the_joined_log_is_read_as_printed(running, storage):
    (snippet,) = [each for each in snippets() if (each.page, each.language) == (PAGE, "python")]
    for event_id in ("first", "second"):  # a window, and so a chunk, of its own each
        running.request("POST", "/personalizer/v1.0/rank", rank_body(eventId=event_id))
        running.request("POST", f"/personalizer/v1.0/events/{event_id}/reward", {"value": 0.5})
        learned(running, 1 if event_id == "first" else 2)
    code = f"STORAGE = {storage!r}\n{snippet.text}\nprint(json.dumps(events))"
    events = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout)
    assert [(event["EventId"], event["_label_cost"]) for event in events] == [("first", -0.5), ("second", -0.5)]
    assert set(events[0]) | {"_skipLearn", "SkipReason", "Slot", "Proposed"} == members_of_a_line()


def learned(app: RunningApp, number: int) -> None:
    until = time.monotonic() + 30
    while app.request("GET", "/status").json["loop"]["counters"]["learned"] < number:
        assert time.monotonic() < until, app.logs
        app.request("POST", "/admin/functions/train")
        time.sleep(0.2)


def members_of_a_line() -> set[str]:
    """Read the table of members, of which `VWState.m` names an inner one."""
    page = (REPOSITORY / PAGE).read_text("utf-8").split("## A line")[1]
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    return {name.split(".")[0] for row in rows for name in re.findall(r"`(.*?)`", row)}
