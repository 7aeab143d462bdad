"""HTTP: what a change would do, told before it is made."""

import azure.functions as func

from shared.api.preview import PreviewResponse, read_preview
from shared.domain.errors import InvalidRequestError
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.services.loops.previewing import Change


async def preview(call: Call) -> func.HttpResponse:
    """Answer with what the new model would know and what of the log would be deleted; nothing is changed."""
    asked = read_preview(call.body)
    if asked.policy is not None and asked.resets_policy:
        raise InvalidRequestError("resetsPolicy: cannot stand beside policy", target="resetsPolicy")
    policy = asked.policy.to_policy() if asked.policy else None
    if asked.resets_policy:
        policy = call.services.defaults.policy
    found = await call.services.previewer.preview(Change(asked.to_changes(), policy, asked.keeps_retrain_days, asked.to_unset()))
    return answer(
        200,
        PreviewResponse(
            is_learned_again=found.is_learned_again,
            events=found.learned,
            of_events=found.known,
            events_deleted=found.deleted,
            is_exact=found.is_exact,
            message=found.message,
        ),
    )


OPERATIONS = (Operation("preview", "POST", "configurations/preview", preview, time=MUCH),)
