"""Evaluations, feature importances and breakdowns from the log in files, a file each: `shared.domain.ports.JobStore`.

What a listing tells stands in the file's metadata as well, so that no file has to be opened for it.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Generic, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.evaluation import Evaluation, FeatureImportance, Listed, LogBreakdown
from shared.domain.pairs import checked
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

logger = logging.getLogger(__name__)

FORMAT = 1

Analysis = TypeVar("Analysis")
_LISTED = TypeAdapter(Listed)


class FileJobStore(Generic[Analysis]):
    """The analyses of one kind under a prefix."""

    def __init__(self, files: Files, prefix: str, kept: TypeAdapter[Analysis], *, as_listed: Callable[[Analysis], Listed]) -> None:
        self._files = files
        self._prefix = prefix
        self._kept = kept
        self._as_listed = as_listed

    async def read(self, job_id: str) -> tuple[Analysis, str] | None:
        """Read an analysis and its ETag."""
        file = await self._files.read(self._prefix + names.job_file(job_id))
        return None if file is None else (_read(file.data, self._kept), file.etag)

    async def create(self, analysis: Analysis) -> None:
        """Store an analysis that is not there yet."""
        await self._write(analysis, expected=None)

    async def replace(self, analysis: Analysis, *, expected: str) -> str:
        """Store an analysis on condition."""
        return await self._write(analysis, expected=expected)

    async def _write(self, analysis: Analysis, *, expected: str | None) -> str:
        listed = self._as_listed(analysis)
        listed = replace(listed, job=replace(listed.job, description="", request_id=""))  # metadata have room for 8 KiB
        name = self._prefix + names.job_file(listed.job.id)
        metadata = {"format": str(FORMAT), "listed": base64.b64encode(_checked(listed, _LISTED, name=name)).decode()}
        return await self._files.replace(name, _checked(analysis, self._kept, name=name), expected=expected, metadata=metadata)

    async def delete(self, job_id: str) -> bool:
        """Delete an analysis, and tell whether there was one."""
        name = self._prefix + names.job_file(job_id)
        is_there = await self._files.read(name) is not None
        await self._files.delete(name)
        return is_there

    async def listed(self) -> list[Listed]:
        """List all, the newest first."""
        found = [_listed(str(file.name), file.metadata or {}) async for file in self._files.listing(self._prefix)]
        return sorted([each for each in found if each], key=lambda each: (each.job.created_at, each.job.id), reverse=True)


@cache
def _adapter(kind: type[Analysis]) -> TypeAdapter[Analysis]:
    """Give the one of a process: to make it takes up to 2 ms, and each loop needs it."""
    return TypeAdapter(kind)


def evaluation_store(storage: Storage, *, loop: str) -> FileJobStore[Evaluation]:
    """Give the store of a loop's evaluations."""

    def as_listed(evaluation: Evaluation) -> Listed:
        return Listed(evaluation.job, evaluation.kind)

    return FileJobStore(Files(storage, names.MODELS), names.evaluations_prefix(loop), _adapter(Evaluation), as_listed=as_listed)


def importance_store(storage: Storage, *, loop: str) -> FileJobStore[FeatureImportance]:
    """Give the store of a loop's feature importances."""

    def as_listed(importance: FeatureImportance) -> Listed:
        return Listed(importance.job)

    kept = _adapter(FeatureImportance)
    return FileJobStore(Files(storage, names.MODELS), names.importances_prefix(loop), kept, as_listed=as_listed)


def breakdown_store(storage: Storage, *, loop: str) -> FileJobStore[LogBreakdown]:
    """Give the store of a loop's breakdowns from the log."""

    def as_listed(breakdown: LogBreakdown) -> Listed:
        return Listed(breakdown.job, feature=breakdown.feature)

    kept = _adapter(LogBreakdown)
    return FileJobStore(Files(storage, names.MODELS), names.log_breakdowns_prefix(loop), kept, as_listed=as_listed)


def _written(value: Analysis, kind: TypeAdapter[Analysis]) -> bytes:
    return orjson.dumps({"format": FORMAT, **kind.dump_python(value)}, option=orjson.OPT_SORT_KEYS)


def _checked(value: Analysis, kind: TypeAdapter[Analysis], *, name: str) -> bytes:
    return checked(_written(value, kind), read=partial(_read, kind=kind), write=partial(_written, kind=kind), name=name)


def _read(text: bytes, kind: TypeAdapter[Analysis]) -> Analysis:
    try:
        document = orjson.loads(text)
        found = int(document.pop("format"))
        if found > FORMAT:
            raise NewerFormatError("an analysis of the joined log", found=found, known=FORMAT)
        return kind.validate_python(document)
    except (orjson.JSONDecodeError, ValidationError, LookupError, AttributeError, TypeError, ValueError) as cause:
        raise UnreadableError(f"an analysis of the joined log cannot be read: {cause}") from cause


def _listed(name: str, metadata: Mapping[str, str | None]) -> Listed | None:
    try:
        return _read(base64.b64decode(metadata.get("listed") or ""), _LISTED)
    except (UnreadableError, binascii.Error) as error:
        logger.warning("left out of a listing", extra={"file": name, "reason": str(error)})
        return None
