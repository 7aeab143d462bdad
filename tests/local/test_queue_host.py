"""Queue functions in a host of their own, killed and started again, behind both kinds of host."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.local.queue_place import QueuePlace
from tests.patience import PATIENCE
from tests.running import RunningApp

pytestmark = [pytest.mark.slow, pytest.mark.long]


def wait_for(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def logged(app: RunningApp, message: str, text: str) -> list[dict]:
    return [line for line in app.log_lines if line["message"] == message and line.get("text") == text]


class Queue:
    """The sample's queue, for tests that wait."""

    def __init__(self, place: str) -> None:
        self._place = place

    def send(self, text: str) -> None:
        self._asked(lambda place: place.send(text, queue="sample"))

    def waiting(self) -> int:
        return len(self._asked(lambda place: place.waiting("sample")))

    def stored(self) -> int:
        return int(self._asked(lambda place: place.stored("sample")))

    def _asked(self, ask: Callable[[QueuePlace], Awaitable[Any]]) -> Any:
        async def asking() -> Any:
            place = QueuePlace(self._place)
            try:
                return await ask(place)
            finally:
                await place.storage.close()

        return asyncio.run(asking())


@pytest.fixture
def queue(storage) -> Queue:
    return Queue(storage)


@pytest.fixture
def app(host, storage, queue, sample_folder) -> Iterator[RunningApp]:
    with RunningApp(storage, kind=host, folder=sample_folder, queues=True, queue_hold=2) as running:
        yield running


def test_messages_are_seen_failed_and_buried_as_in_the_functions_host(app, queue):
    queue.send("a good one")
    queue.send("to fail")
    queue.send("a long one")
    wait_for(lambda: bool(logged(app, "poison seen", "to fail")))
    wait_for(lambda: bool(logged(app, "message done", "a long one")))
    [seen] = logged(app, "message seen", "a good one")
    assert seen["tries"] == 1
    assert seen["message_id"]
    assert seen["inserted"] < seen["next"]
    assert [line["tries"] for line in logged(app, "message seen", "to fail")] == [1, 2, 3, 4, 5]
    assert len(logged(app, "message seen", "a long one")) == 1
    wait_for(lambda: queue.stored() == 0)


def test_a_message_whose_host_is_killed_half_way_is_there_again(app, queue):
    queue.send("a long one")
    wait_for(lambda: bool(logged(app, "message seen", "a long one")))
    app.kill()
    assert not queue.waiting()
    app.start()
    wait_for(lambda: bool(logged(app, "message done", "a long one")))
    assert [line["tries"] for line in logged(app, "message seen", "a long one")] == [1, 2]
    wait_for(lambda: queue.stored() == 0)


def test_a_queue_function_is_run_by_hand_on_a_given_text(app):
    assert app.request("POST", "/admin/functions/take", {"input": "by hand"}).status == 202
    assert app.request("POST", "/admin/functions/take", b"[1]").status == 400
    assert app.request("POST", "/admin/functions/nobody", {"input": ""}).status == 404
    wait_for(lambda: bool(logged(app, "message done", "by hand")))


def test_without_queues_no_message_is_taken(storage, queue, sample_folder):
    queue.send("a good one")
    with RunningApp(storage, folder=sample_folder) as app:
        time.sleep(0.5)
        assert not logged(app, "message seen", "a good one")
    assert queue.waiting() == 1
