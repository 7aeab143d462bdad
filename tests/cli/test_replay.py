"""`python -m cli replay` as an operator runs it: what it prints and its exit codes."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from shared.storage import names
from shared.storage.account import StorageAccount
from tests.kept_models import LOOP, learn, overwrite
from tests.reliability.world import open_account
from tests.running import OURS, REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture
async def account(storage) -> AsyncIterator[StorageAccount]:
    account = open_account(storage)
    yield account
    await account.close()


def replay(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | settings
    command = [sys.executable, "-m", "cli", "replay", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_the_published_model_is_found_identical_until_one_is_changed(account, storage):
    versions = await learn(account)
    done = replay(AzureWebJobsStorage=storage)
    assert (done.returncode, done.stderr) == (0, "")
    first, *progress, last = done.stdout.splitlines()
    assert first == f"Rebuilding model {versions[-1]} from nothing and {len(progress)} chunks."
    assert sum("identical" in line for line in progress) == len(versions)
    assert last == f"Model {versions[-1]} is identical: the joined log gives the same bytes."

    await overwrite(account, names.MODELS, names.model_blob(LOOP, versions[2]), b"another")
    done = replay("--from", versions[0], "--connection-string", storage)
    assert (done.returncode, done.stderr) == (1, "")
    told = f"Model {versions[2]} is the first kept one that comes out different (model); the last one the same is {versions[1]}."
    assert done.stdout.splitlines()[-1] == told
    older = replay(versions[1], "--connection-string", storage)
    assert older.returncode == 0, older.stdout + older.stderr


def test_what_cannot_be_done_is_told_in_one_line(storage):
    unpublished = replay("--connection-string", storage)
    assert (unpublished.returncode, unpublished.stderr) == (2, "This cannot be done: no model has been published yet.\n")
    nowhere = replay()
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (2, 1)
    assert "AzureWebJobsStorage" in nowhere.stderr
    nonsense = replay("--connection-string", "nonsense")
    assert (nonsense.returncode, nonsense.stderr.count("\n")) == (2, 1)
    assert replay("--unknown").returncode == 2
