"""What waits to be sent: laws of both queues, and those of the one on disk alone."""

import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from open_personalizer import spool as spool_module
from open_personalizer.errors import ClosedError, QueueFullError, SpoolError
from open_personalizer.health import Tally
from open_personalizer.memory import MemoryQueue
from open_personalizer.records import Queue, Record
from open_personalizer.spool import Spool

from tests.patience import PATIENCE
from tests.running import REPOSITORY

Made = Callable[..., Queue]
LARGE = 1 << 20


def decision(number: int, ticket: str | None = "t") -> Record:
    return Record(True, float(number), b'{"eventId":"e%d"' % number, ticket)


def observation(number: int) -> Record:
    return Record(False, float(number), b'{"eventId":"o%d","value":1.0' % number)


def spool(folder: Path, *, size: int = 64 * LARGE, endpoint: str = "http://service") -> Spool:
    return Spool(folder, endpoint=endpoint, size=size, fsync=False, tally=Tally())


@pytest.fixture(params=["memory", "spool"])
def made(request, tmp_path) -> Iterator[Made]:
    queues: list[Queue] = []

    def make(size: int = 64 * LARGE) -> Queue:
        queues.append(MemoryQueue(size=size) if request.param == "memory" else spool(tmp_path, size=size))
        return queues[-1]

    yield make
    for each in queues:
        each.close(is_sending=False)


def emptied(queue: Queue, *, records: int = 7, size: int = LARGE) -> list[Record]:
    found: list[Record] = []
    while batch := queue.take(records=records, size=size, timeout=0.0):
        assert 1 <= len(batch.records) <= records
        found += batch.records
        queue.done(batch)
    return found


def put_at_once(queue: Queue, number: int) -> bool:
    try:
        queue.put(decision(number), 0.0)
    except QueueFullError:
        return False
    return True


def plain(records: list[Record]) -> list[tuple[bool, float, bytes, str | None]]:
    return [(each.is_decision, each.at, each.line, each.ticket) for each in records]


def test_what_was_put_is_taken_in_order_with_its_tickets(made):
    queue = made()
    put = [decision(1), observation(2), decision(3, "other"), decision(4, None), decision(5), observation(6), *map(decision, range(7, 40))]
    for each in put:
        queue.put(each, 0.0)
    assert queue.waiting()[0] == len(put)
    assert plain(emptied(queue)) == plain(put)
    assert queue.waiting() == (0, 0)
    assert queue.take(records=1, size=1, timeout=0.0) is None


def test_what_is_not_done_is_taken_again(made):
    queue = made()
    for number in range(3):
        queue.put(decision(number), 0.0)
    first = queue.take(records=2, size=LARGE, timeout=0.0)
    again = queue.take(records=2, size=LARGE, timeout=0.0)
    assert first is not None
    assert again is not None
    assert plain([*first.records]) == plain([*again.records])


def test_a_batch_has_no_more_bytes_than_asked_for_unless_one_record_has(made):
    queue = made()
    for number in range(4):
        queue.put(Record(True, 0.0, b"x" * 400_000, f"t{number}"), 0.0)
    sizes = []
    while batch := queue.take(records=100, size=900_000, timeout=0.0):
        sizes.append(len(batch.records))
        queue.done(batch)
    assert sizes == [2, 2]


def test_a_full_queue_refuses_at_once_or_waits_until_there_is_room(made):
    queue = made(size=500)
    count = next(number for number in range(100) if not put_at_once(queue, number))
    assert count > 1
    waiting = threading.Thread(target=queue.put, args=(decision(99), PATIENCE))
    waiting.start()
    batch = queue.take(records=1, size=LARGE, timeout=PATIENCE)
    assert batch is not None
    queue.done(batch)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert [each.at for each in emptied(queue)] == [*map(float, range(1, count)), 99.0]


def test_whoever_waits_for_room_is_told_when_the_queue_is_closed(made):
    queue = made(size=1)
    queue.put(decision(1), 0.0)
    told: list[BaseException] = []

    def put() -> None:
        try:
            queue.put(decision(2), PATIENCE)
        except ClosedError as error:
            told.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    queue.close(is_sending=False)
    thread.join(PATIENCE)
    assert len(told) == 1


def test_many_threads_put_while_one_takes_and_nothing_is_missing(made):
    queue = made(size=20_000)
    found: list[Record] = []
    threads = [
        threading.Thread(target=lambda first: [queue.put(decision(first + n), PATIENCE) for n in range(200)], args=(first * 1000,))
        for first in range(6)
    ]
    for thread in threads:
        thread.start()
    while len(found) < 1200:
        batch = queue.take(records=50, size=LARGE, timeout=PATIENCE)
        if batch is not None:
            found += batch.records
            queue.done(batch)
    for thread in threads:
        thread.join(PATIENCE)
    times = [each.at for each in found]
    assert sorted(times) == sorted(float(first * 1000 + n) for first in range(6) for n in range(200))
    assert all([at for at in times if at // 1000 == first] == [float(first * 1000 + n) for n in range(200)] for first in range(6))


def test_segments_follow_one_another_and_are_removed_when_they_are_sent(tmp_path):
    queue = spool(tmp_path)
    line = b"x" * 100_000
    for number in range(200):  # 20 MB: three segments
        queue.put(Record(True, float(number), line, f"ticket {number // 50}"), 0.0)
    assert len(list(tmp_path.rglob("*.log"))) == 3
    found = emptied(queue, records=40, size=900_000)
    assert [each.at for each in found] == [float(number) for number in range(200)]
    assert [each.ticket for each in found] == [f"ticket {number // 50}" for number in range(200)]
    assert len(list(tmp_path.rglob("*.log"))) == 1
    queue.close(is_sending=False)
    assert not list(tmp_path.rglob("*.log"))


def test_what_a_closed_spool_has_left_is_sent_by_the_next_one(tmp_path):
    first = spool(tmp_path)
    for number in range(10):
        first.put(decision(number, f"t{number // 3}"), 0.0)
    batch = first.take(records=4, size=LARGE, timeout=0.0)
    assert batch is not None
    first.done(batch)
    first.close(is_sending=False)
    left = emptied(spool(tmp_path))
    assert [(each.at, each.ticket) for each in left] == [(float(number), f"t{number // 3}") for number in range(4, 10)]
    assert not emptied(spool(tmp_path))


def test_a_journal_is_of_one_process_only_while_that_one_lives(tmp_path):
    first, second = spool(tmp_path), spool(tmp_path)
    first.put(decision(1), 0.0)
    second.put(decision(2), 0.0)
    assert [each.at for each in emptied(second)] == [2.0]
    assert [each.at for each in emptied(first)] == [1.0]


def test_what_is_for_another_address_is_not_touched(tmp_path):
    first = spool(tmp_path, endpoint="http://service/loops/a")
    first.put(decision(1), 0.0)
    first.close(is_sending=False)
    assert not emptied(spool(tmp_path, endpoint="http://service/loops/b"))
    assert len(emptied(spool(tmp_path, endpoint="http://service/loops/a"))) == 1


KILLED = """
import os, sys
from pathlib import Path
from tests.client.test_queues import decision, spool
queue = spool(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    queue.put(decision(number), 0.0)
    if number == 20:
        queue.done(queue.take(records=5, size=1 << 20, timeout=0.0))
    print(number, flush=True)
os.kill(os.getpid(), 9)
"""


def killed(folder: Path, count: int) -> list[int]:
    command = [sys.executable, "-c", KILLED, str(folder), str(count)]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'client'}"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return [int(line) for line in done.stdout.split()]


def abandoned(folder: Path, count: int) -> None:
    """Leave what a process leaves that ends at once."""
    queue = spool(folder)
    for number in range(count):
        queue.put(decision(number), 0.0)
        if number == 20:
            batch = queue.take(records=5, size=LARGE, timeout=0.0)
            assert batch is not None
            queue.done(batch)
    queue.abandon()


def test_a_process_that_is_killed_loses_nothing_that_was_put(tmp_path):
    told = killed(tmp_path, 50)
    assert [each.at for each in emptied(spool(tmp_path))] == [float(number) for number in told if number >= 5]


@pytest.mark.parametrize("cut", [1, 5, 16, 17, 18])
def test_a_write_that_was_cut_short_is_left_out_and_what_is_before_it_is_sent(tmp_path, cut):
    abandoned(tmp_path, 3)
    (segment,) = tmp_path.rglob("*.log")
    segment.write_bytes(segment.read_bytes()[:-cut])
    assert [each.at for each in emptied(spool(tmp_path))] == [0.0, 1.0]
    assert not list(tmp_path.rglob("*.log"))


@pytest.mark.parametrize("place", [0, 4, 8, 9, 40])
def test_what_is_damaged_is_kept_aside_and_told(tmp_path, place):
    abandoned(tmp_path, 3)
    (segment,) = tmp_path.rglob("*.log")
    data = bytearray(segment.read_bytes())
    data[place] ^= 0xFF
    segment.write_bytes(data)
    queue = spool(tmp_path)
    left = emptied(queue)
    assert len(left) < 3
    assert queue._tally.lost == 1 or place < 4  # a wrong length may look like a write that was cut short
    assert list(tmp_path.rglob("damaged-*")) or place < 4


def test_the_place_that_is_sent_may_be_missing_or_damaged(tmp_path):
    abandoned(tmp_path, 30)
    (sent,) = tmp_path.rglob("*.sent")
    sent.write_bytes(b"?")
    assert len(emptied(spool(tmp_path))) == 30


def test_a_disk_that_is_full_is_a_full_queue_and_leaves_no_half_of_a_record(tmp_path, monkeypatch):
    queue = spool(tmp_path)
    queue.put(decision(1), 0.0)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
    with pytest.raises(QueueFullError):
        queue.put(decision(2), 0.0)
    monkeypatch.setattr(os, "write", write)
    queue.put(decision(3), 0.0)
    assert [each.at for each in emptied(queue)] == [1.0, 3.0]


def test_a_folder_that_someone_removes_is_told_and_what_was_in_it_is_waited_for_no_more(tmp_path, caplog):
    queue = spool(tmp_path)
    queue.put(decision(1), 0.0)
    assert [each.at for each in emptied(queue)] == [1.0]
    for number in (2, 3):
        queue.put(decision(number), 0.0)
    shutil.rmtree(tmp_path)
    assert queue.take(records=7, size=LARGE, timeout=0.0) is None
    assert "is gone" in caplog.text
    assert queue.waiting() == (0, 0)
    with pytest.raises(QueueFullError, match="cannot be written"):
        queue.put(decision(4), 0.0)


def test_what_is_damaged_in_the_journal_of_this_process_is_waited_for_no_more(tmp_path):
    queue = spool(tmp_path)
    for number in range(3):
        queue.put(decision(number), 0.0)
    (segment,) = tmp_path.glob("*/journal-*/*.log")
    segment.write_bytes(b"\xff" * segment.stat().st_size)
    assert queue.take(records=7, size=LARGE, timeout=0.0) is None
    assert queue.waiting() == (0, 0)
    queue.put(decision(4), 0.0)
    assert [each.at for each in emptied(queue)] == [4.0]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_what_was_sent_is_not_sent_again_by_this_process_though_the_disk_does_not_take_how_far(tmp_path, monkeypatch, caplog, error):
    """The next one sends it again: the service knows it."""

    def broken(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    queue = spool(tmp_path)
    monkeypatch.setattr(spool_module, "_replace", broken)
    for number in range(3):
        queue.put(decision(number), 0.0)
    assert [each.at for each in emptied(queue)] == [0.0, 1.0, 2.0]
    assert queue.waiting() == (0, 0)
    assert "cannot be written" in caplog.text
    monkeypatch.undo()
    queue.put(decision(3), 0.0)
    queue.close(is_sending=False)
    assert [each.at for each in emptied(spool(tmp_path))] == [0.0, 1.0, 2.0, 3.0]


def test_a_write_that_is_interrupted_leaves_no_record_behind_the_caller_s_back(tmp_path, monkeypatch):
    def interrupted(file: int, data: bytes) -> int:
        write(file, data)
        raise KeyboardInterrupt

    queue, write = spool(tmp_path), os.write
    queue.put(decision(1), 0.0)
    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        queue.put(decision(2), 0.0)
    monkeypatch.setattr(os, "write", write)
    queue.put(decision(3), 0.0)
    assert [each.at for each in emptied(queue)] == [1.0, 3.0]


def test_a_journal_that_holds_more_than_was_counted_stays_when_it_is_closed(tmp_path):
    """A call may have been interrupted after its record was written, and before it was counted."""
    queue = spool(tmp_path)
    queue._own.append(decision(1))
    queue.close(is_sending=False)
    assert [each.at for each in emptied(spool(tmp_path))] == [1.0]


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError):
        spool(tmp_path / "file")


def test_an_empty_folder_that_was_left_while_a_journal_was_made_is_removed(tmp_path):
    one = spool(tmp_path)
    left = next(tmp_path.iterdir()) / "new-left"
    left.mkdir()
    assert one.take(records=1, size=1, timeout=0.0) is None
    assert not left.exists()


def test_what_was_refused_is_kept_up_to_a_bound(tmp_path):
    queue = spool(tmp_path)
    for _ in range(10):
        queue.put_aside(b"x" * (1 << 20) + b"\n")
    (kept,) = tmp_path.rglob("refused.jsonl")
    assert 2 << 20 < kept.stat().st_size <= 4 << 20


def test_frames_are_as_they_were_when_this_was_written(tmp_path):
    """What one release has left, the next one sends."""
    queue = spool(tmp_path)
    queue.put(Record(True, 1.5, b'{"eventId":"e"', "t"), 0.0)
    queue.put(Record(False, 2.5, b'{"eventId":"e","value":1.0'), 0.0)
    (segment,) = tmp_path.rglob("*.log")
    data = segment.read_bytes()
    assert struct.unpack_from("<IIBd", data)[2:] == (3, 1.5)
    assert data.hex() == FRAMES


FRAMES = (
    "01000000046edcbc03000000000000f83f74"
    "0e00000067c7504a01000000000000f83f7b226576656e744964223a226522"
    "1a00000059eccf290200000000000004407b226576656e744964223a2265222c2276616c7565223a312e30"
)
