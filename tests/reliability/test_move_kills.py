"""The command that moves a resource of Azure Personalizer, killed (−9) at each of its calls and run again, ends in the same place."""

import asyncio
import signal
from pathlib import Path

import orjson
import pytest

from shared.domain.loop import LoopRecord
from shared.storage.cold_log import FileColdLog
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from tests.cli.test_migrate import POLICY, SAVED, logged
from tests.keeping import pointer_of
from tests.reliability.moving import move
from tests.reliability.test_faults import break_lease
from tests.stores import opened
from tests.sweeps import STRIDES

pytestmark = [pytest.mark.slow, pytest.mark.long]

EVENTS = 60


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "configuration.json").write_bytes(orjson.dumps(SAVED))
    (tmp_path / "policy.json").write_bytes(orjson.dumps(POLICY))
    (tmp_path / "log.json").write_bytes(logged(EVENTS))
    saved = ["--configuration", str(tmp_path / "configuration.json"), "--policy", str(tmp_path / "policy.json")]
    return ["migrate", "shop", *saved, "--logs", str(tmp_path / "log.json"), "--no-compare", "--json", "--endpoint", "https://mine.example"]


async def empty(place: str) -> None:
    account = opened(place)
    await FileLoopStore(account).names()
    await account.close()


async def record(account: Storage) -> LoopRecord:
    stored = await FileLoopStore(account).read("shop")
    assert stored is not None
    return stored[0]


async def left(place: str) -> tuple[dict[str, object], int, str, list[str]]:
    """Tell what is there: the loop's settings, what its model has learned, which model it is, and its log."""
    account = opened(place)
    loop = await record(account)
    pointer, chain = await pointer_of(account, loop.place), await FileColdLog(account, loop=loop.place).chain()
    await account.close()
    settings = {name: value for name, value in loop.overrides.items() if name != "edited_at"}
    return settings, pointer.learned, pointer.version, list(chain)


@STRIDES
async def test_killed_at_any_call_and_run_again_it_ends_in_the_same_place(new_store, command, stride):
    whole = new_store()
    await empty(whole)
    code, calls = await asyncio.to_thread(move, whole, command)
    assert code == 0
    assert calls > 20
    expected = await left(whole)
    assert expected[1] == EVENTS
    for last in range(1, calls + 1, stride):
        place = new_store()
        await empty(place)
        assert await asyncio.to_thread(move, place, command, last=last) == (-signal.SIGKILL, 0)
        account = opened(place)
        if await FileLoopStore(account).read("shop") is not None:
            await break_lease(account, (await record(account)).place)
        await account.close()
        assert (await asyncio.to_thread(move, place, command))[0] == 0
        assert await left(place) == expected, f"killed at call {last}"
