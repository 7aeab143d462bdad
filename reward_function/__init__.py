"""HTTP: reward, activate, of one slot or of several."""

from collections.abc import Callable

import azure.functions as func

from reward_function import multislot
from reward_function.event_ids import event_id_of
from shared.api.doors import holds_list
from shared.api.reward import RewardRequest
from shared.api.wire import parse
from shared.domain.errors import InvalidEventIdToActivateError, InvalidRewardRequestError
from shared.runtime.http import PREVIEWS, Call, Operation, answer, blueprint
from shared.runtime.latency import REWARD
from shared.runtime.wiring import Deployment


async def reward(call: Call) -> func.HttpResponse:
    """Take a reward; 204 once it is stored, whether or not the event is known yet."""
    event_id = event_id_of(call, InvalidRewardRequestError)
    if holds_list(call.body, "reward"):
        there = call.sibling("multislot/events/{eventId}/reward", versions=PREVIEWS)
        raise InvalidRewardRequestError(f"reward: this path takes one value; for those of several slots, POST to {there}", target="reward")
    body = parse(call.body, RewardRequest, InvalidRewardRequestError)
    await call.services.rewarder.reward(event_id, body.value)
    return answer(204)


async def activate(call: Call) -> func.HttpResponse:
    """Take an activation; 204 once it is stored. A body is neither needed nor read."""
    await call.services.rewarder.activate(event_id_of(call, InvalidEventIdToActivateError))
    return answer(204)


OPERATIONS = (
    Operation("reward", "POST", "events/{eventId}/reward", reward, timed=REWARD, appends=True, for_clients=True),
    Operation("activate", "POST", "events/{eventId}/activate", activate, reads_json=False, appends=True, for_clients=True),
    *multislot.OPERATIONS,
)


def reward_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the functions of this folder."""
    return blueprint(OPERATIONS, deployment)
