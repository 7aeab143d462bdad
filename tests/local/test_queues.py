"""Queue functions get their messages as in the Functions host: at least once, five tries, then the poison queue."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from local.backend import QueueCall, QueueTrigger
from local.queues import Queues
from local.settings import QueueSettings, queue_settings
from tests.local.queue_place import QueuePlace
from tests.stores import FEW_ON_AZURITE, settings_of

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


class Place(QueuePlace):
    """A storage's queues, and the host that reads one."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.functions = Functions()

    def host(self, settings: QueueSettings = QUICK, *, queue: str = "jobs", held_for: timedelta = 2 * SECOND) -> Queues:
        trigger = QueueTrigger("take", "message", queue=queue, connection="AzureWebJobsStorage")
        return Queues(self.functions, [trigger], settings=settings, held_for=held_for)  # type: ignore[arg-type]


@pytest.fixture(params=FEW_ON_AZURITE)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def place(storage, monkeypatch) -> AsyncIterator[Place]:
    monkeypatch.delenv("PERSONALIZER_STORE", raising=False)
    for name, value in settings_of(storage).items():
        monkeypatch.setenv(name, value)
    place = Place(storage)
    await place.waiting("jobs")  # a store is made when it is first asked
    yield place
    await place.storage.close()


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
    await place.send("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "two", queue="jobs")
    host = place.host()
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert sorted(call.text for call in place.functions.calls) == ["caf\N{LATIN SMALL LETTER E WITH ACUTE}", "two"]
    assert {call.dequeue_count for call in place.functions.calls} == {1}
    assert all(call.id and call.receipt and call.inserted and call.next_visible for call in place.functions.calls)


async def test_a_message_that_fails_five_times_is_moved_to_the_poison_queue(place):
    await place.send("bad", queue="jobs")
    place.functions.do = place.functions.fail
    host = place.host()
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert [call.dequeue_count for call in place.functions.calls] == [1, 2, 3, 4, 5]
    assert await place.waiting("jobs-poison") == [base64.b64encode(b"bad").decode()]


async def test_the_poison_queue_is_made_when_it_is_not_there(place):
    await place.send("bad", queue="jobs")
    place.functions.do = place.functions.fail
    host = place.host(QueueSettings(max_dequeue_count=1, max_polling_interval=0.2 * SECOND))
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert len(await place.waiting("jobs-poison")) == 1


async def test_between_two_tries_a_message_is_hidden_for_as_long_as_host_json_says(place):
    await place.send("bad", queue="jobs")
    place.functions.do = place.functions.fail
    host = place.host(QueueSettings(retry_after=timedelta(hours=1), max_polling_interval=0.2 * SECOND))
    host.start()
    await called(place, 1)
    await asyncio.sleep(1)
    await host.stop(grace=1)
    assert len(place.functions.calls) == 1
    assert (await place.stored("jobs"), await place.waiting("jobs")) == (1, [])


async def test_a_message_that_was_taken_too_often_is_not_tried_again(place):
    """As by hosts that were killed each time."""
    await place.send("deadly", queue="jobs")
    for _ in range(5):
        assert len(await place.waiting("jobs")) == 1
    host = place.host()
    host.start()
    await empty(place)
    await host.stop(grace=1)
    assert place.functions.calls == []
    assert len(await place.waiting("jobs-poison")) == 1


async def test_what_is_not_base64_goes_to_the_poison_queue_untried(place):
    await place.queue("jobs").send("{not base64}")
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
        time.sleep(8)  # noqa: ASYNC251 - a function that does just that

    await place.send("long", queue="jobs")
    place.functions.do = busy
    first, second = place.host(held_for=4 * SECOND), place.host(held_for=4 * SECOND)
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

    await place.send(*map(str, range(6)), queue="jobs")
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

    await place.send("one", queue="jobs")
    place.functions.do = work
    host = place.host()
    host.start()
    await called(place, 1)
    await host.stop(grace=5)
    assert place.functions.ended == ["one"]
    assert await place.stored("jobs") == 0


async def test_a_message_whose_function_does_not_end_in_time_is_let_go_of(place):
    async def hang(call: QueueCall) -> None:
        await asyncio.sleep(60)

    await place.send("one", queue="jobs")
    place.functions.do = hang
    host = place.host(held_for=timedelta(hours=1))
    host.start()
    await called(place, 1)
    await host.stop(grace=0.1)
    assert len(await place.waiting("jobs")) == 1


async def test_a_queue_that_is_made_later_is_found(place):
    host = place.host(queue="later")
    host.start()
    await asyncio.sleep(0.3)
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
