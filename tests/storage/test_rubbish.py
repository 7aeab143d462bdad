"""Whatever storage answers, or does not, every use of it ends in time, with a value or with `StorageUnavailableError`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.domain.errors import StorageUnavailableError, UnreadableError
from shared.domain.evaluation import Evaluation, Job
from shared.domain.ledger import Pointer, Provenance, SegmentHead, SegmentKey
from shared.domain.loop import LearningPolicy, LoopRecord, LoopSettings
from shared.domain.mirror import MirrorState
from shared.domain.patience import patience
from shared.storage import names
from shared.storage.azure.failures import storage_failures
from shared.storage.azure.storage import AzureStorage
from shared.storage.cold_log import FileColdLog
from shared.storage.evaluation_store import evaluation_store
from shared.storage.files import Files
from shared.storage.job_queue import QueuedJobs
from shared.storage.lease import lease
from shared.storage.log_files import stored_log_files
from shared.storage.loop_files import StoredLoopFiles
from shared.storage.loop_store import FileLoopStore, FileUsage
from shared.storage.mirror import ContainerMirror
from shared.storage.model_store import FileModelStore
from shared.storage.polling import FileModelFeed, StoredConfiguration
from shared.storage.settings import AccountSettings
from shared.storage.signing_keys import FileModelSigner
from shared.storage.work_files import StoredWorkFiles
from tests import rubbish
from tests.builders import T0, after, decision, observation
from tests.clocks import SetClock
from tests.patience import BUSY
from tests.reliability.world import event_log
from tests.rubbish import Rubbish, response, saying, slowly

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::DeprecationWarning")

POINTER = Pointer(sequence=1, version="", published_at=T0, watermark=T0)
CHUNK = "2026/05/17/1-2-abcdef123456.json.gz"
KEY = SegmentKey(T0, names.row_time(T0) + "-aaaaaaaa-000001-1-0", names.partition(T0, 0))
HTML = b"<html><head><title>Sign in</title></head><body>Welcome to the hotel</body></html>"
XML, JSON = "Content-Type: application/xml", "Content-Type: application/json"


async def all_of(items) -> list:
    return [item async for item in items]


Use = Callable[[AzureStorage], Awaitable[object]]


def blocking(use: Callable[[AzureStorage], object]) -> Use:
    return lambda account: asyncio.to_thread(use, account)


async def hold(account: AzureStorage) -> bool:
    async with lease(Files(account, "c"), "lease") as is_mine:
        return is_mine


READS: dict[str, Use] = {
    "read a file": lambda account: Files(account, "c").read("x"),
    "look whether a file is news": lambda account: Files(account, "c").news("x", known='"0x1"'),
    "read the beginning of a file": lambda account: Files(account, "c").head("x", size=10),
    "read metadata": lambda account: Files(account, "c").metadata("x"),
    "list files": lambda account: all_of(Files(account, "c").listing("")),
    "list loops": lambda account: FileLoopStore(account).names(),
    "read a record": lambda account: FileLoopStore(account).read("news"),
    "read keys": lambda account: FileLoopStore(account).keys_of("news"),
    "read a pointer": lambda account: FileModelStore(account, loop="news").pointer(),
    "read a model": lambda account: FileModelStore(account, loop="news").artifact("1"),
    "list models": lambda account: FileColdLog(account, loop="news").models(),
    "list chunks": lambda account: FileColdLog(account, loop="news").chunks(),
    "read a chunk's parent": lambda account: FileColdLog(account, loop="news").parent(CHUNK),
    "read a chunk": lambda account: FileColdLog(account, loop="news").chunk(CHUNK),
    "list analyses": lambda account: evaluation_store(account, loop="news").listed(),
    "read an analysis": lambda account: evaluation_store(account, loop="news").read("e1"),
    "list working files": lambda account: StoredWorkFiles(account, loop="news").listed(),
    "read a mirror's state": lambda account: ContainerMirror(account, loop="news").state(),
    "list foreign logs": lambda account: stored_log_files(account.files("c"), "", area="c"),
    "list tables": lambda account: event_log(account, SetClock(T0)).day_tables(),
    "list segments": lambda account: all_of(event_log(account, SetClock(T0)).decision_heads(T0, after(60))),
    "open segments": lambda account: event_log(account, SetClock(T0)).decisions([SegmentHead(KEY, 1)]),
    "ask what was deleted": lambda account: event_log(account, SetClock(T0)).refresh(),
    "poll settings": blocking(lambda account: StoredConfiguration(account, defaults=LoopSettings()).read()),
    "poll for a model": blocking(lambda account: FileModelFeed(account, loop="news").news()),
    "load a model": blocking(lambda account: FileModelFeed(account, loop="news").artifact("1")),
}
"""What must not take rubbish for a value."""

WRITES: dict[str, Use] = {
    "write a file": lambda account: Files(account, "c").replace("x", b"data", expected=None),
    "replace a file": lambda account: Files(account, "c").replace("x", b"data", expected='"0x1"'),
    "write a file once": lambda account: Files(account, "c").write_once("x", b"data", metadata={"format": "1"}),
    "write a record": lambda account: FileLoopStore(account).write(LoopRecord("news"), expected=None),
    "grant calls": lambda account: FileUsage(account, place="news").grant("202611", wanted=20, limit=100),
    "commit": lambda account: FileModelStore(account, loop="news").commit(POINTER, expected=None),
    "write a model": lambda account: FileModelStore(account, loop="news").write_artifact(
        "1", b"model", provenance=Provenance("", T0, T0, "", 0, "")
    ),
    "ask for an evaluation": lambda account: evaluation_store(account, loop="news").create(
        Evaluation(Job("e1", "first", T0, after(3600), T0), LearningPolicy("default", "--cb_explore_adf"))
    ),
    "remember what was mirrored": lambda account: ContainerMirror(account, loop="news").remember(MirrorState("x", T0), expected=None),
    "make a key to sign with": lambda account: FileModelSigner(account, clock=SetClock(T0)).sign(b"model"),
    "append a decision": lambda account: event_log(account, SetClock(T0), deadline=2).append_decision(decision("e1")),
    "append a reward": lambda account: event_log(account, SetClock(T0), deadline=2).append_observation(observation("e1")),
    "hold a lease": hold,
    "send a job": lambda account: QueuedJobs(account).send(b"job"),
}
"""What must not take rubbish for being done."""

OTHERS: dict[str, Use] = {
    "delete a file": lambda account: Files(account, "c").delete("x"),
    "make tables": lambda account: event_log(account, SetClock(T0)).create_tables(T0),
    "drop tables": lambda account: event_log(account, SetClock(T0)).drop_tables(before=T0 + timedelta(days=3)),
    "drop a loop's files": lambda account: StoredLoopFiles(account, loop="news").drop_all(most=10),
}
"""What may be believed to be done, since it is looked after again."""

ANSWERS = {
    "200, empty": response("200 OK"),
    "200, a page": response("200 OK", "Content-Type: text/html", HTML),
    "200, a page as XML": response("200 OK", XML, HTML),
    "200, empty XML": response("200 OK", XML),
    "200, cut XML": response("200 OK", XML, b'<?xml version="1.0"?><EnumerationResults><Blobs><Blob><Na'),
    "200, XML that is not UTF-8": response(
        "200 OK", XML, b'<?xml version="1.0"?><EnumerationResults><Blobs>\xff\xfe</Blobs></EnumerationResults>'
    ),
    "200, empty lists as XML": response("200 OK", XML, b"<EnumerationResults/>"),
    "200, an entry without anything": response(
        "200 OK", XML, b"<EnumerationResults><Blobs><Blob></Blob></Blobs><NextMarker/></EnumerationResults>"
    ),
    "200, {}": response("200 OK", JSON, b"{}"),
    "200, []": response("200 OK", JSON, b"[]"),
    "200, null": response("200 OK", JSON, b"null"),
    "200, cut JSON": response("200 OK", JSON, b'{"value": [{"TableName'),
    "200, rows that are none": response("200 OK", JSON, b'{"value": [1, null, "x"]}'),
    "200, rows without anything": response("200 OK", JSON, b'{"value": [{}]}'),
    "200, values that are none": response("200 OK", JSON, b'{"value": {"PartitionKey": 1}}'),
    "200, Base64 that is none": response(
        "200 OK", JSON, b'{"value": [{"PartitionKey": "x", "RowKey": "y", "P@odata.type": "Edm.Binary", "P": "~"}]}'
    ),
    "200, JSON that is not UTF-8": response("200 OK", JSON, b'{"value": ["\xff\xfe"]}'),
    "200, a strange charset": response("200 OK", "Content-Type: application/xml; charset=klingon", b"<a/>"),
    "200, shorter than it says": response("200 OK", JSON, b"{", length=500),
    "200, compressed, but not": response("200 OK", "Content-Encoding: gzip", b"not compressed"),
    "200, broken chunks": response("200 OK", "Transfer-Encoding: chunked", b"zz\r\nnonsense\r\n", length=-1),
    "200, chunks that end early": response("200 OK", "Transfer-Encoding: chunked", b"5\r\nabcde\r\n", length=-1),
    "200, dates that are none": response("200 OK", 'Last-Modified: yesterday\nx-ms-creation-time: never\nETag: "0x1"', b"data"),
    "200, numbers that are none": response("200 OK", 'Content-Length: many\nETag: "0x1"', b"data", length=-1),
    "201, nothing said": response("201 Created"),
    "202, nothing said": response("202 Accepted"),
    "204, nothing said": response("204 No Content"),
    "206, no range": response("206 Partial Content", 'ETag: "0x1"', b"data"),
    "206, a range that is none": response("206 Partial Content", 'Content-Range: all of it\nETag: "0x1"', b"data"),
    "206, shorter than the range": response("206 Partial Content", 'Content-Range: bytes 0-99/100\nETag: "0x1"', b"data"),
    "206, without an ETag": response("206 Partial Content", "Content-Range: bytes 0-3/4", b"data"),
    "206, cut": response("206 Partial Content", 'Content-Range: bytes 0-99/100\nETag: "0x1"', b"data", length=100),
    "299": response("299 Strange", "", b"{}"),
    "302": response("302 Found", "Location: /login"),
    "304, not asked for": response("304 Not Modified"),
    "400": response("400 Bad Request", "", HTML),
    "401": response("401 Unauthorized", "WWW-Authenticate: Bearer"),
    "403": response("403 Forbidden", XML, b"<Error><Code>AuthenticationFailed</Code><Message>no</Message></Error>"),
    "404, of somebody else": response("404 Not Found", "Content-Type: text/html", HTML),
    "404, empty": response("404 Not Found"),
    "409, of somebody else": response("409 Conflict", "", b"conflict"),
    "412, of somebody else": response("412 Precondition Failed"),
    "416": response("416 Range Not Satisfiable"),
    "429": response("429 Too Many Requests"),
    "500": response("500 Internal Server Error", JSON, b"{"),
    "503": response("503 Service Unavailable", "Retry-After: soon"),
    "999": response("999 Nonsense"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "zeros": bytes(64),
    "a cut header": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "a header without a name": b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "a header that is not text": b"HTTP/1.1 200 OK\r\nETag: \xff\xfe\x00\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nETag: " + b"x" * 100_000,
    "a status that is no number": b"HTTP/1.1 OK 200\r\n\r\n",
}


def impatient(connection_string: str) -> AzureStorage:
    never = dict.fromkeys(("retry_total", "retry_connect", "retry_read", "retry_status"), 0)
    return AzureStorage(AccountSettings(connection_string=connection_string), retries=never)


async def ended(use: Use, account: AzureStorage) -> object:
    """Give what it came to: a value or an error."""
    began = time.monotonic()
    try:
        return await use(account)
    except Exception as error:  # noqa: BLE001 - it is looked at
        return error
    finally:
        assert time.monotonic() - began < 25 + BUSY


async def all_uses(connection_string: str, uses: dict[str, Use]) -> dict[str, object]:
    account = impatient(connection_string)
    try:
        return dict(zip(uses, await asyncio.gather(*[ended(use, account) for use in uses.values()]), strict=True))
    finally:
        await account.close()


def unlike(results: dict[str, object], is_wrong: Callable[[str, object], bool]) -> dict[str, str]:
    return {what: f"{type(result).__name__}: {result}" for what, result in results.items() if is_wrong(what, result)}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.sweep(keep=10)
async def test_an_answer_that_is_none_is_no_value_and_no_other_error(answer):
    with Rubbish(saying(answer)) as server:
        results = await all_uses(server.connection_string, {**READS, **WRITES, **OTHERS})
    told = unlike(results, lambda what, result: what not in OTHERS or isinstance(result, BaseException))
    assert {what: text for what, text in told.items() if not text.startswith("StorageUnavailableError")} == {}


@pytest.mark.parametrize(("number", "answer"), list(enumerate(ANSWERS.values())), ids=ANSWERS)
@pytest.mark.sweep(keep=10)
async def test_nor_does_one_that_seems_to_be_storages_own_raise_anything_else(number, answer):
    """Each answer meets every third use, and each use every third answer."""
    uses = {**READS, **WRITES, **OTHERS}
    chosen = {what: uses[what] for what in [*uses][number % 3 :: 3]}
    with Rubbish(saying(answer.replace(b"Connection: close", b"x-ms-request-id: 1\r\nConnection: close"))) as server:
        results = await all_uses(server.connection_string, chosen)
    expected = (StorageUnavailableError, UnreadableError)  # the latter: a row or a file of storage's own, but not of ours
    assert unlike(results, lambda _, result: isinstance(result, Exception) and not isinstance(result, expected)) == {}


PATIENCE = 2.0
WAYS = {
    "never answers": rubbish.silent,
    "resets the connection": rubbish.torn,
    "a byte a second": slowly(response("200 OK", XML, HTML)),
    "a body of a byte a second": slowly(
        response("206 Partial Content", 'Content-Range: bytes 0-999/1000\nETag: "0x1"', bytes(1000)), at_once=150
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_storage_that_is_frozen_is_waited_for_as_long_as_the_caller_has_time(way):
    with Rubbish(way) as server:
        await ends_in_time(server.connection_string)


async def test_storage_that_takes_no_connection_is_waited_for_as_long_as_the_caller_has_time():
    with rubbish.deaf() as connection_string:
        await ends_in_time(connection_string)


async def ends_in_time(connection_string: str) -> None:
    began = time.monotonic()
    with patience(timedelta(seconds=PATIENCE)):
        results = await all_uses(connection_string, {**READS, **WRITES, **OTHERS})
    assert time.monotonic() - began < PATIENCE + BUSY
    assert unlike(results, lambda _, result: not isinstance(result, StorageUnavailableError)) == {}


async def test_storage_that_came_back_is_used_again():
    """By the same clients, and by the thread that polls."""
    with Rubbish(rubbish.silent) as server:
        account = impatient(server.connection_string)
        with patience(timedelta(seconds=0.3)):
            for use in (READS["read a file"], READS["poll settings"]):
                assert isinstance(await ended(use, account), StorageUnavailableError)
        server.answering = saying(
            response(
                "404 Not Found",
                f"{XML}\nx-ms-error-code: BlobNotFound\nx-ms-request-id: 1",
                b"<Error><Code>BlobNotFound</Code><Message>no</Message></Error>",
            )
        )
        assert await ended(READS["read a file"], account) is None
        assert await ended(READS["poll settings"], account) == LoopSettings()
        await account.close()


async def test_an_error_in_a_line_of_our_own_is_none_of_storages():
    with pytest.raises(ZeroDivisionError):
        async with storage_failures("divide"):
            assert 1 / 0
    with pytest.raises(asyncio.CancelledError):
        async with storage_failures("wait"):
            raise asyncio.CancelledError
