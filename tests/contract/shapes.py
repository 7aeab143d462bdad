"""What the answers of each version consist of: their members, and the kind of each."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from shared.api.durations import read_duration
from shared.runtime.http import PATH_VERSIONS, QUERY_VERSION

FIRST: Final = PATH_VERSIONS[0]
Kind = Callable[[Any], bool] | str | list[Any]
"""A test of the value, the name of another shape, or a list of one of them."""
Members = dict[str, Kind]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _id(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 256


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _share(value: Any) -> bool:
    return _number(value) and 0.0 <= value <= 1.0


def _time(value: Any) -> bool:
    return isinstance(value, str) and "T" in value and bool(datetime.fromisoformat(value))


def _duration(value: Any) -> bool:
    return isinstance(value, str) and read_duration(value) is not None


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: value in words


_KIND_OF_EVALUATION = _one_of("Manual", "Auto")
_SOURCE = _one_of("Online", "Baseline", "Random", "Custom", "OfflineExperimentation")
_MODE = _one_of("Online", "Apprentice", "LoggingOnly")
_IMPORTANCE_STATUS = ("Succeeded", "Running", "Failed", "NotSubmitted", "Timeout", "Canceled")
_STATUS = (*_IMPORTANCE_STATUS, "OptimalPolicyApplied", "OnlinePolicyRetained")
_FIRST_STATUS = ("completed", "pending", "failed", "notSubmitted")
_OLD_STATUS = (*_FIRST_STATUS, "timeout", "optimalPolicyApplied", "onlinePolicyRetained")

EVERYWHERE: Final[Mapping[str, Members]] = {
    "ErrorResponse": {"error": "Error"},
    "Error": {"code": _text, "message": _text, "target": _text, "details": ["Error"], "innerError": "InnerError"},
    "InnerError": {"code": _text, "innererror": "InnerError"},
    "RankResponse": {"ranking": ["RankedAction"], "eventId": _id, "rewardActionId": _id},
    "RankedAction": {"id": _id, "probability": _share},
    "PolicyContract": {"name": _id, "arguments": _text},
    "LogsProperties": {"dateRange": "DateRange"},
    "DateRange": {"from": _time, "to": _time},
    "ModelProperties": {"creationTime": _time, "lastModifiedTime": _time},
}
SEVERAL_SLOTS: Final[Mapping[str, Members]] = {
    "MultiSlotRankResponse": {"slots": ["SlotResponse"], "eventId": _id},
    "SlotResponse": {"id": _id, "rewardActionId": _id},
}
"""In the previews alone."""

CONFIGURATION: Final[Members] = {
    "rewardWaitTime": _duration,
    "defaultReward": _number,
    "rewardAggregation": _id,
    "explorationPercentage": _share,
    "modelExportFrequency": _duration,
    "logMirrorEnabled": _flag,
    "logMirrorSasUri": _text,
    "logRetentionDays": _whole,
}
PREVIEWED_CONFIGURATION: Final[Members] = {
    "lastConfigurationEditDate": _time,
    "learningMode": _MODE,
    "isAutoOptimizationEnabled": _flag,
    "autoOptimizationFrequency": _duration,
    "autoOptimizationStartDate": _time,
}
OLD_EVALUATION: Final[Members] = {
    "id": _id,
    "name": _id,
    "startTime": _time,
    "endTime": _time,
    "jobId": _text,
    "policyResults": ["PolicyResult"],
    "featureImportance": [[_text]],
}
OLD_SUMMARY: Final[Members] = {
    "timeStamp": _time,
    "ipsEstimatorNumerator": _number,
    "ipsEstimatorDenominator": _number,
    "snipsEstimatorDenominator": _number,
    "aggregateTimeWindow": _duration,
    "nonZeroProbability": _number,
    "confidenceInterval": _number,
    "sumOfSquares": _number,
}
LISTED: Final[Members] = {"id": _id, "name": _id, "startTime": _time, "endTime": _time, "creationTime": _time}
LATEST: Final[Mapping[str, Members]] = {
    "Evaluation": {
        **LISTED,
        "status": _one_of(*_STATUS),
        "evaluationType": _KIND_OF_EVALUATION,
        "optimalPolicy": _text,
        "content": "EvaluationResult",
        "description": _text,
    },
    "EvaluationResult": {"startTime": _time, "endTime": _time, "intervalInMinutes": _whole, "value": ["PolicyResult"]},
    "PolicyResult": {
        "name": _text,
        "slotId": _text,
        "arguments": _text,
        "policySource": _SOURCE,
        "summary": "Summary",
        "timeseries": "TimeSeries",
    },
    "Summary": {"expectedReward": _number, "confidenceInterval": [_number]},
    "TimeSeries": {"data": ["Data"]},
    "Data": {"timeStamp": _time, "expectedReward": _number, "confidenceInterval": [_number]},
    "Evaluations": {"value": ["EvaluationDetails"], "nextLink": _text},
    "EvaluationDetails": {**LISTED, "status": _one_of(*_STATUS), "evaluationType": _KIND_OF_EVALUATION},
    "FeatureImportance": {**LISTED, "status": _one_of(*_IMPORTANCE_STATUS), "featureScores": ["FeatureScore"], "description": _text},
    "FeatureScore": {"namespace": _text, "featureName": _text, "score": _number},
    "FeatureImportances": {"value": ["FeatureImportanceDetails"], "nextLink": _text},
    "FeatureImportanceDetails": {**LISTED, "status": _one_of(*_IMPORTANCE_STATUS)},
}


@cache
def shapes(version: str) -> Mapping[str, Members]:
    """Give all shapes of a version, by their names."""
    if version == QUERY_VERSION:
        configuration = {**CONFIGURATION, **PREVIEWED_CONFIGURATION, "modelRetrainDays": _whole}
        return {**EVERYWHERE, **SEVERAL_SLOTS, **LATEST, "ServiceConfiguration": configuration}
    result: Members = {"name": _text, "arguments": _text, "summary": ["PolicyResultSummary"], "totalSummary": "PolicyResultSummary"}
    if version == FIRST:
        return {
            **EVERYWHERE,
            "ServiceConfiguration": CONFIGURATION,
            "Evaluation": {**OLD_EVALUATION, "status": _one_of(*_FIRST_STATUS)},
            "PolicyResult": result,
            "PolicyResultSummary": OLD_SUMMARY,
        }
    further: Members = {"evaluationType": _KIND_OF_EVALUATION, "optimalPolicy": _text, "creationTime": _time}
    return {
        **EVERYWHERE,
        **SEVERAL_SLOTS,
        "ServiceConfiguration": {**CONFIGURATION, **PREVIEWED_CONFIGURATION},
        "Evaluation": {**OLD_EVALUATION, **further, "status": _one_of(*_OLD_STATUS)},
        "PolicyResult": {**result, "policySource": _SOURCE},
        "PolicyResultSummary": {**OLD_SUMMARY, "averageReward": _number},
    }


def conforms(document: Any, version: str, kind: Kind, *, at: str = "") -> None:
    """Demand that a document is of this kind in this version, and has no member that the version does not name."""
    if isinstance(kind, list):
        assert isinstance(document, list), f"{at} is no list: {document!r}"
        for number, each in enumerate(document):
            conforms(each, version, kind[0], at=f"{at}[{number}]")
    elif isinstance(kind, str):
        members = shapes(version)[kind]
        assert isinstance(document, dict), f"{at} is no {kind}: {document!r}"
        assert document.keys() <= members.keys(), f"{at}: {kind} of {version} has no {sorted(document.keys() - members.keys())}"
        for name, value in document.items():
            conforms(value, version, members[name], at=f"{at}.{name}")
    else:
        assert kind(document), f"{at} cannot be {document!r}"
