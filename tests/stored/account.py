"""A whole storage account as files that can be read one by one, and put back into an empty storage of either engine.

``tables/NAME.jsonl`` has a row a line; bytes stand as ``{"base64": ...}``. ``blobs/CONTAINER/...`` has the blobs as they are, those whose
names end in nothing that tells their kind with ``.bin`` behind, and ``blobs.jsonl`` lists them with their metadata. ``queue.jsonl`` has
the messages of the queue of jobs.
"""

import asyncio
import base64
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.storage import names
from shared.storage.azure.storage import AzureStorage
from shared.storage.ports import Storage
from tests.stores import put_rows

_OURS = "personalizer-"
"""What the names of the service's own containers begin with."""
_MOST_MESSAGES = 32


async def dump(account: AzureStorage, folder: Path) -> None:
    """Write all tables, all blobs of the service's containers, and the visible messages of its queue."""
    for name in sorted([table.name async for table in account.tables.list_tables()]):
        rows = [_plain(row) async for row in account.tables.get_table_client(name).list_entities()]
        _write_lines(folder / "tables" / f"{name}.jsonl", rows)
    _write_lines(folder / "blobs.jsonl", [each async for each in _dumped_blobs(account, folder)])
    queue = account.queues.get_queue_client(names.JOBS)
    _write_lines(folder / "queue.jsonl", [each.content for each in await queue.peek_messages(max_messages=_MOST_MESSAGES)])


async def load(storage: Storage, folder: Path) -> None:
    """Put everything into a storage that is empty."""
    await asyncio.gather(*[_load_table(storage, path) for path in sorted((folder / "tables").glob("*.jsonl"))])
    for blob in blobs(folder):
        data = (folder / blob["file"]).read_bytes()
        await storage.files(blob["container"]).put(blob["name"], data, expected=None, metadata=blob["metadata"])
    for message in messages(folder):
        await storage.queue(names.JOBS).send(message)


def pack(place: Path, file: Path) -> None:
    """Write a store's folder, which is closed, into one file."""
    with tarfile.open(file, "w:xz") as archive:
        archive.add(place, arcname=".")


def unpack(file: Path, place: Path) -> None:
    """Make the folder anew."""
    with tarfile.open(file) as archive:
        archive.extractall(place, filter="data")


async def _load_table(storage: Storage, path: Path) -> None:
    await storage.rows.create(path.stem)
    await put_rows(storage, path.stem, rows(path))


def rows(table: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of a table."""
    return map(_row, _lines(table))


def blobs(folder: Path) -> list[dict[str, Any]]:
    """List the blobs: ``container``, ``name``, ``file`` and ``metadata`` of each."""
    return list(_lines(folder / "blobs.jsonl"))


def blob(folder: Path, name: str) -> bytes:
    """Read a blob's content."""
    file: str = next(each["file"] for each in blobs(folder) if each["name"] == name)
    return (folder / file).read_bytes()


def messages(folder: Path) -> list[str]:
    """List the queue's messages, as they are stored: in Base64."""
    return list(_lines(folder / "queue.jsonl"))


async def _dumped_blobs(account: AzureStorage, folder: Path) -> Any:
    async for container in account.blobs.list_containers(name_starts_with=_OURS):
        client = account.blobs.get_container_client(container.name)
        async for entry in client.list_blobs(include=["metadata"]):
            file = Path("blobs") / container.name / (entry.name if "." in Path(entry.name).name else f"{entry.name}.bin")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(await (await client.download_blob(entry.name)).readall())
            labels = {label: text or "" for label, text in (entry.metadata or {}).items()}  # a listing has null for what is empty
            yield {"container": container.name, "name": entry.name, "file": file.as_posix(), "metadata": labels}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value for name, value in row.items()}


def _row(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value for name, value in plain.items()}


def _lines(path: Path) -> Iterator[Any]:
    return map(json.loads, path.read_text("utf-8").splitlines())


def _write_lines(path: Path, lines: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines), "utf-8")
