"""Which operations follow on what a call has made, and where their parameters come from: OpenAPI's links.

Lists have none: a tool that follows links would begin with lists, which are empty, and never make anything. Uploads have none either: no
expression of OpenAPI leads into a line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from shared.api.openapi.described import Endpoint


@dataclass(frozen=True, slots=True)
class Link:
    """The operation ``to`` that follows; ``values`` are OpenAPI's runtime expressions for the parameters that it needs."""

    to: str
    values: Mapping[str, str]
    description: str


_VERSION, _API_VERSION = "version", "api-version"


def _from_body(name: str, pointer: str) -> Mapping[str, str]:
    return {name: f"$response.body#/{pointer}"}


def _from_path(name: str) -> Mapping[str, str]:
    return {name: f"$request.path.{name}"}


_RANKED: Final = _from_body("eventId", "eventId")
_SAME_EVENT: Final = _from_path("eventId")
_FOUND: Final = Link("receipt", _SAME_EVENT, "Look up the event.")
_ACTIVATION: Final = "Activate the event, if it was ranked with `deferActivation`."


def _evaluation(made: Mapping[str, str], times: str) -> Sequence[Link]:
    """Link to an evaluation's operations; ``times`` is where its range is told."""
    series = {name: f"{times}/{name}" for name in ("startTime", "endTime")}
    return (
        Link("evaluations_get", {**made, **series}, "Read the evaluation."),
        Link("evaluations_get_old", made, "Read the evaluation."),
        Link("evaluations_report", made, "Read its full report."),
        Link("evaluations_delete", made, "Delete the evaluation."),
    )


_LOOP: Final = _from_path("loop")
_OF_A_LOOP: Final = (
    Link("loops_get", _LOOP, "Read the loop."),
    Link("loops_preview", _LOOP, "Ask what a change would do."),
    Link("keys_regenerate", {**_LOOP, "number": "1"}, "Make a new first key."),
    Link("loops_delete", _LOOP, "Delete the loop."),
)
_IMPORTANCE: Final = _from_path("featureImportanceId")
_SCHEDULE: Final = _from_path("scheduleId")

LINKS: Final[Mapping[str, Mapping[int, Sequence[Link]]]] = MappingProxyType(
    {
        "rank": {
            201: (
                Link("reward", _RANKED, "Report the event's reward."),
                Link("activate", _RANKED, _ACTIVATION),
                Link("receipt", _RANKED, "Look up the event."),
            )
        },
        "reward": {204: (_FOUND,)},
        "activate": {204: (_FOUND,)},
        "multislot_rank": {
            201: (
                Link("multislot_reward", _RANKED, "Report the rewards of the event's slots."),
                Link("multislot_activate", _RANKED, _ACTIVATION),
                Link("receipt", _RANKED, "Look up the event."),
            )
        },
        "multislot_reward": {204: (_FOUND,)},
        "multislot_activate": {204: (_FOUND,)},
        "evaluations_create": {201: _evaluation(_from_body("evaluationId", "id"), "$response.body#")},
        "evaluations_put": {200: _evaluation(_from_path("evaluationId"), "$request.body#")},
        "importances_put": {
            200: (
                Link("importances_get", _IMPORTANCE, "Read the feature importance."),
                Link("importances_delete", _IMPORTANCE, "Delete the feature importance."),
            )
        },
        "schedules_put": {
            200: (
                Link("schedules_get", _SCHEDULE, "Read the schedule."),
                Link("schedules_delete", _SCHEDULE, "Delete the schedule."),
            )
        },
        "loops_put": {200: _OF_A_LOOP, 201: _OF_A_LOOP},
    }
)
"""By the name of the operation and the status of the answer."""


def linked(endpoint: Endpoint, status: int, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Give the links of an answer, by the names of the operations that they lead to, in the version that was called."""
    links = LINKS.get(_base(endpoint.name), {}).get(status, ())
    found: dict[str, Any] = {}
    for link in links:
        for target in _targets(link.to, endpoint, endpoints):
            values = {**link.values, **_version(endpoint, target)}
            told = {"parameters": values} if values else {}
            found[link.to] = {"operationId": target.name, **told, "description": link.description}
    return found


def _base(name: str) -> str:
    return name.removesuffix("_2022")


def _targets(name: str, source: Endpoint, endpoints: Iterable[Endpoint]) -> Iterator[Endpoint]:
    """Give the operation of this name in the form that the source has: with versions in its path, with one in the query, or none."""
    for each in endpoints:
        is_same = bool(each.versions) == bool(source.versions) if source.versions or source.api_version else not each.versions
        if _base(each.name) == name and is_same:
            yield each


def _version(source: Endpoint, target: Endpoint) -> Mapping[str, str]:
    if target.versions:
        return _from_path(_VERSION)
    if not target.api_version:
        return {}
    return {_API_VERSION: f"$request.query.{_API_VERSION}" if source.api_version else target.api_version}
