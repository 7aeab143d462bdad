"""HTTP: feature importances."""

import azure.functions as func

from shared.api.feature_importances import (
    FeatureImportanceBody,
    FeatureImportanceContract,
    FeatureImportanceDetails,
    FeatureImportancePage,
)
from shared.api.paging import read_page
from shared.api.wire import parse
from shared.domain.errors import FeatureImportanceNotFoundError, InvalidContractError
from shared.runtime.http import QUERY_VERSION, Call, Operation, answer
from shared.runtime.ids import job_id_of, request_id_of


async def put(call: Call) -> func.HttpResponse:
    """Ask for a feature importance under the caller's id; 200 without a body."""
    job_id = job_id_of(call, "featureImportanceId", InvalidContractError)
    asked = parse(call.body, FeatureImportanceContract, InvalidContractError).to_asked()
    await call.services.importances.submit(asked, request_id=request_id_of(call), job_id=job_id)
    return answer(200)


async def get(call: Call) -> func.HttpResponse:
    """Answer with a feature importance."""
    importance = await call.services.importances.read(job_id_of(call, "featureImportanceId", FeatureImportanceNotFoundError))
    return answer(200, FeatureImportanceBody.found(importance))


async def list_page(call: Call) -> func.HttpResponse:
    """Answer with a page of the feature importances, the newest first."""
    page = read_page(call.query)
    found = await call.services.importances.listed()
    following = page.after(len(found))
    link = following.link(call.address, {"api-version": QUERY_VERSION}) if following else None
    return answer(200, FeatureImportancePage(value=[FeatureImportanceDetails.of(each.job) for each in page.cut(found)], next_link=link))


async def delete(call: Call) -> func.HttpResponse:
    """Delete a feature importance; 204."""
    await call.services.importances.delete(job_id_of(call, "featureImportanceId", FeatureImportanceNotFoundError))
    return answer(204)


_VERSIONS = (QUERY_VERSION,)
_ONE = "featureImportances/{featureImportanceId}"

OPERATIONS = (
    Operation("importances_put", "PUT", _ONE, put, versions=_VERSIONS),
    Operation("importances_get", "GET", _ONE, get, versions=_VERSIONS),
    Operation("importances_list", "GET", "featureImportances", list_page, versions=_VERSIONS),
    Operation("importances_delete", "DELETE", _ONE, delete, versions=_VERSIONS),
)
