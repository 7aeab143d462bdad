"""HTTP: the latest events."""

import azure.functions as func

from shared.api.events import BinBody, EarnedBody, EventBody, EventsResponse, LookedAtBody, read_events_query
from shared.runtime.assembly.process import SEARCHES
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.services.log.latest import Bin, Event, Latest, Wanted


async def listed(call: Call) -> func.HttpResponse:
    """Answer with the latest events that are wanted."""
    query = read_events_query(call.query)
    wanted = Wanted(query.action, query.rewarded, query.late, query.explored, query.since, query.until, query.top)
    return answer(200, _body(await call.services.latest_events.find(wanted)))


def _body(found: Latest) -> EventsResponse:
    return EventsResponse(
        value=[_event(each) for each in found.events],
        looked_at=LookedAtBody(events=found.looked_at, since=found.since, until=found.until, is_cut=found.is_cut),
        rewards=[_bin(each) for each in found.rewards],
        delays=[_bin(each) for each in found.delays],
        models=[
            EarnedBody(model_version=each.version or None, events=each.events, average_reward=each.average_reward) for each in found.models
        ],
    )


def _event(event: Event) -> EventBody:
    decision = event.decision
    return EventBody(
        event_id=decision.event_id,
        slot_id=decision.slot or None,
        ranked_at=decision.decided_at,
        reward_action_id=event.action_id,
        probability=decision.probabilities[decision.chosen],
        is_explored=event.is_explored,
        model_version=decision.model_version or None,
        learning_mode=decision.mode.value,
        fate=event.fate.value,
        reason=event.reason or None,
        reward=event.reward,
        default_reward_used=event.used_default,
        rewards=event.rewards,
        late_rewards=event.late,
        delay_seconds=None if event.delay is None else event.delay.total_seconds(),
    )


def _bin(of: Bin) -> BinBody:
    return BinBody(low=of.low, high=of.high, count=of.count)


OPERATIONS = (Operation("events", "GET", "events", listed, versioned=False, time=MUCH, room=SEARCHES),)
