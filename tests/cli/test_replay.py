"""`python -m cli replay` as an operator runs it: what it prints and its exit codes."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from shared.domain.loop import LoopRecord
from shared.storage import names
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from tests.builders import after, decision
from tests.cli.running import Done, run_async
from tests.clocks import SetClock
from tests.keeping import keeper, pointer_of
from tests.kept_models import LOOP, learn
from tests.patience import PATIENCE
from tests.reliability.world import FIRST, event_log, trainer, write_log
from tests.running import OURS, REPOSITORY
from tests.stores import opened, overwrite, settings_of


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


async def replay(*arguments: str, **settings: str) -> Done:
    return await run_async("replay", *arguments, environment=settings)


def test_the_module_is_the_command():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "cli", "replay", "--connection-string", "nonsense"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


async def test_the_published_model_is_found_identical_until_one_is_changed(account, storage):
    versions = await learn(account)
    done = await replay(**settings_of(storage))
    assert (done.code, done.errors) == (0, "")
    first, *progress, last = done.text.splitlines()
    assert first == f"Rebuilding model {versions[-1]} from nothing and {len(progress)} chunks."
    assert sum("identical" in line for line in progress) == len(versions)
    assert last == f"Model {versions[-1]} is identical: the joined log gives the same bytes."

    await overwrite(account, names.MODELS, names.model_file(LOOP, versions[2]), b"another")
    done = await replay("--from", versions[0], "--connection-string", storage)
    assert (done.code, done.errors) == (1, "")
    told = f"Model {versions[2]} is the first kept one that comes out different (model); the last one the same is {versions[1]}."
    assert done.text.splitlines()[-1] == told
    older = await replay(versions[1], "--connection-string", storage)
    assert older.code == 0, older.text + older.errors


async def test_what_cannot_be_done_is_told_in_one_line(account, storage):
    await account.areas()  # which makes the store
    unpublished = await replay("--connection-string", storage)
    assert (unpublished.code, unpublished.errors) == (2, "This cannot be done: no model is published.\n")
    nowhere = await replay()
    assert "AzureWebJobsStorage" in nowhere.told
    nonsense = await replay("--connection-string", "nonsense=1")
    assert "connection string" in nonsense.told
    assert (await replay("--unknown")).code == 2
    for loop in ("nobody", "../default"):
        unknown = await replay("--connection-string", storage, "--loop", loop)
        assert (unknown.code, unknown.errors) == (2, f"This cannot be done: there is no loop {loop!r}.\n")


async def test_where_the_history_of_a_model_ends_is_told(account, storage):
    versions = await learn(account)
    keeping = keeper(account, after(150), store=LOOP)
    package, _ = await keeping.export_signed()
    await keeping.delete()
    await keeping.import_(package)
    imported = (await pointer_of(account, LOOP)).version
    alone = await replay("--connection-string", storage)
    said = f"model {imported} was imported: its earlier events are not in this log"
    assert (alone.code, alone.errors) == (2, f"This cannot be done: {said}.\n")
    await event_log(account, SetClock(after(160))).append_decision(decision("later", at=after(160)))
    await trainer(account, after(200), store=LOOP).run()
    done = await replay("--connection-string", storage)
    published = (await pointer_of(account, LOOP)).version
    assert (done.code, done.errors) == (0, "")
    first = f"Rebuilding model {published} from the state of model {imported} and 1 chunks. It cannot be from further back: {said}."
    assert done.text.splitlines()[0] == first
    assert (await replay(versions[-1], "--connection-string", storage)).code == 0


async def test_another_loops_models_are_rebuilt_by_its_name(account, storage):
    record = LoopRecord("news", life=2)
    await FileLoopStore(account).write(record, expected=None)
    await write_log(account)
    await trainer(account, FIRST, store=record.place).run()
    done = await replay("--connection-string", storage, "--loop", "news")
    assert (done.code, done.errors) == (0, "")
    as_json = (await replay("--connection-string", storage, "--loop", "news", "--json")).json
    assert (as_json["isIdentical"], as_json["steps"][-1]["version"]) == (True, as_json["version"])
    assert f"Model {(await pointer_of(account, record.place)).version} is identical" in done.text
