import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.domain.errors import StorageUnavailableError
from shared.storage import names
from shared.storage.azure.storage import AzureStorage
from shared.storage.files import Files
from shared.storage.settings import AccountSettings
from tests.builders import decision
from tests.storage.conftest import new_log

KEY = base64.b64encode(b"a key").decode()
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def refusing_proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """Give the address of a proxy that refuses, and the first lines of what it was asked."""
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().strip())
        writer.write(REFUSED)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


async def test_storage_is_reached_through_the_proxy_that_the_environment_names(monkeypatch, clock):
    connection_string = f"AccountName=a;AccountKey={KEY};TableEndpoint=http://tables.invalid/a;BlobEndpoint=http://blobs.invalid/a"
    async with refusing_proxy() as (address, asked):
        monkeypatch.setenv("HTTP_PROXY", address)
        account = AzureStorage(AccountSettings(connection_string=connection_string))
        with pytest.raises(StorageUnavailableError, match="status 403"):
            await new_log(account, clock).append_decision(decision("e1", at=clock.now()))
        with pytest.raises(StorageUnavailableError, match="status 403"):
            await Files(account, names.LOGS).read("anything")
        await account.close()
    assert [line.split(" ")[1].split("/a")[0] for line in asked] == ["http://tables.invalid", "http://blobs.invalid"]
