"""Whole hours of the log in columns, each a file that is written once: who has to look through many days need not read rows again.

They save reading, and nothing depends on them. A file begins with a mark, a checksum, and the block's base; a later format will have
another folder.
"""

import logging
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from shared.domain.clock import Clock, to_micros
from shared.domain.errors import StorageUnavailableError, UnreadableError
from shared.storage import names
from shared.storage.columns import Block
from shared.storage.files import Files
from shared.storage.ports import Storage
from shared.storage.tail import Load, Piece

logger = logging.getLogger(__name__)

HOUR: Final = timedelta(hours=1)
FEWEST_ROWS: Final = 1_000
"""Of an hour that is kept: fewer are read from the log as fast."""
MOST_ROWS: Final = 500_000
"""Of an hour that is kept: 24 MB. One with more is read again."""

_OLD_ENOUGH: Final = timedelta(hours=1)
"""How long ago an hour has to be over: by then all that was acknowledged in it is there, whatever clocks say."""

_MARK: Final = b"OPHC"
_HEAD: Final = struct.Struct("<4sLq")


class Hours:
    """The kept hours of one of a loop's two logs, of one generation, in these columns."""

    def __init__(self, storage: Storage, *, loop: str, generation: int, kind: names.Kind, columns: np.dtype[Any]) -> None:
        self._files = Files(storage, names.LOGS)
        self._prefix = f"{names.hours_prefix(loop)}{generation:04d}/{kind}/"
        self.columns = columns

    async def read(self, hour: datetime) -> Block | None:
        """Give an hour; None if it is not kept, or damaged, which is put right. Raises `StorageUnavailableError`."""
        file = await self._files.read(self._name(hour))
        if file is None:
            return None
        try:
            return read_block(file.data, self.columns)
        except UnreadableError as damage:
            logger.error("a kept hour of the log is written again: %s", damage)
            await self._files.delete(self._name(hour))
            return None

    async def keep(self, hour: datetime, block: Block) -> None:
        """Keep an hour, if storage lets."""
        try:
            await self._files.write_once(self._name(hour), write_block(block))
        except StorageUnavailableError as error:
            logger.info("an hour of the log is not kept: %s", error)

    def _name(self, hour: datetime) -> str:
        return f"{self._prefix}{hour:%Y%m%d%H}"


def write_block(block: Block) -> bytes:
    """Write a block as bytes."""
    rows = block.rows.tobytes()
    return _HEAD.pack(_MARK, zlib.crc32(rows), block.base) + rows


def read_block(data: bytes, columns: np.dtype[Any]) -> Block:
    """Inverse of `write_block`; raises `UnreadableError`."""
    rows = memoryview(data)[_HEAD.size :]
    if len(data) < _HEAD.size or len(rows) % columns.itemsize:
        raise UnreadableError("it has not the length of one")
    mark, checksum, base = _HEAD.unpack_from(data)
    if mark != _MARK or zlib.crc32(rows) != checksum:
        raise UnreadableError("its content is not what its checksum says")
    return Block(base, np.frombuffer(rows, columns))


def kept_by_the_hour(load: Load, hours: Hours, *, clock: Clock) -> Load:
    """Give a way to read the log that takes whole hours from where they are kept, and keeps those that it had to read."""

    async def through(since: datetime, until: datetime) -> AsyncIterator[Piece]:
        for first, last in _parted(since, until):
            if last - first < HOUR or last > clock.now() - _OLD_ENOUGH:
                async for piece in load(first, last):
                    yield piece
                continue
            kept = await hours.read(first)
            if kept is not None:
                yield Piece(first, last, kept)
                continue
            whole: Block | None = Block(to_micros(first), np.empty(0, hours.columns))
            async for piece in load(first, last):
                yield piece
                whole = None if whole is None or len(whole) + len(piece.block) > MOST_ROWS else whole.plus(piece.block)
            if whole is not None and len(whole) >= FEWEST_ROWS:
                await hours.keep(first, whole)

    return through


def _parted(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Part a range so that whole hours stand by themselves."""
    while since < until:
        last = min(until, since.replace(minute=0, second=0, microsecond=0) + HOUR)
        yield since, last
        since = last


async def drop_hours(storage: Storage, *, loop: str, generation: int, before: datetime) -> int:
    """Delete the hours that ended before this time, those of older generations and formats, and tell how many went."""
    files, prefix = Files(storage, names.LOGS), names.hours_prefix(loop)
    oldest = f"{before - HOUR:%Y%m%d%H}"
    dropped = 0
    async for file in files.listing(names.hours_prefix(loop, version=None)):
        its_generation, _, rest = str(file.name).removeprefix(prefix).partition("/")
        hour = rest.rpartition("/")[2]
        is_of_this_format = its_generation.isdecimal()  # a name of another one still has its whole beginning
        if not is_of_this_format or int(its_generation) < generation or hour <= oldest:
            await files.delete(str(file.name))
            dropped += 1
    return dropped
