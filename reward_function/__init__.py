"""HTTP: reward, activate."""

from collections.abc import Callable

import azure.functions as func

from shared.api.reward import RewardRequest
from shared.api.wire import MAX_EVENT_ID_LENGTH, parse
from shared.domain.errors import InvalidEventIdToActivateError, InvalidRewardRequestError, RequestError
from shared.runtime.http import Call, Operation, answer, blueprint
from shared.runtime.wiring import Services


async def reward(call: Call) -> func.HttpResponse:
    """Take a reward; 204 once it is stored, whether or not the event is known yet."""
    event_id = _event_id(call, InvalidRewardRequestError)
    body = parse(call.body, RewardRequest, InvalidRewardRequestError)
    await call.services.rewarder.reward(event_id, body.value)
    return answer(204)


async def activate(call: Call) -> func.HttpResponse:
    """Take an activation; 204 once it is stored. A body is neither needed nor read."""
    await call.services.rewarder.activate(_event_id(call, InvalidEventIdToActivateError))
    return answer(204)


def _event_id(call: Call, invalid: type[RequestError]) -> str:
    event_id = call.params["eventId"]
    if len(event_id) > MAX_EVENT_ID_LENGTH:
        raise invalid(f"eventId: at most {MAX_EVENT_ID_LENGTH} characters, not {len(event_id)}", target="eventId")
    if any("\ud800" <= character <= "\udfff" for character in event_id):
        raise invalid("eventId: is not valid UTF-8", target="eventId")
    return event_id


OPERATIONS = (
    Operation("reward", "POST", "events/{eventId}/reward", reward),
    Operation("activate", "POST", "events/{eventId}/activate", activate),
)


def reward_blueprint(services: Callable[[], Services]) -> func.Blueprint:
    """Give the functions of this folder."""
    return blueprint(OPERATIONS, services)
