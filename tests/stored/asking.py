"""What an app says of a storage: the same questions to the release that wrote it and to every later one."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from shared.runtime.wiring import Deployment
from shared.services.log.exporting import Exporter
from shared.storage.cold_log import FileColdLog
from tests.stored.calls import App, place, said, under
from tests.stores import received

_OLD: Final = "v1.1-preview.3"
_SERIES: Final = "startTime=2026-05-17T00:00:00Z&endTime=2026-05-18T00:00:00Z&window=Expanding&intervalInMinutes=5"
_LEFT_OUT: Final = frozenset({"modelAgeSeconds", "latency", "searched", "message", "description"})
"""Members that depend on the machine's own clock, or are words for people."""

_MEANT: Final = frozenset({"nonZeroProbability", "aggregateTimeWindow"})
"""Members of evaluations that mean something else now: a count of rounds instead of a share, the length of a bucket."""

_OF_THE_ENGINE: Final = frozenset({"mirror"})
"""Members that depend on where the storage is: an address of the emulator is a mirror beside the emulator alone."""

_RENAMED: Final = {"random": "baselineRand"}
"""Policies that have another name now."""

_DIGEST: Final = re.compile(r"\b(\d{8})-[0-9a-f]{8,}")
"""A version's end: what a later machine computes may differ in the last bits, and so its digest."""

_DIFFERENCE: Final = 1e-5
"""Of numbers: a hundred times what other processors' ways of multiplying came to, of five that were tried."""


async def answers(deployment: Deployment, app: App, keys: Mapping[str, Sequence[str]], events: Mapping[str, Sequence[str]]) -> Any:
    """Ask everything of every loop, once its newest model is served."""
    await serve_newest(deployment, keys)
    return {loop: await _of_loop(deployment, app, loop, keys[loop][0], events.get(loop, ())) for loop in keys}


async def _of_loop(deployment: Deployment, app: App, loop: str, key: str, events: Sequence[str]) -> Any:
    async def get(path: str) -> Any:
        answer = await app.call("GET", path, key=key)
        return {"refused": answer.status} if answer.status >= 400 else _kept(answer.json)

    found = {
        "status": await get(under(loop, "status")),
        "configuration": await get(place(loop, "configurations/service")),
        "configuration, older": await get(place(loop, "configurations/service", version=_OLD)),
        "policy": await get(place(loop, "configurations/policy")),
        "log": await get(place(loop, "logs/properties")),
        "model": await get(place(loop, "model/properties")),
        "models": await get(place(loop, "model/versions")),
        "figures": await get(under(loop, "figures")),
        "evaluations": await get(place(loop, "evaluations")),
        "evaluations, older": await get(place(loop, "evaluations", version=_OLD)),
        "importances": await get(place(loop, "featureImportances")),
        "receipts": {each: await get(place(loop, f"events/{quote(each, safe='')}")) for each in events},
        "export": await _exported(deployment, loop),
    }
    found["schedules"] = await get(under(loop, "evaluations/schedules"))
    ids = [quote(each["id"], safe="") for each in found["schedules"]["value"]]
    found["schedules, each"] = [await get(under(loop, f"evaluations/schedules/{each}")) for each in ids]
    of_jobs = {"evaluations": f"?{_SERIES}", "importances": ""}
    for kind, query in of_jobs.items():
        collection = {"importances": "featureImportances"}.get(kind, kind)
        ids = [quote(each["id"], safe="") for each in found[kind]["value"]]
        found[f"{kind}, each"] = [await get(place(loop, f"{collection}/{each}{query}")) for each in ids]
    ids = [quote(each["id"], safe="") for each in found["evaluations"]["value"]]
    found["reports"] = [await get(place(loop, f"evaluations/{each}/report")) for each in ids]
    return found


async def _exported(deployment: Deployment, loop: str) -> Sequence[Any]:
    services = await deployment.fresh(loop)
    assert services is not None
    exporter = Exporter(FileColdLog(deployment.storage, loop=services.place))
    text = b"".join([part.text for chunk in await exporter.chunks() async for part in exporter.lines(chunk)])
    return [json.loads(line) for line in text.splitlines()]


async def go_on(deployment: Deployment, app: App) -> None:
    """Have the trainer learn what is waiting, and the queue's work be done."""
    for _ in range(3):
        await app.timer("train")
    while (message := await received(deployment.host_storage)) is not None:
        await app.analyse(message)


async def serve_newest(deployment: Deployment, loops: Iterable[str]) -> None:
    """Have the app serve the models that were published last."""
    for loop in loops:
        services = await deployment.fresh(loop)
        assert services is not None
        await asyncio.to_thread(services.models.refresh)


async def rank_once_more(app: App, loop: str, key: str) -> Any:
    """Rank an event of the same id everywhere."""
    actions = [{"id": each, "features": [{"article": {"topic": each, "length": 0.2}}]} for each in ("news", "sport", "weather")]
    body = {"eventId": "one-more", "contextFeatures": [{"user": {"kind": "young", "age": 30}}], "actions": actions}
    if loop == "pages":
        slots = [{"id": "top", "baselineAction": "news"}, {"id": "side", "baselineAction": "sport"}]
        return said(await app.call("POST", place(loop, "multislot/rank"), {**body, "slots": slots}, key=key))
    return said(await app.call("POST", place(loop, "rank"), body, key=key))


def _kept(answer: Any) -> Any:
    """Leave out what may differ; an advice is told by its code alone."""
    if isinstance(answer, dict):
        return {
            name: {each["code"]: True for each in value} if name == "advice" else _kept(value)
            for name, value in answer.items()
            if name not in _LEFT_OUT and value is not None
        }
    return [_kept(each) for each in answer] if isinstance(answer, list) else answer


def of_what_went_on(found: Iterable[str]) -> list[str]:
    """Leave out what differs because it was learned from nothing, by a learner that has got better since.

    That is a model begun anew, and evaluations, whose policies begin with none. What went on from a stored learner comes out as ever.
    Of events that are learned now, those count as explored, too, where several actions were equally likely.
    """
    left_out = re.compile(
        r"/again/(ranking|inferenceExplanation)|/[a-z]+/(reports|evaluations, \w+)/|/[a-z]+/figures/timeseries/\d+/explorationShare: "
    )
    return [each for each in found if not left_out.match(each)]


def without_digests(answer: Any) -> Any:
    """Leave what a version's name tells of its content out: how many commits came before it stays."""
    if isinstance(answer, dict):
        return {name: without_digests(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [without_digests(each) for each in answer]
    return _DIGEST.sub(r"\1", answer) if isinstance(answer, str) else answer


_NO_MORE: Final = "clopper_pearson|gaussian|gaussian_dr|gaussian_snips"
"""Intervals that held less often than they say; nobody is told them any more."""

_FITTED: Final = re.compile(
    rf"/[a-z]+/reports/\d+/value/\d+/(intervals/({_NO_MORE}): is missing|(estimates/calibrated_dr|lift): )"
    r"|/[a-z]+/reports/\d+/verdict/(sentence|moreEvents): "
    r"|/[a-z]+/evaluations, each/\d+/content/value/\d+/timeseries/data/\d+/expectedReward: "
)


def of_what_is_summed(found: Iterable[str]) -> list[str]:
    """Leave out what is said otherwise of the same sums: the default estimate fits nothing where few rounds tell of a policy."""
    return [each for each in found if not _FITTED.match(each)]


def of_what_is_chosen(found: Iterable[str]) -> list[str]:
    """Leave out how estimates come about: by an average of members that has got better since."""
    return [each for each in found if "/inferenceExplanation/" not in each]


def differences(then: Any, now: Any, where: str = "", *, within: float = _DIFFERENCE) -> list[str]:
    """Name what is not said any more as it was then; more may be said, and numbers may differ by this part."""
    if isinstance(then, dict) and isinstance(now, dict):
        missing = [f"{where}/{name}: is missing" for name in then if name not in now]
        both = [name for name in then if name in now and name not in _MEANT | _OF_THE_ENGINE]
        return missing + [each for name in both for each in differences(then[name], now[name], f"{where}/{name}", within=within)]
    if isinstance(then, list) and isinstance(now, list):
        if len(then) != len(now):
            return [f"{where}: {len(then)} then, {len(now)} now"]
        return [
            each
            for number, pair in enumerate(zip(then, now, strict=True))
            for each in differences(*pair, f"{where}/{number}", within=within)
        ]
    if isinstance(then, float | int) and isinstance(now, float | int) and not isinstance(then, bool):
        return [] if abs(then - now) <= within * max(1.0, abs(then)) else [f"{where}: {then} then, {now} now"]
    renamed = where.endswith("/name") and _RENAMED.get(then) == now
    nearer = where.endswith("/log/dateRange/from") and then[:10] == now[:10] and then <= now  # the first event's time instead of its day
    return [] if then == now or renamed or nearer else [f"{where}: {then!r} then, {now!r} now"]
