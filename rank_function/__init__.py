"""HTTP: rank, of one slot or of several."""

from collections.abc import Callable

import azure.functions as func

from rank_function import multislot
from rank_function.remarks import of_left_out, wants_scores
from shared.api.doors import holds_list
from shared.api.rank import RankResponse, read_rank
from shared.domain.errors import InvalidRankRequestError
from shared.runtime.http import PREVIEWS, Call, Operation, answer, blueprint
from shared.runtime.latency import RANK
from shared.runtime.wiring import Deployment


async def rank(call: Call) -> func.HttpResponse:
    """Answer with the action to show; 201 once the decision is stored."""
    if holds_list(call.body, "slots"):
        there = call.sibling("multislot/rank", versions=PREVIEWS)
        raise InvalidRankRequestError(f"slots: this path ranks for one slot; for several, POST to {there}", target="slots")
    is_scored = wants_scores(call)
    body, situation = read_rank(call.body, call.services.actions)
    ranking = await call.services.ranker.rank(situation, event_id=body.event_id, deferred=bool(body.defer_activation), is_scored=is_scored)
    content = RankResponse.write(
        ranking.action_ids,
        ranking.probabilities,
        event_id=ranking.event_id,
        reward_action_id=ranking.reward_action_id,
        reasons=ranking.reasons,
        scored=ranking.scored,
    )
    return answer(201, content, headers=of_left_out(situation.left_out))


OPERATIONS = (Operation("rank", "POST", "rank", rank, metered=True, timed=RANK, appends=True, for_clients=True), *multislot.OPERATIONS)


def rank_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the functions of this folder."""
    return blueprint(OPERATIONS, deployment)
