"""HTTP: evaluations, and the policies found by them put to use."""

from dataclasses import replace
from urllib.parse import quote

import azure.functions as func

from shared.api.evaluation_report import EvaluationReportBody
from shared.api.evaluations import (
    EvaluationBody,
    EvaluationContract,
    EvaluationDetails,
    EvaluationPage,
    OldEvaluation,
    PolicyReferenceContract,
    read_evaluation_query,
    read_kind,
    write_old_list,
)
from shared.api.lenient import Source
from shared.api.paging import read_page
from shared.api.wire import parse
from shared.domain.errors import EvaluationNotFoundError, InvalidContractError, InvalidEvaluationContractError
from shared.domain.evaluation import Evaluation
from shared.runtime.assembly.process import REPORTS
from shared.runtime.http import MUCH, PATH_VERSIONS, PREVIEWS, QUERY_VERSION, WORK, Call, Operation, answer
from shared.runtime.ids import job_id_of, request_id_of


async def create(call: Call) -> func.HttpResponse:
    """Ask for an evaluation under an id that the service makes; 201 with where it is."""
    evaluation = await _submitted(call, "", weighs=True)
    location = f"{call.address}/{quote(evaluation.job.id, safe='')}"
    return answer(201, OldEvaluation.of(evaluation, version=call.version), headers={"Location": location})


async def put(call: Call) -> func.HttpResponse:
    """Ask for an evaluation under the caller's id; 200 without a body."""
    await _submitted(call, job_id_of(call, "evaluationId", InvalidEvaluationContractError))
    return answer(200)


async def _submitted(call: Call, job_id: str, *, weighs: bool = False) -> Evaluation:
    asked = replace(parse(call.body, EvaluationContract, InvalidEvaluationContractError).to_asked(Source(call.body)), weighs=weighs)
    online = (await call.services.configurator.read()).policy
    return await call.services.evaluations.submit(asked, online=online, request_id=request_id_of(call), job_id=job_id)


async def get_old(call: Call) -> func.HttpResponse:
    """Answer with an evaluation."""
    evaluation = await call.services.evaluations.detailed(job_id_of(call, "evaluationId", EvaluationNotFoundError))
    return answer(200, OldEvaluation.of(evaluation, version=call.version))


async def get(call: Call) -> func.HttpResponse:
    """Answer with an evaluation, and with its time series as the query says."""
    asked = read_evaluation_query(call.query)
    job_id = job_id_of(call, "evaluationId", EvaluationNotFoundError)
    evaluation = await call.services.evaluations.with_series(job_id, asked.window, asked.interval_minutes)
    return answer(200, EvaluationBody.found(evaluation, asked))


async def report(call: Call) -> func.HttpResponse:
    """Answer with every estimator and interval of each policy, and with what it comes to."""
    reports, verdict = await call.services.evaluations.reported(job_id_of(call, "evaluationId", EvaluationNotFoundError))
    return answer(200, EvaluationReportBody.of(reports, verdict))


async def list_old(call: Call) -> func.HttpResponse:
    """Answer with all evaluations, the newest first."""
    return answer(200, write_old_list(await call.services.evaluations.opened(), version=call.version))


async def list_page(call: Call) -> func.HttpResponse:
    """Answer with a page of the evaluations, the newest first."""
    params = call.query
    page, kind = read_page(params), read_kind(params)
    found = await call.services.evaluations.of_kind(kind)
    following = page.after(len(found))
    others = {"api-version": QUERY_VERSION} | ({"filter": params["filter"]} if kind else {})
    link = following.link(call.address, others) if following else None
    return answer(200, EvaluationPage(value=[EvaluationDetails.of(each) for each in page.cut(found)], next_link=link))


async def delete(call: Call) -> func.HttpResponse:
    """Delete an evaluation; 204."""
    await call.services.evaluations.delete(job_id_of(call, "evaluationId", EvaluationNotFoundError))
    return answer(204)


async def apply(call: Call) -> func.HttpResponse:
    """Make a policy of an evaluation the loop's own; 204, or 409 if it does not pass the gate that was set for it."""
    body = parse(call.body, PolicyReferenceContract, InvalidContractError)
    gate = None if body.gate is None else body.gate.to_gate()
    await call.services.applier.apply(body.evaluation_id, body.policy_name, gate)
    return answer(204)


_NEW = (QUERY_VERSION,)
_ONE = "evaluations/{evaluationId}"

OPERATIONS = (
    Operation("evaluations_create", "POST", "evaluations", create, versions=PATH_VERSIONS),
    Operation("evaluations_put", "PUT", _ONE, put, versions=_NEW),
    Operation("evaluations_get_old", "GET", _ONE, get_old, versions=PATH_VERSIONS, time=MUCH, room=REPORTS),
    Operation("evaluations_get", "GET", _ONE, get, versions=_NEW, time=MUCH, room=REPORTS),
    Operation("evaluations_report", "GET", f"{_ONE}/report", report, time=MUCH, room=REPORTS),
    Operation("evaluations_list_old", "GET", "evaluations", list_old, versions=PATH_VERSIONS, room=REPORTS),
    Operation("evaluations_list", "GET", "evaluations", list_page, versions=_NEW),
    Operation("evaluations_delete", "DELETE", _ONE, delete),
    Operation("apply_from_evaluation", "POST", "configurations/applyFromEvaluation", apply, versions=PREVIEWS, time=WORK),
)
