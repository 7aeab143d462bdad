"""A log goes into a loop and comes out again, whole; Vowpal Wabbit learns from what came out."""

import asyncio
import gzip
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import vowpalwabbit
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from shared.domain.loop import LoopRecord
from shared.joining.dsjson import line
from shared.joining.reading import read_lines
from shared.storage import names
from shared.storage.cold_log import FileColdLog
from shared.storage.files import Files
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from tests.cli.running import run, run_async
from tests.joining.test_foreign import NAMESPACES, PERSONALIZER, SLOTS, without
from tests.keeping import pointer_of, replayed
from tests.reliability.world import FIRST, trainer, write_log
from tests.running import OURS, REPOSITORY
from tests.services.analysis.logs import drawn
from tests.services.importing.test_importer import log_of
from tests.stores import on_azurite, opened, settings_of

LONG_AGO = datetime(2023, 5, 17, 12, tzinfo=UTC)
FOREVER = {"log_retention_days": -1}
UNTOLD = without({**PERSONALIZER, "o": []}, "p", "_label_probability")
OTHER = LoopRecord("other", life=1, overrides=FOREVER)


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    await FileLoopStore(account).write(LoopRecord("default", overrides=FOREVER), expected=None)
    yield account
    await account.close()


@pytest.fixture
def folder(tmp_path):
    """Files of several kinds, in an order that their names tell by their numbers."""
    logs = tmp_path / "logs"
    (logs / "2023").mkdir(parents=True)
    (logs / "2023" / "17_2.json").write_bytes(log_of(40))
    (logs / "2023" / "17_10.json.gz").write_bytes(gzip.compress(log_of(40, day=18) + b"{broken\n"))
    (logs / "slots.json").write_bytes(orjson.dumps(SLOTS))
    (logs / ".hidden").write_bytes(b"nothing of a log")
    return logs


async def events_of(account: Storage, place: str = "default") -> list:
    log = FileColdLog(account, loop=place)
    return [event for name in await log.chain() for event in read_lines(await log.chunk(name))]


async def test_a_folder_is_imported_and_told_of_once_and_again(account, storage, folder):
    done = await run_async("import", str(folder), "--connection-string", storage)
    assert (done.code, done.errors) == (0, "")
    assert done.text.splitlines()[0] == "82 events of 82 lines are new in the joined log of the loop default."
    assert "17_10.json.gz" in done.text
    assert "41  not a line of dsjson" in done.text
    found = await events_of(account)
    assert [found[number].decision.event_id for number in (0, 40)] == ["e17-0", "e18-0"]
    pointer = await pointer_of(account, "default")
    assert pointer.version in done.text
    assert pointer.version in await replayed(account, "default")
    again = await run_async("import", str(folder), "--json", environment=settings_of(storage))
    told = {"events": 0, "repeated": 82, "malformed": 1, "lines": 82, "files": 3, "version": ""}
    assert told.items() <= again.json.items()
    assert again.json["told"] == [{"file": str(folder / "2023" / "17_10.json.gz"), "line": 41, "reason": again.json["told"][0]["reason"]}]


async def test_what_is_exported_and_imported_into_another_loop_is_the_same_events(account, storage, folder, tmp_path):
    await FileLoopStore(account).write(OTHER, expected=None)
    environment = settings_of(storage)
    await run_async("import", str(folder), environment=environment)
    exported = tmp_path / "out.dsjson.gz"
    done = await run_async("export", "--out", str(exported), environment=environment)
    assert (done.code, done.text) == (0, f"82 events in 1 files: {exported}\n")
    await run_async("import", str(exported), "--loop", "other", environment=environment)
    assert await events_of(account, OTHER.place) == await events_of(account)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_vowpal_wabbit_learns_from_what_is_exported(account, storage, tmp_path):
    """It comes to prefer, for each visitor, the action that earned most."""
    log = tmp_path / "log.json"
    log.write_bytes(b"".join(map(line, drawn(600, first=LONG_AGO))) + orjson.dumps(NAMESPACES))
    environment = settings_of(storage)
    await run_async("import", str(log), environment=environment)
    exported = (await run_async("export", environment=environment)).output
    assert len(exported.splitlines()) == 601
    file = tmp_path / "exported.json"
    file.write_bytes(exported)
    workspace = vowpalwabbit.Workspace(f"--cb_explore_adf --epsilon 0.1 --dsjson --quiet -q :: -d {file}")
    workspace.run_parser()
    young = next(event for event in drawn(20, first=LONG_AGO) if b'"young"' in event.decision.situation)
    probabilities = workspace.predict(workspace.parse(line(young).decode()))
    workspace.finish()
    assert probabilities.index(max(probabilities)) == 1


async def test_a_log_without_probabilities_is_taken_as_is_asked_for(account, storage, tmp_path):
    for loop in ("uniform", "mostly", "kept"):
        await FileLoopStore(account).write(LoopRecord(loop, life=1, overrides=FOREVER), expected=None)
    log = tmp_path / "untold.json"
    log.write_bytes(b"".join(orjson.dumps({**UNTOLD, "EventId": str(number)}) + b"\n" for number in range(3)))
    environment = settings_of(storage)
    refused = await run_async("import", str(log), "--loop", "uniform", environment=environment)
    assert refused.code == 1
    assert all(way in refused.text for way in ("--probability uniform", "--probability VALUE", "--mode LoggingOnly"))
    assert refused.text.count("--probability uniform") == 1, "said once a file"
    ways = {"uniform": ("--probability", "uniform"), "mostly": ("--probability", "0.8"), "kept": ("--mode", "loggingonly")}
    done = {
        loop: (await run_async("import", str(log), "--loop", loop, *way, "--json", environment=environment)).json
        for loop, way in ways.items()
    }
    assert [(done[loop]["learned"], done[loop]["skipped"]) for loop in ways] == [(3, 0), (3, 0), (0, 3)]
    found = {loop: await events_of(account, f"{loop}x0001") for loop in ways}
    assert [found[loop][0].decision.probabilities for loop in ways] == [(0.5, 0.5), (pytest.approx(0.2), 0.8), (0.0, 1.0)]
    evaluated = await run_async("evaluate", str(log), "--probability", "uniform", "--json")
    assert {policy["rounds"] for policy in evaluated.json["policies"]} == {3}
    surveyed = await run_async("stats", str(log), "--probability", "uniform", "--json")
    assert surveyed.json["events"] == 3
    for wrong in ("0", "1.1", "nan", "even"):
        assert (
            "neither uniform nor a probability"
            in (await run_async("import", str(log), "--probability", wrong, environment=environment)).told
        )
    assert "LoggingOnly" in (await run_async("import", str(log), "--mode", "Online", environment=environment)).told


async def test_a_range_is_exported_day_by_day(account, storage, folder, tmp_path):
    environment = settings_of(storage)
    await run_async("import", str(folder), environment=environment)
    out = tmp_path / "days"
    done = await run_async("export", "--out", f"{out}/", "--since", "2023-05-01", "--json", environment=environment)
    files = [out / "2023-05-17.dsjson.gz", out / "2023-05-18.dsjson.gz"]
    assert done.json == {"events": 80, "files": [str(file) for file in files]}
    assert [len(gzip.decompress(file.read_bytes()).splitlines()) for file in files] == [40, 40]
    between = ("--since", "2023-05-17T08:00:10", "--until", "2023-05-17T10:00:20+02:00")
    part = await run_async("export", *between, environment=environment)
    assert [orjson.loads(each)["EventId"] for each in part.output.splitlines()] == [f"e17-{number}" for number in range(10, 20)]
    plain = await run_async("export", "--out", str(out), "--no-gzip", *between, environment=environment)
    assert (plain.code, (out / "2023-05-17.dsjson").read_bytes()) == (0, part.output)


@on_azurite
async def test_logs_are_read_from_a_container_by_its_address_or_from_the_apps_own_account(account, storage, tmp_path):
    container = account.blobs.get_container_client("azure-logs")
    await container.create_container()
    await container.upload_blob("2023/05/17_0.json", log_of(30))
    await container.upload_blob("2023/05/18_0.json.gz", gzip.compress(log_of(20, day=18)))
    await container.upload_blob("2023/06/empty.json", b"")
    sas = generate_container_sas(
        account.blobs.account_name,
        "azure-logs",
        account_key=account.blobs.credential.account_key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    one = await run_async("stats", f"{container.url}/2023/05/17_0.json?{sas}", "--json")
    assert (one.json["events"], one.json["read"]["files"]) == (30, 1)
    done = await run_async("import", f"{container.url}/2023?{sas}", "--json", "--connection-string", storage)
    assert (done.json["events"], done.json["files"]) == (50, 2)
    own = await run_async("import", "az://azure-logs/2023/05", "--json", "--connection-string", storage)
    assert (own.json["events"], own.json["repeated"]) == (0, 50)
    assert "nothing under" in (await run_async("stats", f"{container.url}/2024?{sas}")).told
    refused = (await run_async("stats", f"{container.url}/2023?{sas[:-9]}aaaaaaa%3D")).told
    assert "403" in refused
    assert "sig=" not in refused


async def test_what_cannot_be_done_is_told_in_one_line(account, storage, tmp_path):
    environment = settings_of(storage)
    junk = tmp_path / "junk"
    junk.write_bytes(b"one\ntwo\n")
    nothing = await run_async("import", str(junk), environment=environment)
    assert (nothing.code, "could not be read" in nothing.text) == (1, True)
    assert "there is no file" in (await run_async("import", "/nowhere", environment=environment)).told
    assert "there is no loop 'nobody'" in (await run_async("import", str(junk), "--loop", "nobody", environment=environment)).told
    assert "AzureWebJobsStorage" in (await run_async("import", str(junk))).told
    assert "is not the address of a container" in (await run_async("stats", "https://host")).told
    assert "az://CONTAINER/PREFIX" in (await run_async("stats", "az://")).told
    assert "--out" in (await run_async("export", "--json", environment=environment)).told
    assert "'yesterday'" in (await run_async("export", "--since", "yesterday", environment=environment)).told
    assert "Missing argument" in (await run_async("import", environment=environment)).told
    blocked = tmp_path / "file" / "out.json"
    (tmp_path / "file").write_text("")
    assert "file" in (await run_async("export", "--out", str(blocked), environment=environment)).told
    await FileLoopStore(account).write(LoopRecord("short", life=1), expected=None)
    old = tmp_path / "old"
    old.write_bytes(log_of(3))
    assert "set logRetentionDays" in (await run_async("import", str(old), "--loop", "short", environment=environment)).told
    await write_log(account)
    await trainer(account, FIRST, store="default").run()
    assert "import into a new loop" in (await run_async("import", str(junk), environment=environment)).told


@pytest.mark.slow
async def test_ctrl_c_ends_an_import_in_order_and_it_can_be_gone_on_with(account, storage, tmp_path):
    log = tmp_path / "log.json"
    lines = b"".join(orjson.dumps({**PERSONALIZER, "EventId": str(number), "o": []}) + b"\n" for number in range(40_000))
    log.write_bytes(lines)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | settings_of(storage)
    command = [sys.executable, "-m", "cli", "import", str(log)]
    process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, env=environment, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(60):
        while not await Files(account, names.MODELS).read(names.lease_file("default")):  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        printed, errors = await process.communicate()
    assert (process.returncode, printed, errors) == (130, b"", b"Stopped.\n")
    done = await asyncio.to_thread(run, "import", str(log), "--json", environment=environment)
    assert (done.code, done.json["events"] + done.json["repeated"]) == (0, 40_000)
    assert (await pointer_of(account, "default")).learned == 40_000
