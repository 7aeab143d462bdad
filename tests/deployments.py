"""Whole deployments for tests that copy, back up and restore them: what a storage holds, and storages on which every call can fail."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from shared.storage import names
from shared.storage.copying.mark import PREFIX
from shared.storage.ports import EVERYTHING, Content, Entry, FileStore, KeyRange, Row, RowStore, Storage
from tests.stored.account import blobs, rows
from tests.stored.releases import releases

AREAS = (names.MODELS, names.LOGS)


async def put_release(storage: Storage, *, loops: Sequence[str] | None = None) -> None:
    """Put what the oldest release wrote into an empty storage: all of it, or these loops."""
    folder = releases()[0].folder
    for path in sorted((folder / "tables").glob("*.jsonl")):
        table = names.DayTable.parse(path.stem)
        if table is not None and (loops is None or table.loop in loops):
            await storage.rows.create(path.stem)
            for row in rows(path):
                await storage.rows.put(path.stem, row)
    for blob in blobs(folder):
        if loops is None or blob["name"].split("/")[1] in loops or "/" not in blob["name"].removeprefix("signing/"):
            data = (folder / blob["file"]).read_bytes()
            await storage.files(blob["container"]).put(blob["name"], data, expected=None, metadata=blob["metadata"])


async def content(storage: Storage) -> dict[str, Any]:
    """Give all that a storage holds of a deployment, byte for byte, but what a copy notes and what is there only to be leased."""
    found: dict[str, Any] = {}
    for area in AREAS:
        async for entry in storage.files(area).listing(""):
            if not entry.name.startswith(PREFIX) and not entry.name.endswith("/trainer.lease"):
                file = await storage.files(area).read(entry.name)
                assert file is not None
                found[f"{area}/{entry.name}"] = (file.data, dict(file.metadata))
    for table in await storage.rows.tables():
        if names.DayTable.parse(table):
            found[table] = [dict(row) async for page in storage.rows.read(table, EVERYTHING) for row in page]
    return found


class Killed(BaseException):
    """The process died here; nothing after this was done."""


class Watched:
    """A storage whose every call is told before and after it is done: ``hook`` gets "read NAME before" and the like, and may raise."""

    def __init__(self, storage: Storage, hook: Callable[[str], Any]) -> None:
        self._storage = storage
        self.hook = hook

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    @property
    def rows(self) -> RowStore:
        return _Rows(self._storage.rows, self)

    def files(self, area: str) -> FileStore:
        return _Files(self._storage.files(area), self)

    async def around(self, what: str, call: Any) -> Any:
        try:
            await self._told(f"{what} before")
        except BaseException:
            call.close()
            raise
        answer = await call
        await self._told(f"{what} after")
        return answer

    async def _told(self, what: str) -> None:
        told = self.hook(what)
        if told is not None:
            await told


class _Rows:
    def __init__(self, rows: RowStore, watched: Watched) -> None:
        self._rows = rows
        self._watched = watched

    async def put(self, table: str, row: Row) -> None:
        await self._watched.around(f"put row {table}", self._rows.put(table, row))

    async def read(
        self, table: str, chosen: KeyRange, *, select: Sequence[str] | None = None, page: int = 1_000
    ) -> AsyncIterator[Sequence[Row]]:
        pages = self._rows.read(table, chosen, select=select, page=page)
        while True:
            found = await self._watched.around(f"read rows {table}", anext(pages, None))
            if found is None:
                return
            yield found

    async def create(self, table: str) -> None:
        await self._watched.around(f"create {table}", self._rows.create(table))

    async def drop(self, table: str) -> None:
        await self._watched.around(f"drop {table}", self._rows.drop(table))

    async def tables(self) -> Sequence[str]:
        found: Sequence[str] = await self._watched.around("tables", self._rows.tables())
        return found


class _Files:
    def __init__(self, files: FileStore, watched: Watched) -> None:
        self._files = files
        self._watched = watched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    async def read(self, name: str, *, unless: str = "") -> Content | None:
        found: Content | None = await self._watched.around(f"read {name}", self._files.read(name, unless=unless))
        return found

    async def put(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None = None) -> str:
        etag: str = await self._watched.around(f"put {name}", self._files.put(name, data, expected=expected, metadata=metadata))
        return etag

    async def listing(self, prefix: str) -> AsyncIterator[Entry]:
        async def all_of_them() -> list[Entry]:
            return [entry async for entry in self._files.listing(prefix)]

        for entry in await self._watched.around(f"list {prefix}", all_of_them()):
            yield entry

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        await self._watched.around(f"delete {name}", self._files.delete(name, expected=expected))
