"""Where a log to import lies: files and folders on this machine, containers of Blob storage."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from cli.storage import deployment
from shared.domain.errors import InvalidSasUriError, ResourceNotFoundError, UnreadableError
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
        """Its bytes; 0 if it is not there any more."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    async def blocks(self) -> AsyncIterator[bytes]:
        """Read it, a block at a time; raises `UnreadableError`."""
        try:
            with await asyncio.to_thread(self.path.open, "rb") as file:
                while block := await asyncio.to_thread(file.read, _BLOCK):
                    yield block
        except OSError as cause:
            raise UnreadableError(f"the file cannot be read: {cause.strerror}") from cause


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


def check_local(sources: Sequence[str]) -> None:
    """Look whether the sources on this machine are there, before anything is done with them; raises as `log_files`."""
    for source in sources:
        if not source.startswith(("https://", "http://", _OWN)):
            local_files(Path(source))


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
    if not path.exists():
        raise ResourceNotFoundError(f"there is no file {path}")
    if not path.is_dir():
        raise ResourceNotFoundError(f"{path} is neither a file nor a folder: write to a file what comes out of it")
    inside = list(_inside(path))
    if not inside:
        raise ResourceNotFoundError(f"there is no file in {path}")
    return [LocalLogFile(each) for each in inside]


def _inside(folder: Path) -> Iterator[Path]:
    """Find the files of a folder, and of those that are linked in it: each folder once, so that no link leads around."""
    known: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        here = Path(place)
        told = here.stat()
        if (told.st_dev, told.st_ino) in known:
            folders.clear()
            continue
        known.add((told.st_dev, told.st_ino))
        folders[:] = sorted([each for each in folders if not each.startswith(".")], key=lambda each: ((here / each).is_symlink(), each))
        files = [here / name for name in names if not name.startswith(".")]
        yield from [each for each in files if each.is_file() or not each.exists()]  # a link to nothing is told of when it is read


def _refuse(error: OSError) -> NoReturn:
    raise ResourceNotFoundError(f"the folder {error.filename} cannot be read: {error.strerror}") from error


def _by_number(name: str) -> list[tuple[int, str]]:
    """Make numbers within names count as such.

    >>> sorted(["17_10.json", "17_9.json"], key=_by_number)
    ['17_9.json', '17_10.json']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
