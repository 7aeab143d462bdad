"""What a process has open of a store: shared by all who ask in it, and done in threads, so that no event loop waits for a disk.

A process that forks closes its databases before, since sqlite's locks do not go along; both open them again when they are asked.
"""

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from shared.domain.errors import NewerFormatError, PersonalizerError, SettingsError, StorageUnavailableError
from shared.domain.patience import seconds_left
from shared.storage.embedded import folder as folders
from shared.storage.embedded.catalogue import Catalogue
from shared.storage.embedded.database import Database
from shared.storage.embedded.failures import ClosedError, DamagedError, MissingError
from shared.storage.embedded.queues import Queues
from shared.storage.embedded.tables import Tables, is_old
from shared.storage.embedded.times import FolderTime
from shared.storage.settings import FolderSettings

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

CALL_DEADLINE: Final = timedelta(seconds=30)
"""How long any single use of the store may take where its caller does not say less."""
_THREADS: Final = 16
_APPENDING: Final = 8
"""Threads for rows alone that are put: whatever else is waited for, as a file that another holds, no Rank waits behind it."""
_FORK_SECONDS: Final = 10.0
_SWEPT_EVERY: Final = 3_600.0


class Engine:
    """One process's open store."""

    def __init__(self, folder: Path, clock: FolderTime, *, swept_every: float = _SWEPT_EVERY) -> None:
        self.folder = folder
        self.time = clock
        self.tables = Tables(folder, maintain=self.maintain)
        self.files = Catalogue(folder, clock, maintain=self.maintain)
        self.queues = Queues(folder, clock, maintain=self.maintain)
        self.users = 0
        self.may_make = False
        self._opening = threading.Lock()
        self._is_open = False
        self._swept_every = swept_every
        self._sweeps_at = -math.inf
        self._gate = threading.Condition()
        self._under_way = 0
        self._is_shut = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        self._appending = ThreadPoolExecutor(_APPENDING, thread_name_prefix="store-rows")
        self._maintenance = ThreadPoolExecutor(1, thread_name_prefix="store-maintenance")

    async def run(
        self, what: str, job: "Callable[[Engine, float], Answer]", *, sent_by: float | None = None, is_append: bool = False
    ) -> Answer:
        """Do a job in a thread, and give its answer; raises `StorageUnavailableError` when it fails or takes too long.

        It gets the time (of `time.monotonic`) at which it is due: what is not stored by then is not stored later. One that ``is_append``
        waits behind no others than those.
        """
        seconds = seconds_left(CALL_DEADLINE)
        if seconds <= 0:
            raise StorageUnavailableError(f"the store did not answer in time: {what}")
        due = min(time.monotonic() + seconds, math.inf if sent_by is None else sent_by)
        try:
            async with asyncio.timeout(seconds):
                return await self._begun(self._appending if is_append else self._threads, what, job, due)
        except TimeoutError as cause:
            logger.warning("the store did not answer in time", extra={"operation": what})
            raise StorageUnavailableError(f"the store did not answer in time: {what}") from cause

    def _begun(
        self, threads: ThreadPoolExecutor, what: str, job: "Callable[[Engine, float], Answer]", due: float
    ) -> "asyncio.Future[Answer]":
        try:
            return asyncio.get_running_loop().run_in_executor(threads, self._done, what, job, due)
        except RuntimeError as cause:
            raise StorageUnavailableError(f"the store was closed meanwhile: {what}") from cause

    def maintain(self, job: Callable[[], None]) -> None:
        """Do a job behind the calls, one at a time; one that fails is only logged, since another follows."""
        try:
            self._maintenance.submit(self._maintained, job)
        except RuntimeError:
            logger.debug("the store is closed, and its maintenance has ended")

    def open(self) -> None:
        """Open the store, and make it where there is none; raises `SettingsError` for what a person has to mend."""
        with self._opening:
            if self._is_open:
                return
            try:
                self._open()
            except (MissingError, DamagedError, NewerFormatError, StorageUnavailableError) as cause:
                raise SettingsError(str(cause)) from cause
            except OSError as cause:
                raise SettingsError(f"the store {self.folder} cannot be used: {cause.strerror or cause}") from cause
            self._is_open = True

    def close(self) -> None:
        """Let go of everything, once what is under way is done."""
        self._threads.shutdown()
        self._appending.shutdown()
        self._maintenance.shutdown(cancel_futures=True)
        self._let_go()

    # --- forks -----------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close the databases, and hold up who asks."""
        with self._gate:
            self._is_shut = True
            self._gate.wait_for(lambda: self._under_way == 0, _FORK_SECONDS)
        self._let_go()

    def after_fork(self) -> None:
        """Go on."""
        with self._gate:
            self._is_shut = False
            self._gate.notify_all()

    # --- inside ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let no fork happen meanwhile."""
        with self._gate:
            self._gate.wait_for(lambda: not self._is_shut)
            self._under_way += 1
        try:
            yield
        finally:
            with self._gate:
                self._under_way -= 1
                self._gate.notify_all()

    def _done(self, what: str, job: "Callable[[Engine, float], Answer]", due: float) -> Answer:
        try:
            with self.passing():
                self.open()
                self._sweep_in_time()
                return job(self, due)
        except (MissingError, DamagedError, NewerFormatError, SettingsError) as cause:
            raise StorageUnavailableError(str(cause)) from cause
        except ClosedError as cause:
            raise StorageUnavailableError(f"the store was closed meanwhile: {what}") from cause

    def _maintained(self, job: Callable[[], None]) -> None:
        try:
            with self.passing():
                job()
        except (PersonalizerError, MissingError, DamagedError, OSError) as error:
            logger.warning("the maintenance of the store failed: %s", error)
        except ClosedError:
            logger.debug("a database was closed during its maintenance")

    def _open(self) -> None:
        due = time.monotonic() + CALL_DEADLINE.total_seconds()
        if not self.may_make and not folders.is_store(self.folder):
            raise SettingsError(f"there is no store in {self.folder}")
        if not folders.prepare(self.folder):
            with folders.making(self.folder) as is_new:
                if is_new:
                    self._make(due)
        folders.check_access([self.folder])
        for database in self._databases:
            database.read(lambda connection: connection.execute("SELECT count(*) FROM sqlite_master").fetchone(), due=due)
        self.time.open()
        folders.check_access([self.folder / folders.ROWS, self.folder / folders.CONTENT, *(each.path for each in self._databases)])

    def _make(self, due: float) -> None:
        """Make a store; one that is whole says so, and a half-made one is finished by the next who opens it."""
        folders.make_folders(self.folder)
        for database in self._databases:
            database.make(due=due)
        self.time.open()
        folders.finish(self.folder)

    @property
    def _databases(self) -> tuple[Database, ...]:
        return (self.tables.catalogue, self.files.database, self.queues.database)

    def _sweep_in_time(self) -> None:
        at = time.monotonic()
        if at >= self._sweeps_at:
            self._sweeps_at = at + self._swept_every
            self.maintain(self._sweep)

    def _sweep(self) -> None:
        """Finish what the dead have left, if nobody did so lately: a command that ends soon need not."""
        swept = self.folder / folders.SWEPT
        if not is_old(swept, 0.9 * self._swept_every) and swept.exists():
            return
        swept.touch()
        due = time.monotonic() + CALL_DEADLINE.total_seconds()
        self.tables.sweep(due=due)
        self.files.sweep(due=due)

    def _let_go(self) -> None:
        self.tables.close()
        self.files.close()
        self.queues.close()
        clock = self.time
        self.tables = Tables(self.folder, maintain=self.maintain)
        self.files = Catalogue(self.folder, clock, maintain=self.maintain)
        self.queues = Queues(self.folder, clock, maintain=self.maintain)


_registered = threading.Lock()
_engines: dict[Path, Engine] = {}


def take(settings: FolderSettings, clock: FolderTime) -> Engine:
    """Give the process's engine for a folder, which stays open until as many have given it back."""
    place = settings.path.absolute()
    with _registered:
        engine = _engines.get(place)
        if engine is None:
            engine = _engines[place] = Engine(place, clock)
        engine.users += 1
        engine.may_make |= settings.make
        return engine


def give_back(engine: Engine) -> None:
    """Close an engine when the last has given it back; it waits for what is under way."""
    with _registered:
        engine.users -= 1
        is_last = engine.users == 0
        if is_last and _engines.get(engine.folder) is engine:
            del _engines[engine.folder]
    if is_last:
        engine.close()


def _before_fork() -> None:
    _registered.acquire()
    for engine in _engines.values():
        engine.before_fork()


def _after_fork() -> None:
    for engine in _engines.values():
        engine.after_fork()
    _registered.release()


def _in_child() -> None:
    _engines.clear()
    _registered.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
