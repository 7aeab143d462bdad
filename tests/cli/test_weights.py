"""`python -m cli weights` as an operator runs it: a kept model's weights, with the names that the log still has."""

from collections.abc import AsyncIterator

import pytest

from shared.domain.loop import LoopRecord
from shared.joining.dsjson import line
from shared.storage import names
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from tests.builders import T0
from tests.cli.running import Done, run_async
from tests.kept_models import LOOP, delete_chunk, learn
from tests.services.analysis.logs import drawn
from tests.stores import opened, overwrite, settings_of


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


@pytest.fixture
async def versions(account) -> list[str]:
    return await learn(account)


async def weights(storage: str, *arguments: str) -> Done:
    return await run_async("weights", *arguments, environment=settings_of(storage))


async def test_every_weight_of_the_published_model_is_told_by_name(storage, versions):
    done = await weights(storage, "--json")
    assert (done.code, done.errors) == (0, "")
    found = done.json
    assert (found["version"], found["unnamed"], found["damagedChunks"]) == (versions[-1], 0, 0)
    assert found["learned"] == found["events"] > 0
    assert len({each["cell"] for each in found["pairs"]}) == found["weights"] > 0
    names = {each["context"] for each in found["pairs"]} | {each["action"] for each in found["pairs"]}
    assert {"", "user.age", "user.name=u3", "user.tags[0]", "é=null", "length", "new=true", "id=a"} <= names
    assert set(found["pairs"][0]) == {"context", "action", "weight", "scale", "events", "cell"}


async def test_own_parts_of_actions_are_told_beside(account, storage, tmp_path):
    await FileLoopStore(account).write(LoopRecord("default", overrides={"log_retention_days": -1}), expected=None)
    (tmp_path / "log.json").write_bytes(b"".join(map(line, drawn(400, first=T0))))
    assert (await run_async("import", str(tmp_path / "log.json"), environment=settings_of(storage))).code == 0
    found = (await weights(storage, "--json")).json
    assert 0.0 < found["ownShare"] <= 1.0
    assert found["actionsWithOwnPart"] == len(found["own"]) > 1
    first = found["own"][0]
    assert set(first) == {"action", "alone", "features"}
    assert set(first["features"][0]) == {"context", "worth", "events"}
    text = (await weights(storage)).text
    assert "own part of" in text
    assert first["action"] in text


async def test_an_older_model_has_its_own_weights_and_fewer_can_be_asked_for(storage, versions):
    older = (await weights(storage, versions[0], "--json")).json
    newest = (await weights(storage, "--json", "--most", "3", "--events", "10")).json
    assert older["version"] == versions[0]
    assert older["learned"] < newest["learned"]
    assert (newest["events"], len(newest["pairs"])) == (10, 3)
    assert newest["unnamed"] > 0
    assert all(len(each["features"]) <= 3 for each in newest["own"])


async def test_a_person_reads_the_largest_weights(storage, versions):
    done = await weights(storage)
    assert (done.code, done.errors) == (0, "")
    assert versions[-1] in done.text
    assert "user.age" in done.text
    assert len(done.text.splitlines()) < 70
    fewer = await weights(storage, "--most", "1")
    assert len(fewer.text.splitlines()) < len(done.text.splitlines())


async def test_what_the_log_has_lost_has_no_name(account, storage, versions):
    whole = (await weights(storage, "--json")).json
    log = [each async for each in account.files(names.LOGS).listing(f"loops/{LOOP}/log/")]
    first = sorted(str(each.name) for each in log)[0].removeprefix(f"loops/{LOOP}/log/")
    await delete_chunk(account, first)
    left = (await weights(storage, "--json")).json
    assert left["events"] < whole["events"]
    assert (left["weights"], left["version"]) == (whole["weights"], whole["version"])
    assert left["unnamed"] > 0


async def test_a_chunk_that_is_damaged_is_left_out_and_counted(account, storage, versions):
    log = sorted([str(each.name) async for each in account.files(names.LOGS).listing(f"loops/{LOOP}/log/")])
    await overwrite(account, names.LOGS, log[0], b"no chunk")
    found = (await weights(storage, "--json")).json
    assert (found["damagedChunks"], found["version"]) == (1, versions[-1])
    assert 0 < found["events"] < found["learned"]


async def test_what_cannot_be_done_is_told_in_one_line(account, storage):
    await account.areas()
    assert "no model is published" in (await weights(storage)).told
    await learn(account)
    assert "nosuch" in (await weights(storage, "nosuch")).told
    assert "there is no loop 'nobody'" in (await weights(storage, "--loop", "nobody")).told
    assert "--events" in (await weights(storage, "--events", "0")).told
