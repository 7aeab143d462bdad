"""The queue of jobs: what is sent is there for the Functions host, in the form that it expects."""

import asyncio
import base64
from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared.domain.errors import SettingsError, StorageUnavailableError
from shared.storage import names
from shared.storage.azure.storage import AzureStorage
from shared.storage.job_queue import MAX_MESSAGE, QueuedJobs
from shared.storage.ports import Message, Storage
from shared.storage.settings import AccountSettings
from tests.storage_proxy import Call, Fault, StorageProxy
from tests.stores import SHORT_PAUSES, on_azurite

MESSAGE = b'{"loop":"default","job":"a"}'


@pytest.fixture
def jobs(account) -> QueuedJobs:
    return QueuedJobs(account)


async def received(account: Storage) -> Sequence[Message]:
    return await account.queue(names.JOBS).receive(most=32, hidden_for=timedelta(seconds=30))


async def bodies(account: Storage) -> list[bytes]:
    return sorted(base64.b64decode(message.text, validate=True) for message in await received(account))


@pytest.mark.parametrize("message", [MESSAGE, '{"id":"caf\u00e9 <&>"}'.encode(), bytes(range(256))])
async def test_a_message_is_stored_in_base64_as_the_functions_host_expects(jobs, account, message):
    await jobs.send(message)
    [stored] = await received(account)
    assert stored.text == base64.b64encode(message).decode()


async def test_a_message_never_expires(jobs, account):
    await jobs.send(MESSAGE)
    [stored] = await received(account)
    assert stored.expires is None or stored.expires.year == 9999


async def test_the_longest_message_fits_and_a_longer_one_is_refused_before_it_is_sent(jobs, account):
    await jobs.send(b"x" * MAX_MESSAGE)
    assert await bodies(account) == [b"x" * MAX_MESSAGE]
    with pytest.raises(ValueError, match="49152 bytes, not 49153"):
        await jobs.send(b"x" * (MAX_MESSAGE + 1))


async def test_a_message_for_later_is_hidden_until_then(jobs, account):
    await jobs.send(MESSAGE, after=timedelta(seconds=1.2))
    assert await bodies(account) == []
    await asyncio.sleep(2.5)
    assert await bodies(account) == [MESSAGE]


async def test_all_that_send_first_find_or_make_the_queue(account):
    await asyncio.gather(*[QueuedJobs(account).send(b"%d" % number) for number in range(5)])
    assert await bodies(account) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_queue_that_was_deleted_is_made_again(new_account):
    account = AzureStorage(AccountSettings(connection_string=new_account()))
    await QueuedJobs(account).send(b"lost")
    await account.queues.delete_queue(names.JOBS)
    await QueuedJobs(account).send(MESSAGE)
    assert await bodies(account) == [MESSAGE]
    await account.close()


@pytest.mark.parametrize("status", [0, 403, 409, 429, 500, 503])
async def test_storage_that_does_not_take_the_message_is_our_own_error(new_account, status):
    with StorageProxy(new_account()) as proxy:
        account = AzureStorage(AccountSettings(connection_string=proxy.connection_string), retries=SHORT_PAUSES)
        proxy.plan = lambda call: Fault(status)
        with pytest.raises(StorageUnavailableError, match="send a message to the queue"):
            await QueuedJobs(account).send(MESSAGE)
        await account.close()


@pytest.mark.parametrize("status", [0, 500])
@on_azurite
async def test_an_answer_that_is_lost_costs_no_message(storage, account, status):
    def lose_the_first_answer(call: Call) -> Fault | None:
        sent = [each for each in proxy.calls if each.method == "POST"]
        return Fault(status, done_first=True) if len(sent) == 1 and call is sent[0] else None

    await QueuedJobs(account).send(b"first")
    with StorageProxy(storage) as proxy:
        behind = AzureStorage(AccountSettings(connection_string=proxy.connection_string), retries=SHORT_PAUSES)
        proxy.plan = lose_the_first_answer
        await QueuedJobs(behind).send(MESSAGE)
        await behind.close()
    assert set(await bodies(account)) == {b"first", MESSAGE}


async def test_an_account_without_queues_is_named():
    account = AzureStorage(AccountSettings(blob_uri="https://b", table_uri="https://t"))
    with pytest.raises(SettingsError, match="AzureWebJobsStorage__queueServiceUri"):
        await QueuedJobs(account).send(MESSAGE)
