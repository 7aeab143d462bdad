"""Where a log to import lies: files and folders on this machine, containers of Blob storage."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.storage import deployment
from shared.domain.errors import InvalidSasUriError, ResourceNotFoundError
from shared.services.importing.files import LogFile
from shared.storage.log_files import stored_log_files

_BLOCK: Final = 1 << 20
_OWN: Final = "az://"


@dataclass(frozen=True, slots=True)
class LocalLogFile:
    """A file on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size

    async def blocks(self) -> AsyncIterator[bytes]:
        """Read it, a block at a time."""
        file = await asyncio.to_thread(self.path.open, "rb")
        with file:
            while block := await asyncio.to_thread(file.read, _BLOCK):
                yield block


async def log_files(sources: Sequence[str], storage: str, stack: AsyncExitStack) -> list[LogFile]:
    """Find the files of these sources, in the given order; those of one folder or container by name, numbers by size.

    What is opened for them, the app's own account only where one of them is in it, is closed with the stack. Raises
    `ResourceNotFoundError` for a source where there is nothing.
    """
    found: list[LogFile] = []
    for source in sources:
        part = await _files(source, storage, stack)
        found += sorted(part, key=lambda file: _by_number(file.name))
    return found


async def _files(source: str, storage: str, stack: AsyncExitStack) -> Sequence[LogFile]:
    if source.startswith(("https://", "http://")):
        return await _foreign(source, stack)
    if source.startswith(_OWN):
        area, _, prefix = source.removeprefix(_OWN).partition("/")
        if not area:
            raise InvalidSasUriError(f"{source} is not of the form {_OWN}CONTAINER/PREFIX")
        deployed = await stack.enter_async_context(deployment(storage))
        return await stored_log_files(deployed.storage.files(area), prefix, area=area)
    return local_files(Path(source))


async def _foreign(uri: str, stack: AsyncExitStack) -> Sequence[LogFile]:
    from shared.storage.azure.containers import ForeignContainer

    container = ForeignContainer(uri)
    stack.push_async_callback(container.close)
    return await stored_log_files(container.files, container.prefix, area=container.name)


def local_files(path: Path) -> Sequence[LocalLogFile]:
    """Give a file, or all files of a folder but hidden ones; raises `ResourceNotFoundError` when there is none."""
    if path.is_file():
        return [LocalLogFile(path)]
    inside = [each for each in path.rglob("*") if each.is_file() and not any(part.startswith(".") for part in each.relative_to(path).parts)]
    if not inside:
        raise ResourceNotFoundError(f"there is no file {path}" if not path.exists() else f"there is no file in {path}")
    return [LocalLogFile(each) for each in inside]


def _by_number(name: str) -> list[tuple[int, str]]:
    """Make numbers within names count as such.

    >>> sorted(["17_10.json", "17_9.json"], key=_by_number)
    ['17_9.json', '17_10.json']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
