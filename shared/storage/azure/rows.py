"""Rows in Table storage: `shared.storage.ports.RowStore`."""

from collections.abc import AsyncIterator, Callable, Sequence

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.storage.azure.deletions import is_being_deleted
from shared.storage.azure.failures import storage_failures, told
from shared.storage.ports import AbsentError, KeyRange, Row

_MOST_ROWS = 1_000
"""That Table storage gives at once."""
_CLIENTS = 64
"""Tables whose clients are kept."""


class AzureRows:
    """The tables of one account."""

    def __init__(self, service: Callable[[], TableServiceClient]) -> None:
        self._service = service
        self._clients: dict[str, TableClient] = {}

    async def put(self, table: str, row: Row) -> None:
        """Write a row."""
        async with storage_failures(f"write a row of {table}"):
            try:
                await self._table(table).upsert_entity(row, mode=UpdateMode.REPLACE)
            except HttpResponseError as answer:
                if not _is_gone(answer):
                    raise
                raise AbsentError(table) from answer

    async def read(
        self, table: str, chosen: KeyRange, *, select: Sequence[str] | None = None, page: int = _MOST_ROWS
    ) -> AsyncIterator[Sequence[Row]]:
        """Give rows: a page is one request, and Azure ends it after 4 MiB by itself."""
        columns = None if select is None else [*select]
        pages = self._table(table).query_entities(_filter(chosen), select=columns, results_per_page=min(page, _MOST_ROWS)).by_page()
        while True:
            async with storage_failures(f"read rows of {table}"):
                try:
                    rows = [_keyed(row) async for row in await anext(pages)]
                except StopAsyncIteration:
                    return
                except HttpResponseError as answer:
                    if not _is_gone(answer):
                        raise
                    return
            yield rows

    async def create(self, table: str) -> None:
        """Make a table, unless it is there; one that is being deleted is not, and cannot be made before it is gone."""
        async with storage_failures(f"create the table {table}"):
            try:
                await self._table(table).create_table()
            except ResourceExistsError as answer:
                if is_being_deleted(answer):
                    raise

    async def drop(self, table: str) -> None:
        """Delete a table; one that is deleted already, or being deleted, is done with."""
        async with storage_failures(f"drop the table {table}"):
            try:
                await self._service().delete_table(table)
            except HttpResponseError as answer:
                if not is_being_deleted(answer):
                    raise

    async def tables(self) -> Sequence[str]:
        """List the tables."""
        async with storage_failures("list the tables"):
            return [told(table.name) async for table in self._service().list_tables()]

    def forget(self) -> None:
        """Let go of the clients, whose service is closed."""
        self._clients.clear()

    def _table(self, name: str) -> TableClient:
        if name not in self._clients:
            if len(self._clients) >= _CLIENTS:
                self._clients.clear()
            self._clients[name] = self._service().get_table_client(name)
        return self._clients[name]


def _filter(chosen: KeyRange) -> str:
    """Say a range in Table storage's words.

    >>> _filter(KeyRange("a", "a", "1", "2", closed=True))
    "PartitionKey eq 'a' and RowKey ge '1' and RowKey le '2'"
    """
    upper = "le" if chosen.closed else "lt"
    if chosen.closed and chosen.first_partition == chosen.last_partition:
        partitions = f"PartitionKey eq {_quoted(chosen.first_partition)}"
    else:
        partitions = f"PartitionKey ge {_quoted(chosen.first_partition)} and PartitionKey {upper} {_quoted(chosen.last_partition)}"
    return f"{partitions} and RowKey ge {_quoted(chosen.first_row)} and RowKey {upper} {_quoted(chosen.last_row)}"


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _is_gone(answer: HttpResponseError) -> bool:
    return isinstance(answer, ResourceNotFoundError) or is_being_deleted(answer)


def _keyed(row: Row) -> Row:
    """Give a row that has a key, as each has; raises `StorageUnavailableError` for an answer that is none."""
    told(row.get("PartitionKey"))
    told(row.get("RowKey"))
    return row
