"""Queue functions in a host of their own, killed and started again, behind both kinds of host."""

import base64
import time
from collections.abc import Callable, Iterator

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from tests.running import RunningApp

pytestmark = pytest.mark.slow


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def logged(app: RunningApp, message: str, text: str) -> list[dict]:
    return [line for line in app.log_lines if line["message"] == message and line.get("text") == text]


def send(queue: QueueClient, text: str) -> None:
    queue.send_message(base64.b64encode(text.encode()).decode())


@pytest.fixture
def queue(storage) -> Iterator[QueueClient]:
    with QueueServiceClient.from_connection_string(storage) as service:
        yield service.create_queue("sample")


@pytest.fixture
def app(host, storage, queue, sample_folder) -> Iterator[RunningApp]:
    with RunningApp(storage, kind=host, folder=sample_folder, queues=True, queue_hold=2) as running:
        yield running


def test_messages_are_seen_failed_and_buried_as_in_the_functions_host(app, queue):
    send(queue, "a good one")
    send(queue, "to fail")
    send(queue, "a long one")
    wait_for(lambda: bool(logged(app, "poison seen", "to fail")))
    wait_for(lambda: bool(logged(app, "message done", "a long one")))
    [seen] = logged(app, "message seen", "a good one")
    assert seen["tries"] == 1
    assert seen["message_id"]
    assert seen["inserted"] < seen["next"] < seen["expires"]
    assert [line["tries"] for line in logged(app, "message seen", "to fail")] == [1, 2, 3, 4, 5]
    assert len(logged(app, "message seen", "a long one")) == 1
    wait_for(lambda: queue.get_queue_properties().approximate_message_count == 0)


def test_a_message_whose_host_is_killed_half_way_is_there_again(app, queue):
    send(queue, "a long one")
    wait_for(lambda: bool(logged(app, "message seen", "a long one")))
    app.kill()
    assert not queue.peek_messages()
    app.start()
    wait_for(lambda: bool(logged(app, "message done", "a long one")))
    assert [line["tries"] for line in logged(app, "message seen", "a long one")] == [1, 2]
    wait_for(lambda: queue.get_queue_properties().approximate_message_count == 0)


def test_a_queue_function_is_run_by_hand_on_a_given_text(app):
    assert app.request("POST", "/admin/functions/take", {"input": "by hand"}).status == 202
    assert app.request("POST", "/admin/functions/take", b"[1]").status == 400
    assert app.request("POST", "/admin/functions/nobody", {"input": ""}).status == 404
    wait_for(lambda: bool(logged(app, "message done", "by hand")))


def test_without_queues_no_message_is_taken(storage, queue, sample_folder):
    send(queue, "a good one")
    with RunningApp(storage, folder=sample_folder) as app:
        time.sleep(0.5)
        assert not logged(app, "message seen", "a good one")
    assert len(queue.peek_messages()) == 1
