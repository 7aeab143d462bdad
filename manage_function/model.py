"""HTTP: the model, handed out, brought back, deleted, and gone back to an earlier version of."""

import azure.functions as func

from shared.api.conditions import etag
from shared.api.flags import read_flag
from shared.api.model import ComparisonBody, ModelPropertiesBody, ModelVersionBody, ModelVersionsBody, read_comparison
from shared.api.model_archive import LARGEST_ARCHIVE, MODEL, open_archive, write_archive
from shared.api.serving import ServingBody
from shared.runtime.assembly.process import MODELS_IN_HAND
from shared.runtime.http import MUCH, QUERY_VERSION, Call, Operation, answer, attachment

_WITH_IMPORT = ("v1.1-preview.3", QUERY_VERSION)


async def get(call: Call) -> func.HttpResponse:
    """Answer with the model, or with the archive that can be brought back."""
    keeper = call.services.keeper
    if not read_flag("signed", call.query.get("signed")):
        exported = await keeper.export()
        return attachment(exported.model, name=MODEL, modified_at=exported.modified_at)
    signed, exported = await keeper.export_signed()
    return attachment(write_archive(signed), name=f"{MODEL}.zip", modified_at=exported.modified_at)


async def put(call: Call) -> func.HttpResponse:
    """Publish the model of a signed archive; 204 once it is."""
    await call.services.keeper.import_packed(open_archive(call.body))
    return answer(204)


async def delete(call: Call) -> func.HttpResponse:
    """Begin anew; 204 once there is no model any more."""
    await call.services.keeper.delete()
    return answer(204)


async def properties(call: Call) -> func.HttpResponse:
    """Answer with the model's times."""
    return answer(200, ModelPropertiesBody.write(await call.services.keeper.times()))


async def serving(call: Call) -> func.HttpResponse:
    """Answer with all that a client needs to decide by itself; 304 to who has it already."""
    offer = await call.services.handing_out.offer()
    headers = {"Cache-Control": "no-cache", **etag(offer.tag)}
    if offer.tag in call.request.headers.get("if-none-match", ""):
        return answer(304, headers=headers)
    async with call.deployment.rooms[MODELS_IN_HAND].place():
        model = await call.services.handing_out.model(offer)
        seconds = offer.poll_interval.total_seconds()
        body = ServingBody.write(offer.settings, version=offer.version, model=model, poll_seconds=seconds, ticket=offer.ticket)
        return answer(200, body, headers=headers)


async def versions(call: Call) -> func.HttpResponse:
    """Answer with the versions that are kept."""
    return answer(200, ModelVersionsBody.write(await call.services.keeper.versions()))


async def restore(call: Call) -> func.HttpResponse:
    """Publish a copy of a kept version, and answer with it."""
    return answer(200, ModelVersionBody.write(await call.services.keeper.restore(call.params["modelVersion"])))


async def compare(call: Call) -> func.HttpResponse:
    """Answer with two kept versions side by side."""
    before, after, most = read_comparison(call.query)
    return answer(200, ComparisonBody.write(await call.services.comparer.compare(before, after, most=most)))


OPERATIONS = (
    Operation("model_get", "GET", "model", get, time=MUCH, room=MODELS_IN_HAND),
    Operation(
        "model_put",
        "PUT",
        "model",
        put,
        reads_json=False,
        max_body=LARGEST_ARCHIVE,
        versions=_WITH_IMPORT,
        time=MUCH,
        room=MODELS_IN_HAND,
    ),
    Operation("model_delete", "DELETE", "model", delete, time=MUCH),
    Operation("models_serving", "GET", "models/serving", serving, versioned=False, time=MUCH),
    Operation("model_properties", "GET", "model/properties", properties),
    Operation("models_compare", "GET", "models/compare", compare, versioned=False, time=MUCH, room=MODELS_IN_HAND),
    Operation("model_versions", "GET", "model/versions", versions, time=MUCH),
    Operation("model_restore", "POST", "model/versions/{modelVersion}/restore", restore, reads_json=False, time=MUCH),
)
