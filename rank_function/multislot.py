"""HTTP: multi-slot rank."""

import azure.functions as func

from rank_function.remarks import of_left_out, wants_scores
from shared.api.doors import holds_list
from shared.api.multislot import read_multi_slot_rank, write_multi_slot_ranking
from shared.domain.errors import InvalidRankRequestError
from shared.runtime.http import PREVIEWS, Call, Operation, answer
from shared.runtime.latency import RANK
from shared.services.serving.multislot import check_multi_slot


async def rank(call: Call) -> func.HttpResponse:
    """Answer with the action to show in each slot; 201 once the decisions of all slots are stored."""
    services = call.services
    check_multi_slot((await services.models.served()).settings)
    if holds_list(call.body, "actions") and not holds_list(call.body, "slots"):
        there = call.sibling("rank")
        raise InvalidRankRequestError(f"slots: is missing; this path ranks for several slots; for one, POST to {there}", target="slots")
    is_scored = wants_scores(call)
    body, asked = read_multi_slot_rank(call.body, services.actions)
    ranking = await services.slots.rank(asked, event_id=body.event_id, deferred=bool(body.defer_activation), is_scored=is_scored)
    filled = [(slot.slot_id, slot.reward_action_id) for slot in ranking.slots]
    content = write_multi_slot_ranking(
        filled, event_id=ranking.event_id, scored=[slot.scored for slot in ranking.slots] if is_scored else ()
    )
    return answer(201, content, headers=of_left_out(asked.left_out))


OPERATIONS = (
    Operation(
        "multislot_rank", "POST", "multislot/rank", rank, metered=True, timed=RANK, versions=PREVIEWS, appends=True, for_clients=True
    ),
)
