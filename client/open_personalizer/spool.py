"""A queue on disk: what waits in it is sent even if the process is killed, by the next one that uses the same folder.

Each process writes a journal of its own, a folder that it locks while it lives. A journal without a lock belongs to a process that has
ended: who locks it sends the rest of it. A journal has segments (``00000001.log``), and beside each the place up to which it was sent
(``00000001.sent``). A segment is a series of frames: length, check sum, kind, time, and then a line or a ticket.
"""

import logging
import os
import secrets
import shutil
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from open_personalizer.errors import ClosedError, QueueFullError, SpoolError
from open_personalizer.health import Tally
from open_personalizer.records import Batch, Record

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("open_personalizer")

SEGMENT_BYTES: Final = 8 << 20
LONGEST_FRAME: Final = 1 << 20
ASIDE_BYTES: Final = 4 << 20
"""Of what the service has refused, kept for its owner."""

_HEADER: Final = struct.Struct("<IIBd")
_SENT: Final = struct.Struct("<Q")
_DECISION, _OBSERVATION, _TICKET = 1, 2, 3
_READ: Final = 2 * LONGEST_FRAME
_SCAN_SECONDS: Final = 5.0


def default_folder() -> Path:
    """Give the folder that is used where none is named."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "open-personalizer"


class Place(NamedTuple):
    """How far a journal was read: all before it was sent. ``ticket`` is in force there."""

    segment: int
    offset: int
    ticket: str | None


class Mark(NamedTuple):
    """Where a batch of a journal ends, and how many bytes it takes there."""

    journal: "Journal"
    end: Place


class Damaged(Exception):  # noqa: N818 - a fact, told within this module
    """A segment holds something that was not written by this package, or has been changed since."""


class Journal:
    """A folder of segments, locked by this process. One thread reads; who writes holds the spool's lock."""

    def __init__(self, path: Path, lock: int, *, fsync: bool = False) -> None:
        self.path = path
        self._lock = lock
        self._fsync = fsync
        self._file: int | None = None
        self._head = (0, 0)
        self._ticket: str | None = None
        numbers = self._numbers()
        first = numbers[0] if numbers else 1
        self.place = self._place_in(first)

    @staticmethod
    def made(folder: Path, *, fsync: bool) -> "Journal":
        """Make a journal that nobody else can lock before this process has."""
        while True:
            name = secrets.token_hex(8)
            fresh = folder / f"new-{name}"
            fresh.mkdir(mode=0o700)
            lock = _locked(fresh)
            if lock is not None:
                path = folder / f"journal-{name}"
                fresh.rename(path)
                return Journal(path, lock, fsync=fsync)

    @staticmethod
    def adopted(path: Path) -> "Journal | None":
        """Lock the journal of a process that has ended; None if it lives, or another process was faster."""
        lock = _locked(path)
        return None if lock is None else Journal(path, lock)

    def append(self, record: Record) -> int:
        """Write a record, all of it or nothing; gives its bytes. Raises `OSError`."""
        frame = _frame(_DECISION if record.is_decision else _OBSERVATION, record.at, record.line)
        if self._file is None or self._head[1] + len(frame) > SEGMENT_BYTES:
            self._next_segment()
        if record.is_decision and record.ticket != self._ticket:
            frame = _frame(_TICKET, record.at, (record.ticket or "").encode()) + frame
        self._write(frame)
        if record.is_decision:
            self._ticket = record.ticket
        return len(frame)

    def read(self, *, records: int, size: int) -> tuple[list[Record], Place]:
        """Read on from `place`, which stays; gives nothing where all was read. Raises `Damaged` and `OSError`."""
        end = self.place
        while True:
            number, written = self._head
            limit = written if end.segment == number else self._size(end.segment)
            found, end = _parsed(self._data(end, min(limit - end.offset, _READ)), end, records=records, size=size)
            if found or not self._has_after(end.segment):
                return found, end
            if end.segment == number:  # a segment was begun meanwhile
                continue
            if end.offset < limit:
                raise Damaged(f"{self._log(end.segment)} ends in the middle of a line")
            end = Place(end.segment + 1, 0, None)

    def sent(self, end: Place) -> None:
        """Note that all before this place needs not be sent any more.

        If the disk does not take that, this process knows it all the same; the next one sends again what is known to the service.
        """
        begun, self.place = self.place.segment, end
        try:
            for number in range(begun, end.segment):
                self._remove(number)
            _replace(self._sent(end.segment), _SENT.pack(end.offset), fsync=self._fsync)
        except FileNotFoundError:
            pass
        except OSError as cause:
            logger.warning("how far %s was sent cannot be written: %s", self.path, cause)

    def skip_damaged(self) -> None:
        """Keep the segment that is read now aside, and go on behind it."""
        number = self.place.segment
        with suppress(FileNotFoundError):
            self._log(number).rename(self.path.parent / f"damaged-{self.path.name}-{number:08d}")
        self._sent(number).unlink(missing_ok=True)
        self.place = Place(number + 1, 0, None)
        if number == self._head[0] and self._file is not None:  # what is written next goes into a segment that is read
            os.close(self._file)
            self._file = None

    @property
    def is_at_end(self) -> bool:
        """Whether all that this process has written was sent, or is given up."""
        return (self.place.segment, self.place.offset) >= self._head

    def unsent(self) -> int:
        """Give the bytes that are not sent."""
        sizes = [self._size(number) for number in self._numbers() if number >= self.place.segment]
        return max(sum(sizes) - self.place.offset, 0)

    def remove(self) -> None:
        """Remove the journal, of which all was sent."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.let_go()

    def let_go(self) -> None:
        """Unlock the journal; another process may send the rest."""
        for each in (self._file, self._lock):
            if each is not None:
                with suppress(OSError):
                    os.close(each)
        self._file, self._lock = None, -1

    def _next_segment(self) -> None:
        number = self._head[0] + 1
        file = os.open(self._log(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        if self._file is not None:
            os.close(self._file)
        self._file, self._head, self._ticket = file, (number, 0), None

    def _write(self, frame: bytes) -> None:
        assert self._file is not None
        try:
            if os.write(self._file, frame) < len(frame):
                raise OSError("the disk is full")
            if self._fsync:
                os.fdatasync(self._file)
            self._head = (self._head[0], self._head[1] + len(frame))
        except BaseException:  # KeyboardInterrupt too: what is behind the head is no record
            os.ftruncate(self._file, self._head[1])
            raise

    def _place_in(self, number: int) -> Place:
        try:
            offset = _SENT.unpack(self._sent(number).read_bytes())[0]
        except (OSError, struct.error):
            offset = 0
        if not offset or not self._log(number).exists():
            return Place(number, 0, None)
        ticket: str | None = None
        with suppress(Damaged):
            for kind, _, payload, _ in _frames(self._log(number).read_bytes()[:offset]):
                ticket = payload.decode() or None if kind == _TICKET else ticket
        return Place(number, offset, ticket)

    def _data(self, place: Place, size: int) -> bytes:
        try:
            with self._log(place.segment).open("rb", buffering=0) as file:
                file.seek(place.offset)
                return file.read(max(size, 0)) or b""
        except FileNotFoundError as cause:
            if size > 0:
                raise Damaged(f"{self._log(place.segment)} is gone") from cause
            return b""

    def _has_after(self, number: int) -> bool:
        return self._head[0] > number if self._file is not None else any(each > number for each in self._numbers())

    def _numbers(self) -> list[int]:
        return sorted(int(each.stem) for each in self.path.glob("*.log") if each.stem.isdigit())

    def _size(self, number: int) -> int:
        try:
            return self._log(number).stat().st_size
        except FileNotFoundError:
            return 0

    def _remove(self, number: int) -> None:
        self._log(number).unlink(missing_ok=True)
        self._sent(number).unlink(missing_ok=True)

    def _log(self, number: int) -> Path:
        return self.path / f"{number:08d}.log"

    def _sent(self, number: int) -> Path:
        return self.path / f"{number:08d}.sent"


class Spool:
    """The journal of this process, and those of processes that have ended; ``size`` bounds the bytes of its own."""

    def __init__(self, folder: Path, *, endpoint: str, size: int, fsync: bool, tally: Tally) -> None:
        if fcntl is None:
            raise SpoolError('this system cannot lock files: choose the promise "acknowledged" or "memory"')
        self._folder = folder / sha256(endpoint.encode()).hexdigest()[:16]
        self._size = size
        self._tally = tally
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._own = Journal.made(self._folder, fsync=fsync)
        except OSError as cause:
            raise SpoolError(f"the folder {self._folder} cannot be used: {cause}") from cause
        self._adopted: list[Journal] = []
        self._scanned = float("-inf")
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._records = self._bytes = self._putters = self._takers = 0
        self._turn = 0
        self._is_closed = False

    def put(self, record: Record, timeout: float | None) -> None:
        """Write a record to the disk."""
        size = record.size
        with self._lock:
            if self._is_closed or not self._has_room(size):
                self._wait_for_room(size, timeout)
            try:
                self._bytes += self._own.append(record)
            except OSError as cause:
                raise QueueFullError(f"the spool {self._folder} cannot be written: {cause}") from cause
            self._records += 1
            if self._takers:
                self._changed.notify_all()

    def withdraw(self, record: Record) -> bool:
        """Take nothing back: what is on the disk is sent."""
        return False

    def take(self, *, records: int, size: int, timeout: float) -> Batch | None:
        """Give the next records, of this process and of others in turn."""
        self._adopt()
        journals = [self._own, *self._adopted]
        for step in range(len(journals)):
            journal = journals[(self._turn + step) % len(journals)]
            found, end = self._read(journal, records, size)
            if found:
                self._turn += step + 1
                return Batch(found, Mark(journal, end))
            if journal is not self._own:
                self._adopted.remove(journal)
                journal.remove()
        with self._changed:
            if self._records and self._own.is_at_end:  # what was damaged, or removed by someone, is waited for no more
                self._records = self._bytes = 0
                self._changed.notify_all()
            if not self._records and timeout > 0:
                self._takers += 1
                self._changed.wait(timeout)
                self._takers -= 1
        return None

    def wake(self) -> None:
        """Let whoever takes wait no longer."""
        with self._changed:
            self._changed.notify_all()

    def done(self, batch: Batch) -> None:
        """Note that a batch was sent."""
        mark: Mark = batch.mark
        mark.journal.sent(mark.end)
        if mark.journal is not self._own:
            return
        with self._changed:
            self._records -= len(batch.records)
            self._bytes = self._own.unsent()
            if self._putters:
                self._changed.notify_all()

    def waiting(self) -> tuple[int, int]:
        """Give what waits in the journal of this process; of others, the bytes alone are known."""
        with self._changed:
            return self._records, self._bytes + sum([each.unsent() for each in self._adopted])

    def close(self, *, is_sending: bool) -> int:
        """Let go; what is left stays on the disk, and nothing is lost. While a batch is under way the locks are kept."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            if is_sending:
                return 0
            for each in self._adopted:
                each.let_go()
            if self._own.unsent():  # what the disk says, whatever was counted
                self._own.let_go()
            else:
                self._own.remove()
        return 0

    def abandon(self) -> None:
        """Close what another process goes on with, in one that was forked from it."""
        for each in (self._own, *self._adopted):
            each.let_go()

    def put_aside(self, line: bytes) -> None:
        """Keep a line that the service has refused, for its owner."""
        path = self._folder / "refused.jsonl"
        try:
            file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            try:
                if os.fstat(file).st_size + len(line) <= ASIDE_BYTES:
                    os.write(file, line)
            finally:
                os.close(file)
        except OSError as cause:
            logger.warning("a refused line cannot be kept: %s", cause)

    def _read(self, journal: Journal, records: int, size: int) -> tuple[list[Record], Place]:
        while True:
            try:
                return journal.read(records=records, size=size)
            except Damaged as damage:
                logger.error("a part of the spool is damaged, and kept aside: %s", damage)
                self._tally.count(lost=1)
                with self._changed:
                    journal.skip_damaged()

    def _adopt(self) -> None:
        """Take over, now and then, what processes that have ended left behind."""
        if time.monotonic() - self._scanned < _SCAN_SECONDS:
            return
        self._scanned = time.monotonic()
        mine = {self._own.path, *[each.path for each in self._adopted]}
        for path in sorted(self._folder.glob("journal-*")):
            journal = None if path in mine else Journal.adopted(path)
            if journal is not None:
                logger.info("what another process left in %s is sent", path)
                self._adopted.append(journal)
        for path in self._folder.glob("new-*"):
            lock = _locked(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)

    def _has_room(self, size: int) -> bool:
        return not self._bytes or self._bytes + size <= self._size

    def _wait_for_room(self, size: int, timeout: float | None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        self._putters += 1
        try:
            while self._is_closed or not self._has_room(size):
                if self._is_closed:
                    raise ClosedError("this client is closed")
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise QueueFullError(f"{self._bytes} bytes wait in {self._folder}, and there is no room for more")
                self._changed.wait(left)
        finally:
            self._putters -= 1


def _locked(folder: Path) -> int | None:
    """Lock a folder; gives the descriptor that holds the lock, None if another process has it or has removed it."""
    path = folder / "lock"
    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _replace(path: Path, data: bytes, *, fsync: bool) -> None:
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.pwrite(file, data, 0)
        if fsync:
            os.fdatasync(file)
    finally:
        os.close(file)


def _frame(kind: int, at: float, payload: bytes) -> bytes:
    return _HEADER.pack(len(payload), _sum(kind, at, payload), kind, at) + payload


def _sum(kind: int, at: float, payload: bytes) -> int:
    return crc32(payload, crc32(struct.pack("<Bd", kind, at)))


def _frames(data: bytes) -> Iterator[tuple[int, float, bytes, int]]:
    """Give kind, time, payload and end of each whole frame; raises `Damaged`."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, told, kind, at = _HEADER.unpack_from(data, offset)
        if length > LONGEST_FRAME:
            raise Damaged(f"a length of {length} at byte {offset}")
        end = offset + _HEADER.size + length
        if end > len(data):
            return
        payload = data[offset + _HEADER.size : end]
        if _sum(kind, at, payload) != told or kind not in {_DECISION, _OBSERVATION, _TICKET}:
            raise Damaged(f"a wrong check sum at byte {offset}")
        yield kind, at, payload, end
        offset = end


def _parsed(data: bytes, place: Place, *, records: int, size: int) -> tuple[list[Record], Place]:
    found: list[Record] = []
    ticket, end, total = place.ticket, 0, 0
    try:
        for kind, at, payload, after in _frames(data):
            if kind == _TICKET:
                ticket = payload.decode() or None
                continue
            record = Record(kind == _DECISION, at, payload, ticket if kind == _DECISION else None)
            if len(found) >= records or (found and total + record.size > size):
                break
            found.append(record)
            end, total = after, total + record.size
            end_ticket = ticket
    except Damaged:
        if not found:
            raise
    return found, Place(place.segment, place.offset + end, end_ticket if found else place.ticket)
