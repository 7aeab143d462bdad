"""The joined log read back, and what the kept models were made of: `shared.services.models.replay.ColdLog` in files."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from shared.domain.clock import EPOCH
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import Link, Pointer, Provenance
from shared.joining.chunks import ChunkName, chain, decompressed, first_lines
from shared.storage import names
from shared.storage.files import Files
from shared.storage.pointers import read_pointer
from shared.storage.ports import Storage
from shared.storage.provenance import read_provenance

_FORMAT = 1


class FileColdLog:
    """Chunks and models of one loop, with what their metadata tell. Chunks from before the log was deleted are not there."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._loop = loop
        self._models = Files(storage, names.MODELS)
        self._logs = Files(storage, names.LOGS)

    async def models(self) -> dict[str, Provenance]:
        """Tell of each model that is kept what it was made of; raises `NewerFormatError` or `UnreadableError`."""
        listed = _labels(self._models, names.models_prefix(self._loop))
        return {name.removesuffix(".npz"): read_provenance(name, labels) async for name, labels in listed}

    async def chunks(self) -> dict[str, str]:
        """Tell of each chunk which one was before it; raises as `models`."""
        generation = await self._generation()
        listed = self._listed_chunks()
        return {str(name): _checked(str(name), labels).get("parent", "") async for name, labels in listed if name.generation >= generation}

    async def beside(self, name: str) -> dict[str, Link]:
        """Tell the place of each chunk whose window began on the same day as this one's; raises as `models`.

        There is none if the log was deleted since.
        """
        if ChunkName.parse(name).generation < await self._generation():
            return {}
        prefix = names.chunks_prefix(self._loop)
        listed = _labels(self._logs, f"{prefix}{ChunkName.day_of(name)}", within=prefix)
        return {each: _link(_checked(each, labels)) async for each, labels in listed if ChunkName.is_one(each)}

    async def sizes(self) -> dict[str, int]:
        """Tell the bytes of each chunk that is there, those that belong to no commit included."""
        prefix = names.chunks_prefix(self._loop)
        return {str(file.name).removeprefix(prefix): int(file.size) async for file in self._logs.listing(prefix)}

    async def chain(self) -> Sequence[str]:
        """List the chunks that count, in order; raises as `models`, and for one that is missing between others."""
        pointer = await self._pointer()
        return chain(pointer.chunk, await self.chunks()) if pointer is not None and pointer.chunk else ()

    async def watermark(self) -> datetime | None:
        """Tell up to which time decisions have been joined; None before the first commit."""
        pointer = await self._pointer()
        return None if pointer is None else pointer.watermark

    async def parent(self, name: str) -> str | None:
        """Tell which chunk was before this one ("": it is the first); None if this one is not there any more."""
        if ChunkName.parse(name).generation < await self._generation():
            return None
        labels = await self._logs.metadata(names.chunks_prefix(self._loop) + name)
        return None if labels is None else _checked(name, labels).get("parent", "")

    async def chunk(self, name: str) -> bytes:
        """Read a chunk's lines; its name ends with the beginning of its content's SHA-256."""
        parsed = ChunkName.parse(name)
        if parsed.generation < await self._generation():
            raise UnreadableError(f"chunk {name} of the joined log is not there any more: the log was deleted")
        file = await self._logs.read(names.chunks_prefix(self._loop) + name)
        if file is None:
            raise UnreadableError(f"chunk {name} of the joined log is missing")
        if not hashlib.sha256(file.data).hexdigest().startswith(parsed.digest):
            raise UnreadableError(f"chunk {name} of the joined log is damaged: its content is not what its name says")
        return decompressed(file.data)

    async def head(self, name: str, *, size: int) -> tuple[Sequence[bytes], str] | None:
        """Read the first whole lines of a chunk, at most so many bytes, and tell which chunk was before it; None if it is not there."""
        if ChunkName.parse(name).generation < await self._generation():
            return None
        found = await self._logs.head(names.chunks_prefix(self._loop) + name, size=size)
        return None if found is None else (first_lines(found[0], size=size), _checked(name, found[1]).get("parent", ""))

    async def drop_chunks(self, *, before: datetime | None) -> int:
        """Delete the chunks whose window ended before this time (None: none of them), and those from before the log was deleted.

        The oldest go first: stopped half-way, what is left is the end of the log without a gap. Tells how many went.
        """
        generation = await self._generation()
        found = [name async for name, _ in self._listed_chunks()]
        old = [each for each in found if each.generation < generation or (before is not None and each.until < before)]
        for each in sorted(old, key=lambda chunk: (chunk.generation, chunk.until)):
            await self._logs.delete(names.chunks_prefix(self._loop) + str(each))
        return len(old)

    async def drop_quarantined(self, *, before: datetime | None) -> int:
        """Delete the copies of damaged segments sealed before this time, and those from before the log was deleted."""
        pointer = await self._pointer()
        limit = max(before or EPOCH, pointer.log.since if pointer else EPOCH)
        prefix = names.quarantine_prefix(self._loop)
        found = [name async for name, _ in _labels(self._logs, prefix)]
        old = [name for name in found if name.rpartition("/")[2] < names.row_time(limit)]
        for name in old:
            await self._logs.delete(prefix + name)
        return len(old)

    async def _listed_chunks(self) -> AsyncIterator[tuple[ChunkName, Mapping[str, str]]]:
        """List chunks of whatever generation; what else lies there is no business of ours."""
        async for name, labels in _labels(self._logs, names.chunks_prefix(self._loop)):
            if ChunkName.is_one(name):
                yield ChunkName.parse(name), labels

    async def _generation(self) -> int:
        pointer = await self._pointer()
        return pointer.log.generation if pointer is not None else 1

    async def _pointer(self) -> Pointer | None:
        file = await self._models.read(names.pointer_file(self._loop))
        return None if file is None else read_pointer(file.data)


async def _labels(files: Files, prefix: str, *, within: str = "") -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """List what begins with the prefix, named as from there on, or as from ``within`` on."""
    async for file in files.listing(prefix):
        labels: Mapping[str, str | None] = file.metadata or {}
        yield str(file.name).removeprefix(within or prefix), {label: text or "" for label, text in labels.items()}


def _link(labels: Mapping[str, str]) -> Link:
    learned, events = (int(text) if (text := labels.get(name, "")).isdecimal() else None for name in ("learned", "events"))
    return Link(labels.get("parent", ""), learned, events)


def _checked(name: str, labels: Mapping[str, str]) -> Mapping[str, str]:
    found = labels.get("format", "")
    if not found.isdecimal():
        raise UnreadableError(f"{name} does not say what format it has")
    if int(found) > _FORMAT:
        raise NewerFormatError(name, found=int(found), known=_FORMAT)
    return labels
