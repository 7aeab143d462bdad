"""HTTP: breakdowns from the log, which a background job counts."""

import azure.functions as func

from manage_function.breakdowns import actions_body, crossed_body, rows_query, segments_body
from shared.api.breakdowns import read_crossed_query
from shared.api.log_breakdowns import BreakdownBody, BreakdownContract, BreakdownDetails, BreakdownPage
from shared.api.paging import read_page
from shared.api.wire import parse
from shared.domain.errors import BreakdownNotFoundError, InvalidContractError
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.runtime.ids import job_id_of, request_id_of

_SOURCE = "log"


async def put(call: Call) -> func.HttpResponse:
    """Ask for a breakdown under the caller's id; 200 without a body."""
    job_id = job_id_of(call, "breakdownId", InvalidContractError)
    contract = parse(call.body, BreakdownContract, InvalidContractError)
    await call.services.log_breakdowns.submit(contract.to_asked(), contract.feature, request_id=request_id_of(call), job_id=job_id)
    return answer(200)


async def get(call: Call) -> func.HttpResponse:
    """Answer with how far a breakdown is."""
    return answer(200, BreakdownBody.found(await call.services.log_breakdowns.read(_id(call))))


async def actions(call: Call) -> func.HttpResponse:
    """Answer with what was shown."""
    return answer(200, actions_body(call, await call.services.log_breakdowns.actions(_id(call), rows_query(call)), _SOURCE))


async def segments(call: Call) -> func.HttpResponse:
    """Answer with what was earned by the values of the feature, and how much of that was gained."""
    return answer(200, segments_body(call, await call.services.log_breakdowns.segments(_id(call), rows_query(call)), _SOURCE))


async def crossed(call: Call) -> func.HttpResponse:
    """Answer with what was shown to whom."""
    asked = read_crossed_query(call.query)
    found = await call.services.log_breakdowns.crossed(_id(call), actions=asked.actions, values=asked.values)
    return answer(200, crossed_body(call, found, _SOURCE))


async def list_page(call: Call) -> func.HttpResponse:
    """Answer with a page of the breakdowns, the newest first."""
    page = read_page(call.query)
    found = await call.services.log_breakdowns.listed()
    following = page.after(len(found))
    link = following.link(call.address, {}) if following else None
    return answer(200, BreakdownPage(value=[BreakdownDetails.of(each) for each in page.cut(found)], next_link=link))


async def delete(call: Call) -> func.HttpResponse:
    """Delete a breakdown, or cancel it if it is under way; 204."""
    await call.services.log_breakdowns.delete(_id(call))
    return answer(204)


def _id(call: Call) -> str:
    return job_id_of(call, "breakdownId", BreakdownNotFoundError)


_ONE = "breakdowns/{breakdownId}"

OPERATIONS = (
    Operation("breakdowns_put", "PUT", _ONE, put, versioned=False),
    Operation("breakdowns_get", "GET", _ONE, get, versioned=False),
    Operation("breakdowns_actions", "GET", f"{_ONE}/actions", actions, versioned=False, time=MUCH),
    Operation("breakdowns_segments", "GET", f"{_ONE}/segments", segments, versioned=False, time=MUCH),
    Operation("breakdowns_crossed", "GET", f"{_ONE}/crossed", crossed, versioned=False, time=MUCH),
    Operation("breakdowns_list", "GET", "breakdowns", list_page, versioned=False),
    Operation("breakdowns_delete", "DELETE", _ONE, delete, versioned=False),
)
