"""A model begun anew in many short runs: windows go on meanwhile, and it comes to the bytes of one long run."""

import asyncio
import hashlib
import random
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import numpy as np
import orjson
import pytest

from shared.domain.clock import TimeLimit
from shared.domain.errors import NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.ledger import LEFT_BEHIND, ModelKind, Pointer
from shared.domain.loop import LearningPolicy, LoopSettings, RewardAggregation
from shared.joining.chunks import compressed, decompressed
from shared.learning import artifact
from shared.services.log.logs import Logs
from shared.services.training import retraining
from shared.services.training.trainer import SLICE
from shared.storage import names
from shared.storage.checkpoints import read_checkpoint, write_checkpoint
from shared.storage.cold_log import FileColdLog
from shared.storage.files import Files
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from tests.builders import T0, after, decision, observation
from tests.clocks import SetClock, Ticks
from tests.keeping import content_of, keeper, pointer_of, provenance_of, replayed
from tests.prepared import Prepared
from tests.reliability.world import (
    FIRST,
    LOOKBACK,
    LOOP,
    RESET,
    SECOND,
    SETTLED_FOR,
    event_log,
    retention,
    trainer,
    write_log,
)
from tests.stores import opened

STORE = "anew"
AT_ONCE = "at once"
"""The store whose model was begun anew in one run, as the others come to in many: it is made with the log."""

OTHER_REWARDS = replace(RESET, default_reward=0.3, reward_aggregation=RewardAggregation.MAX)
A_CHUNK = SLICE.total_seconds()
"""Of a clock that goes on by so much whenever it is looked at: a slice is over with its first chunk."""


@pytest.fixture
def storage(storage: str, prepared: Prepared, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty store; for a test that asks for `learned`, one with the log, of which the first windows are learned."""
    with prepared.copy(first_windows) if "learned" in request.fixturenames else nullcontext(storage) as place:
        yield place


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


@pytest.fixture
async def learned(account) -> Pointer:
    """The first windows of the log, learned in many commits; the second ones wait."""
    return await pointer_of(account, STORE)


async def first_windows(account: Storage) -> None:
    await write_log(account)
    await learn(account, STORE)
    await in_one_run(account, AT_ONCE)


async def learn(account, store: str, *, loop: LoopSettings = LOOP) -> Pointer:
    await trainer(account, FIRST, store=store, max_events=12, loop=loop).run()
    return await pointer_of(account, store)


def short(seconds: float = 1.5 * A_CHUNK) -> TimeLimit:
    """A limit that is over soon: each look at its clock takes as long as a slice."""
    return TimeLimit(timedelta(seconds=seconds), monotonic=Ticks(A_CHUNK))


async def in_short_runs(account, *, at=FIRST, loop: LoopSettings = RESET, store: str = STORE, most: int = 60) -> int:
    """Train as processes do that are stopped after each slice, until the model is published; tells how many it took."""
    for number in range(1, most):
        await trainer(account, at, store=store, loop=loop, max_events=12).turn(short())
        if (await pointer_of(account, store)).resets == loop.resets:
            return number
    raise AssertionError("it never comes to an end")


async def progress_of(account, store: str = STORE):
    return await FileModelStore(account, loop=store).checkpoints.progress()


async def in_one_run(account, store: str, *, loop: LoopSettings = RESET, at=FIRST) -> tuple[bytes, bytes]:
    await learn(account, store)
    await trainer(account, at, store=store, loop=loop, max_events=12).run()
    return await content_of(account, store, (await pointer_of(account, store)).version)


async def at_once(account) -> tuple[bytes, bytes]:
    return await content_of(account, AT_ONCE, (await pointer_of(account, AT_ONCE)).version)


@pytest.mark.parametrize("loop", [RESET, OTHER_REWARDS], ids=["same rewards", "other rewards"])
async def test_many_short_runs_come_to_the_bytes_of_one(account, learned, loop):
    runs = await in_short_runs(account, loop=loop)
    anew = await pointer_of(account, STORE)
    assert runs > 3
    assert await content_of(account, STORE, anew.version) == await in_one_run(account, "otherwise", loop=loop)
    assert await replayed(account, STORE) == [anew.version]
    assert await progress_of(account) is None


async def test_one_process_with_many_short_turns_does_so_too_and_loads_nothing_again(account, learned):
    warm = trainer(account, FIRST, store=STORE, loop=RESET)
    turns = [await warm.turn(short()) for _ in range(3)]
    await Files(account, names.MODELS).metadata(names.checkpoint_file(STORE))
    while (await pointer_of(account, STORE)).resets != 1:
        turns.append(await warm.turn(short()))
    assert [turn.is_done for turn in turns[:-1]] == [False] * (len(turns) - 1)
    assert await content_of(account, STORE, (await pointer_of(account, STORE)).version) == await at_once(account)


async def test_windows_are_joined_counted_figured_and_stored_meanwhile_and_the_old_model_serves(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    await trainer(account, SECOND, store=STORE, loop=RESET, max_events=12).turn(short(6 * A_CHUNK))
    meanwhile = await pointer_of(account, STORE)
    assert (meanwhile.version, meanwhile.published_at, meanwhile.learned) == (learned.version, learned.published_at, learned.learned)
    assert meanwhile.watermark > learned.watermark
    assert meanwhile.counters.learned > learned.counters.learned
    assert (meanwhile.chunk != learned.chunk, meanwhile.figures != learned.figures) == (True, True)
    assert meanwhile.resets == LEFT_BEHIND
    await in_short_runs(account, at=SECOND)
    await trainer(account, SECOND, store=STORE, loop=RESET).run()
    done, expected = await pointer_of(account, STORE), await pointer_of(account, "expected")
    assert (done.counters, done.watermark, done.learned) == (expected.counters, expected.watermark, expected.learned)
    assert (await provenance_of(account, STORE, done.version)).kind is ModelKind.RETRAINED
    assert await replayed(account, STORE) == [done.version]


async def test_neither_starves_the_other(account, learned):
    """Time goes to whichever had less of it, however much there is to do for both."""
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    before = await progress_of(account)
    turn = await trainer(account, SECOND, store=STORE, loop=RESET, max_events=6).turn(short(30 * A_CHUNK))
    far = await progress_of(account)
    assert before is not None
    assert far is None or far.done > before.done + 1
    assert len(turn.commits) > 1


async def test_once_it_was_begun_windows_come_first_lest_a_model_that_kills_its_process_holds_them_up(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    turn = await trainer(account, SECOND, store=STORE, loop=RESET, max_events=12).turn(short())
    assert [commit.pointer.resets for commit in turn.commits] == [LEFT_BEHIND]


async def test_settings_taken_back_after_windows_that_the_old_model_has_not_learned_begin_it_anew_all_the_same(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    await trainer(account, SECOND, store=STORE, loop=RESET, max_events=12).turn(short())
    await trainer(account, SECOND, store=STORE, loop=LOOP).run()
    done, expected = await pointer_of(account, STORE), await pointer_of(account, "expected")
    assert (done.resets, done.counters, done.learned) == (0, expected.counters, expected.learned)
    assert (await replayed(account, STORE))[-1] == done.version


async def test_settings_taken_back_before_any_window_leave_the_old_model_as_it_is_and_the_checkpoint_goes(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    await trainer(account, FIRST, store=STORE, loop=LOOP).run()
    assert await pointer_of(account, STORE) == learned
    await retention(account, store=STORE, models_kept=5).run()
    assert await progress_of(account) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(OTHER_REWARDS, resets=2),
        replace(RESET, default_reward=0.3),
        replace(RESET, reward_aggregation=RewardAggregation.MAX),
        replace(RESET, policy=LearningPolicy("mine", "--cb_explore_adf --ignore i")),
        replace(RESET, resets=2, model_retrain_days=0, retrains_last_days=True),
    ],
    ids=["reset again", "a default of the app", "an aggregation of the app", "a policy of the app", "from nothing"],
)
@pytest.mark.sweep(keep=2)
async def test_what_was_learned_under_other_settings_is_not_gone_on_with(account, learned, other):
    for _ in range(3):
        await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    await in_short_runs(account, loop=other)
    anew = await pointer_of(account, STORE)
    await learn(account, "otherwise")
    await trainer(account, FIRST, store="otherwise", loop=other).run()
    expected = await pointer_of(account, "otherwise")
    assert (anew.learned, bool(anew.version)) == (expected.learned, bool(expected.version))
    if anew.version:
        assert await content_of(account, STORE, anew.version) == await content_of(account, "otherwise", expected.version)


async def test_three_resets_in_a_row_are_one_in_the_end(account, learned):
    for resets in (1, 2, 3):
        await trainer(account, FIRST, store=STORE, loop=replace(RESET, resets=resets)).turn(short())
    await in_short_runs(account, loop=replace(RESET, resets=3))
    anew = await pointer_of(account, STORE)
    assert (anew.sequence, anew.resets) == (learned.sequence + 1, 3)
    assert await content_of(account, STORE, anew.version) == await at_once(account)


@pytest.mark.parametrize("change", ["restore", "delete", "import"])
async def test_a_change_by_hand_takes_the_place_of_a_model_that_is_begun_anew(account, learned, change):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    by_hand = keeper(account, FIRST, store=STORE, loop=RESET)
    if change == "restore":
        await by_hand.restore((await by_hand.versions())[-1].version)
    elif change == "delete":
        await by_hand.delete()
    else:
        await by_hand.import_((await by_hand.export_signed())[0])
    changed = await pointer_of(account, STORE)
    assert changed.resets == 1
    await trainer(account, FIRST, store=STORE, loop=RESET).run()
    assert await pointer_of(account, STORE) == changed
    again = replace(RESET, resets=2)
    await in_short_runs(account, loop=again)
    anew = await pointer_of(account, STORE)
    assert await content_of(account, STORE, anew.version) == await in_one_run(account, "otherwise", loop=again)


async def test_a_change_by_hand_after_windows_that_nothing_learned_goes_on_from_there(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    await trainer(account, SECOND, store=STORE, loop=RESET, max_events=12).turn(short())
    by_hand = keeper(account, SECOND, store=STORE, loop=RESET)
    await by_hand.restore(learned.version)
    await trainer(account, SECOND, store=STORE, loop=RESET).run()
    done = await pointer_of(account, STORE)
    assert done.counters == (await pointer_of(account, "expected")).counters
    assert done.learned < done.counters.learned
    assert await replayed(account, STORE)


async def test_a_log_deleted_in_the_middle_is_learned_no_further(account, learned):
    for _ in range(3):
        await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    clock = SetClock(after(95))
    store, joined = FileModelStore(account, loop=STORE), FileColdLog(account, loop=STORE)
    await Logs(event_log(account, clock), joined, store, clock=clock, lookback=LOOKBACK, settled_for=SETTLED_FOR).delete()
    await trainer(account, FIRST, store=STORE, loop=RESET).run()
    gone = await pointer_of(account, STORE)
    assert (gone.version, gone.resets, gone.previous) == ("", 1, learned.version)
    assert await progress_of(account) is None


class Deleting(FileColdLog):
    """A log that is deleted while one of its chunks is asked for."""

    def __init__(self, account, delete) -> None:
        super().__init__(account, loop=STORE)
        self._delete = delete
        self._asked = 0

    async def chunk(self, name: str) -> bytes:
        self._asked += 1
        if self._asked == 2:
            await self._delete()
        return await super().chunk(name)


async def test_a_log_deleted_within_a_slice_ends_it_without_a_word_about_chunks_that_cannot_be_read(account, learned, caplog):
    clock = SetClock(after(95))
    store = FileModelStore(account, loop=STORE)
    logs = Logs(event_log(account, clock), FileColdLog(account, loop=STORE), store, clock=clock, lookback=LOOKBACK, settled_for=SETTLED_FOR)
    made = trainer(account, FIRST, store=STORE, loop=RESET)
    made._retrainer = retraining.Retrainer(Deleting(account, logs.delete), store, clock=clock)
    assert await made.run() == []
    assert not [record for record in caplog.records if "left out" in record.message]
    assert (await pointer_of(account, STORE)).version == learned.version


async def test_chunks_that_retention_deletes_meanwhile_are_left_out_and_what_is_behind_them_is_learned(account, learned):
    chain = await FileColdLog(account, loop=STORE).chain()
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    far = await progress_of(account)
    assert far is not None
    for name in chain[: far.done + 2]:
        await delete_chunk(account, name)
    await in_short_runs(account)
    anew = await pointer_of(account, STORE)
    assert 0 < anew.learned < learned.learned


async def test_where_the_first_chunks_cannot_be_read_the_model_begins_with_the_first_that_can_and_can_be_replayed(account, learned):
    chain = await FileColdLog(account, loop=STORE).chain()
    await Files(account, names.LOGS).delete(names.chunks_prefix(STORE) + chain[0])
    await in_short_runs(account)
    anew = await pointer_of(account, STORE)
    assert (await provenance_of(account, STORE, anew.version)).first == chain[1]
    assert await replayed(account, STORE) == [anew.version]


async def delete_chunk(account, name: str) -> None:
    await Files(account, names.LOGS).delete(names.chunks_prefix(STORE) + name)


@pytest.mark.parametrize("seconds", [-400 * 86_400, -1, 40 * 86_400], ids=["years back", "a second back", "weeks on"])
async def test_clocks_that_jump_change_nothing_of_what_was_begun(account, learned, seconds):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    jumped = after(60 + seconds)
    made = trainer(account, jumped, store=STORE, loop=RESET)
    while (await pointer_of(account, STORE)).resets != 1:
        await made.turn(short())
    anew = await pointer_of(account, STORE)
    assert anew.learned == anew.counters.learned >= learned.learned
    assert await replayed(account, STORE) == [anew.version]


async def test_which_days_are_learned_is_decided_when_it_begins(account, learned):
    """However long it takes, and whatever becomes of the setting meanwhile."""
    loop = replace(RESET, model_retrain_days=1, retrains_last_days=True)
    await trainer(account, FIRST, store=STORE, loop=loop).turn(short())
    await in_short_runs(account, at=after(86_400 * 3), loop=replace(loop, model_retrain_days=0))
    anew = await pointer_of(account, STORE)
    assert anew.learned == anew.counters.learned


async def test_a_log_of_nothing_that_can_be_learned_is_gone_through_and_leaves_no_model(account):
    log = event_log(account, SetClock(T0))
    await log.append_decision(decision("never shown", deferred=True))
    await trainer(account, FIRST, store=STORE).run()
    assert (await pointer_of(account, STORE)).version == ""
    turn = await trainer(account, FIRST, store=STORE, loop=RESET).turn(short(9 * A_CHUNK))
    assert [(commit.pointer.version, commit.pointer.resets) for commit in turn.commits] == [("", 1)]
    assert (turn.is_done, await progress_of(account)) == (True, None)


async def test_a_loop_without_a_chunk_is_begun_anew_at_once(account):
    await event_log(account, SetClock(T0)).append_observation(observation("nobody"))
    await trainer(account, FIRST, store=STORE).run()
    assert (await pointer_of(account, STORE)).chunk == ""
    turn = await trainer(account, FIRST, store=STORE, loop=RESET).turn(short(9 * A_CHUNK))
    assert [(commit.pointer.version, commit.pointer.resets) for commit in turn.commits] == [("", 1)]
    assert await progress_of(account) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.sweep(keep=2)
async def test_whatever_happens_on_the_way_every_event_counts_once_and_the_model_can_be_replayed(account, learned, seed):
    """Runs of any length at any time, several at once, resets, settings taken back, changes by hand, retention; in any order."""
    chance = random.Random(seed)
    loop, at = LOOP, FIRST
    for _ in range(25):
        match chance.randrange(8):
            case 0:
                loop = replace(loop, resets=loop.resets + 1, default_reward=chance.choice([0.0, 0.3]))
            case 1:
                loop = replace(LOOP, resets=max(0, loop.resets - 1))
            case 2:
                by_hand = keeper(account, at, store=STORE, loop=loop)
                await by_hand.restore(chance.choice(await by_hand.versions()).version)
            case 3:
                await retention(account, store=STORE, models_kept=9, loop=loop).run()
            case 4:
                at = min(at + timedelta(seconds=chance.choice([1, 10, 40])), SECOND + LOOP.model_export_frequency)
            case _:
                trainers = [trainer(account, at, store=STORE, loop=loop, max_events=12) for _ in range(chance.choice([1, 1, 2]))]
                await asyncio.gather(*(each.turn(short(chance.choice([1, 2, 4, 8]) * A_CHUNK)) for each in trainers))
    last = replace(loop, resets=100)
    for later in (at, SECOND, SECOND + 2 * LOOP.model_export_frequency):
        await trainer(account, later, store=STORE, loop=last).run()
    done, expected = await pointer_of(account, STORE), await pointer_of(account, "expected")
    assert (done.counters, done.resets) == (expected.counters, last.resets)
    assert done.learned == expected.learned
    assert (await replayed(account, STORE))[-1] == done.version
    await retention(account, store=STORE, models_kept=9, loop=last).run()
    assert await progress_of(account) is None


# --- the checkpoint -----------------------------------------------------------------------------------------------------


async def test_a_damaged_checkpoint_is_said_to_be_and_the_model_begun_again(account, learned, caplog):
    expected = await at_once(account)
    files = Files(account, names.MODELS)
    for number in range(4):
        await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
        await damage(files, random.Random(number))
        await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
        assert [record for record in caplog.records if "retraining begins again from its first chunk" in record.message]
        caplog.clear()
    await in_short_runs(account)
    assert await content_of(account, STORE, (await pointer_of(account, STORE)).version) == expected


async def damage(files: Files, chance: random.Random) -> None:
    """Change one byte, or cut the file; its metadata stay, or go."""
    file = await files.read(names.checkpoint_file(STORE))
    assert file is not None
    labels = await files.metadata(names.checkpoint_file(STORE))
    where = chance.randrange(len(file.data))
    changed = bytes([file.data[where] ^ (1 << chance.randrange(8))])
    data = chance.choice([file.data[:where], file.data[:where] + changed + file.data[where + 1 :]])
    await files.replace(names.checkpoint_file(STORE), data, expected=file.etag, metadata=chance.choice([labels, {}]))


async def test_any_byte_that_is_different_is_found(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    file = await Files(account, names.MODELS).read(names.checkpoint_file(STORE))
    assert file is not None
    assert write_checkpoint(read_checkpoint(file.data)) == file.data
    chance = random.Random(1)
    for where in [*range(64), *[chance.randrange(len(file.data)) for _ in range(50)]]:
        with pytest.raises(UnreadableError):
            read_checkpoint(file.data[:where] + bytes([file.data[where] ^ 1]) + file.data[where + 1 :])
        with pytest.raises(UnreadableError):
            read_checkpoint(file.data[:where])


def as_of_a_later_release(data: bytes) -> bytes:
    rest = data[32:]
    end = 8 + int.from_bytes(rest[:8], "little")
    header = orjson.loads(decompressed(rest[8:end]))
    text = compressed(orjson.dumps({**header, "format": 2, "progress": {"unheard": "of"}}))
    rest = len(text).to_bytes(8, "little") + text + b"what that release writes here"
    return hashlib.sha256(rest).digest() + rest


async def test_a_checkpoint_of_a_later_release_is_refused_and_windows_go_on_under_the_old_model(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    files = Files(account, names.MODELS)
    file = await files.read(names.checkpoint_file(STORE))
    assert file is not None
    later = as_of_a_later_release(file.data)
    await files.replace(names.checkpoint_file(STORE), later, expected=file.etag, metadata={"format": "2"})
    with pytest.raises(NewerFormatError):
        await progress_of(account)
    with pytest.raises(NewerFormatError):
        await trainer(account, SECOND, store=STORE, loop=RESET, max_events=12).run()
    done = await pointer_of(account, STORE)
    assert (done.version, done.counters) == (learned.version, (await pointer_of(account, "expected")).counters)
    kept = await files.read(names.checkpoint_file(STORE))
    assert kept is not None
    assert kept.data == later


def state_of_a_later_release(state: bytes) -> bytes:
    now, then = (np.int64(version).tobytes() for version in (artifact.STATE_VERSION, artifact.STATE_VERSION + 1))
    written = BytesIO()
    with zipfile.ZipFile(BytesIO(state)) as archive, zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as later:
        for name in archive.namelist():
            data = archive.read(name)
            later.writestr(name, data.replace(now, then, 1) if name == "header.npy" else data)
    return written.getvalue()


async def test_a_learner_that_a_later_release_wrote_is_refused_too(account, learned):
    await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    checkpoints = FileModelStore(account, loop=STORE).checkpoints
    stored = await checkpoints.read()
    assert stored is not None
    await checkpoints.write(replace(stored[0], state=state_of_a_later_release(stored[0].state)), expected=stored[1])
    with pytest.raises(NewerFormatError):
        await trainer(account, FIRST, store=STORE, loop=RESET).run()
    assert (await checkpoints.read()) is not None


async def test_two_trainers_at_the_same_model_without_a_lease_do_it_once(account, learned, monkeypatch):
    @asynccontextmanager
    async def anyone(self):
        yield True

    monkeypatch.setattr(FileModelStore, "lease", anyone)
    chance = random.Random(3)
    for _ in range(20):
        several = [trainer(account, chance.choice([FIRST, SECOND]), store=STORE, loop=RESET, max_events=12) for _ in range(3)]
        await asyncio.gather(*(each.turn(short(chance.choice([1, 2, 5]) * A_CHUNK)) for each in several))
    await trainer(account, SECOND + LOOP.model_export_frequency, store=STORE, loop=RESET).run()
    done, expected = await pointer_of(account, STORE), await pointer_of(account, "expected")
    assert (done.resets, done.counters, done.learned) == (1, expected.counters, expected.learned)
    assert await replayed(account, STORE)


async def test_a_checkpoint_that_vanished_is_begun_again(account, learned):
    warm = trainer(account, FIRST, store=STORE, loop=RESET)
    await warm.turn(short())
    await FileModelStore(account, loop=STORE).checkpoints.delete()
    assert (await warm.turn(short())).commits == []
    await in_short_runs(account)
    assert await content_of(account, STORE, (await pointer_of(account, STORE)).version) == await at_once(account)


class Died(BaseException):
    """What is left of a process that memory ran out in."""


class Deadly(FileColdLog):
    """A log with a chunk that kills whoever reads it."""

    def __init__(self, account, deadly: str) -> None:
        super().__init__(account, loop=STORE)
        self._deadly = deadly
        self.read: list[str] = []

    async def chunk(self, name: str) -> bytes:
        if name == self._deadly:
            raise Died
        self.read.append(name)
        return await super().chunk(name)


async def test_a_chunk_that_kills_every_process_is_left_out_in_the_end_and_holds_no_window_up(account, learned, caplog):
    chain = await FileColdLog(account, loop=STORE).chain()
    deaths = 0
    while (await pointer_of(account, STORE)).resets != 1:
        process = trainer(account, SECOND, store=STORE, loop=RESET, max_events=12)
        process._retrainer = retraining.Retrainer(Deadly(account, chain[2]), FileModelStore(account, loop=STORE), clock=SetClock(SECOND))
        try:
            await process.turn(TimeLimit(timedelta(minutes=1)))
        except Died:
            deaths += 1
        assert deaths < 30
    assert retraining.GIVEN_UP_AFTER <= deaths < 2 * retraining.GIVEN_UP_AFTER
    assert [record.chunk for record in caplog.records if "left out" in record.message] == [chain[2]]
    done, expected = await pointer_of(account, STORE), await pointer_of(account, "expected")
    assert done.counters == expected.counters
    assert 0 < done.learned < expected.learned


async def test_processes_that_die_of_something_else_leave_nothing_out(account, learned):
    """Each comes one chunk further, however long its slice would have been."""
    chain = await FileColdLog(account, loop=STORE).chain()
    for number in range(40):
        process = trainer(account, FIRST, store=STORE, loop=RESET)
        process._retrainer = retraining.Retrainer(
            Deadly(account, chain[number % 5]), FileModelStore(account, loop=STORE), clock=SetClock(FIRST)
        )
        with suppress(Died):
            await process.turn(TimeLimit(timedelta(minutes=1)))
        if (await pointer_of(account, STORE)).resets == 1:
            break
    anew = await pointer_of(account, STORE)
    assert await content_of(account, STORE, anew.version) == await at_once(account)


class Away(FileColdLog):
    """A joined log whose storage gives no chunk for a number of reads."""

    failures = 0

    async def chunk(self, name: str) -> bytes:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailableError("storage is away")
        return await super().chunk(name)


@pytest.mark.parametrize("warm", [True, False], ids=["one process", "a process each run"])
@pytest.mark.parametrize("chunks_before", [0, 2])
@pytest.mark.sweep(keep=2)
async def test_storage_that_is_away_for_many_runs_kills_nobody_and_no_chunk_is_left_out(account, learned, warm, chunks_before):
    log = Away(account, loop=STORE)
    process = None
    for _ in range(chunks_before):
        await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
    log.failures = failures = retraining.GIVEN_UP_AFTER + 3
    for run in range(failures + 20):
        if process is None or not warm:
            process = trainer(account, FIRST, store=STORE, loop=RESET)
            process._retrainer = retraining.Retrainer(log, FileModelStore(account, loop=STORE), clock=SetClock(FIRST))
        with pytest.raises(StorageUnavailableError) if run < failures else nullcontext():
            await process.turn(TimeLimit(timedelta(minutes=1)))
        if (await pointer_of(account, STORE)).resets == 1:
            break
    anew = await pointer_of(account, STORE)
    assert await content_of(account, STORE, anew.version) == await at_once(account)


# --- the way through the log --------------------------------------------------------------------------------------------


async def test_a_long_way_is_listed_in_parts_and_no_chunk_is_forgotten(account, learned, monkeypatch):
    monkeypatch.setattr(retraining, "MOST_AHEAD", 2)
    await in_short_runs(account)
    assert await content_of(account, STORE, (await pointer_of(account, STORE)).version) == await at_once(account)


async def test_the_progress_counts_what_is_known_of_the_way(account, learned):
    chain = await FileColdLog(account, loop=STORE).chain()
    seen = []
    for _ in chain:
        await trainer(account, FIRST, store=STORE, loop=RESET).turn(short())
        seen.append(await progress_of(account))
    told = [each for each in seen if each is not None]
    assert {each.chunks for each in told} == {len(chain)}
    assert [each.done for each in told] == [*range(1, len(told) + 1)]
    assert {(each.resets, each.begun_at) for each in told} == {(1, FIRST)}
    assert 0 < told[0].learned < told[-1].learned < learned.learned
