"""What a new process loads until its first calls are answered, and what it leaves to those who need it."""

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest

from shared.runtime.http import Handler, first_used
from shared.runtime.loading import AtFirstUse, imported
from tests.patience import PATIENCE
from tests.running import REPOSITORY

NOT_FOR_RANK = (
    "cryptography",
    "azure.identity",
    "azure.storage.queue",
    "evaluation_function.evaluations",
    "evaluation_function.importances",
    "manage_function.configuration",
    "manage_function.figures",
    "manage_function.log_breakdowns",
    "manage_function.logs",
    "manage_function.model",
    "manage_function.openapi",
    "manage_function.operations",
    "manage_function.status",
    "shared.advice",
    "shared.api.configuration",
    "shared.api.evaluations",
    "shared.api.figures",
    "shared.api.logs",
    "shared.api.model_archive",
    "shared.api.openapi",
    "shared.api.status",
    "shared.domain.checkpoint",
    "shared.domain.evaluation",
    "shared.evaluation",
    "shared.joining.chunks",
    "shared.joining.foreign",
    "shared.joining.join",
    "shared.runtime.fanout",
    "shared.runtime.pruning_store",
    "shared.services.analysis",
    "shared.services.figures",
    "shared.services.importing",
    "shared.services.log",
    "shared.services.loops",
    "shared.services.models",
    "shared.services.serving.uploads",
    "shared.services.training",
    "shared.storage.azure",
    "shared.storage.cold_log",
    "shared.storage.evaluation_store",
    "shared.storage.mirror",
    "shared.storage.model_store",
    "shared.storage.signing_keys",
)
"""What neither the import of the app nor Rank, Reward and Activate load, on an embedded store."""

IN_ALL_OF_AZURE = ("cryptography", "shared.storage.azure")
"""Those of them that storage in Azure takes: its SDK for blobs imports cryptography."""

CALLS = """
import asyncio, json, os, sys
import azure.functions as func
import function_app

functions = {each.get_function_name(): each.get_user_function() for each in function_app.app.get_functions()}

async def call(name, method="POST", body=None, **params):
    request = func.HttpRequest(
        method=method,
        url="http://localhost/",
        headers={"ocp-apim-subscription-key": "key", "content-type": "application/json"},
        route_params={"minor": "0", **params},
        params={"api-version": "2022-09-01-preview"},
        body=json.dumps(body).encode() if body else b"",
    )
    return (await functions[name](request)).status_code

def loaded():
    return sorted(sys.modules)
"""

RANKING = """
RANK = {"actions": [{"id": "a", "features": [{"x": 1}]}, {"id": "b", "features": [{"x": 2}]}], "eventId": "e"}
SLOTS = {"actions": RANK["actions"], "slots": [{"id": "s", "baselineAction": "a"}]}

async def day():
    statuses = [
        await call("rank", body=RANK),
        await call("reward", body={"value": 1}, eventId="e"),
        await call("activate", eventId="e"),
        await call("rank_2022", body={**RANK, "eventId": "f"}),
        await call("multislot_rank_2022", body=SLOTS),
    ]
    await function_app.deployment().close()
    return statuses

print(json.dumps([asyncio.run(day()), loaded()]))
"""

TIMERS = """
async def hour():
    for name in ("train", "mirror", "retention", "analyses"):
        await functions[name](None)
    await function_app.deployment().close()

asyncio.run(hour())
print(json.dumps(loaded()))
"""

AT_ONCE = """
RANK = {"actions": [{"id": "a", "features": [{"x": 1}]}, {"id": "b", "features": [{"x": 2}]}]}

async def rush():
    statuses = await asyncio.gather(
        functions["train"](None),
        functions["analyses"](None),
        *(call("rank", body=RANK) for _ in range(4)),
        call("status", "GET"),
        call("figures", "GET"),
        call("multislot_rank_2022", body=RANK),
        call("under_personalizer", "GET", path="configurations/service"),
        call("under_personalizer", "GET", path="evaluations"),
        call("under_personalizer", "GET", path="model/properties"),
        call("under_personalizer", "DELETE", path="configurations/service"),
        call("under_loops", "GET", path="none/figures"),
        call("dashboard", "GET", path=""),
        call("unmatched", "GET", path="openapi.json"),
        call("unmatched", "GET", path="nothing"),
    )
    await function_app.deployment().close()
    return statuses

print(json.dumps(asyncio.run(rush())))
"""

IN_THREADS = """
import manage_function, trainer_function
from evaluation_function import workers
from importlib import import_module

before = loaded()
function_app.operations()
manage_function._figures()
manage_function._status()
for name in (*trainer_function.NEEDS, *workers.NEEDS):
    import_module(name)
print(json.dumps([before, loaded()]))
"""

STORING = """
from shared.domain.loop import LoopRecord

deployment = function_app.deployment()
services = deployment.services_of(LoopRecord("default"))
services.storage.tables, services.storage.blobs
print(json.dumps(loaded()))
"""


def said(code: str, **settings: str) -> Any:
    """Give what a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", CALLS + code],
        cwd=REPOSITORY,
        env={"PERSONALIZER_KEYS": "key", "PYTHONPATH": str(REPOSITORY), **settings},
        stdout=subprocess.PIPE,
        check=True,
        timeout=PATIENCE,
    )
    return json.loads(done.stdout)


def found(loaded: list[str], names: tuple[str, ...]) -> list[str]:
    return [name for name in loaded if any(name == each or name.startswith(f"{each}.") for each in names)]


@pytest.mark.parametrize("name", NOT_FOR_RANK)
def test_what_rank_must_not_load_is_there_to_be_loaded(name):
    """A name that nothing has would be easy not to load."""
    assert importlib.util.find_spec(name) is not None


def test_rank_reward_and_activate_load_nothing_that_only_others_need(tmp_path):
    statuses, loaded = said(RANKING, PERSONALIZER_STORE=str(tmp_path / "store"))
    assert statuses == [201, 204, 204, 201, 400]  # the default policy has one slot
    assert "shared.services.serving.ranking" in loaded
    assert not found(loaded, NOT_FOR_RANK)


def test_timers_load_nothing_of_what_operators_ask_for(tmp_path):
    loaded = said(TIMERS, PERSONALIZER_STORE=str(tmp_path / "store"))
    assert found(loaded, ("shared.services.training.trainer", "shared.services.log.retention", "shared.services.analysis.running"))
    operators = tuple(name for name in NOT_FOR_RANK if name.startswith(("manage_function.", "shared.api.")))
    assert operators
    assert not found(loaded, (*operators, "evaluation_function.evaluations", "shared.storage.signing_keys", "shared.services.log.receipts"))


def test_storage_in_azure_is_opened_without_queues_and_where_no_identity_is_named_without_signing_in():
    loaded = said(STORING, AzureWebJobsStorage="UseDevelopmentStorage=true")
    assert found(loaded, ("azure.data.tables.aio", "azure.storage.blob.aio"))
    assert not found(loaded, tuple(name for name in NOT_FOR_RANK if name not in IN_ALL_OF_AZURE))


def test_calls_of_every_kind_that_come_to_a_new_process_at_once_are_answered(tmp_path):
    timers, ranks = [None] * 2, [201] * 4
    operators = [200, 200, 400, 200, 200, 200, 405, 404, 200, 200, 404]
    assert said(AT_ONCE, PERSONALIZER_STORE=str(tmp_path / "store")) == [*timers, *ranks, *operators]


def test_no_package_of_others_begins_to_be_imported_in_a_thread():
    """Some import in circles: of such a one, two threads that import it at once could see a half."""
    before, after = said(IN_THREADS, PERSONALIZER_STORE="nowhere")
    assert found(after, NOT_FOR_RANK)
    begun = {name.partition(".")[0] for name in set(after) - set(before)} - {name.partition(".")[0] for name in before}
    assert begun <= set(sys.stdlib_module_names)


async def test_what_is_loaded_at_its_first_use_holds_up_nobody():
    was_free = threading.Event()
    loading = AtFirstUse(lambda: was_free.wait(10))
    asyncio.get_running_loop().call_later(0.01, was_free.set)
    assert await loading.get() is True


async def test_what_could_not_be_loaded_is_tried_again():
    answers: list[Callable[[], str]] = [lambda: 1 / 0, lambda: "there"]  # type: ignore[list-item,return-value]
    loading = AtFirstUse(lambda: answers.pop(0)())
    with pytest.raises(ZeroDivisionError):
        await loading.get()
    assert await loading.get() == await loading.get() == "there"


async def test_calls_that_come_at_once_are_all_answered_by_what_was_loaded():
    async def real(call: Any) -> func.HttpResponse:
        return func.HttpResponse(str(call.number))

    def load() -> Handler:
        return real

    handler: Any = first_used(load)
    answers = await asyncio.gather(*(handler(SimpleNamespace(number=number)) for number in range(8)))
    assert [answer.get_body() for answer in answers] == [str(number).encode() for number in range(8)]


async def test_a_module_that_is_not_there_is_told():
    with pytest.raises(ModuleNotFoundError):
        await imported("json", "shared.services.nothing_of_that_name")
