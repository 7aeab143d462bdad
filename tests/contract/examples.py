"""Finished evaluations and importances as each version writes them: an answer that only days of traffic would bring about."""

from typing import Any

from shared.runtime.http import QUERY_VERSION
from tests.contract.shapes import FIRST

BOLDER = {"name": "bolder", "arguments": "--cb_explore_adf --epsilon 0.5 --cb_type mtr"}
ID = "3c1f6f0a-6d1c-4a58-8f6e-0d5b8a0f2b11"
NAMED = {"id": ID, "name": "spring", "startTime": "2024-03-01T00:00:00Z", "endTime": "2024-03-15T00:00:00Z"}
CREATED = {"creationTime": "2024-03-16T08:30:00Z"}
ASKED = {"name": "spring", "startTime": NAMED["startTime"], "endTime": NAMED["endTime"]}


def wanted(version: str) -> dict[str, Any]:
    """Give the body that asks for an evaluation."""
    word = "enablePolicyOptimization" if version == QUERY_VERSION else "enableOfflineExperimentation"
    return {**ASKED, "policies": [BOLDER], word: True}


def waiting(version: str) -> dict[str, Any]:
    """Give an evaluation that runs, as the versions before 2022 write it."""
    return {**NAMED, "status": "pending", "policyResults": [_policy(version)], "featureImportance": [], **_further(version, best="")}


def over(version: str) -> dict[str, Any]:
    """Give one that is over, as the versions before 2022 write it."""
    first = _summary(version, "2024-03-01T00:00:00Z", rewards=12.5, rounds=250.0, weights=240.75, chosen=50.0)
    second = _summary(version, "2024-03-01T00:05:00Z", rewards=30.0, rounds=400.0, weights=412.5, chosen=100.0)
    whole = _summary(version, "2024-03-15T00:00:00Z", rewards=42.5, rounds=650.0, weights=653.25, chosen=150.0)
    result = {**_policy(version), "summary": [first, second], "totalSummary": whole}
    important = [["device.television", "household.children"], ["genre.drama"]]
    best = _further(version, best="bolder")
    return {**NAMED, "status": "completed", "policyResults": [result], "featureImportance": important, **best}


def listed(version: str) -> list[dict[str, Any]]:
    """Give a listing of both, which leaves out the parts of the time."""
    ended = over(version)
    results = [{name: value for name, value in each.items() if name != "summary"} for each in ended["policyResults"]]
    return [{**ended, "policyResults": results}, waiting(version)]


def latest_over() -> dict[str, Any]:
    """Give an evaluation that is over, as 2022-09-01-preview writes it: over all slots, and of one."""
    point = {"timeStamp": "2024-03-02T00:00:00Z", "expectedReward": 0.25, "confidenceInterval": [0.125, 0.375]}
    series = {"data": [point, {**point, "timeStamp": "2024-03-02T00:05:00Z", "expectedReward": 0.3}]}
    summary = {"expectedReward": 0.28, "confidenceInterval": [0.26, 0.3]}
    result = {**BOLDER, "policySource": "Custom", "summary": summary, "timeseries": series}
    content = {"startTime": NAMED["startTime"], "endTime": NAMED["endTime"], "intervalInMinutes": 5}
    values = [{**result, "slotId": ""}, {**result, "slotId": "corner"}]
    return {**NAMED, **CREATED, "status": "Succeeded", "evaluationType": "Manual", "content": {**content, "value": values}}


def latest_page() -> dict[str, Any]:
    """Give a page of evaluations, which is not the last one."""
    first = {**NAMED, **CREATED, "status": "Succeeded", "evaluationType": "Manual"}
    return {"value": [first, {**first, "id": "auto-7", "status": "Running", "evaluationType": "Auto"}], "nextLink": "https://next"}


def importance() -> dict[str, Any]:
    """Give what a feature importance that is over has found."""
    scores = [
        {"namespace": "device", "featureName": "television", "score": 100.0},
        {"namespace": "household", "featureName": "children", "score": 12.5},
    ]
    return {**NAMED, **CREATED, "status": "Succeeded", "featureScores": scores}


def importances_page() -> dict[str, Any]:
    """Give a page of feature importances, which is not the last one."""
    first = {**NAMED, **CREATED, "status": "Succeeded"}
    return {"value": [first, {**first, "id": "counts-2", "status": "NotSubmitted"}], "nextLink": "https://next"}


def _policy(version: str) -> dict[str, Any]:
    return dict(BOLDER) if version == FIRST else {**BOLDER, "policySource": "Custom"}


def _further(version: str, *, best: str) -> dict[str, Any]:
    return {} if version == FIRST else {"evaluationType": "Manual", "optimalPolicy": best, **CREATED}


def _summary(version: str, at: str, *, rewards: float, rounds: float, weights: float, chosen: float) -> dict[str, Any]:
    summary = {
        "timeStamp": at,
        "ipsEstimatorNumerator": rewards,
        "ipsEstimatorDenominator": rounds,
        "snipsEstimatorDenominator": weights,
        "aggregateTimeWindow": "PT0S",
        "nonZeroProbability": chosen,
        "confidenceInterval": 0.0625,
        "sumOfSquares": 2.5 * rewards,
    }
    return summary if version == FIRST else {**summary, "averageReward": 0.125}
