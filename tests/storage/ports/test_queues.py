"""The laws of queues, for every engine."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.storage.ports import QueueStore, Storage
from tests.ports import in_processes, receive_all

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def queue(store: Storage) -> QueueStore:
    return store.queue("jobs")


async def test_a_queue_without_a_message_gives_none(queue):
    assert list(await queue.receive(most=32, hidden_for=MINUTE)) == []


async def test_a_message_is_received_as_it_was_sent(queue):
    before = datetime.now(UTC) - 2 * SECOND
    await queue.send("a message with \u00e9 and <&>")
    [message] = await queue.receive(most=1, hidden_for=MINUTE)
    assert (message.text, message.dequeue_count) == ("a message with \u00e9 and <&>", 1)
    assert before <= message.inserted <= datetime.now(UTC) + 2 * SECOND
    assert message.inserted + MINUTE - 3 * SECOND <= message.next_visible <= datetime.now(UTC) + MINUTE + 2 * SECOND


async def test_the_largest_message_fits(queue):
    await queue.send("x" * 64 * 1024)
    [message] = await queue.receive(most=1, hidden_for=MINUTE)
    assert len(message.text) == 64 * 1024


async def test_messages_are_received_once_and_as_many_as_are_asked_for(queue):
    for number in range(5):
        await queue.send(str(number))
    first = await queue.receive(most=2, hidden_for=MINUTE)
    rest = await queue.receive(most=32, hidden_for=MINUTE)
    assert len(first) == 2
    assert sorted(message.text for message in [*first, *rest]) == ["0", "1", "2", "3", "4"]
    assert list(await queue.receive(most=32, hidden_for=MINUTE)) == []


async def test_a_message_is_seen_after_its_delay(queue, wait):
    await queue.send("later", after=SECOND)
    assert list(await queue.receive(most=1, hidden_for=MINUTE)) == []
    await wait(2.2)
    assert [message.text for message in await queue.receive(most=1, hidden_for=MINUTE)] == ["later"]


async def test_a_message_whose_life_is_over_is_gone_with_the_next_one_at_the_latest(queue, wait):
    """Those without a life, and one that is held, stay."""
    await queue.send("for ever")
    [held] = await queue.receive(most=1, hidden_for=MINUTE)
    for number in range(3):
        await queue.send(f"short {number}", life=SECOND)
    await wait(2.2)
    await queue.send("next", life=SECOND)
    assert [message.text for message in await queue.receive(most=32, hidden_for=MINUTE)] == ["next"]
    await queue.delete(held)


async def test_a_message_that_is_not_deleted_is_received_again_and_counted(queue, wait):
    await queue.send("again")
    [first] = await queue.receive(most=1, hidden_for=SECOND)
    await wait(2.2)
    [second] = await queue.receive(most=1, hidden_for=MINUTE)
    assert (second.id, second.dequeue_count) == (first.id, 2)
    with pytest.raises(StorageUnavailableError):
        await queue.delete(first)
    with pytest.raises(StorageUnavailableError):
        await queue.hide(first, during=MINUTE)
    await queue.delete(second)


async def test_a_deleted_message_is_gone(queue, wait):
    await queue.send("x")
    [message] = await queue.receive(most=1, hidden_for=SECOND)
    await queue.delete(message)
    await queue.delete(message)
    await wait(2.2)
    assert list(await queue.receive(most=1, hidden_for=SECOND)) == []
    with pytest.raises(StorageUnavailableError):
        await queue.hide(message, during=MINUTE)


async def test_a_hidden_message_is_shown_at_once_by_hiding_it_for_no_time(queue):
    await queue.send("x")
    [message] = await queue.receive(most=1, hidden_for=MINUTE)
    await queue.hide(message, during=timedelta(0))
    [again] = await queue.receive(most=1, hidden_for=MINUTE)
    assert again.dequeue_count == 2


async def test_who_hides_a_message_for_longer_deletes_it_by_the_new_receipt(queue, wait):
    await queue.send("x")
    [message] = await queue.receive(most=1, hidden_for=SECOND)
    longer = await queue.hide(message, during=MINUTE)
    await wait(2.2)
    assert list(await queue.receive(most=1, hidden_for=MINUTE)) == []
    assert (longer.id, longer.text, longer.dequeue_count) == (message.id, "x", 1)
    await queue.delete(longer)


async def test_queues_know_nothing_of_each_others_messages(store, queue):
    await queue.send("ours")
    assert list(await store.queue("other").receive(most=1, hidden_for=MINUTE)) == []
    assert len(await queue.receive(most=1, hidden_for=MINUTE)) == 1


async def test_messages_are_there_after_all_is_closed(store, opened):
    await store.queue("jobs").send("kept")
    await store.close()
    assert [message.text for message in await opened().queue("jobs").receive(most=1, hidden_for=MINUTE)] == ["kept"]


async def test_several_processes_receive_each_message_once(deployment, queue):
    texts = [f"{number:02d}" for number in range(20)]
    for text in texts:
        await queue.send(text)
    received = await in_processes(receive_all, *((deployment, "jobs", "") for _ in range(3)))
    assert sorted(text for each in received for text in each) == texts
