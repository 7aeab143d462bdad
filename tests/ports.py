"""The engines of storage that the laws of the ports are tried on, and what other processes do to them."""

import asyncio
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from shared.domain.errors import ConflictError
from shared.storage.opening import named, open_storage
from shared.storage.ports import AbsentError, Row, Storage
from shared.storage.settings import FolderSettings
from tests.simulation.engine import MemoryStorage, Stored

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__, "shared.storage.azure.storage"])
_SECONDS = 60.0


@dataclass(frozen=True)
class Deployment:
    """One storage; ``place`` is a connection string, or else the path of a folder."""

    engine: str
    place: str

    def open(self) -> Storage:
        """Open it once more, as another process or event loop does."""
        return open_storage(FolderSettings(Path(self.place), make=True) if self.engine == "embedded" else named(self.place))


@dataclass(frozen=True)
class InMemory:
    """Storage in memory, which only this process can open; ``stored`` is what is in it."""

    stored: Stored

    def open(self) -> Storage:
        """Open it once more, as a process of a simulation does."""
        return MemoryStorage(self.stored)


def row(partition: str, name: str, **columns: Any) -> Row:
    return {"PartitionKey": partition, "RowKey": name, **(columns or {"Payload": b"x"})}


async def in_processes(work: Callable[..., Any], *arguments: tuple[Any, ...]) -> list[Any]:
    """Do this in as many processes at the same time, and give what each came to; all have to come to something.

    Storage in memory is opened as often by one process.
    """
    if isinstance(arguments[0][0], InMemory):
        return await asyncio.gather(*(work(*each) for each in arguments))
    return await asyncio.to_thread(_in_processes, work, *arguments)


def _in_processes(work: Callable[..., Any], *arguments: tuple[Any, ...]) -> list[Any]:
    answers: Queue[Any] = _PROCESSES.Queue()
    begin = _PROCESSES.Barrier(len(arguments))
    processes = [_PROCESSES.Process(target=_worked, args=(work, begin, answers, each), daemon=True) for each in arguments]
    for process in processes:
        process.start()
    try:
        results = [answers.get(timeout=_SECONDS) for _ in processes]
    finally:
        for process in processes:
            process.join(_SECONDS)
            process.kill()
    if failed := [each for each in results if isinstance(each, BaseException)]:
        raise failed[0]
    return results


def _worked(work: Callable[..., Any], begin: Any, answers: Any, arguments: tuple[Any, ...]) -> None:
    begin.wait(_SECONDS)
    try:
        answers.put(asyncio.run(work(*arguments)))
    except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
        answers.put(error)


async def put_rows(deployment: Deployment, table: str, writer: str, count: int) -> Sequence[str]:
    """Put so many rows, making the table where it is not there; gives the names of those that were acknowledged."""
    storage = deployment.open()
    names = [f"{number:04d}-{writer}" for number in range(count)]
    for name in names:
        try:
            await storage.rows.put(table, row("p", name))
        except AbsentError:
            await storage.rows.create(table)
            await storage.rows.put(table, row("p", name))
    await storage.close()
    return names


async def put_until_absent(deployment: Deployment, table: str, writer: str) -> int:
    """Put rows until the table is gone; gives how many were acknowledged."""
    storage = deployment.open()
    number = 0
    try:
        while True:
            await storage.rows.put(table, row("p", f"{writer}-{number:05d}"))
            number += 1
    except AbsentError:
        return number
    finally:
        await storage.close()


async def drop_soon(deployment: Deployment, table: str, seconds: float) -> None:
    """Drop a table after a while."""
    storage = deployment.open()
    await asyncio.sleep(seconds)
    await storage.rows.drop(table)
    await storage.close()


async def drop_or_put(deployment: Deployment, table: str, writer: str) -> int:
    """Drop a table soon where there is no writer's name, and put rows until it is gone where there is one."""
    if writer:
        return await put_until_absent(deployment, table, writer)
    await drop_soon(deployment, table, 1.0)
    return 0


async def count_up(deployment: Deployment, name: str, times: int) -> int:
    """Add one to the number in a file so many times, on condition; gives how often another was faster."""
    storage = deployment.open()
    files = storage.files("counters")
    conflicts = 0
    while times:
        present = await files.read(name)
        number = int(present.data) + 1 if present else 1
        try:
            await files.put(name, b"%d" % number, expected=present.etag if present else None)
        except ConflictError:
            conflicts += 1
            continue
        times -= 1
    await storage.close()
    return conflicts


async def write_once(deployment: Deployment, name: str, writer: str) -> bool:
    """Write a file of many MiB if there is none; tells whether this was the one."""
    storage = deployment.open()
    try:
        await storage.files("models").put(name, writer.encode() * 500_000, expected=None)
    except ConflictError:
        return False
    else:
        return True
    finally:
        await storage.close()


async def receive_all(deployment: Deployment, queue: str, nobody: str) -> Sequence[str]:
    """Receive and delete until nothing is seen; gives what was received."""
    storage = deployment.open()
    texts = []
    while messages := await storage.queue(queue).receive(most=3, hidden_for=timedelta(seconds=60)):
        for message in messages:
            texts.append(message.text)
            await storage.queue(queue).delete(message)
    await storage.close()
    return texts


async def take_lease(deployment: Deployment, name: str, nobody: str) -> bool:
    """Try to take a lease."""
    storage = deployment.open()
    taken = await storage.files("models").acquire(name, seconds=15)
    await storage.close()
    return taken is not None
