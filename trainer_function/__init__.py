"""Timers: train and publish; mirror the joined log; retention. Each goes over all loops, and ends by its own clock.

Queue: one loop is trained for each message that the timer sends where several have something to do.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import azure.functions as func

from shared.domain.clock import TimeLimit
from shared.runtime.each_loop import RUN_TIME, TURN, Rounds, for_each_loop
from shared.runtime.loading import AtFirstUse, imported
from shared.runtime.telemetry import in_a_call
from shared.runtime.wiring import Deployment
from shared.storage import names

if TYPE_CHECKING:
    from shared.runtime.fanout import Requests

NEEDS: Final = (
    "shared.runtime.fanout",
    "shared.services.training.trainer",
    "shared.services.log.mirroring",
    "shared.services.log.retention",
    "shared.runtime.pruning_store",
)
"""What is imported in a thread before the first run."""

_HOURLY = "0 30 * * * *"
_HOST_STORAGE = "AzureWebJobsStorage"


def trainer_blueprint(deployment: Callable[[], Deployment], *, schedule: str) -> func.Blueprint:
    """Give the functions of this folder."""
    functions = func.Blueprint()
    copying, keeping = Rounds("mirror"), Rounds("retention")
    requests = AtFirstUse(_requests)

    @in_a_call
    async def train(timer: func.TimerRequest) -> None:
        """Learn what can be learned, here or through the queue; a run that fails is made up for by the next, from the watermark."""
        await _train_all(deployment(), TimeLimit(RUN_TIME))

    @in_a_call
    async def train_queued(message: func.QueueMessage) -> None:
        """Train the loop that the message names; what is raised has the host send it again, five times in all."""
        await (await requests.get()).handle(deployment(), message.get_body())

    @in_a_call
    async def train_poison(message: func.QueueMessage) -> None:
        """Tell of a message that failed five times; its loop is looked at by the timer as before."""
        await imported(*NEEDS)
        from shared.runtime.fanout import give_up

        await give_up(message.get_body())

    @in_a_call
    async def mirror(timer: func.TimerRequest) -> None:
        """Copy what was committed to the containers of the loops' owners; beside the training, which no slow container holds up."""
        await for_each_loop(deployment(), _mirror, "mirroring did not finish", rounds=copying)

    @in_a_call
    async def retention(timer: func.TimerRequest) -> None:
        """Make tomorrow's tables, drop what is no longer needed."""
        await for_each_loop(deployment(), _retain, "retention did not finish", rounds=keeping)

    every = functions.timer_trigger(arg_name="timer", schedule=schedule, use_monitor=False)
    functions.function_name("train")(every(train))
    queued = functions.queue_trigger(arg_name="message", queue_name=names.TRAINING, connection=_HOST_STORAGE)
    functions.function_name("train_queued")(queued(train_queued))
    poisoned = functions.queue_trigger(arg_name="message", queue_name=names.POISONED_TRAINING, connection=_HOST_STORAGE)
    functions.function_name("train_poison")(poisoned(train_poison))
    beside = functions.timer_trigger(arg_name="timer", schedule=schedule, use_monitor=False)
    functions.function_name("mirror")(beside(mirror))
    hourly = functions.timer_trigger(arg_name="timer", schedule=_HOURLY, use_monitor=False)
    functions.function_name("retention")(hourly(retention))
    return functions


def _requests() -> "Requests":
    from shared.runtime.fanout import Requests

    return Requests()


async def _train_all(deployment: Deployment, limit: TimeLimit) -> None:
    """Train all loops: the only one at once, turn by turn, and several as `shared.runtime.fanout` divides them."""
    await imported(*NEEDS)
    from shared.runtime.fanout import train_several

    loops = await deployment.names()
    if len(loops) > 1:
        await train_several(deployment, loops, limit)
        return

    async def turn(_: Deployment, loop: str) -> bool:
        return await _train(deployment, loop, limit.within(TURN))

    await for_each_loop(deployment, turn, "training did not finish", limit=limit, loops=loops)


async def _train(deployment: Deployment, loop: str, limit: TimeLimit | None = None) -> bool:
    """Give a loop its turn, and tell whether that was all that there is to do for it now."""
    await imported(*NEEDS)
    from shared.runtime.fanout import tell, train_turn

    services = await deployment.fresh(loop)
    if services is None:
        return True
    turn, standing = await train_turn(services, limit or TimeLimit(TURN))
    tell(loop, turn, standing, asked_again=False)
    return turn.is_done


async def _mirror(deployment: Deployment, loop: str) -> None:
    """Copy the log of a loop whose owner wants that; of all others the record alone is read."""
    record = await deployment.record(loop)
    if not record.is_there or not record.settings(deployment.settings.loop).log_mirror_enabled:
        return
    await imported(*NEEDS)
    await deployment.services_of(record).mirroring.run()


async def _retain(deployment: Deployment, loop: str) -> None:
    await imported(*NEEDS)
    services = await deployment.fresh(loop)
    if services is not None:
        await services.retention.run()
    await deployment.erase(loop)
