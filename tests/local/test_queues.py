"""Queue functions get their messages as in the Functions host: at least once, five tries, then the poison queue."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from azure.storage.queue.aio import QueueServiceClient

from local.backend import QueueCall, QueueTrigger
from local.queues import Queues
from local.settings import QueueSettings, queue_settings

SECOND = timedelta(seconds=1)
QUICK = QueueSettings(max_polling_interval=0.2 * SECOND)
OWN_FAULT = LookupError("the queue function's own fault")


class Functions:
    """Notes what the function is called with, and does what it is told."""

    def __init__(self) -> None:
        self.calls: list[QueueCall] = []
        self.ended: list[str] = []
        self.do: Callable[[QueueCall], Awaitable[None]] = self.nothing

    async def call_queue(self, trigger: QueueTrigger, call: QueueCall) -> None:
        self.calls.append(call)
        await self.do(call)
        self.ended.append(call.text)

    async def nothing(self, call: QueueCall) -> None: ...

    async def fail(self, call: QueueCall) -> None:
        raise OWN_FAULT


class Place:
    """A queue, and the host that reads it."""

    def __init__(self, service: QueueServiceClient) -> None:
        self.service = service
        self.functions = Functions()

    def host(self, settings: QueueSettings = QUICK, *, queue: str = "jobs", held_for: timedelta = 2 * SECOND) -> Queues:
        trigger = QueueTrigger("take", "message", queue=queue, connection="STORE")
        return Queues(self.functions, [trigger], settings=settings, held_for=held_for)  # type: ignore[arg-type]

    async def send(self, *texts: str, queue: str = "jobs") -> None:
        for text in texts:
            await self.service.get_queue_client(queue).send_message(base64.b64encode(text.encode()).decode())

    async def waiting(self, queue: str = "jobs") -> list[str]:
        """The contents of the messages that anyone could take now."""
        return [str(message.content) for message in await self.service.get_queue_client(queue).peek_messages(max_messages=32)]

    async def stored(self, queue: str = "jobs") -> int:
        """How many messages there are, hidden ones among them."""
        return (await self.service.get_queue_client(queue).get_queue_properties()).approximate_message_count or 0


@pytest.fixture
async def place(storage, monkeypatch) -> AsyncIterator[Place]:
    monkeypatch.setenv("STORE", storage)
    async with QueueServiceClient.from_connection_string(storage) as service:
        for queue in ("jobs", "jobs-poison"):
            await service.create_queue(queue)
        yield Place(service)


async def eventually(is_so: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not await is_so():
        assert time.monotonic() < until, "waited in vain"
        await asyncio.sleep(0.05)


async def empty(place: Place, queue: str = "jobs") -> None:
    async def is_empty() -> bool:
        return await place.stored(queue) == 0

    await eventually(is_empty)


async def called(place: Place, times: int) -> None:
    async def is_called() -> bool:
        return len(place.functions.calls) >= times

    await eventually(is_called)


async def test_a_message_whose_function_succeeds_is_deleted(place):
    await place.send("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "two")
    host = place.host()
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert sorted(call.text for call in place.functions.calls) == ["caf\N{LATIN SMALL LETTER E WITH ACUTE}", "two"]
    assert {call.dequeue_count for call in place.functions.calls} == {1}
    assert all(call.id and call.receipt and call.inserted and call.expires and call.next_visible for call in place.functions.calls)


async def test_a_message_that_fails_five_times_is_moved_to_the_poison_queue(place):
    await place.send("bad")
    place.functions.do = place.functions.fail
    host = place.host()
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert [call.dequeue_count for call in place.functions.calls] == [1, 2, 3, 4, 5]
    assert await place.waiting("jobs-poison") == [base64.b64encode(b"bad").decode()]


async def test_the_poison_queue_is_made_when_it_is_not_there(place):
    await place.service.delete_queue("jobs-poison")
    await place.send("bad")
    place.functions.do = place.functions.fail
    host = place.host(QueueSettings(max_dequeue_count=1, max_polling_interval=0.2 * SECOND))
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert len(await place.waiting("jobs-poison")) == 1


async def test_between_two_tries_a_message_is_hidden_for_as_long_as_host_json_says(place):
    await place.send("bad")
    place.functions.do = place.functions.fail
    host = place.host(QueueSettings(retry_after=timedelta(hours=1), max_polling_interval=0.2 * SECOND))
    host.start()
    await called(place, 1)
    await asyncio.sleep(1)
    await host.stop(grace=1)
    assert len(place.functions.calls) == 1
    assert (await place.stored(), await place.waiting()) == (1, [])


async def test_a_message_that_was_taken_too_often_is_not_tried_again(place):
    """As by hosts that were killed each time."""
    await place.send("deadly")
    queue = place.service.get_queue_client("jobs")
    for _ in range(5):
        message = await queue.receive_message()
        assert message
        await queue.update_message(message, visibility_timeout=0)
    host = place.host()
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert place.functions.calls == []
    assert len(await place.waiting("jobs-poison")) == 1


async def test_what_is_not_base64_goes_to_the_poison_queue_untried(place):
    await place.service.get_queue_client("jobs").send_message("{not base64}")
    host = place.host()
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert place.functions.calls == []
    assert await place.waiting("jobs-poison") == ["{not base64}"]


async def test_a_poison_queues_function_that_fails_leaves_the_message_there(place):
    await place.send("bad", queue="jobs-poison")
    place.functions.do = place.functions.fail
    host = place.host(QueueSettings(max_dequeue_count=2, max_polling_interval=0.2 * SECOND), queue="jobs-poison", held_for=SECOND)
    host.start()
    await called(place, 2)
    await asyncio.sleep(1.5)
    await host.stop(grace=1)
    assert [call.dequeue_count for call in place.functions.calls] == [1, 2]
    assert await place.stored("jobs-poison") == 1


async def test_a_long_run_keeps_its_message_hidden_even_when_it_keeps_the_loop_busy(place):
    async def busy(call: QueueCall) -> None:
        time.sleep(3)  # noqa: ASYNC251 - a function that does just that

    await place.send("long")
    place.functions.do = busy
    first, second = place.host(held_for=SECOND), place.host(held_for=SECOND)
    first.start()
    second.start()
    await empty(place)
    await first.stop(grace=1)
    await second.stop(grace=1)
    assert len(place.functions.calls) == 1


async def test_so_many_messages_are_worked_on_at_a_time_as_host_json_says(place):
    working, most = 0, 0

    async def work(call: QueueCall) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.2)
        working -= 1

    await place.send(*map(str, range(6)))
    place.functions.do = work
    host = place.host(QueueSettings(batch_size=2, new_batch_threshold=0, max_polling_interval=0.2 * SECOND))
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert most == 2
    assert sorted(place.functions.ended) == ["0", "1", "2", "3", "4", "5"]


async def test_a_function_under_way_ends_before_the_host_stops(place):
    async def work(call: QueueCall) -> None:
        await asyncio.sleep(0.5)

    await place.send("one")
    place.functions.do = work
    host = place.host()
    host.start()
    await called(place, 1)
    await host.stop(grace=5)
    assert place.functions.ended == ["one"]
    assert await place.stored() == 0


async def test_a_message_whose_function_does_not_end_in_time_is_let_go_of(place):
    async def hang(call: QueueCall) -> None:
        await asyncio.sleep(60)

    await place.send("one")
    place.functions.do = hang
    host = place.host(held_for=timedelta(hours=1))
    host.start()
    await called(place, 1)
    await host.stop(grace=0.1)
    assert len(await place.waiting()) == 1


async def test_a_queue_that_is_made_later_is_found(place):
    host = place.host(queue="later")
    host.start()
    await asyncio.sleep(0.3)
    await place.service.create_queue("later")
    await place.send("one", queue="later")
    await called(place, 1)
    await host.stop(grace=1)


async def test_a_run_by_hand_needs_no_message_and_finds_its_function_in_any_case(place):
    host = place.host()
    assert host.run_by_hand("TAKE", "text")
    assert not host.run_by_hand("other", "text")
    await called(place, 1)
    await host.stop(grace=1)
    assert [(call.text, call.id) for call in place.functions.calls] == [("text", "")]


def test_what_host_json_does_not_say_is_as_in_the_functions_host(tmp_path):
    assert queue_settings(tmp_path) == QueueSettings(16, 8, 5, timedelta(0), timedelta(minutes=1), is_base64=True)


def test_host_json_is_followed(tmp_path):
    (tmp_path / "host.json").write_text(
        '{"extensions": {"queues": {"batchSize": 2, "maxDequeueCount": 3, "visibilityTimeout": "01:02:03.5",'
        ' "maxPollingInterval": "00:00:02", "messageEncoding": "none"}}}'
    )
    retry_after = timedelta(hours=1, minutes=2, seconds=3.5)
    assert queue_settings(tmp_path) == QueueSettings(2, 1, 3, retry_after, 2 * SECOND, is_base64=False)
