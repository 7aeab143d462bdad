"""What polling threads read: blocking, and conditional, so that nothing new costs a 304 and no bytes.

Each question ends in time, whatever storage does: one loop's answer that does not come holds the others up for some seconds at most.
"""

from dataclasses import dataclass, replace
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


def _changed(storage: Storage, name: str, *, known: str) -> tuple[bytes, str] | None:
    """Give content and ETag of a file when they are new (b"" and "" when it is gone); None when they are not, or never were."""

    async def read(opened: Storage) -> File | None:
        return await Files(opened, names.MODELS).news(name, known=known)

    with patience(LOOK):
        file = storage.waiter.ask(read, deadline=LOOK)
    return None if file is None else (file.data, str(file.etag))


class FileModelFeed:
    """The published model: `shared.domain.ports.ModelFeed`."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._storage = storage
        self._loop = loop
        self._etag = ""

    def news(self) -> Pointer | None:
        """Give the pointer if it has changed."""
        changed = _changed(self._storage, names.pointer_file(self._loop), known=self._etag)
        if changed is None or not changed[1]:  # a pointer that is gone takes no model away
            return None
        pointer = read_pointer(changed[0])
        self._etag = changed[1]
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


@dataclass(frozen=True, slots=True)
class _Known:
    """A record, and the ETag with which it was read ("": it was not read); ``noted`` is one that this process has written since."""

    record: LoopRecord
    etag: str = ""
    noted: LoopRecord | None = None


class StoredConfiguration:
    """A loop's record and the settings it gives: `shared.domain.ports.LoopConfiguration`.

    It may be shared between threads: record and ETag are replaced together, and only by what was asked for when both were as they are.
    """

    def __init__(self, storage: Storage, *, defaults: LoopSettings, record: LoopRecord | None = None) -> None:
        self._storage = storage
        self._defaults = defaults
        self._known = _Known(LoopRecord(defaults.name) if record is None else record)

    @property
    def record(self) -> LoopRecord:
        """What the process found last; it stays what it was when a later one cannot be read."""
        return self._known.record

    def note(self, record: LoopRecord) -> None:
        """Hear of a record that this process has written: the next look reads what is stored, and where it cannot, this one is in force.

        Others may have written since, and a look may have found that already: so it does not take its place by itself.
        """
        self._known = _Known(self._known.record, noted=record)

    def read(self) -> LoopSettings:
        """Give the settings in force now; of a record that cannot be read, as one of a later release, the keys and the end are heeded."""
        while True:
            known = self._known
            try:
                new = self._looked(known)
            except PersonalizerError:
                if known.noted is not None and known is self._known:
                    self._known = _Known(known.noted)
                raise
            if known is self._known:
                self._known = new
                return new.record.settings(self._defaults)

    def _looked(self, known: _Known) -> _Known:
        changed = _changed(self._storage, names.configuration_file(self._defaults.name), known=known.etag)
        return known if changed is None else _Known(self._read(known, *changed), changed[1])

    def _read(self, known: _Known, text: bytes, etag: str) -> LoopRecord:
        name = self._defaults.name
        if not etag:
            return LoopRecord(name)
        try:
            record = read_record(name, text)
            record.settings(self._defaults)
        except PersonalizerError:
            if known is self._known:
                self._known = replace(known, record=salvaged(known.record, text), noted=None)
            raise
        return record
