"""Several processes answer for one service: what one of them is told, all of them know within a poll or two."""

import asyncio
import http.client
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.drills import SETTINGS
from benchmarks.samples import Traffic
from benchmarks.trees import Tree
from shared.domain.loop import LoopRecord
from shared.storage.loop_store import FileUsage
from shared.storage.opening import open_storage
from shared.storage.settings import FolderSettings
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

PROCESSES = 2
ADMIN = secrets.token_hex(16)
POLLS = 3.0
"""Seconds of three polls."""


class Service:
    """The service, asked on connections of which each process has some."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._traffic = Traffic(actions=3, seed=1)
        self._connections: list[http.client.HTTPConnection] = []
        self.connect()

    def connect(self) -> None:
        """Take other connections: which process has how many of them is chance."""
        self.close()
        self._connections = [self._connect() for _ in range(3 * PROCESSES)]

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.tree.port, timeout=PATIENCE)
        connection.connect()
        return connection

    def ask(self, number: int, method: str, path: str, body: object = None, *, key: str) -> tuple[int, Any]:
        connection = self._connections[number % len(self._connections)]
        headers = {"Ocp-Apim-Subscription-Key": key, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def rank_everywhere(self, *, key: str, loop: str = "", rounds: int = 1) -> Counter[int]:
        """Rank on every connection, so many times; gives how often each status was answered."""
        path = f"/loops/{loop}/personalizer/v1.0/rank" if loop else "/personalizer/v1.0/rank"
        asked = range(rounds * len(self._connections))
        return Counter(self.ask(number, "POST", path, self._traffic.body(secrets.token_hex(16)), key=key)[0] for number in asked)

    @property
    def loaded(self) -> dict[str, set[str]]:
        """Which models each process has loaded, by its log."""
        found: dict[str, set[str]] = {}
        for line in self.tree.logs.splitlines():
            if '"model loaded"' in line:
                told = json.loads(line)
                found.setdefault(told["process"], set()).add(told["model_version"])
        return found

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    settings = {**SETTINGS, "PERSONALIZER_ADMIN_KEY": ADMIN, "PERSONALIZER_REWARD_WAIT_TIME": "PT1S"}
    with Tree(tmp_path_factory.mktemp("several"), settings=settings, processes=PROCESSES) as tree:
        yield tree


@pytest.fixture
def service(tree: Tree) -> Iterator[Service]:
    asked = Service(tree)
    yield asked
    asked.close()


def wait_for(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def test_a_model_that_is_published_is_served_by_each_process(service):
    names = {f"http-{number}" for number in range(1, PROCESSES + 1)}

    def all_have_one_in_common() -> bool:
        service.connect()  # until each process was asked, and so reads models
        assert service.rank_everywhere(key=service.tree.key) == {201: 3 * PROCESSES}
        return names <= service.loaded.keys() and bool(set.intersection(*(service.loaded[name] for name in names)))

    wait_for(all_have_one_in_common)


def test_a_key_that_is_revoked_opens_no_process_after_a_poll_or_two(service):
    status, made = service.ask(0, "PUT", "/loops/news", {}, key=ADMIN)
    assert status in {200, 201}
    first, second = made["keys"]
    assert service.rank_everywhere(key=first, loop="news") == {201: 3 * PROCESSES}
    assert service.ask(1, "POST", "/loops/news/keys/1/regenerate", key=ADMIN)[0] == 200
    time.sleep(POLLS)
    assert service.rank_everywhere(key=first, loop="news") == {401: 3 * PROCESSES}
    assert service.rank_everywhere(key=second, loop="news") == {201: 3 * PROCESSES}


def test_no_more_calls_of_a_tier_are_answered_however_many_processes_there_are(service):
    status, made = service.ask(0, "PUT", "/loops/trial", {"tier": "F0"}, key=ADMIN)
    assert status in {200, 201}

    async def use_up() -> None:
        storage = open_storage(FolderSettings(service.tree.store))
        await FileUsage(storage, place=LoopRecord("trial", life=1).place).grant(f"{datetime.now(UTC):%Y%m}", wanted=49_950, limit=50_000)
        await storage.close()

    asyncio.run(use_up())
    found = service.rank_everywhere(key=made["keys"][0], loop="trial", rounds=20)
    assert found.keys() == {201, 403}
    assert found[201] <= 50
    assert found[201] > 20  # more than one process had a portion
