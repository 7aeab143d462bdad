"""HTTP: rank."""

from collections.abc import Callable

import azure.functions as func

from shared.api.rank import RankedAction, RankRequest, RankResponse
from shared.api.wire import parse
from shared.domain.errors import InvalidRankRequestError
from shared.runtime.http import Call, Operation, answer, blueprint
from shared.runtime.wiring import Services


async def rank(call: Call) -> func.HttpResponse:
    """Answer with the action to show; 201 once the decision is stored."""
    body = parse(call.body, RankRequest, InvalidRankRequestError)
    ranking = await call.services.ranker.rank(body.to_situation(), event_id=body.event_id, deferred=bool(body.defer_activation))
    actions = [RankedAction(id=action.id, probability=action.probability) for action in ranking.actions]
    return answer(201, RankResponse(ranking=actions, event_id=ranking.event_id, reward_action_id=ranking.reward_action_id))


OPERATIONS = (Operation("rank", "POST", "rank", rank),)


def rank_blueprint(services: Callable[[], Services]) -> func.Blueprint:
    """Give the functions of this folder."""
    return blueprint(OPERATIONS, services)
