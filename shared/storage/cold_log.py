"""The joined log read back, and what the kept models were made of: `shared.services.replay.ColdLog` on Blob storage."""

import hashlib
from collections.abc import AsyncIterator, Mapping

from shared.domain.clock import from_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import Provenance
from shared.joining.chunks import decompressed
from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.blobs import BlobFiles

_FORMAT = 1
_SUFFIX = ".json.gz"


class BlobColdLog:
    """Chunks and models of one loop, with what their metadata tell."""

    def __init__(self, account: StorageAccount, *, loop: str) -> None:
        self._loop = loop
        self._models = BlobFiles(account, names.MODELS)
        self._logs = BlobFiles(account, names.LOGS)

    async def models(self) -> dict[str, Provenance]:
        """Tell of each model that is kept what it was made of; raises `NewerFormatError` or `UnreadableError`."""
        listed = _labels(self._models, names.models_prefix(self._loop))
        return {name.removesuffix(".npz"): _provenance(name, labels) async for name, labels in listed}

    async def chunks(self) -> dict[str, str]:
        """Tell of each chunk which one was before it; raises as `models`."""
        listed = _labels(self._logs, names.chunks_prefix(self._loop))
        return {name: _checked(name, labels).get("parent", "") async for name, labels in listed}

    async def chunk(self, name: str) -> bytes:
        """Read a chunk's lines; its name ends with the beginning of its content's SHA-256."""
        file = await self._logs.read(names.chunks_prefix(self._loop) + name)
        if file is None:
            raise UnreadableError(f"chunk {name} of the joined log is missing")
        digest = name.removesuffix(_SUFFIX).rpartition("-")[2]
        if not digest or not hashlib.sha256(file.data).hexdigest().startswith(digest):
            raise UnreadableError(f"chunk {name} of the joined log is damaged: its content is not what its name says")
        return decompressed(file.data)


async def _labels(files: BlobFiles, prefix: str) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    async for blob in files.listing(prefix):
        labels: Mapping[str, str | None] = blob.metadata or {}
        yield str(blob.name).removeprefix(prefix), {label: text or "" for label, text in labels.items()}


def _checked(name: str, labels: Mapping[str, str]) -> Mapping[str, str]:
    found = labels.get("format", "")
    if not found.isdecimal():
        raise UnreadableError(f"{name} does not say what format it has")
    if int(found) > _FORMAT:
        raise NewerFormatError(name, found=int(found), known=_FORMAT)
    return labels


def _provenance(name: str, labels: Mapping[str, str]) -> Provenance:
    try:
        _checked(name, labels)
        return Provenance(
            parent=labels["parent"],
            since=from_micros(int(labels["since"])),
            until=from_micros(int(labels["until"])),
            chunk=labels["chunk"],
            learned=int(labels["learned"]),
            settings=labels["settings"],
        )
    except (LookupError, ValueError, OverflowError) as cause:
        raise UnreadableError(f"{name} does not say what it was made of: {cause}") from cause
