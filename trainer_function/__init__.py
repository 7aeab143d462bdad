"""Timers: train and publish; retention."""

import logging
from collections.abc import Callable

import azure.functions as func

from shared.domain.errors import PersonalizerError
from shared.runtime.wiring import Services

logger = logging.getLogger(__name__)

_HOURLY = "0 30 * * * *"


def trainer_blueprint(services: Callable[[], Services], *, schedule: str) -> func.Blueprint:
    """Give the functions of this folder."""
    functions = func.Blueprint()

    async def train(timer: func.TimerRequest) -> None:
        """Learn what can be learned; a run that fails is made up for by the next, from the watermark."""
        try:
            await _train(services())
        except PersonalizerError as error:
            logger.error("training did not finish: %s", error, extra={"error": type(error).__name__})
            raise

    async def retention(timer: func.TimerRequest) -> None:
        """Make tomorrow's tables, drop what is no longer needed."""
        await services().retention.run()

    every = functions.timer_trigger(arg_name="timer", schedule=schedule, use_monitor=False)
    functions.function_name("train")(every(train))
    hourly = functions.timer_trigger(arg_name="timer", schedule=_HOURLY, use_monitor=False)
    functions.function_name("retention")(hourly(retention))
    return functions


async def _train(services: Services) -> None:
    commits = await services.trainer.run()
    standing = await services.trainer.standing()
    facts = {"loop": services.settings.loop.name, "commits": len(commits), "lag_seconds": standing.lag.total_seconds()}
    age = None if standing.model_age is None else standing.model_age.total_seconds()
    logger.info("training finished", extra={**facts, "model_age_seconds": age})
