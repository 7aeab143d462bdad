"""Queue: the steps of analyses, and the end of those that cannot be done. Timer: what was lost is taken up again."""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import azure.functions as func

from shared.domain.errors import UnreadableError
from shared.runtime.each_loop import Rounds, for_each_loop
from shared.runtime.loading import imported
from shared.runtime.telemetry import in_a_call
from shared.runtime.wiring import Deployment
from shared.storage import names

if TYPE_CHECKING:
    from shared.services.analysis.board import Message
    from shared.services.analysis.running import Runner

logger = logging.getLogger(__name__)

_TEN_MINUTES = "0 5/10 * * * *"
_HOST_STORAGE = "AzureWebJobsStorage"
NEEDS: Final = (
    "shared.services.analysis.running",
    "shared.services.analysis.applying",
    "shared.services.analysis.optimizing",
    "shared.services.analysis.scheduling",
)
"""What is imported in a thread before the first step."""


def worker_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the functions of this folder that no request triggers."""
    functions = func.Blueprint()
    rounds = Rounds("analyses")

    @in_a_call
    async def analyse(message: func.QueueMessage) -> None:
        """Do one step of an analysis; what is raised has the host send the message again, five times in all."""
        await _handle(deployment(), message, lambda runner, read: runner.handle(read))

    @in_a_call
    async def give_up(message: func.QueueMessage) -> None:
        """End an analysis whose message failed five times."""
        await _handle(deployment(), message, lambda runner, read: runner.give_up(read))

    @in_a_call
    async def sweep(timer: func.TimerRequest) -> None:
        """Ask for evaluations that are due, take up what was lost between two calls, and tidy up."""
        await for_each_loop(deployment(), _sweep, "the work on analyses did not finish", rounds=rounds)

    queued = functions.queue_trigger(arg_name="message", queue_name=names.JOBS, connection=_HOST_STORAGE)
    functions.function_name("analyse")(queued(analyse))
    poisoned = functions.queue_trigger(arg_name="message", queue_name=names.POISONED_JOBS, connection=_HOST_STORAGE)
    functions.function_name("analyse_poison")(poisoned(give_up))
    now_and_then = functions.timer_trigger(arg_name="timer", schedule=_TEN_MINUTES, use_monitor=False)
    functions.function_name("analyses")(now_and_then(sweep))
    return functions


async def _handle(deployment: Deployment, message: func.QueueMessage, do: "Callable[[Runner, Message], Awaitable[None]]") -> None:
    """Do it for the loop that the message names; one that cannot be read, or whose loop is gone, is dropped."""
    await imported(*NEEDS)
    from shared.services.analysis.board import Message

    try:
        read = Message.read(message.get_body())
    except UnreadableError as error:
        logger.error("a message of the queue is dropped: %s", error)
        return
    services = await deployment.fresh(read.loop)
    if services is not None:
        await do(services.analyses, read)


async def _sweep(deployment: Deployment, loop: str) -> None:
    await imported(*NEEDS)
    services = await deployment.fresh(loop)
    if services is not None:
        await services.analyses.sweep()
        await services.optimizer.run()
        await services.schedules.run()
