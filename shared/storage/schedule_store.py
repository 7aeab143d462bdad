"""A loop's schedules of evaluations in files, a file each with its series: `shared.domain.ports.ScheduleStore`."""

import logging

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.pairs import checked
from shared.domain.schedules import Schedule
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

logger = logging.getLogger(__name__)

FORMAT = 1

_KEPT = TypeAdapter(Schedule)


class FileScheduleStore:
    """The schedules under a prefix."""

    def __init__(self, files: Files, prefix: str) -> None:
        self._files = files
        self._prefix = prefix

    @staticmethod
    def of(storage: Storage, *, loop: str) -> "FileScheduleStore":
        """Give the store of a loop's schedules."""
        return FileScheduleStore(Files(storage, names.MODELS), names.schedules_prefix(loop))

    async def read(self, schedule_id: str) -> tuple[Schedule, str] | None:
        """Read a schedule and its ETag."""
        file = await self._files.read(self._name(schedule_id))
        return None if file is None else (_read(file.data), file.etag)

    async def write(self, schedule: Schedule, *, expected: str | None) -> str:
        """Store a schedule on condition."""
        name = self._name(schedule.id)
        text = checked(_written(schedule), read=_read, write=_written, name=name)
        return await self._files.replace(name, text, expected=expected)

    async def delete(self, schedule_id: str) -> bool:
        """Delete a schedule, and tell whether there was one."""
        name = self._name(schedule_id)
        is_there = await self._files.read(name) is not None
        await self._files.delete(name)
        return is_there

    async def count(self) -> int:
        """Tell how many there are, whether or not they can be read."""
        return len([each async for each in self._files.listing(self._prefix)])

    async def all(self) -> list[Schedule]:
        """Read all, the oldest first."""
        found = []
        for name in [str(entry.name) async for entry in self._files.listing(self._prefix)]:
            file = await self._files.read(name)
            if file is None:
                continue
            try:
                found.append(_read(file.data))
            except UnreadableError as error:
                logger.warning("left out of a listing", extra={"file": name, "reason": str(error)})
        return sorted(found, key=lambda each: (each.created_at, each.id))

    def _name(self, schedule_id: str) -> str:
        return self._prefix + names.job_file(schedule_id)


def _written(schedule: Schedule) -> bytes:
    return orjson.dumps({"format": FORMAT, **_KEPT.dump_python(schedule)}, option=orjson.OPT_SORT_KEYS)


def _read(text: bytes) -> Schedule:
    try:
        document = orjson.loads(text)
        found = int(document.pop("format"))
        if found > FORMAT:
            raise NewerFormatError("a schedule of evaluations", found=found, known=FORMAT)
        return _KEPT.validate_python(document)
    except (orjson.JSONDecodeError, ValidationError, LookupError, AttributeError, TypeError, ValueError) as cause:
        raise UnreadableError(f"a schedule of evaluations cannot be read: {cause}") from cause
