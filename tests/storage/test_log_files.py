"""Logs in an area of storage: what is listed there is read, or told of."""

from collections.abc import AsyncIterator

import pytest

from shared.domain.errors import ResourceNotFoundError
from shared.storage.log_files import stored_log_files
from shared.storage.ports import Storage
from tests.builders import after
from tests.joining.test_layout import LINE
from tests.services.importing.reading_files import read_files
from tests.stores import opened


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    for name, data in {"a/1.json": LINE, "a/2.json": LINE, "a/empty": b"", "b/3.json": LINE}.items():
        await account.files("logs").put(name, data, expected=None)
    yield account
    await account.close()


async def test_the_files_under_a_prefix_are_listed_but_empty_ones_and_nothing_is_no_log(account):
    files = account.files("logs")
    assert [file.name for file in await stored_log_files(files, "a/", area="logs")] == ["a/1.json", "a/2.json"]
    assert [file.name for file in await stored_log_files(files, "a/empty", area="logs")] == ["a/empty"]
    with pytest.raises(ResourceNotFoundError, match="there is nothing under logs/c"):
        await stored_log_files(files, "c", area="logs")


async def test_a_file_that_is_deleted_after_it_was_listed_is_told_of_and_the_others_are_read(account):
    files = account.files("logs")
    found = [*await stored_log_files(files, "a/", area="logs"), *await stored_log_files(files, "a/empty", area="logs")]
    await files.delete("a/1.json")
    events, done = await read_files(found, now=after(0))
    assert (len(events), done.files, done.malformed) == (1, 3, 1)
    assert [(told.file, told.reason) for told in done.told] == [("a/1.json", "the file cannot be read: it has been deleted meanwhile")]
