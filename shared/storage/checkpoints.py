"""The checkpoint of a model that is begun anew, in files: `shared.domain.ports.Checkpoints`.

A file is the SHA-256 of what follows (32 bytes), the length of the header (8 bytes), the header (JSON, gzipped) and the learner's state.
In any later format it will still begin so, and the header still tell its ``format``. The file's metadata tell how far the model is, so that
who asks for that need not load it.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.domain.checkpoint import AnewProgress, Checkpoint
from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.joining.chunks import compressed, decompressed
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

FORMAT: Final = 1

_WHAT: Final = "the checkpoint of the model that is retrained"
_DIGEST: Final = 32
_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class _Format:
    format: int


@dataclass(frozen=True, slots=True)
class _Header:
    progress: AnewProgress
    purpose: str
    first: str
    reached: str
    ahead: tuple[str, ...]
    tries: int = 0
    format: int = FORMAT


class FileCheckpoints:
    """The checkpoint of one loop: there is one at most."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._name = names.checkpoint_file(loop)
        self._files = Files(storage, names.MODELS)

    async def read(self) -> tuple[Checkpoint, str] | None:
        """Read the checkpoint and its ETag."""
        file = await self._files.read(self._name)
        return None if file is None else (await asyncio.to_thread(read_checkpoint, file.data), file.etag)

    async def progress(self) -> AnewProgress | None:
        """Tell how far it is, from the metadata alone."""
        labels = await self._files.metadata(self._name)
        return None if labels is None else _read_labels(labels)

    async def write(self, checkpoint: Checkpoint, *, expected: str | None) -> str:
        """Replace the checkpoint on condition."""
        data = await asyncio.to_thread(write_checkpoint, checkpoint)
        return await self._files.replace(self._name, data, expected=expected, metadata=_labels(checkpoint.progress))

    async def delete(self, *, expected: str | None = None) -> None:
        """Delete the checkpoint, if it is there and, where an ETag is expected, still has that."""
        await self._files.delete(self._name, expected=expected)


def write_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Write a checkpoint as bytes."""
    kept, ahead = checkpoint, tuple(checkpoint.ahead)
    header = _Header(kept.progress, kept.purpose, kept.first, kept.reached, ahead, kept.tries)
    text = compressed(msgspec.json.encode(header))
    rest = b"".join((len(text).to_bytes(_LENGTH, "little"), text, checkpoint.state))
    return hashlib.sha256(rest).digest() + rest


def read_checkpoint(data: bytes) -> Checkpoint:
    """Inverse of `write_checkpoint`; raises `UnreadableError` for what is not as it was written, or `NewerFormatError`."""
    rest = memoryview(data)[_DIGEST:]
    if hashlib.sha256(rest).digest() != data[:_DIGEST]:
        raise UnreadableError(f"{_WHAT} is damaged: its content is not what its hash says")
    end = _LENGTH + int.from_bytes(rest[:_LENGTH], "little")
    header = _read_header(decompressed(bytes(rest[_LENGTH:end])))
    state = bytes(rest[end:])
    return Checkpoint(header.progress, header.purpose, header.first, header.reached, header.ahead, state, header.tries)


def _read_header(text: bytes) -> _Header:
    try:
        _check_format(msgspec.json.decode(text, type=_Format).format)
        return msgspec.json.decode(text, type=_Header)
    except (msgspec.MsgspecError, RecursionError) as cause:
        raise UnreadableError(f"{_WHAT} cannot be read: {cause}") from cause


def _labels(progress: AnewProgress) -> dict[str, str]:
    return {
        "format": str(FORMAT),
        "resets": str(progress.resets),
        "begunat": str(to_micros(progress.begun_at)),
        "chunks": str(progress.chunks),
        "done": str(progress.done),
        "learned": str(progress.learned),
        "leftout": str(progress.left_out),
    }


def _read_labels(labels: Mapping[str, str]) -> AnewProgress:
    try:
        _check_format(int(labels["format"]))
        return AnewProgress(
            resets=int(labels["resets"]),
            begun_at=from_micros(int(labels["begunat"])),
            chunks=int(labels["chunks"]),
            done=int(labels["done"]),
            learned=int(labels["learned"]),
            left_out=int(labels["leftout"]),
        )
    except (LookupError, ValueError, OverflowError) as cause:
        raise UnreadableError(f"{_WHAT} does not say how far it is: {cause}") from cause


def _check_format(found: int) -> None:
    if found > FORMAT:
        raise NewerFormatError(_WHAT, found=found, known=FORMAT)
