"""HTTP: what a change would do, told before it is made."""

from typing import Any

import azure.functions as func

from shared.api.loops import read_loop
from shared.api.preview import ChangedMember, LoopPreviewResponse, PreviewResponse, changed_members, read_preview
from shared.domain.errors import InvalidRequestError
from shared.domain.loop import LoopRecord, Tier
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.services.loops.configuring import Change
from shared.services.loops.previewing import Preview


async def preview(call: Call) -> func.HttpResponse:
    """Answer with what the new model would know and what of the log would be deleted; nothing is changed."""
    asked = read_preview(call.body)
    if asked.policy is not None and asked.resets_policy:
        raise InvalidRequestError("resetsPolicy: cannot stand beside policy", target="resetsPolicy")
    policy = asked.policy.to_policy() if asked.policy else None
    if asked.resets_policy:
        policy = call.services.defaults.policy
    change = Change(asked.to_changes(), policy, asked.owns_unchanged, asked.to_unset())
    return answer(200, PreviewResponse(**_members(await call.services.previewer.preview(change))))


async def preview_loop(call: Call) -> func.HttpResponse:
    """Answer with what a PUT of the loop with this body would do; nothing is changed, and no loop is made."""
    body = read_loop(call.body)
    tier, changes = body.to_tier(), body.to_changes()
    services = await call.deployment.find(call.loop)
    if services is None:
        await call.deployment.loops.check_new(call.loop, tier, changes)
        return answer(200, _of_a_new_one(call.loop))
    loops, record = call.deployment.loops, await call.deployment.loops.read(call.loop)
    found = _members(await services.previewer.preview_of(lambda present: loops.changed(present, tier, changes)))
    found["changes"] = [*_other_tier(record, tier), *found["changes"]]
    return answer(200, LoopPreviewResponse(is_there=True, **found))


def _members(found: Preview) -> dict[str, Any]:
    return {
        "is_learned_again": found.is_learned_again,
        "events": found.learned,
        "of_events": found.known,
        "events_deleted": found.deleted,
        "is_lossy": found.is_lossy,
        "is_exact": found.is_exact,
        "message": found.message,
        "changes": changed_members(found.before, found.after),
    }


def _other_tier(record: LoopRecord, tier: Tier | None) -> list[ChangedMember]:
    return [] if tier in (None, record.tier) else [ChangedMember(member="tier", before=record.tier.value, after=tier)]


def _of_a_new_one(name: str) -> LoopPreviewResponse:
    message = f"There is no loop {name[:40]} yet: it would be made."
    return LoopPreviewResponse(
        is_there=False,
        is_learned_again=False,
        events=0,
        of_events=0,
        events_deleted=0,
        is_exact=True,
        is_lossy=False,
        message=message,
        changes=[],
    )


OPERATIONS = (
    Operation("preview", "POST", "configurations/preview", preview, time=MUCH),
    Operation("loops_preview", "POST", "loops/{loop}/preview", preview_loop, versioned=False, needs_admin=True, time=MUCH),
)
