"""HTTP: reward and activate for several slots."""

import azure.functions as func

from reward_function.event_ids import event_id_of
from shared.api.doors import holds_number
from shared.api.multislot import MultiSlotRewardRequest
from shared.api.wire import parse
from shared.domain.errors import InvalidEventIdToActivateError, InvalidRewardRequestError
from shared.runtime.http import PREVIEWS, Call, Operation, answer
from shared.runtime.latency import REWARD
from shared.services.serving.multislot import check_multi_slot


async def reward(call: Call) -> func.HttpResponse:
    """Take a reward for each slot that is named; 204 once all are stored, whether or not the event is known yet."""
    check_multi_slot((await call.services.models.served()).settings)
    event_id = event_id_of(call, InvalidRewardRequestError)
    if holds_number(call.body, "value"):
        there = call.sibling("events/{eventId}/reward")
        raise InvalidRewardRequestError(f"value: this path takes a reward for each slot; for a single one, POST to {there}", target="value")
    body = parse(call.body, MultiSlotRewardRequest, InvalidRewardRequestError)
    await call.services.rewarder.reward_slots(event_id, [(each.slot_id, each.value) for each in body.reward])
    return answer(204)


async def activate(call: Call) -> func.HttpResponse:
    """Take an activation of all slots; 204 once it is stored. A body is neither needed nor read."""
    check_multi_slot((await call.services.models.served()).settings)
    await call.services.rewarder.activate(event_id_of(call, InvalidEventIdToActivateError))
    return answer(204)


_REWARD, _ACTIVATE = "multislot/events/{eventId}/reward", "multislot/events/{eventId}/activate"

OPERATIONS = (
    Operation("multislot_reward", "POST", _REWARD, reward, timed=REWARD, versions=PREVIEWS, appends=True, for_clients=True),
    Operation("multislot_activate", "POST", _ACTIVATE, activate, reads_json=False, versions=PREVIEWS, appends=True, for_clients=True),
)
