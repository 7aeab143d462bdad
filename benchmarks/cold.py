"""What a process takes until its first Rank: the import of the app, the first Rank, and the first Rank that has a model to load."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from azure.core.exceptions import ResourceExistsError

from benchmarks.cold_start import FLOOR_TABLE
from benchmarks.reload import Publisher
from benchmarks.table import Goal, Line
from benchmarks.timing import median
from local.settings import REPOSITORY
from shared.storage.azure.storage import AzureStorage
from shared.storage.model_store import FileModelStore
from shared.storage.settings import AccountSettings

GOAL_OF_IMPORT = Goal(2.5)
GOAL_OF_RANK = Goal(1.5)
_OURS = ("PERSONALIZER_", "AzureWebJobs", "PYTHON")

Taken = Mapping[str, Mapping[str, float]]


def run(storage: str, *, quick: bool) -> list[Line]:
    """Start processes one after another, ours and the floor's in turn; the first of each, which may have to compile, does not count."""
    rounds = 1 if quick else 11
    asyncio.run(_make_table(storage))
    if not quick:
        started(storage, "ours"), started(storage, "floor")
    without = [(started(storage, "ours"), started(storage, "floor")) for _ in range(rounds)]
    asyncio.run(_publish(storage))
    having = [(started(storage, "ours"), started(storage, "floor")) for _ in range(rounds)]
    return [
        *_lines("import of the app", "import", without, GOAL_OF_IMPORT),
        *_lines("until the first Rank is answered", "rank", without, GOAL_OF_RANK),
        *_lines("the same with a model to load (2 MB)", "rank", having, None),
        Line("cold", "  answered by the model", f"{sum('model' in ours for ours, _ in having)} of {rounds}"),
    ]


def started(storage: str, kind: str) -> Taken:
    """Give what a process of this kind took, by its steps; raises `CalledProcessError`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment = {**inherited, "AzureWebJobsStorage": storage, "PERSONALIZER_KEYS": "benchmark"}
    command = [sys.executable, "-m", "benchmarks.cold_start", kind]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True, timeout=60)
    taken: Taken = json.loads(done.stdout)
    return taken


def _lines(name: str, step: str, pairs: Sequence[tuple[Taken, Taken]], goal: Goal | None) -> list[Line]:
    def medians(what: str) -> tuple[float, float]:
        return median(ours[step][what] for ours, _ in pairs), median(floor[step][what] for _, floor in pairs)

    (cpu, cpu_floor), (wall, wall_floor) = medians("cpu"), medians("wall")
    (memory, memory_floor), (modules, modules_floor) = medians("memory"), medians("modules")
    return [
        Line("cold", f"{name}: processor time", f"{cpu:.2f} s", f"{cpu_floor:.2f} s", cpu / cpu_floor, goal),
        Line("cold", "  on the clock", f"{wall:.2f} s", f"{wall_floor:.2f} s", wall / wall_floor),
        Line("cold", "  most memory", f"{memory / 2**20:.0f} MiB", f"{memory_floor / 2**20:.0f} MiB", memory / memory_floor),
        Line("cold", "  modules", f"{modules:.0f}", f"{modules_floor:.0f}", modules / modules_floor),
    ]


async def _make_table(storage: str) -> None:
    account = AzureStorage(AccountSettings(connection_string=storage))
    try:
        await account.tables.create_table(FLOOR_TABLE)
    except ResourceExistsError:
        pass
    finally:
        await account.close()


async def _publish(storage: str) -> None:
    account = AzureStorage(AccountSettings(connection_string=storage))
    try:
        await Publisher(FileModelStore(account, loop="default")).publish()
    finally:
        await account.close()
