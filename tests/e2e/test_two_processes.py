"""Two processes of one app: one serves traffic, through the other its keys, its model and its log are changed meanwhile."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple, Self

import pytest

from shared.domain.loop import DEFAULT_LOOP
from shared.runtime.settings import read_settings
from shared.storage.cold_log import FileColdLog
from shared.storage.opening import open_storage
from tests.http.building import KEY, actions, path
from tests.patience import PATIENCE
from tests.running import RunningApp
from tests.stores import ENGINES, new_place

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.sweep(keep=1)]

ADMIN_KEY = "the-administrators-key"
POLL = 0.5
SLACK = 10.0
"""Seconds that a look at storage, and the call that finds out, may take on a busy machine."""
CLIENTS = 3
PAUSE = 0.03
REWARD = 0.5
SETTINGS = {
    "PERSONALIZER_KEYS": "first,second",
    "PERSONALIZER_ADMIN_KEY": ADMIN_KEY,
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT1S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": f"PT{POLL}S",
    "PERSONALIZER_TRAINER_SCHEDULE": "* * * * * *",
}


class Event(NamedTuple):
    """An event whose rank and reward were both acknowledged, and when the first call was begun and answered."""

    event_id: str
    begun: float
    ranked: float


class Traffic:
    """Some clients that rank and reward with short pauses until the block is left; ``key`` is what they send next."""

    def __init__(self, app: RunningApp) -> None:
        self.key = app.key
        self.events: list[Event] = []
        self.refused: list[str] = []
        self._app = app
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._call_until_done) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, seconds: float) -> None:
        """Let it go on for so long, at least until some more events are through."""
        before = len(self.events)
        time.sleep(seconds)
        until(lambda: len(self.events) >= before + CLIENTS)

    def _call_until_done(self) -> None:
        while not self._done.wait(PAUSE):
            event_id = uuid.uuid4().hex
            begun = time.time()
            if not self._sent(path("rank"), {"eventId": event_id, "actions": actions("a", "b")}, success=201):
                continue
            ranked = time.time()
            if self._sent(path(f"events/{event_id}/reward"), {"value": REWARD}, success=204):
                self.events.append(Event(event_id, begun, ranked))

    def _sent(self, address: str, body: Any, *, success: int) -> bool:
        answer = self._app.request("POST", address, body, headers={KEY: self.key})
        if answer.status != success:
            self.refused.append(f"{answer.status} {answer.body!r}")
        return answer.status == success


class Pair(NamedTuple):
    """The process that serves, and the one that the administrator calls, which trains as well."""

    serving: RunningApp
    managing: RunningApp

    def loop(self, app: RunningApp) -> Any:
        return app.request("GET", "/status").json["loop"]

    def settled(self) -> Any:
        """Wait until nothing is pending any more and all rewards have been dealt with; gives the counters."""
        until(lambda: self.loop(self.managing)["counters"]["pending"] == 0)
        return self.loop(self.managing)["counters"]

    def use(self, key: str) -> None:
        self.serving.key = self.managing.key = key


@pytest.fixture(scope="module", params=ENGINES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    storage = new_place(request.param, request)
    serving, managing = RunningApp(storage, settings=SETTINGS), RunningApp(storage, settings=SETTINGS, timers=True)
    serving.key = managing.key = "first"
    with serving, managing:
        yield Pair(serving, managing)


def until(holds: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """Wait for it, and give it."""
    deadline = time.monotonic() + seconds
    while not (it := holds()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return it


def within_a_poll(holds: Callable[[], bool]) -> None:
    until(holds, seconds=POLL + SLACK)


def opens(app: RunningApp, key: str) -> bool:
    """Whether this process lets the holder of a key in."""
    return app.request("GET", path("configurations/service"), headers={KEY: key}).status == 200


def regenerated(app: RunningApp, number: int) -> str:
    answer = app.request("POST", f"/loops/{DEFAULT_LOOP}/keys/{number}/regenerate", headers={KEY: ADMIN_KEY})
    assert answer.status == 200, answer.body
    return str(answer.json["key"])


async def joined(app: RunningApp) -> dict[str, Any]:
    """Read the joined log past the app: its lines by event."""
    account = open_storage(read_settings(app.environment).storage)
    try:
        log = FileColdLog(account, loop=DEFAULT_LOOP)
        lines = [json.loads(line) for name in await log.chain() for line in (await log.chunk(name)).splitlines()]
    finally:
        await account.close()
    return {line["EventId"]: line for line in lines}


def grown(before: Any, after: Any) -> dict[str, Any]:
    """Tell by how much the counters have grown, those that have not left out."""
    differences = {name: after[name] - before[name] for name in before if name != "skipped"}
    assert after["skipped"] == before["skipped"]
    return {name: difference for name, difference in differences.items() if difference}


def all_of(traffic: Traffic) -> dict[str, int]:
    """Give what the counters have to grow by if all events were learned with their rewards."""
    return dict.fromkeys(("ranked", "learned", "rewards"), len(traffic.events))


async def test_keys_are_rotated_under_traffic_without_one_call_refused(pair):
    """As docs/how-to/serve-many-loops.md says: the clients change over to a key before the other one is made anew."""
    pair.use("second")
    before = pair.settled()
    with Traffic(pair.serving) as traffic:
        traffic.go_on(0.3)
        first = regenerated(pair.managing, 1)
        assert not opens(pair.managing, "first")
        within_a_poll(lambda: opens(pair.serving, first) and not opens(pair.serving, "first"))
        traffic.key = first
        traffic.go_on(0.3)
        second = regenerated(pair.managing, 2)
        within_a_poll(lambda: opens(pair.serving, second) and not opens(pair.serving, "second"))
        pair.use(first)
        traffic.go_on(0.3)
    assert traffic.refused == []
    assert grown(before, pair.settled()) == all_of(traffic)


async def test_a_model_is_rolled_back_under_traffic_and_every_event_is_learned_all_the_same(pair):
    before = pair.settled()
    with Traffic(pair.serving) as traffic:
        versions = until(lambda: two_versions(pair.managing))
        restored = pair.managing.request("POST", path(f"model/versions/{versions[-1]['version']}/restore")).json
        within_a_poll(lambda: pair.loop(pair.serving)["modelVersion"] >= restored["version"])
        seen = time.time()
        traffic.go_on(0.3)
    assert traffic.refused == []
    assert grown(before, pair.settled()) == all_of(traffic)
    assert restored["parent"] == versions[-1]["version"]
    lines = await joined(pair.managing)
    later = [event for event in traffic.events if event.begun > seen]
    assert later
    assert all(lines[event.event_id]["VWState"]["m"] >= restored["version"] for event in later)
    assert all(lines[event.event_id]["_label_cost"] == -REWARD for event in traffic.events)


def two_versions(app: RunningApp) -> Any:
    found = app.request("GET", path("model/versions")).json["value"]
    return found if len(found) >= 2 else None


async def test_a_log_is_deleted_under_traffic_and_only_what_came_before_is_gone(pair):
    pair.settled()
    with Traffic(pair.serving) as traffic:
        traffic.go_on(2.5)  # so that some of it is joined, and some still waits
        asked = time.time()
        assert pair.managing.request("DELETE", path("logs")).status == 204
        deleted = time.time()
        within_a_poll(lambda: logged_since(pair.serving) >= asked)
        traffic.go_on(0.5)
    assert traffic.refused == []
    counters = pair.settled()
    lines = await joined(pair.managing)
    kept = {event.event_id for event in traffic.events if event.begun > deleted}
    gone = {event.event_id for event in traffic.events if event.ranked < asked}
    assert (len(kept) > CLIENTS, len(gone) > CLIENTS) == (True, True)
    assert kept <= lines.keys()
    assert not gone & lines.keys()
    assert all(lines[event_id]["_label_cost"] == -REWARD for event_id in kept)
    assert counters["ranked"] == counters["learned"] + sum(counters["skipped"].values())
    assert 0 < counters["skipped"]["logDeleted"] <= len(traffic.events) - len(kept)


def logged_since(app: RunningApp) -> float:
    """Tell when the log begins that this process knows of; 0 if it knows of none."""
    properties = app.request("GET", path("logs/properties")).json
    return datetime.fromisoformat(properties["dateRange"]["from"]).timestamp() if properties else 0.0
