"""The functions behind the queue: what they are handed is a loop's, and goes to its runner."""

from collections.abc import AsyncIterator
from typing import Any

import azure.functions as func
import pytest

from evaluation_function.workers import _handle, _sweep, worker_blueprint
from shared.domain.evaluation import Asked, JobStatus
from shared.domain.loop import LearningPolicy, LoopRecord
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.storage import names
from tests import stores
from tests.builders import T0, after
from tests.services.analysis.logs import drawn
from tests.services.analysis.seeding import seed
from tests.stores import settings_of


@pytest.fixture
async def deployment(storage) -> AsyncIterator[Deployment]:
    deployment = Deployment(read_settings(settings_of(storage)))
    yield deployment
    await deployment.close()


async def received(deployment: Deployment) -> func.QueueMessage | None:
    message = await stores.received(deployment.host_storage)
    return None if message is None else func.QueueMessage(body=message)


async def asked(deployment: Deployment) -> None:
    services = deployment.services_of(LoopRecord("default"))
    await seed(deployment.storage, [drawn(60)], until=after(3600))
    await services.evaluations.submit(Asked("one", T0, after(3600)), online=LearningPolicy(), request_id="", job_id="e1")


async def status(deployment: Deployment) -> JobStatus:
    return (await deployment.services_of(LoopRecord("default")).evaluations.read("e1")).job.status


async def test_messages_are_handled_until_it_is_over(deployment):
    await asked(deployment)
    while message := await received(deployment):
        await _handle(deployment, message, lambda runner, read: runner.handle(read))
    assert await status(deployment) is JobStatus.SUCCEEDED
    await _sweep(deployment, "default")


async def test_a_poisoned_message_ends_its_job(deployment):
    await asked(deployment)
    message = await received(deployment)
    assert message
    await _handle(deployment, message, lambda runner, read: runner.give_up(read))
    assert await status(deployment) is JobStatus.FAILED


@pytest.mark.parametrize("body", [b"no JSON", b'{"loop":"default"}', b'{"loop":"gone","kind":"evaluation","job_id":"e1","run":"r"}'])
async def test_what_cannot_be_read_and_what_is_of_no_loop_is_dropped(deployment, body):
    def never(runner, read):
        raise AssertionError("nobody is asked")

    await _handle(deployment, func.QueueMessage(body=body), never)


def test_the_functions_hang_on_the_queue_its_poison_and_a_timer():
    app = func.FunctionApp()
    app.register_functions(worker_blueprint(lambda: pytest.fail("nothing is built yet")))
    triggers: dict[str | None, Any] = {each.get_function_name(): each.get_trigger() for each in app.get_functions()}
    assert triggers["analyse"].queue_name == names.JOBS
    assert triggers["analyse_poison"].queue_name == names.JOBS + "-poison"
    assert {"analyse", "analyse_poison", "analyses"} == {*triggers}
