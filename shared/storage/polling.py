"""What polling threads read: blocking, and conditional, so that nothing new costs a 304 and no bytes.

Each question ends in time, whatever storage does: one loop's answer that does not come holds the others up for some seconds at most.
"""

from datetime import timedelta
from typing import Final

from shared.domain.errors import PersonalizerError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopRecord, LoopSettings
from shared.domain.patience import patience
from shared.storage import names
from shared.storage.files import File, Files
from shared.storage.loop_records import read_record, salvaged
from shared.storage.pointers import read_pointer
from shared.storage.ports import Storage

LOOK: Final = timedelta(seconds=5)
"""How long a look whether something is new may take."""

LOAD: Final = timedelta(seconds=10)
"""How long it may take to load a model that is."""


class _Changes:
    """One file, handed over only when it has changed since the last time it was accepted."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._etag = ""

    def fetch(self) -> tuple[bytes, str] | None:
        """Give content and ETag when they are new (b"" and "" when the file is gone); None when they are not, or never were."""

        async def read(storage: Storage) -> File | None:
            return await Files(storage, names.MODELS).news(self._name, known=self._etag)

        with patience(LOOK):
            file = self._storage.waiter.ask(read, deadline=LOOK)
        return None if file is None else (file.data, str(file.etag))

    def accept(self, etag: str) -> None:
        """Take note that this content was used."""
        self._etag = etag


class FileModelFeed:
    """The published model: `shared.domain.ports.ModelFeed`."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._storage = storage
        self._loop = loop
        self._pointer = _Changes(storage, names.pointer_file(loop))

    def news(self) -> Pointer | None:
        """Give the pointer if it has changed."""
        changed = self._pointer.fetch()
        if changed is None or not changed[1]:  # a pointer that is gone takes no model away
            return None
        pointer = read_pointer(changed[0])
        self._pointer.accept(changed[1])
        return pointer

    def artifact(self, version: str) -> bytes:
        """Read a published model."""

        async def read(storage: Storage) -> File | None:
            return await Files(storage, names.MODELS).read(names.model_file(self._loop, version))

        with patience(LOAD):
            file = self._storage.waiter.ask(read, deadline=LOAD)
        if file is None:
            raise UnreadableError(f"model {version} is not there")
        return file.data


class StoredConfiguration:
    """A loop's record and the settings it gives: `shared.domain.ports.LoopConfiguration`.

    ``record`` is what the process found last, and stays what it was when a later one cannot be read. It may be shared between
    threads, and is replaced by whoever writes a newer one.
    """

    def __init__(self, storage: Storage, *, defaults: LoopSettings, record: LoopRecord | None = None) -> None:
        self._defaults = defaults
        self._blob = _Changes(storage, names.configuration_file(defaults.name))
        self.record = LoopRecord(defaults.name) if record is None else record

    def read(self) -> LoopSettings:
        """Give the settings in force now; of a record that cannot be read, as one of a later release, the keys and the end are heeded."""
        changed = self._blob.fetch()
        if changed is not None:
            self.record = self._read(*changed)
            self._blob.accept(changed[1])
        return self.record.settings(self._defaults)

    def _read(self, text: bytes, etag: str) -> LoopRecord:
        name = self._defaults.name
        if not etag:
            return LoopRecord(name)
        try:
            record = read_record(name, text)
            record.settings(self._defaults)
        except PersonalizerError:
            self.record = salvaged(self.record, text)
            raise
        return record
