"""``python -m benchmarks.cold_start ours|floor``: one process that starts, and what it took so far at each step, as JSON.

``ours`` imports the app, as a Functions worker does, and answers a first Rank; ``floor`` imports the packages of others that this takes,
and stores one row. Storage and key come from the environment.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.memory import peak

_BEGUN = time.perf_counter()
FLOOR_TABLE = "coldfloor"


def taken() -> dict[str, float]:
    """Give seconds of processor time and of the clock, the most memory in bytes, and the number of modules."""
    used, seconds = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - _BEGUN
    return {"cpu": used.ru_utime + used.ru_stime, "wall": seconds, "memory": float(_most()), "modules": float(len(sys.modules))}


def _most() -> int:
    """Give the most bytes that were resident; the figure of ``getrusage`` would begin with that of the process that started this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return peak()
    return 1024 * next(int(line.split()[1]) for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM:"))


def ours(then: Callable[[str], None]) -> None:
    """Import the app, and rank once."""
    import function_app

    then("import")
    functions = {each.get_function_name(): each.get_user_function() for each in function_app.app.get_functions()}
    asyncio.run(_ranked(functions["rank"], function_app.deployment, then))


async def _ranked(rank: Callable[[Any], Awaitable[Any]], deployment: Callable[[], Any], then: Callable[[str], None]) -> None:
    import azure.functions as func

    actions = [{"id": f"a{number}", "features": [{"topic": f"t{number % 7}", "length": number}]} for number in range(10)]
    request = func.HttpRequest(
        method="POST",
        url="http://localhost/personalizer/v1.0/rank",
        headers={"ocp-apim-subscription-key": os.environ["PERSONALIZER_KEYS"], "content-type": "application/json"},
        route_params={"version": "v1.0", "minor": "0"},
        body=json.dumps({"contextFeatures": [{"hour": "8"}], "actions": actions}).encode(),
    )
    answer = await rank(request)
    if answer.status_code != 201:
        raise RuntimeError(f"Rank answered {answer.status_code}: {answer.get_body()!r}")
    then("rank")
    services = await deployment().find("default")
    if (await services.models.served()).version:
        then("model")
    await deployment().close()


def floor(then: Callable[[str], None]) -> None:
    """Import what the app's import takes of others' packages, and what its first Rank takes; then store a row in a table that is there."""
    for package in ("azure.functions", "numpy", "pydantic", "orjson", "msgspec"):
        import_module(package)
    then("import")
    asyncio.run(_stored(then))


async def _stored(then: Callable[[str], None]) -> None:
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob.aio import BlobServiceClient

    connection = os.environ["AzureWebJobsStorage"]  # noqa: SIM112 - the name that the Functions host gives it
    async with TableServiceClient.from_connection_string(connection) as tables, BlobServiceClient.from_connection_string(connection):
        await tables.get_table_client(FLOOR_TABLE).upsert_entity({"PartitionKey": "p", "RowKey": "r", "text": "x" * 1_500})
        then("rank")


if __name__ == "__main__":
    steps: dict[str, dict[str, float]] = {}

    def _note(step: str) -> None:
        steps[step] = taken()

    {"ours": ours, "floor": floor}[sys.argv[1]](_note)
    print(json.dumps(steps))
