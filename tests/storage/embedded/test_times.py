"""The store's own time never goes back."""

import errno
import mmap
import struct
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import NewerFormatError, StorageUnavailableError
from shared.storage.clocks import EarlierClock, LogClock
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.embedded.times import AGREES, FILE, FolderTime, Machine
from shared.storage.settings import FolderSettings
from tests.computers import Computer
from tests.ports import row


@pytest.fixture
def computer(tmp_path) -> Computer:
    return Computer(tmp_path)


def test_nothing_is_known_of_a_store_that_is_not_there(tmp_path):
    assert FolderTime(tmp_path / "none").bounds() is None
    assert not (tmp_path / "none").exists()


def test_a_clock_that_nobody_sets_agrees_with_the_store(computer):
    time = computer.process()
    for _ in range(10):
        computer.pass_(3_600)
        assert time.bounds() == (0.0, 0.0)
        assert time.now() == computer.clock.now()


@pytest.mark.parametrize("seconds", [0.2, 30, 3_600, 400 * 86_400])
def test_the_stores_time_goes_on_when_the_clock_is_set_back(computer, seconds):
    time = computer.process()
    before = time.now()
    computer.clock.pass_(-seconds)
    assert time.bounds() == pytest.approx((seconds, seconds), abs=1e-3)
    assert time.ahead().total_seconds() == pytest.approx(-seconds, abs=1e-3)
    computer.pass_(7)
    assert (time.now() - before).total_seconds() == pytest.approx(7, abs=1e-3)


def test_a_row_is_sealed_by_the_stores_time_when_the_clock_was_set_back(computer):
    time = computer.process()
    log = LogClock(computer.clock, time)
    before = log.now()
    computer.clock.pass_(-600)
    computer.pass_(1)
    assert (log.now() - before).total_seconds() == pytest.approx(1, abs=1e-3)
    assert EarlierClock(computer.clock, time).now() == log.now()


def test_a_clock_that_is_set_forward_is_followed_by_all_processes(computer):
    first, second = computer.process(), computer.process()
    computer.clock.pass_(3_600)
    assert first.bounds() == (0.0, 0.0)
    computer.clock.pass_(-1_800)
    for time in (first, second, computer.process()):
        assert time.bounds() == pytest.approx((1_800, 1_800), abs=1e-3)


def test_a_difference_that_means_nothing_is_none(computer):
    time = computer.process()
    for seconds in (0.03, -0.09, 0.05):
        computer.clock.pass_(seconds)
        assert time.bounds() == (0.0, 0.0)


@settings(deadline=None)  # it syncs files
@given(steps=st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 5)), max_size=12))
def test_whatever_is_done_to_the_clock_rows_are_sealed_no_earlier_and_windows_end_no_later_than_the_store_says(steps):
    with tempfile.TemporaryDirectory() as folder:
        computer = Computer(Path(folder))
        times = [computer.process(), computer.process()]
        for number, (set_by, passed) in enumerate(steps):
            computer.clock.pass_(set_by)
            computer.pass_(passed)
            sealed = LogClock(computer.clock, times[number % 2]).now()
            over = EarlierClock(computer.clock, times[1 - number % 2]).now()
            truth = computer.process().now()
            off = timedelta(seconds=AGREES + 1e-3)
            assert sealed >= truth - off
            assert over <= truth + off


def test_a_clock_that_comes_right_again_agrees_again(computer):
    time = computer.process()
    computer.clock.pass_(-60)
    assert time.bounds() != (0.0, 0.0)
    computer.clock.pass_(60)
    assert time.bounds() == (0.0, 0.0)


def test_after_a_new_start_of_the_machine_time_goes_on_from_the_last_that_was_kept(computer):
    time = computer.process()
    computer.pass_(500)
    time.keep()
    before = time.now()
    computer.start_anew()
    computer.clock.pass_(-86_400)
    assert computer.process().now() >= before


def test_after_a_new_start_with_a_wrong_clock_nothing_is_sealed_earlier_than_before_though_the_last_seconds_were_not_kept(computer):
    time = computer.process()
    time.monotonic = lambda: computer.passed
    computer.pass_(500)
    time.keep()
    computer.pass_(4.9)
    time.keep()
    before = time.now()
    computer.start_anew()
    computer.clock.pass_(-86_400)
    assert computer.process().now() >= before


async def test_the_time_is_kept_with_each_file_as_well_for_a_pointer_tells_until_when_the_log_was_read(tmp_path):
    store = EmbeddedStorage(FolderSettings(tmp_path / "store", make=True))
    await store.areas()
    before = (tmp_path / "store" / FILE).read_bytes()
    await store.files("models").put("pointer", b"x", expected=None)
    assert (tmp_path / "store" / FILE).read_bytes() != before
    await store.close()


async def test_a_time_that_cannot_be_kept_is_storage_that_cannot_be_asked(tmp_path):
    time = Broken(tmp_path / "store")
    store = EmbeddedStorage(FolderSettings(tmp_path / "store", make=True), time=time)
    await store.rows.create("day")
    time.map_of(Unsynced)
    for _ in range(2):
        with pytest.raises(StorageUnavailableError, match="clock could not be read or written"):
            await store.rows.put("day", row("p", "r"))
    await store.close()


class Broken(FolderTime):
    """Its disk breaks."""

    def map_of(self, kind: type[mmap.mmap]) -> None:
        self._map = kind(-1, 64)


class Unsynced(mmap.mmap):
    def flush(self, *_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")


def test_a_clock_that_is_ahead_of_a_store_whose_disk_cannot_be_written_is_told_to_be(computer, tmp_path):
    time = computer.process()
    (tmp_path / FILE).rename(tmp_path / "aside")
    computer.clock.pass_(60)
    assert time.bounds() == pytest.approx((-60.0, -60.0))
    (tmp_path / "aside").rename(tmp_path / FILE)
    assert time.bounds() == (0.0, 0.0)


async def test_a_store_stays_where_it_is_when_the_process_goes_to_another_folder(tmp_path, monkeypatch):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    store = EmbeddedStorage(FolderSettings(Path("store"), make=True))
    monkeypatch.chdir(tmp_path / "there")
    await store.files("models").put("a", b"x", expected=None)
    assert store.time.bounds() == (0.0, 0.0)
    await store.close()
    assert (tmp_path / "here" / "store" / FILE).exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_after_a_new_start_with_a_right_clock_the_store_agrees_with_it(computer):
    computer.process().keep()
    computer.start_anew()
    computer.clock.pass_(86_400)
    assert computer.process().bounds() == (0.0, 0.0)


def test_a_machine_that_cannot_tell_its_starts_apart_goes_on_from_the_last_time_as_well(computer):
    time = computer.process()
    computer.pass_(500)
    time.keep()
    before = time.now()
    computer.start_anew()
    computer.starts -= 1
    computer.clock.pass_(-86_400)
    assert computer.process().now() >= before


def test_whoever_is_stopped_between_two_looks_does_not_take_that_for_a_clock_that_was_set(tmp_path):
    computer = Computer(tmp_path)
    time = computer.process()

    def slow() -> float:
        computer.pass_(5)
        return computer.passed

    stopped = FolderTime(tmp_path, computer.clock, machine=Machine(computer.clock, slow, lambda: bytes([1]) * 16))
    stopped.open()
    assert stopped.bounds() is None
    assert time.bounds() == (0.0, 0.0)


def test_a_damaged_file_is_begun_anew_from_the_clock(tmp_path):
    (tmp_path / FILE).write_bytes(b"no time")
    assert Computer(tmp_path).process().bounds() == (0.0, 0.0)


def test_a_file_of_a_newer_release_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(struct.pack("<6sH16sdd", b"OPTIME", 2, bytes(16), 0.0, 0.0))
    with pytest.raises(NewerFormatError, match="upgrade"):
        Computer(tmp_path).process()


def test_the_machines_own_time_is_that_of_the_clock(tmp_path):
    time = FolderTime(tmp_path)
    time.open()
    assert time.bounds() == (0.0, 0.0)
    assert (tmp_path / FILE).stat().st_size == 40
