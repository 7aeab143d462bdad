"""A log of others in a loop: what is in it then, exactly once, whatever stops the import; the model and the trainer go on from there."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import BusyError, InvalidRequestError, StorageUnavailableError, UnreadableError
from shared.domain.events import JoinedEvent, LearningMode
from shared.domain.loop import ApprenticeLearning, LearningPolicy, LoopSettings
from shared.joining.dsjson import line
from shared.joining.foreign.reader import DsjsonReader
from shared.joining.reading import read_lines
from shared.learning import artifact
from shared.learning.encoding import Encoder
from shared.learning.learner import Learner
from shared.services.importing import accounts
from shared.services.importing import importer as importing
from shared.services.importing.accounts import HowFar
from shared.services.importing.importer import EventIds, Imported, Importer, Pace
from shared.services.models.replay import Replay
from shared.services.training.lessons import lessons
from shared.storage.cold_log import FileColdLog
from shared.storage.model_store import FileModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.ports import Storage
from tests.builders import after, decision, observation
from tests.clocks import SetClock
from tests.joining import binary_logs as binary
from tests.joining.test_foreign import NAMESPACES, PERSONALIZER, SLOTS
from tests.joining.test_runs import imitating
from tests.keeping import keeper, pointer_of, provenance_of, replayed
from tests.kept_models import delete_chunk
from tests.reliability.world import LOOP, event_log, trainer, write_log
from tests.services.importing.reading_files import MemoryFile
from tests.stores import opened

STORE = "default"
NOW = after(-3600)
KEPT = replace(LOOP, log_retention_days=-1)
"""Before the loop's own events."""


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


def told(number: int, *, day: int = 17) -> bytes:
    at = f"2023-05-{day:02}T08:{number // 60 % 60:02}:{number % 60:02}Z"
    chosen = number % 2
    changes = {
        "EventId": f"e{day}-{number}",
        "Timestamp": at,
        "_label_Action": chosen + 1,
        "_labelIndex": chosen,
        "a": [chosen + 1, 2 - chosen],
    }
    return orjson.dumps({**PERSONALIZER, **changes, "_label_cost": -float(chosen), "o": []})


def log_of(count: int, *, day: int = 17) -> bytes:
    return b"".join(told(number, day=day) + b"\n" for number in range(count))


def importer(account: Storage, *, store: FileModelStore | None = None, loop: LoopSettings = KEPT, pace: Pace | None = None) -> Importer:
    clock = SetClock(NOW)
    return Importer(
        event_log(account, clock),
        FileColdLog(account, loop=STORE),
        store or FileModelStore(account, loop=STORE),
        StoredConfiguration(account, defaults=loop),
        clock=clock,
        pace=pace or Pace(first=30, events=30, commit=60),
    )


async def events_of(account: Storage) -> list[JoinedEvent]:
    log = FileColdLog(account, loop=STORE)
    return [event for name in await log.chain() for event in read_lines(await log.chunk(name))]


def ids(events: Sequence[JoinedEvent]) -> list[str]:
    return [event.decision.event_id for event in events]


# --- what is there then ---


async def test_the_events_are_in_the_joined_log_in_their_order_and_the_model_has_learned_them(account):
    done = await importer(account).run([MemoryFile("a.json", log_of(100))])
    assert (done.events, done.learned, done.read.lines, done.read.files, done.read.malformed, done.chunks) == (100, 100, 100, 1, 0, 4)
    assert ids(await events_of(account)) == [f"e17-{number}" for number in range(100)]
    pointer = await pointer_of(account, STORE)
    assert (pointer.version, pointer.learned, pointer.counters.processed) == (done.version, 100, 0)
    assert pointer.sequence == 2, "a commit after every second chunk"
    made_of = await provenance_of(account, STORE, pointer.version)
    assert (made_of.learned, made_of.chunk) == (100, pointer.chunk)
    assert (done.since, done.until) == (after(0).replace(2023, 5, 17, 8), after(99.000001).replace(2023, 5, 17, 8, 1))


async def test_the_model_is_that_of_a_learner_that_was_given_the_same_and_can_be_replayed(account):
    await importer(account).run([MemoryFile("a.json", log_of(100))])
    pointer = await pointer_of(account, STORE)
    learner, events = Learner.cold(), await events_of(account)
    for first in range(0, 100, 30):
        learner.learn(lessons(events[first : first + 30], Encoder()))
    assert await FileModelStore(account, loop=STORE).state(pointer.version) == artifact.dump_state(learner)
    assert pointer.version in await replayed(account, STORE)


async def test_of_several_chunks_that_led_to_one_model_each_is_needed_to_rebuild_it(account):
    await importer(account).run([MemoryFile("a.json", log_of(100))])
    log, store = FileColdLog(account, loop=STORE), FileModelStore(account, loop=STORE)
    third = (await log.chain())[2]
    await delete_chunk(account, third)
    with pytest.raises(UnreadableError, match=f"chunk {third} of the joined log is missing"):
        await Replay(log, store).plan()


async def test_the_model_of_a_binary_log_is_that_of_the_same_events_in_lines(account):
    decided = [(f"b{number}", after(number - 9e6), number % 2 + 1, float(number % 3)) for number in range(100)]
    parts = [
        binary.events(binary.cb(name, actions=(chosen, 3 - chosen), arrived=at), binary.reward(earned, name, arrived=at))
        for name, at, chosen, earned in decided
    ]
    other = binary.events(binary.event("other", binary.Kind.SLATES, b""))
    done = await importer(account).run([MemoryFile("a.fb.gz", gzip.compress(binary.log(*parts, other)))])
    assert (done.events, done.learned, done.read.lines, done.read.malformed) == (100, 100, 101, 1)
    learner, reader = Learner.cold(), DsjsonReader(undated=NOW)
    for first in range(0, 100, 30):
        lines = [
            {"EventId": name, "Timestamp": at, "_label_cost": -earned, "a": [chosen, 3 - chosen], "p": [0.8, 0.2], "c": binary.CONTEXT}
            for name, at, chosen, earned in decided[first : first + 30]
        ]
        learner.learn(lessons([reader.read(orjson.dumps(each), 1).events[0] for each in lines], Encoder()))
    pointer = await pointer_of(account, STORE)
    assert await FileModelStore(account, loop=STORE).state(pointer.version) == artifact.dump_state(learner)
    assert pointer.version in await replayed(account, STORE)


async def test_what_this_service_logged_itself_comes_back_as_the_same_events(account):
    made = [replace(decision(f"o{number}", at=after(number - 9e6), chosen=number % 2), encoded=b"") for number in range(20)]
    events = [JoinedEvent(each, 0.5, (observation(each.event_id, 0.5, at=each.decided_at),)) for each in made]
    await importer(account).run([MemoryFile("own.json.gz", gzip.compress(b"".join(map(line, events))))])
    assert await events_of(account) == events


async def test_several_files_in_one_import_packed_or_not_and_every_kind_of_line(account):
    slots, namespaces = orjson.dumps(SLOTS), orjson.dumps({**NAMESPACES, "pdrop": 0.5, "_label_probability": 0.125})
    skipped = orjson.dumps({**PERSONALIZER, "EventId": "skipped", "_skipLearn": True})
    files = [
        MemoryFile("1", b"\n" + slots + b"\n\n" + skipped),
        MemoryFile("2.gz", gzip.compress(namespaces + b"\r\n" + log_of(10))),
        MemoryFile("3", slots + b"\n" + log_of(10)),
        MemoryFile("4", b""),
    ]
    done = await importer(account).run(files)
    assert (done.read.files, done.read.lines, done.learned, done.skipped, done.repeated, done.read.thinned) == (4, 24, 13, 1, 12, 1)
    assert [event.decision.slot for event in (await events_of(account))[:3]] == ["top", "side", ""]
    assert done.read.bytes == sum(file.size for file in files)


async def test_lines_that_cannot_be_read_are_counted_and_the_first_are_listed(account, monkeypatch):
    monkeypatch.setattr(accounts, "MOST_TOLD", 3)
    broken = b"".join(b"%b\n{broken\n" % told(number) for number in range(6))
    cut = gzip.compress(log_of(500, day=18))[:3_000]
    late = orjson.dumps({**PERSONALIZER, "Timestamp": "2123-01-01T00:00:00Z"})
    done = await importer(account).run([MemoryFile("cut.gz", cut), MemoryFile("broken", broken + late)])
    assert done.read.malformed == 8
    assert [(each.file, each.line) for each in done.read.told[1:]] == [("broken", 2), ("broken", 4)]
    assert (done.read.told[0].file, "cut off" in done.read.told[0].reason) == ("cut.gz", True)
    assert done.read.told[0].line == done.read.lines - 13 + 1, "the line behind the last that could be read"
    assert done.events == done.read.lines - 7 > 6


async def test_a_log_with_nothing_to_learn_is_there_and_leaves_no_model(account):
    lines = b"".join(orjson.dumps({**PERSONALIZER, "EventId": str(n), "_skipLearn": True}) + b"\n" for n in range(3))
    done = await importer(account).run([MemoryFile("a", lines)])
    assert (done.skipped, done.version, len(await events_of(account))) == (3, "", 3)
    empty = await importer(account).run([MemoryFile("b", b"")])
    assert empty == Imported(HowFar(files=1))
    assert (await pointer_of(account, STORE)).sequence == 1


# --- Apprentice mode ---


APPRENTICE = b"".join(
    orjson.dumps({**told_by_join, "EventId": f"a{number}", "Timestamp": "2023-05-17T08:00:00Z"}) + b"\n"
    for number, told_by_join in enumerate([imitating(1, -5.0), imitating(2, -2.0)])
)


@pytest.mark.parametrize(
    ("settings", "lessons_of"),
    [
        ({}, [5.0, 2.0]),
        ({"learning_mode": LearningMode.APPRENTICE}, [1.0, 0.0]),
        ({"learning_mode": LearningMode.APPRENTICE, "apprentice_learning": ApprenticeLearning.OBSERVE}, [5.0, 2.0]),
    ],
)
async def test_events_of_apprentice_mode_count_in_its_figures_and_teach_what_the_loops_own_would(account, settings, lessons_of):
    files = [MemoryFile("a.json.gz", gzip.compress(APPRENTICE)), MemoryFile("b.json", log_of(30))]
    done = await importer(account, loop=replace(KEPT, **settings)).run(files)
    assert (done.read.apprentice, done.apprentice.rewards, done.apprentice.imitated) == (2, (5.0, 2.0), (True, False))
    assert (await pointer_of(account, STORE)).apprentice == done.apprentice
    events = await events_of(account)
    assert [event.decision.mode for event in events] == [LearningMode.APPRENTICE] * 2 + [LearningMode.ONLINE] * 30
    assert lessons(events[:2], Encoder()).rewards.tolist() == lessons_of
    assert (await pointer_of(account, STORE)).version in await replayed(account, STORE)


# --- exactly once ---


async def test_importing_again_changes_nothing_and_what_is_new_in_it_is_added(account):
    await importer(account).run([MemoryFile("a", log_of(50))])
    before = await pointer_of(account, STORE)
    again = await importer(account).run([MemoryFile("b.gz", gzip.compress(log_of(50)))])
    assert (again.events, again.repeated, again.version) == (0, 50, "")
    assert await pointer_of(account, STORE) == before
    more = await importer(account).run([MemoryFile("a", log_of(70))])
    assert (more.events, more.repeated) == (20, 50)
    assert sorted(ids(await events_of(account))) == sorted(f"e17-{number}" for number in range(70))
    assert more.version in await replayed(account, STORE)


async def test_lines_without_ids_are_events_of_their_own_in_each_file_and_the_same_when_they_come_again(account):
    nameless = {name: value for name, value in PERSONALIZER.items() if name not in ("EventId", "Timestamp")}
    log = (orjson.dumps(nameless) + b"\n") * 3
    first = await importer(account).run([MemoryFile("logs/17.json", log), MemoryFile("logs/18.json", log)])
    assert (first.events, first.repeated) == (6, 0)
    packed = MemoryFile("elsewhere\\17.json.gz", gzip.compress(log))
    again = await importer(account).run([packed, MemoryFile("18.json", log + orjson.dumps(nameless))])
    assert (again.events, again.repeated) == (1, 6)
    assert len(set(ids(await events_of(account)))) == 7


class Failing(FileModelStore):
    """Fails at the n-th write, before or after it is done."""

    def __init__(self, account: Storage, *, at: int, is_done: bool) -> None:
        super().__init__(account, loop=STORE)
        self.left, self.is_done = at, is_done

    async def _write(self, write) -> object:
        self.left -= 1
        if self.left:
            return await write
        if self.is_done:
            await write
        else:
            write.close()
        raise StorageUnavailableError("stopped")

    async def write_chunk(self, *arguments, **named):
        await self._write(super().write_chunk(*arguments, **named))

    async def write_state(self, *arguments, **named):
        await self._write(super().write_state(*arguments, **named))

    async def write_artifact(self, *arguments, **named):
        await self._write(super().write_artifact(*arguments, **named))

    async def commit(self, *arguments, **named):
        return await self._write(super().commit(*arguments, **named))


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("at", range(1, 10))
@pytest.mark.sweep(keep=5)
async def test_stopped_at_any_write_and_run_again_each_event_is_there_once(account, at, is_done):
    files = [MemoryFile("a", log_of(70)), MemoryFile("b", log_of(20, day=18))]
    stopped = importer(account, store=Failing(account, at=at, is_done=is_done))
    with contextlib.suppress(StorageUnavailableError):
        await stopped.run(files)
    done = await importer(account).run(files)
    assert done.events + done.repeated == 90
    found = await events_of(account)
    assert len(found) == 90 == len(set(ids(found)))
    assert (await pointer_of(account, STORE)).learned == 90
    assert (await pointer_of(account, STORE)).version in await replayed(account, STORE)


async def test_a_chunk_that_a_stopped_import_left_is_not_taken_for_one_at_another_place(account):
    """The second of two chunks is what the next import begins with."""
    stopped = importer(account, store=Failing(account, at=3, is_done=False))
    first, second = MemoryFile("a", log_of(30)), MemoryFile("b", log_of(30, day=18))
    with pytest.raises(StorageUnavailableError):
        await stopped.run([first, second])
    await importer(account).run([second])
    assert ids(await events_of(account)) == [f"e18-{number}" for number in range(30)]
    await importer(account).run([first])
    assert len(await events_of(account)) == 60
    assert (await pointer_of(account, STORE)).version in await replayed(account, STORE)


async def test_a_cancelled_import_leaves_what_it_committed_and_lets_go_of_the_right_to_train(account):
    heard: list[Imported] = []

    def tell(done: Imported) -> None:
        heard.append(done)
        if done.chunks == 3:
            task.cancel()

    task = asyncio.ensure_future(importer(account).run([MemoryFile("a", log_of(300))], tell=tell))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await events_of(account)) == 60
    assert heard[-1].version == (await pointer_of(account, STORE)).version
    assert (await importer(account).run([MemoryFile("a", log_of(300))])).events == 240


# --- beside the loop's own events ---


async def test_the_trainer_goes_on_behind_what_was_imported_and_counts_its_own_events_only(account):
    done = await importer(account).run([MemoryFile("a", log_of(50))])
    counters = await write_log(account)
    for at in (after(60), after(120)):
        await trainer(account, at, store=STORE).run()
    pointer = await pointer_of(account, STORE)
    assert pointer.counters == counters
    assert pointer.learned == 50 + counters.learned
    found = await events_of(account)
    assert ids(found)[:50] == [f"e17-{number}" for number in range(50)]
    assert len(found) == 50 + counters.processed
    assert {done.version, pointer.version} <= set(await replayed(account, STORE))


async def test_events_that_wait_while_a_log_is_imported_are_learned_after_it(account):
    counters = await write_log(account)
    await importer(account).run([MemoryFile("a", log_of(50))])
    await trainer(account, after(120), store=STORE).run()
    assert (await pointer_of(account, STORE)).counters == counters


async def test_a_loop_that_has_learned_events_of_its_own_takes_no_log(account):
    await write_log(account)
    await trainer(account, after(60), store=STORE).run()
    before = await pointer_of(account, STORE)
    with pytest.raises(InvalidRequestError, match="import into a new loop"):
        await importer(account).run([MemoryFile("a", log_of(5))])
    assert await pointer_of(account, STORE) == before


async def test_a_window_that_the_trainer_left_half_done_before_an_import_is_another_chunk_after_it(account):
    """The same window of the same events, but behind other chunks: the one that was left does not take its place."""
    counters = await write_log(account)
    made = trainer(account, after(120), store=STORE, max_events=40, kept=Failing(account, at=2, is_done=False))
    with pytest.raises(StorageUnavailableError):
        await made.run()
    await importer(account).run([MemoryFile("a", log_of(50))])
    for at in (after(120), after(140)):
        await trainer(account, at, store=STORE, max_events=40).run()
    assert (await pointer_of(account, STORE)).counters == counters
    assert len(await events_of(account)) == 50 + counters.processed


async def test_what_retention_would_delete_is_refused_before_anything_is_there(account):
    short = importer(account, loop=replace(LOOP, log_retention_days=90))
    with pytest.raises(
        InvalidRequestError,
        match=r"for 90 days \(logRetentionDays\), and events of 2023-05-17 .*config set logRetentionDays=-1 --loop default --key KEY",
    ):
        await short.run([MemoryFile("a", log_of(5))])
    assert await FileModelStore(account, loop=STORE).pointer() is None
    long = importer(account, loop=replace(LOOP, log_retention_days=5_000))
    assert (await long.run([MemoryFile("a", log_of(5))])).events == 5


async def test_a_log_that_is_kept_for_longer_than_there_have_been_days_takes_everything(account):
    kept = importer(account, loop=replace(LOOP, log_retention_days=2**31 - 1))
    assert (await kept.run([MemoryFile("a", log_of(5))])).events == 5


async def test_while_another_trains_an_import_waits_and_then_says_so(account, monkeypatch):
    monkeypatch.setattr(importing, "_PATIENCE", 1)
    async with FileModelStore(account, loop=STORE).lease() as is_mine:
        assert is_mine
        with pytest.raises(BusyError, match="at work"):
            await importer(account).run([MemoryFile("a", log_of(5))])


async def test_when_another_commit_comes_first_what_was_imported_stays_and_the_import_says_so(account):
    deleted: list[asyncio.Future[None]] = []

    def tell(done: Imported) -> None:
        if done.chunks == 2 and not deleted:
            deleted.append(asyncio.ensure_future(keeper(account, NOW, store=STORE).delete()))

    with pytest.raises(BusyError, match="Import again"):
        await importer(account).run([MemoryFile("a", log_of(300))], tell=tell)
    assert 60 <= len(await events_of(account)) < 300
    done = await importer(account).run([MemoryFile("a", log_of(300))])
    assert len(await events_of(account)) == 300
    assert done.version in await replayed(account, STORE)


# --- what becomes of it ---


@pytest.mark.parametrize(
    "changed",
    [{"reward_wait": timedelta(hours=1)}, {"default_reward": 0.5}, {"policy": LearningPolicy("mine", "--cb_explore_adf --ignore u")}],
    ids=lambda changed: next(iter(changed)),
)
@pytest.mark.parametrize("is_deleted", [False, True], ids=["with its model", "even when the model was taken away"])
async def test_settings_that_change_later_have_all_learned_again_that_was_imported_however_old_it_is(account, changed, is_deleted):
    done = await importer(account).run([MemoryFile("a", log_of(300))])
    if is_deleted:
        await keeper(account, NOW, store=STORE).delete()
    later = NOW + timedelta(days=100)
    await trainer(account, later, store=STORE, loop=replace(KEPT, resets=1, **changed)).run()
    anew = await pointer_of(account, STORE)
    assert (anew.learned, anew.resets, anew.imported) == (done.learned, 1, 300)


async def test_days_that_the_owner_has_set_hold_for_an_imported_log_as_well(account):
    await importer(account).run([MemoryFile("a", log_of(300))])
    mine = replace(KEPT, resets=1, model_retrain_days=2, retrains_last_days=True)
    await trainer(account, NOW + timedelta(days=100), store=STORE, loop=mine).run()
    assert (await pointer_of(account, STORE)).version == ""


# --- what has come already ---


@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=5))
def test_of_several_events_alike_the_first_is_new_and_no_other(batches):
    known, seen = EventIds(), set()
    for batch in batches:
        events = [JoinedEvent(decision(f"e{number}"), 0.0) for number in batch]
        expected = []
        for number in batch:
            expected.append(number not in seen)
            seen.add(number)
        assert known.fresh(events) == expected


def test_slots_of_an_event_are_events_of_their_own():
    events = [JoinedEvent(decision("e", slot=slot), 0.0) for slot in ("", "top", "side", "top")]
    assert EventIds().fresh(events) == [True, True, True, False]
