"""HTTP: what became of an event."""

from collections.abc import Sequence

import azure.functions as func

from shared.api.receipts import DecisionReceiptBody, OptionBody, ReasonBody, ReceiptBody, RewardReceiptBody, SearchedBody, read_around
from shared.api.rules import MAX_EVENT_ID_LENGTH
from shared.domain.errors import InvalidRequestError
from shared.runtime.assembly.process import SEARCHES
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.services.log.reasons import Circumstances, Option
from shared.services.log.receipts import DecisionReceipt, Fate, Receipt, RewardReceipt


async def get(call: Call) -> func.HttpResponse:
    """Answer with what became of the event; 404 says what was looked through."""
    event_id = call.params["eventId"]
    if len(event_id) > MAX_EVENT_ID_LENGTH or any("\ud800" <= character <= "\udfff" for character in event_id):
        raise InvalidRequestError(f"eventId: at most {MAX_EVENT_ID_LENGTH} characters of valid UTF-8", target="eventId")
    around = read_around(call.query.get("around", ""))
    receipt = await call.services.receipts.find(event_id, around=around)
    return answer(200, _body(receipt, await call.services.reasons.told([each.decision for each in receipt.decisions])))


def _body(receipt: Receipt, told: Sequence[Circumstances | None]) -> ReceiptBody:
    searched = receipt.searched
    return ReceiptBody(
        event_id=receipt.event_id,
        decisions=[_decision(each, why) for each, why in zip(receipt.decisions, told, strict=True)],
        rewards=[_reward(each) for each in receipt.rewards],
        unreadable=receipt.damaged or None,
        searched=SearchedBody(since=searched.since, until=searched.until, is_cut=searched.is_cut),
    )


def _decision(receipt: DecisionReceipt, told: Circumstances | None) -> DecisionReceiptBody:
    decision = receipt.decision
    return DecisionReceiptBody(
        ranked_at=decision.decided_at,
        slot_id=decision.slot or None,
        reward_action_id=receipt.action_id,
        probability=decision.probabilities[decision.chosen],
        model_version=decision.model_version or None,
        learning_mode=decision.mode.value,
        is_held_out=None if decision.holdout is None else decision.holdout.is_held_out,
        defer_activation=decision.deferred,
        activated_at=receipt.activated_at,
        fate=receipt.fate.value,
        reason=receipt.reason or None,
        pending_until=receipt.due,
        learned_in=receipt.learned_in or None,
        reward=receipt.reward,
        default_reward_used=receipt.used_default if receipt.fate is Fate.LEARNED else None,
        rewards=[_reward(each) for each in receipt.rewards],
        context_features=[dict(each) for each in told.context] if told else None,
        actions=[_option(each) for each in told.options] if told else None,
        baseline_action_id=(told.baseline_id or None) if told else None,
    )


def _option(option: Option) -> OptionBody:
    why = option.explanation
    return OptionBody(
        id=option.action_id,
        features=[dict(each) for each in option.features],
        probability=option.probability,
        is_chosen=option.is_chosen,
        score=why.score if why else None,
        reasons=[ReasonBody(name=each.name, score=each.worth) for each in why.contributions] if why else None,
    )


def _reward(receipt: RewardReceipt) -> RewardReceiptBody:
    observation = receipt.observation
    return RewardReceiptBody(
        observed_at=observation.observed_at,
        value=observation.reward or 0.0,
        slot_id=observation.slot or None,
        outcome=receipt.outcome.value,
        reason=receipt.reason or None,
    )


OPERATIONS = (Operation("receipt", "GET", "events/{eventId}", get, time=MUCH, room=SEARCHES),)
