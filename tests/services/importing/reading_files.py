"""Files of a log in memory, read as a command reads those of a folder."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from shared.domain.events import JoinedEvent
from shared.services.importing.accounts import HowFar
from shared.services.importing.files import LogFile, LogReader


class MemoryFile:
    """A file that is read a ``block`` of bytes at a time."""

    def __init__(self, name: str, data: bytes, *, block: int = 1000) -> None:
        self.name, self.data, self.size = name, data, len(data)
        self._block = block

    async def blocks(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), self._block):
            yield self.data[at : at + self._block]


async def read_files(files: Sequence[LogFile], *, now: datetime) -> tuple[list[JoinedEvent], HowFar]:
    """Give the events of these files, and what became of each."""
    reader = LogReader(now=now)
    events = [event async for batch in reader.batches(files, events=lambda: 100, size=1 << 20) for event in batch]
    return events, reader.done
