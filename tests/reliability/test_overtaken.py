"""A commit that was done, lost its answer and was overtaken by another is not done twice."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from shared.domain.errors import BusyError, ConflictError, StorageUnavailableError
from shared.domain.evaluation import Evaluation, Job
from shared.domain.ledger import ModelKind
from shared.domain.loop import LearningPolicy, LoopSettings, Tier
from shared.services.importing.importer import Importer, Pace
from shared.services.loops.loops import Loops
from shared.storage import names
from shared.storage.azure.storage import AzureStorage
from shared.storage.cold_log import FileColdLog
from shared.storage.evaluation_store import evaluation_store
from shared.storage.files import MARKS_KEPT, OVERTAKEN, File, Files
from shared.storage.loop_store import FileLoopStore, FileUsage
from shared.storage.model_store import FileModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.ports import Storage
from shared.storage.settings import AccountSettings
from shared.storage.work_files import StoredWorkFiles
from tests.builders import T0, after
from tests.clocks import SetClock
from tests.keeping import keeper, pointer_of
from tests.memory_proxy import MemoryProxy
from tests.processes import WAIT, Process
from tests.reliability.world import FIRST, LOOP, SECOND, trainer, write_log
from tests.services.importing.reading_files import MemoryFile
from tests.services.importing.test_importer import log_of
from tests.storage_proxy import Call, Fault, StorageProxy
from tests.stores import FEW_ON_AZURITE, SHORT_PAUSES, on_azurite, opened, overwrite

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a torn connection's remains

NAME = "anything"


@pytest.fixture(params=["memory", FEW_ON_AZURITE[1]])
def engine(request: pytest.FixtureRequest) -> str:
    """What becomes of a write whose answer was lost is decided above the engines: by what its repetition is told."""
    found: str = request.param
    return found


def overtaken(proxy: StorageProxy | MemoryProxy, storage: str, path: str, other: Callable[[Storage], Awaitable[object]]) -> list[Call]:
    """Do the next write of this blob, let another process write, and tear the connection; gives the calls that were torn."""
    torn: list[Call] = []

    async def overtake() -> None:
        account = opened(storage)
        try:
            await other(account)
        finally:
            await account.close()

    def plan(call: Call) -> Fault | None:
        if call.method != "PUT" or not call.path.endswith(path) or torn:
            return None
        torn.append(call)
        return Fault(done_first=True, meanwhile=lambda: asyncio.run(overtake()))

    proxy.plan = plan
    return torn


# --- the pointer -----------------------------------------------------------------------------------------------------------


async def commit_another(account: Storage, store: str = LOOP.name) -> None:
    """Commit something that changes nothing but the number of commits."""
    models = FileModelStore(account, loop=store)
    pointer, etag = await models.pointer() or pytest.fail("there is no pointer")
    await models.commit(replace(pointer, sequence=pointer.sequence + 1), expected=etag)


async def test_a_log_is_deleted_once(proxy, storage, faulty, account):
    clock = SetClock(T0)
    one, other = Process(faulty, clock), Process(account, clock)
    await other.rank("learned")
    clock.pass_(WAIT + 1)
    await other.train()
    await other.rank("waiting")
    clock.pass_(1)
    torn = overtaken(proxy, storage, "pointer.json", commit_another)
    await one.logs.delete()
    assert len(torn) == 1
    found = await other.pointer()
    assert (found.log.generation, found.sequence, found.counters.skipped) == (2, 3, {"logDeleted": 1})
    assert one.log.epoch == found.log
    one.models.stop()
    other.models.stop()


CHANGES = {
    "delete": lambda keeping, version: keeping.delete(),
    "restore": lambda keeping, version: keeping.restore(version),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_model_is_changed_by_hand_once_and_what_came_after_it_stands(proxy, storage, faulty, account, what):
    await write_log(account)
    await trainer(account, FIRST, store="kept", max_events=30).run()
    before = await pointer_of(account, "kept")
    oldest = (await keeper(account, FIRST, store="kept").versions())[-1].version

    async def put_another_model_online(another: Storage) -> None:
        await trainer(another, SECOND, store="kept", max_events=10_000).run()

    torn = overtaken(proxy, storage, "pointer.json", put_another_model_online)
    await CHANGES[what](keeper(faulty, FIRST, store="kept"), oldest)
    assert len(torn) == 1
    after_all = await pointer_of(account, "kept")
    kinds = [kept.kind for kept in await keeper(account, FIRST, store="kept").versions()]
    assert after_all.counters == (await pointer_of(account, "expected")).counters, "the trainer's commits stand"
    assert after_all.version, "what was learned after the deletion, or the way back, is published"
    assert kinds.count(ModelKind.RESTORED) == (1 if what == "restore" else 0)
    assert after_all.sequence > before.sequence + 1


async def test_a_window_is_learned_once_and_the_trainer_goes_on_from_what_came_after_it(proxy, storage, faulty, account):
    await write_log(account)
    await trainer(account, SECOND, store="alone", max_events=40).run()
    learning = trainer(faulty, SECOND, store="mine", max_events=40)
    torn = overtaken(proxy, storage, "pointer.json", lambda another: commit_another(another, "mine"))
    commits = await learning.run()
    assert len(torn) == 1
    done = await pointer_of(account, "mine")
    assert done.counters == (await pointer_of(account, "alone")).counters
    assert done.sequence == len(commits) + 1


async def test_an_import_that_was_overtaken_says_so_and_what_it_committed_is_there_once(proxy, storage, faulty, account):
    def importer(of: Storage) -> Importer:
        log = Process(of, SetClock(after(3600))).log
        configuration = StoredConfiguration(of, defaults=replace(LOOP, log_retention_days=-1))
        joined, store = FileColdLog(of, loop="mine"), FileModelStore(of, loop="mine")
        return Importer(log, joined, store, configuration, clock=SetClock(after(3600)), pace=Pace(first=10, commit=20))

    files = [MemoryFile("a", log_of(50))]
    torn = overtaken(proxy, storage, "pointer.json", lambda another: commit_another(another, "mine"))
    with pytest.raises(BusyError):
        await importer(faulty).run(files)
    assert len(torn) == 1
    again = await importer(account).run(files)
    assert again.repeated == 20
    assert again.events == 30
    assert (await pointer_of(account, "mine")).learned == 50


# --- records ---------------------------------------------------------------------------------------------------------------


def loops(account: Storage) -> Loops:
    return Loops(FileLoopStore(account), defaults=LoopSettings(), clock=SetClock(T0), check_mirror=lambda _: None)


async def test_a_loop_that_was_deleted_and_made_again_meanwhile_is_not_deleted_again(proxy, storage, faulty, account):
    await loops(account).put("news", Tier.S0, {})
    torn = overtaken(proxy, storage, "configuration.json", lambda another: loops(another).put("news", Tier.S0, {}))
    ended = await loops(faulty).delete("news")
    assert len(torn) == 1
    assert not ended.is_there
    record = await loops(account).read("news")
    assert (record.life, len(record.remains)) == (2, 1)


async def test_who_made_a_loop_is_told_its_keys_even_if_it_was_changed_or_deleted_meanwhile(proxy, storage, faulty, account):
    await loops(account).put("other", Tier.S0, {})
    torn = overtaken(proxy, storage, "configuration.json", lambda another: loops(another).regenerate("news", 1, own_keys=()))
    assert len((await loops(faulty).put("news", Tier.S0, {})).keys) == 2
    assert len(torn) == 1
    torn = overtaken(proxy, storage, "configuration.json", lambda another: loops(another).delete("more"))
    assert len((await loops(faulty).put("more", Tier.S0, {})).keys) == 2
    assert len(torn) == 1
    assert not (await FileLoopStore(account).read("more") or pytest.fail("it is not there"))[0].is_there


async def test_a_setting_that_another_changed_meanwhile_is_not_changed_back(proxy, storage, faulty, account):
    await loops(account).put("news", Tier.S0, {})
    torn = overtaken(proxy, storage, "configuration.json", lambda another: loops(another).put("news", None, {"default_reward": 0.25}))
    await loops(faulty).put("news", None, {"default_reward": 0.5})
    assert len(torn) == 1
    settings = (await loops(account).read("news")).settings(LoopSettings())
    assert (settings.default_reward, settings.resets) == (0.25, 2)


# --- others ----------------------------------------------------------------------------------------------------------------


async def test_a_portion_of_calls_is_taken_once(proxy, storage, faulty, account):
    usage = FileUsage(account, place="news")
    assert await usage.grant("202611", wanted=20, limit=100) == 20
    torn = overtaken(
        proxy,
        storage,
        names.usage_file("news", "202611"),
        lambda another: FileUsage(another, place="news").grant("202611", wanted=20, limit=100),
    )
    assert await FileUsage(faulty, place="news").grant("202611", wanted=20, limit=100) == 20
    assert len(torn) == 1
    assert await usage.grant("202611", wanted=100, limit=100) == 40


async def test_an_evaluation_that_was_asked_for_is_not_refused_since_its_worker_was_quick(proxy, storage, faulty, account):
    asked = Evaluation(Job("e1", "first", T0, after(3600), T0), LearningPolicy("default", "--cb_explore_adf"))

    async def begin(another: Storage) -> None:
        store = evaluation_store(another, loop="news")
        found, etag = await store.read("e1") or pytest.fail("it is not there")
        await store.replace(replace(found, job=replace(found.job, description="under way")), expected=etag)

    await evaluation_store(account, loop="news").create(replace(asked, job=replace(asked.job, id="e0")))
    torn = overtaken(proxy, storage, names.job_file("e1"), begin)
    await evaluation_store(faulty, loop="news").create(asked)
    assert len(torn) == 1


# --- the law ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def several(proxy) -> AsyncIterator[list[Files]]:
    patient = {**SHORT_PAUSES, **dict.fromkeys(("retry_total", "retry_connect", "retry_read", "retry_status"), 20)}
    accounts = [AzureStorage(AccountSettings(connection_string=proxy.connection_string), retries=patient) for _ in range(4)]
    yield [Files(account, "counts") for account in accounts]
    for account in accounts:
        await account.close()


async def present(files: Files, name: str) -> File:
    file = await files.read(name)
    assert file is not None
    return file


async def raised(files: Files) -> None:
    """Add one to a number that others add to as well."""
    while True:
        file = await files.read(NAME)
        number = int(file.data.split()[0]) if file else 0
        text = f"{number + 1} {secrets.token_hex(8)}".encode()  # the same content by another is no conflict
        try:
            await files.replace(NAME, text, expected=file.etag if file else None)
        except ConflictError:
            continue
        return


@on_azurite
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.sweep(keep=1)
async def test_what_several_change_at_once_through_answers_that_get_lost_is_changed_once_by_each(proxy, several, seed):
    chance = random.Random(seed)
    tear = Fault(done_first=True)
    fail = Fault(500, done_first=True)
    await several[0].write_once("the container is there", b"")
    proxy.plan = lambda call: chance.choice([None, None, None, None, tear, fail]) if call.method == "PUT" else None
    await asyncio.gather(*[raised(files) for files in several for _ in range(6)])
    file = await present(several[0], NAME)
    assert int(file.data.split()[0]) == len(several) * 6


async def test_so_many_writes_may_come_between_and_no_more(proxy, storage, faulty, account):
    mine, others = Files(faulty, "counts"), Files(account, "counts")
    for between, is_known in ((MARKS_KEPT - 1, True), (MARKS_KEPT, False)):
        first = await others.replace(f"{between}", b"first", expected=None)

        async def write(another: Storage, between: int = between) -> None:
            files = Files(another, "counts")
            for number in range(between):
                file = await present(files, f"{between}")
                await files.replace(f"{between}", f"{number}".encode(), expected=file.etag)

        overtaken(proxy, storage, f"{between}", write)
        if is_known:
            assert await mine.replace(f"{between}", b"mine", expected=first) == OVERTAKEN
        else:
            with pytest.raises(ConflictError):
                await mine.replace(f"{between}", b"mine", expected=first)


async def test_what_goes_by_a_write_that_was_overtaken_is_a_conflict(proxy, storage, faulty, account):
    mine = StoredWorkFiles(faulty, loop="news")
    first = await mine.replace("board", b"first", expected=None)

    async def write(another: Storage) -> None:
        files = StoredWorkFiles(another, loop="news")
        await files.replace("board", b"theirs", expected=(await files.read("board") or pytest.fail("it is not there"))[1])

    overtaken(proxy, storage, "board", write)
    etag = await mine.replace("board", b"mine", expected=first)
    with pytest.raises(ConflictError):
        await mine.replace("board", b"more", expected=etag)
    assert (await mine.read("board") or pytest.fail("it is not there"))[0] == b"theirs"


async def test_a_file_that_knows_no_marks_is_replaced_as_before(account):
    """As an older release writes it: without any."""
    files = Files(account, "counts")
    await files.write_once(NAME, b"first")
    await overwrite(account, "counts", NAME, b"older")
    file = await present(files, NAME)
    assert file.etag.marks == ()
    assert await files.replace(NAME, b"newer", expected=file.etag)


@pytest.mark.parametrize("status", [409, 412])
async def test_what_was_refused_and_is_not_there_was_not_written(proxy, faulty, status):
    """A chunk that is taken for written already would be missing from the log for ever."""
    proxy.plan = lambda call: Fault(status) if call.method == "PUT" else None
    with pytest.raises(StorageUnavailableError):
        await Files(faulty, "counts").write_once(NAME, b"chunk")
