"""GET status: liveness for anyone; with a key, how far the loop has come, counted from storage."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import azure.functions as func
from pydantic import TypeAdapter

from shared.advice.advice import Advice
from shared.api.status import AdviceBody, AnewBody, ApprenticeBody, CountersBody, LoopProgressBody, MirrorBody, StatusResponse, UploadsBody
from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.checkpoint import AnewProgress
from shared.domain.clock import SystemClock
from shared.domain.errors import PersonalizerError
from shared.runtime.auth import has_key
from shared.runtime.http import MUCH, Call, Operation, answer
from shared.runtime.loop_services import LoopServices
from shared.services.loops.progress import Progress
from shared.services.serving.model_server import Served

_SERVICE = "personalizer"
_DURATION = TypeAdapter(timedelta)


async def status(call: Call) -> func.HttpResponse:
    """Answer 200 as long as the app runs; what it cannot do, it says."""
    if not has_key(call.request.headers):
        return answer(200, StatusResponse(service=_SERVICE, api_status="Valid", api_status_message="The service is running."))
    return await _told(await call.deployment.admit(call.loop, call.request.headers))


async def service_status(call: Call) -> func.HttpResponse:
    """Answer as `status`, to who has a key of the loop: clients ask here whether a key is right."""
    return await _told(call.services)


async def _told(services: LoopServices) -> func.HttpResponse:
    served = await services.progress.served()
    try:
        progress = await services.progress.read()
        mirror = await _mirror(services, served)
        advice = await services.adviser.advice(progress, mirror_error=(mirror.error or "") if mirror else "")
    except PersonalizerError as error:
        return _degraded(services, served, str(error))
    loop = _loop(services, served, progress, advice, mirror)
    if served.error is not None:
        return answer(200, _response("Degraded", f"The newest model is not served: {served.error}", loop))
    return answer(200, _response("Valid", "The service is running and your key is valid.", loop))


async def _mirror(services: LoopServices, served: Served) -> MirrorBody | None:
    if not served.settings.log_mirror_enabled:
        return None
    report = await services.mirroring.report(served.settings)
    return (
        None
        if report is None
        else MirrorBody(
            state=report.health.value,
            last_success_at=_written(report.succeeded_at),
            error=report.error or None,
            next_try_at=_written(report.next_try_at),
        )
    )


def _degraded(services: LoopServices, served: Served, reason: str) -> func.HttpResponse:
    return answer(200, _response("Degraded", f"The loop's progress cannot be read: {reason}", _loop(services, served, None)))


def _response(api_status: str, message: str, loop: LoopProgressBody) -> StatusResponse:
    return StatusResponse(service=_SERVICE, api_status=api_status, api_status_message=message, loop=loop)


def _loop(
    services: LoopServices,
    served: Served,
    progress: Progress | None,
    advice: Sequence[Advice] | None = None,
    mirror: MirrorBody | None = None,
) -> LoopProgressBody:
    age = None if served.published_at is None else (SystemClock().now() - served.published_at).total_seconds()
    watermark = None if progress is None else progress.watermark
    return LoopProgressBody(
        name=served.settings.name,
        learning_mode=served.settings.learning_mode.value,
        reward_wait_time=str(_DURATION.dump_python(served.settings.reward_wait, mode="json")),
        model_version=served.version or None,
        model_age_seconds=None if age is None else round(max(age, 0.0), 3),
        published_model_version=None if progress is None else progress.published_version or None,
        published_model_learned=None if progress is None else progress.published_learned,
        watermark=_written(watermark),
        lag_seconds=None if progress is None else round(progress.lag.total_seconds(), 3),
        counters=None if progress is None else _counters(progress),
        imported_events=None if progress is None else progress.imported,
        apprentice=None if progress is None or not progress.apprentice.rewards else _apprentice(progress.apprentice),
        anew=None if progress is None or progress.anew is None else _anew(progress.anew),
        mirror=mirror,
        advice=None
        if advice is None
        else [AdviceBody(code=each.code, message=each.message, feature=each.feature or None) for each in advice],
        uploads=_uploads(services),
        error=served.error,
    )


def _uploads(services: LoopServices) -> UploadsBody | None:
    counts = services.uploaded
    if counts is None:
        return None
    return UploadsBody(stored=counts.stored, repeated=counts.repeated, refused={code.value: n for code, n in counts.refused.items()})


def _counters(progress: Progress) -> CountersBody:
    return CountersBody(
        ranked=progress.ranked,
        learned=progress.counters.learned,
        skipped=dict(progress.counters.skipped),
        pending=progress.pending,
        rewards=progress.rewards,
        late_rewards=progress.counters.late_rewards,
        unknown_rewards=progress.counters.unknown_rewards,
        stragglers=progress.counters.stragglers,
        forgotten_rewards=progress.counters.forgotten_rewards,
        repeated_rewards=progress.counters.repeated_rewards,
    )


def _anew(progress: AnewProgress) -> AnewBody:
    return AnewBody(
        chunks=progress.chunks,
        chunks_done=progress.done,
        chunks_left_out=progress.left_out,
        learned=progress.learned,
        begun_at=_written(progress.begun_at) if progress.chunks else None,
    )


def _written(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")


def _apprentice(metrics: ApprenticeMetrics) -> ApprenticeBody:
    return ApprenticeBody(
        number_of_events=len(metrics.rewards),
        number_of_imitated_events=sum(metrics.imitated),
        sum_of_rewards=metrics.sum_of_rewards,
        sum_of_imitated_rewards=metrics.sum_of_imitated_rewards,
        baseline_average_reward=metrics.baseline_average_reward,
        personalizer_average_reward=metrics.personalizer_average_reward,
        achievement_ratio=metrics.achievement_ratio,
    )


OPERATIONS = (Operation("service_status", "GET", "status", service_status, time=MUCH),)
