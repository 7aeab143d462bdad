"""The store's own time, which never goes back: what is sealed now is later than what was looked for before, whatever is done to the clock.

It is the machine's time since it started, which nobody sets, and by how much the clock was ever ahead of that. The processes of a store
share it through a file that all have in their memory; looking at it takes no lock and no system call beyond the clocks'. After a new
start of the machine it goes on from the last time that was kept, or from the clock if that is later.
"""

import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from shared.domain.clock import EPOCH, Clock, SystemClock
from shared.domain.errors import NewerFormatError
from shared.storage.clocks import StorageTime
from shared.storage.embedded.failures import translated

FILE: Final = "clock"
AGREES: Final = 0.1
"""Seconds by which the store's time and the clock may differ and count as the same."""
_FOLLOWS: Final = 0.05
"""Seconds by which the clock has to be ahead of the store's time for that to follow."""
_KEPT_EVERY: Final = 5.0
"""Seconds after which the time is put on the disk again."""
_EXACT: Final = 0.002
"""Seconds that looking at two clocks may take: whoever was stopped between them looks again."""
_LOOKS: Final = 5
_MARK: Final = b"OPTIME"
_VERSION: Final = 1
_FORM: Final = struct.Struct("<6sH16sdd")
"""Mark, version, the machine's start, the store's lead on the time since then, the last time that was kept."""
_LEAD: Final = struct.Struct("<d")
_LEAD_AT: Final = 24
_KEPT_AT: Final = 32
_START: Final = Path("/proc/sys/kernel/random/boot_id")


def since_start() -> float:
    """Give the seconds since the machine started, those that it slept included."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def machine_start() -> bytes:
    """Give what tells this start of the machine from all others (16 bytes); zeros where nothing does."""
    with suppress(OSError, ValueError):
        return bytes.fromhex(_START.read_text("ascii").strip().replace("-", ""))[:16].ljust(16, b"\0")
    return bytes(16)


@dataclass(frozen=True, slots=True)
class Machine:
    """What tells the time: the clock, the seconds since the machine started, and which start that was."""

    clock: Clock
    since_start: Callable[[], float] = since_start
    start: Callable[[], bytes] = machine_start

    def lead(self) -> float | None:
        """Give by how much the clock is ahead of the time since the start; None when that cannot be told just now."""
        for _ in range(_LOOKS):
            before = self.since_start()
            at = self.clock.now().timestamp()
            after = self.since_start()
            if after - before <= _EXACT:
                return at - after
        return None


class FolderTime(StorageTime):
    """The time of the store in a folder; any thread and process may ask."""

    def __init__(self, folder: Path, clock: Clock | None = None, *, machine: Machine | None = None) -> None:
        own = clock or SystemClock()
        super().__init__(own)
        self._path = folder / FILE
        self._machine = machine or Machine(own)
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = None
        self._kept_at = -_KEPT_EVERY

    @property
    def is_exact(self) -> bool:
        """All processes of a store read one time."""
        return True

    def bounds(self) -> tuple[float, float] | None:
        """Give how many seconds the store's time is ahead of the own clock, twice; None while there is no store."""
        if self._map is None:
            try:
                self.open(make=False)
            except (OSError, NewerFormatError):
                return None
        own = self._machine.lead()
        if own is None:
            return None
        ahead = self._lead() - own
        if ahead < -_FOLLOWS:
            with suppress(OSError):  # on a disk that cannot be written it stays behind
                self._follow()
            ahead = self._lead() - own
        return (0.0, 0.0) if abs(ahead) <= AGREES else (ahead, ahead)

    def now(self) -> datetime:
        """Give the store's time."""
        bounds = self.bounds()
        return self._machine.clock.now() + timedelta(seconds=bounds[0] if bounds else 0.0)

    def open(self, *, make: bool = True) -> None:
        """Open the file; raises `OSError` and `NewerFormatError`. One that cannot be read is begun anew from the clock."""
        with self._lock:
            if self._map is not None:
                return
            with _held(self._path, os.O_RDWR | (os.O_CREAT if make else 0)) as descriptor:
                self._begin(descriptor)
                self._map = mmap.mmap(descriptor, _FORM.size)

    def keep(self) -> None:
        """Put the time on the disk, if it was not done lately: it does not go on from an earlier one after a power cut.

        Raises `StorageUnavailableError`.
        """
        at = self.monotonic()
        if self._map is None or at - self._kept_at < _KEPT_EVERY:
            return
        self._kept_at = at
        with self._lock:
            kept = self._lead() + self._machine.since_start()
            if kept > self._read(_KEPT_AT):
                _LEAD.pack_into(self._map, _KEPT_AT, kept)
        try:
            with translated(self._path):
                self._map.flush()
        except BaseException:
            self._kept_at = -_KEPT_EVERY
            raise

    def _begin(self, descriptor: int) -> None:
        found = os.pread(descriptor, _FORM.size, 0)
        start, passed = self._machine.start(), self._machine.since_start()
        wall = (self._machine.clock.now() - EPOCH).total_seconds()
        lead, kept, is_whole = wall - passed, wall, len(found) == _FORM.size and found.startswith(_MARK)
        if is_whole:
            _, version, its_start, its_lead, its_kept = _FORM.unpack(found)
            if version > _VERSION:
                raise NewerFormatError("the store's clock", found=version, known=_VERSION)
            if its_start == start and its_lead + passed >= its_kept - AGREES:
                return
            reached = its_kept if wall >= its_kept else its_kept + _KEPT_EVERY + AGREES  # it may have gone on for so long since
            lead, kept = max(lead, reached - passed), max(kept, reached)
        os.pwrite(descriptor, _FORM.pack(_MARK, _VERSION, start, lead, kept), 0)
        os.fsync(descriptor)

    def _follow(self) -> None:
        """Follow a clock that was set forward; of several processes each sees what the others did."""
        with self._lock, _held(self._path, os.O_RDWR):
            own = self._machine.lead()
            if own is not None and self._map is not None and own > self._lead() + _FOLLOWS:
                _LEAD.pack_into(self._map, _LEAD_AT, own)

    def _lead(self) -> float:
        return self._read(_LEAD_AT)

    def _read(self, place: int) -> float:
        value: float = _LEAD.unpack_from(self._map, place)[0]  # type: ignore[arg-type]  # eight bytes at once, and whole
        return value


@contextmanager
def _held(path: Path, flags: int) -> Iterator[int]:
    """Open a file and hold its lock."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing alone would not: a map of it holds it open
    finally:
        os.close(descriptor)
