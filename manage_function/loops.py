"""HTTP: the loops of this deployment, for its administrator."""

import azure.functions as func

from shared.api.conditions import etag, read_condition
from shared.api.loops import KeyResponse, LoopBody, LoopsResponse, read_loop, write_loop
from shared.domain.errors import ResourceNotFoundError
from shared.domain.loop import DEFAULT_LOOP, LoopRecord
from shared.runtime.http import QUERY_VERSION, Call, Operation, answer

CLIENT = "client"
"""What stands for a number in the path of a client key."""


async def listed(call: Call) -> func.HttpResponse:
    """Answer with all loops, without their keys."""
    return answer(200, LoopsResponse(value=[_body(call, record) for record in await call.deployment.loops.listed()]))


async def get(call: Call) -> func.HttpResponse:
    """Answer with one loop, without its keys."""
    record = await call.deployment.loops.read(call.loop)
    return answer(200, _body(call, record), headers=etag(call.deployment.loops.tag(record)))


async def put(call: Call) -> func.HttpResponse:
    """Make a loop: 201 with its keys, this once; or change one that is there: 200."""
    body, only_if = read_loop(call.body), read_condition(call.request.headers, may_be_new=True)
    kept = await call.deployment.loops.put(call.loop, body.to_tier(), body.to_changes(), only_if=only_if)
    await call.deployment.note(kept.record)
    tag = etag(call.deployment.loops.tag(kept.record))
    return answer(201 if kept.keys else 200, _body(call, kept.record, kept.keys), headers=tag)


async def delete(call: Call) -> func.HttpResponse:
    """Delete a loop; from the 204 on this process does not know it any more, the others soon after."""
    await call.deployment.note(await call.deployment.loops.delete(call.loop))
    return answer(204)


async def regenerate(call: Call) -> func.HttpResponse:
    """Answer with a new first, second or client key, this once; this process refuses the old one at once, the others soon after."""
    number = call.params["number"].lower()
    if number == CLIENT:
        record, key = await call.deployment.loops.regenerate_client_key(call.loop)
        await call.deployment.note(record)
        return answer(200, KeyResponse(key=key))
    if number not in ("1", "2"):
        raise ResourceNotFoundError(f"a loop has key 1 and key 2, and a client key, but no key {number[:40]!r}", target="number")
    own_keys = call.deployment.settings.key_digests if call.loop == DEFAULT_LOOP else ()
    record, key = await call.deployment.loops.regenerate(call.loop, int(number), own_keys=own_keys)
    await call.deployment.note(record)
    return answer(200, KeyResponse(number=int(number), key=key))


def _body(call: Call, record: LoopRecord, keys: tuple[str, ...] = ()) -> LoopBody:
    path = "" if record.name == DEFAULT_LOOP else f"/loops/{record.name}"
    settings = record.settings(call.deployment.settings.loop)
    return write_loop(record, settings, endpoint=f"{call.origin}{path}", version=QUERY_VERSION, keys=keys)


OPERATIONS = (
    Operation("loops_list", "GET", "loops", listed, versioned=False, needs_admin=True),
    Operation("loops_get", "GET", "loops/{loop}", get, versioned=False, needs_admin=True),
    Operation("loops_put", "PUT", "loops/{loop}", put, versioned=False, needs_admin=True),
    Operation("loops_delete", "DELETE", "loops/{loop}", delete, versioned=False, needs_admin=True),
    Operation(
        "keys_regenerate", "POST", "loops/{loop}/keys/{number}/regenerate", regenerate, versioned=False, needs_admin=True, reads_json=False
    ),
)
