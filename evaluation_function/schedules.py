"""HTTP: evaluations that are asked for again and again."""

import azure.functions as func

from shared.api.lenient import Source
from shared.api.schedules import ScheduleBody, ScheduleContract, ScheduleDetails, ScheduleList
from shared.api.wire import parse
from shared.domain.errors import InvalidContractError, ScheduleNotFoundError
from shared.runtime.assembly.process import REPORTS
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.runtime.ids import job_id_of


async def put(call: Call) -> func.HttpResponse:
    """Make a schedule, or change its plan; answers with it."""
    schedule_id = job_id_of(call, "scheduleId", InvalidContractError)
    plan = parse(call.body, ScheduleContract, InvalidContractError).to_plan(Source(call.body))
    return answer(200, ScheduleBody.of(await call.services.schedules.put(schedule_id, plan), call.services.clock.now()))


async def get(call: Call) -> func.HttpResponse:
    """Answer with a schedule and its series."""
    return answer(200, ScheduleBody.of(await call.services.schedules.read(_id(call)), call.services.clock.now()))


async def list_all(call: Call) -> func.HttpResponse:
    """Answer with all schedules, which are few."""
    found = await call.services.schedules.all()
    return answer(200, ScheduleList(value=[ScheduleDetails.of(each, call.services.clock.now()) for each in found]))


async def delete(call: Call) -> func.HttpResponse:
    """Delete a schedule and its series; 204."""
    await call.services.schedules.delete(_id(call))
    return answer(204)


def _id(call: Call) -> str:
    return job_id_of(call, "scheduleId", ScheduleNotFoundError)


_ONE = "evaluations/schedules/{scheduleId}"

OPERATIONS = (
    Operation("schedules_put", "PUT", _ONE, put, versioned=False, time=MUCH, room=REPORTS),
    Operation("schedules_get", "GET", _ONE, get, versioned=False, time=MUCH, room=REPORTS),
    Operation("schedules_list", "GET", "evaluations/schedules", list_all, versioned=False, time=MUCH, room=REPORTS),
    Operation("schedules_delete", "DELETE", _ONE, delete, versioned=False),
)
