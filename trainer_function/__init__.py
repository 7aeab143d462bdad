"""Timers: train and publish; mirror the joined log; retention. Each goes over all loops, and ends by its own clock."""

import logging
from collections.abc import Callable
from typing import Final

import azure.functions as func

from shared.domain.clock import TimeLimit
from shared.runtime.each_loop import RUN_TIME, TURN, Rounds, for_each_loop
from shared.runtime.loading import imported
from shared.runtime.telemetry import in_a_call
from shared.runtime.wiring import Deployment

logger = logging.getLogger(__name__)

NEEDS: Final = (
    "shared.services.training",
    "shared.services.mirroring",
    "shared.services.retention",
    "shared.runtime.pruning_store",
)
"""What is imported in a thread before the first run."""

_HOURLY = "0 30 * * * *"


def trainer_blueprint(deployment: Callable[[], Deployment], *, schedule: str) -> func.Blueprint:
    """Give the functions of this folder."""
    functions = func.Blueprint()
    training, copying, keeping = Rounds(), Rounds(), Rounds()

    @in_a_call
    async def train(timer: func.TimerRequest) -> None:
        """Learn what can be learned, a turn for each loop; a run that fails is made up for by the next, from the watermark."""
        limit = TimeLimit(RUN_TIME)

        async def turn(all_of_them: Deployment, loop: str) -> bool:
            return await _train(all_of_them, loop, limit.within(TURN))

        await for_each_loop(deployment(), turn, "training did not finish", limit=limit, rounds=training)

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
    beside = functions.timer_trigger(arg_name="timer", schedule=schedule, use_monitor=False)
    functions.function_name("mirror")(beside(mirror))
    hourly = functions.timer_trigger(arg_name="timer", schedule=_HOURLY, use_monitor=False)
    functions.function_name("retention")(hourly(retention))
    return functions


async def _train(deployment: Deployment, loop: str, limit: TimeLimit | None = None) -> bool:
    """Give a loop its turn, and tell whether that was all that there is to do for it now."""
    await imported(*NEEDS)
    services = await deployment.fresh(loop)
    if services is None:
        return True
    turn = await services.trainer.turn(limit or TimeLimit(TURN))
    standing = await services.trainer.standing()
    age = None if standing.model_age is None else standing.model_age.total_seconds()
    facts = {"loop": loop, "commits": len(turn.commits), "lag_seconds": standing.lag.total_seconds(), "model_age_seconds": age}
    logger.info("training finished", extra=facts)
    return turn.is_done


async def _mirror(deployment: Deployment, loop: str) -> None:
    await imported(*NEEDS)
    services = await deployment.fresh(loop)
    if services is not None:
        await services.mirroring.run()


async def _retain(deployment: Deployment, loop: str) -> None:
    await imported(*NEEDS)
    services = await deployment.fresh(loop)
    if services is not None:
        await services.retention.run()
    await deployment.erase(loop)
