"""Evaluations and feature importances on the wire: the contract's examples, and what is refused and where."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.api.evaluations import (
    EvaluationBody,
    EvaluationContract,
    EvaluationDetails,
    EvaluationPage,
    EvaluationQuery,
    OldEvaluation,
    read_evaluation_query,
    read_kind,
    write_old_list,
)
from shared.api.feature_importances import (
    FeatureImportanceBody,
    FeatureImportanceContract,
    FeatureImportanceDetails,
    FeatureImportancePage,
)
from shared.api.times import read_time
from shared.api.wire import WireModel, parse
from shared.domain.errors import (
    DuplicatePolicyNamesError,
    InvalidContractError,
    InvalidEvaluationContractError,
    InvalidEvaluationDatesError,
    InvalidPolicyConfigurationError,
    InvalidPolicyContractError,
    InvalidRequestError,
    RequestError,
    TooManyPoliciesError,
)
from shared.domain.evaluation import (
    Asked,
    Bucket,
    Estimate,
    Evaluation,
    EvaluationKind,
    FeatureImportance,
    FeatureScore,
    Job,
    JobStatus,
    Listed,
    Point,
    PolicyResult,
    PolicySource,
    Series,
    Sums,
    Window,
)
from shared.domain.loop import LearningPolicy
from tests.builders import T0, after
from tests.contract import examples
from tests.contract.shapes import conforms

LATEST = "2022-09-01-preview"
OLD = ("v1.0", "v1.1-preview.1", "v1.1-preview.2", "v1.1-preview.3")
OLD_STATUS = {"completed": JobStatus.SUCCEEDED, "pending": JobStatus.RUNNING}


# --- from an example to what the domain would hold of it -------------------------------------------------------------


def job(found: Mapping[str, Any], status: JobStatus) -> Job:
    since, until = read_time(found["startTime"]), read_time(found["endTime"])
    return Job(found["id"], found["name"], since, until, read_time(found.get("creationTime", found["endTime"])), status)


def old_sums(found: Mapping[str, Any]) -> Sums:
    names = ("ipsEstimatorNumerator", "ipsEstimatorDenominator", "snipsEstimatorDenominator", "sumOfSquares")
    numerator, rounds, weights, squares = [found[name] for name in names]
    return Sums(numerator, rounds, weights, squares, found["nonZeroProbability"] / rounds)


def old_estimate(found: Mapping[str, Any]) -> Estimate:
    average, half = found.get("averageReward", 0.0), found["confidenceInterval"]
    return Estimate(average, average - half, average + half)


def old_result(found: Mapping[str, Any]) -> PolicyResult:
    total = found.get("totalSummary")
    return PolicyResult(
        found["name"],
        found["arguments"],
        PolicySource(found.get("policySource", "Custom")),
        estimate=old_estimate(total) if total else None,
        sums=old_sums(total) if total else None,
        buckets=tuple(
            Bucket(read_time(each["timeStamp"]), old_sums(each), old_estimate(each), minutes=0)  # the examples have no length
            for each in found.get("summary", [])
        ),
    )


def old_evaluation(found: Mapping[str, Any]) -> Evaluation:
    return Evaluation(
        job(found, OLD_STATUS[found["status"]]),
        LearningPolicy(),
        optimal_policy=found.get("optimalPolicy", ""),
        results=tuple(old_result(each) for each in found["policyResults"]),
        important=tuple(tuple(group) for group in found["featureImportance"]),
    )


def estimate(found: Mapping[str, Any]) -> Estimate:
    return Estimate(found["expectedReward"], *found["confidenceInterval"])


def result(found: Mapping[str, Any]) -> PolicyResult:
    points = tuple(Point(read_time(each["timeStamp"]), estimate(each)) for each in found["timeseries"]["data"])
    return PolicyResult(
        found["name"],
        found["arguments"],
        PolicySource(found["policySource"]),
        slot=found.get("slotId", ""),
        estimate=estimate(found["summary"]),
        series=(Series(Window.EXPANDING, 5, points),),
    )


def written(model: WireModel) -> Any:
    return json.loads(model.to_wire())


def about(document: Any) -> Any:
    """Compare numbers as what they were computed from allows."""
    if isinstance(document, dict):
        return {name: about(value) for name, value in document.items()}
    if isinstance(document, list):
        return [about(value) for value in document]
    return pytest.approx(document, abs=1e-9) if isinstance(document, float) else document


# --- the examples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OLD)
def test_an_evaluation_is_written_as_its_version_has_it(version):
    found = examples.over(version)
    body = written(OldEvaluation.of(old_evaluation(found), version=version))
    assert body == about(found)
    conforms(body, version, "Evaluation")


@pytest.mark.parametrize("version", OLD)
def test_an_evaluation_that_runs_is_written_as_its_version_has_it(version):
    found = examples.waiting(version)
    body = written(OldEvaluation.of(old_evaluation(found), version=version))
    assert body == found
    conforms(body, version, "Evaluation")


@pytest.mark.parametrize("version", OLD)
def test_a_listing_is_written_as_its_version_has_it(version):
    found = examples.listed(version)
    listing = json.loads(write_old_list([old_evaluation(each) for each in found], version=version))
    assert listing == about(found)
    conforms(listing, version, ["Evaluation"])


@pytest.mark.parametrize("version", [*OLD, LATEST])
def test_what_is_asked_for_is_read_in_every_version(version):
    asked = parse(json.dumps(examples.wanted(version)).encode(), EvaluationContract, InvalidEvaluationContractError).to_asked()
    policies = (LearningPolicy("bolder", "--cb_explore_adf --epsilon 0.5 --cb_type mtr"),)
    assert asked == Asked("spring", datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 15, tzinfo=UTC), policies, True)


def test_an_evaluation_of_the_latest_version_is_written_as_it_has_it():
    """The slot's id is there for what is over all slots as well, and empty: so the live service had it."""
    found = examples.latest_over()
    query = {"startTime": found["startTime"], "endTime": found["endTime"], "intervalInMinutes": "5", "window": "Expanding"}
    results = tuple(result(each) for each in found["content"]["value"])
    evaluation = Evaluation(job(found, JobStatus.SUCCEEDED), LearningPolicy(), results=results)
    body = written(EvaluationBody.found(evaluation, read_evaluation_query(query)))
    assert body == found
    conforms(body, LATEST, "Evaluation")


def test_a_page_is_written_as_the_latest_version_has_it():
    found = examples.latest_page()
    listed = [Listed(job(each, JobStatus(each["status"])), EvaluationKind(each["evaluationType"])) for each in found["value"]]
    body = written(EvaluationPage(value=[EvaluationDetails.of(each) for each in listed], next_link=found["nextLink"]))
    assert body == found
    conforms(body, LATEST, "Evaluations")


def test_a_feature_importance_is_written_as_the_latest_version_has_it():
    found = examples.importance()
    scores = tuple(FeatureScore(each["namespace"], each["featureName"], each["score"]) for each in found["featureScores"])
    body = written(FeatureImportanceBody.found(FeatureImportance(job(found, JobStatus.SUCCEEDED), scores)))
    assert body == found
    conforms(body, LATEST, "FeatureImportance")


def test_a_page_of_feature_importances_is_written_as_the_latest_version_has_it():
    found = examples.importances_page()
    entries = [FeatureImportanceDetails.of(job(each, JobStatus(each["status"]))) for each in found["value"]]
    body = written(FeatureImportancePage(value=entries, next_link=found["nextLink"]))
    assert body == found
    conforms(body, LATEST, "FeatureImportances")


def test_a_feature_importance_that_is_asked_for_is_read():
    asked = parse(json.dumps(examples.ASKED).encode(), FeatureImportanceContract, InvalidContractError).to_asked()
    assert asked == Asked("spring", datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 15, tzinfo=UTC))


# --- shapes ----------------------------------------------------------------------------------------------------------

ASKED = EvaluationQuery(T0, after(3600), 5, Window.EXPANDING)
NEW = Evaluation(Job("e1", "first", T0, after(3600), after(7200)), LearningPolicy(), policies=(LearningPolicy("mine", "--cb_explore_adf"),))


def over(status: JobStatus) -> Evaluation:
    return replace(NEW, job=replace(NEW.job, status=status))


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_has_a_word_in_every_version(status):
    for version in OLD:
        conforms(written(OldEvaluation.of(over(status), version=version)), version, "Evaluation")
    body = written(EvaluationBody.found(over(status), ASKED))
    assert body["status"] == status
    conforms(body, LATEST, "Evaluation")


@pytest.mark.parametrize(("possible", "rounds"), [(441, 950), (0, 7), (7, 7), (1, 3), (99_999_999, 100_000_001)])
@pytest.mark.parametrize("version", OLD)
def test_the_rounds_that_a_policy_could_have_brought_about_are_counted(version, possible, rounds):
    """As Azure's answer does: 441.0 of 950. What is kept is their share."""
    sums = Sums(1.0, float(rounds), 2.0, 3.0, possible / rounds)
    result = PolicyResult("mine", "", PolicySource.CUSTOM, estimate=Estimate(0.5, 0.4, 0.6), sums=sums)
    assert written(OldEvaluation.of(replace(NEW, results=(result,)), version=version))["policyResults"][0]["totalSummary"][
        "nonZeroProbability"
    ] == pytest.approx(possible, abs=0)


@pytest.mark.parametrize(("minutes", "text"), [(5, "PT5M"), (60, "PT1H"), (360, "PT6H"), (720, "PT12H"), (1440, "P1D")])
@pytest.mark.parametrize("version", OLD)
def test_a_bucket_tells_how_long_it_lasts_and_the_total_has_no_length(version, minutes, text):
    sums, estimate = Sums(1.0, 2.0, 2.0, 3.0, 1.0), Estimate(0.5, 0.4, 0.6)
    result = PolicyResult("mine", "", PolicySource.CUSTOM, estimate=estimate, sums=sums, buckets=(Bucket(T0, sums, estimate, minutes),))
    (found,) = written(OldEvaluation.of(replace(NEW, results=(result,)), version=version))["policyResults"]
    assert [each["aggregateTimeWindow"] for each in found["summary"]] == [text]
    assert found["totalSummary"]["aggregateTimeWindow"] == "PT0S"


def test_chance_has_azures_name_in_every_version_also_where_an_older_release_kept_another():
    kept = PolicyResult("random", "", PolicySource.RANDOM, estimate=Estimate(0.5, 0.4, 0.6))
    own = PolicyResult("random", "--cb_explore_adf", PolicySource.CUSTOM, estimate=Estimate(0.5, 0.4, 0.6))
    evaluation = replace(over(JobStatus.SUCCEEDED), results=(kept, own))
    told = [written(OldEvaluation.of(evaluation, version=version))["policyResults"] for version in OLD]
    told.append(written(EvaluationBody.found(evaluation, ASKED))["content"]["value"])
    assert [[each["name"] for each in results] for results in told] == [["baselineRand", "random"]] * 5


@pytest.mark.parametrize("status", [JobStatus.NOT_SUBMITTED, JobStatus.RUNNING])
def test_before_there_are_results_the_content_is_empty_and_of_no_time(status):
    content = written(EvaluationBody.found(over(status), ASKED))["content"]
    assert content == {"startTime": "0001-01-01T00:00:00", "endTime": "0001-01-01T00:00:00", "intervalInMinutes": 0, "value": []}


def test_before_there_are_results_the_old_versions_list_the_policies_that_were_asked_about():
    (policy,) = written(OldEvaluation.of(NEW, version="v1.1-preview.3"))["policyResults"]
    assert policy == {"name": "mine", "arguments": "--cb_explore_adf", "policySource": "Custom"}


def test_a_version_is_known_whatever_its_case():
    assert OldEvaluation.of(NEW, version="V1.0") == OldEvaluation.of(NEW, version="v1.0")


def test_of_a_time_series_only_what_was_asked_for_is_written():
    points = tuple(Point(after(300 * n), Estimate(0.5, 0.4, 0.6)) for n in range(30))
    series = (Series(Window.EXPANDING, 5, points), Series(Window.ROLLING, 60, points[:2]))
    found = PolicyResult("online", "--cb_explore_adf", PolicySource.ONLINE, estimate=Estimate(0.5, 0.4, 0.6), series=series)
    evaluation = replace(over(JobStatus.SUCCEEDED), results=(found,))
    asked = EvaluationQuery(after(300), after(1200), 5, Window.EXPANDING)
    assert len(EvaluationBody.found(evaluation, asked).content.value[0].timeseries.data) == 3
    rolling = EvaluationQuery(T0, after(7200), 60, Window.ROLLING)
    assert len(EvaluationBody.found(evaluation, rolling).content.value[0].timeseries.data) == 2
    missing = EvaluationQuery(T0, after(7200), 1440, Window.ROLLING)
    assert EvaluationBody.found(evaluation, missing).content.value[0].timeseries.data == []


def test_slots_have_no_place_in_the_old_versions():
    results = tuple(PolicyResult("online", "", PolicySource.ONLINE, slot) for slot in ("", "top", "side"))
    body = OldEvaluation.of(replace(over(JobStatus.SUCCEEDED), results=results), version="v1.1-preview.1")
    assert len(body.policy_results) == 1


# --- what is refused -------------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"name": "first", "startTime": "2026-01-01", "endTime": "2026-01-02T00:00:00Z", "policies": []}
POLICY = {"name": "mine", "arguments": "--cb_explore_adf"}


def policies(*members: dict[str, Any]) -> dict[str, Any]:
    return {"policies": [{**POLICY, **each} for each in members]}


REFUSED: dict[str, tuple[dict[str, Any], type[RequestError], str]] = {
    "no name": ({"name": None}, InvalidEvaluationContractError, "name"),
    "an empty name": ({"name": ""}, InvalidEvaluationContractError, "name"),
    "a long name": ({"name": "x" * 257}, InvalidEvaluationContractError, "name"),
    "a number for a time": ({"startTime": 1547251200}, InvalidEvaluationContractError, "startTime"),
    "no time": ({"endTime": "soon"}, InvalidEvaluationContractError, "endTime"),
    "an end before the start": ({"endTime": "2025-12-31"}, InvalidEvaluationDatesError, "endTime"),
    "an end at the start": ({"endTime": "2026-01-01T01:00:00+01:00"}, InvalidEvaluationDatesError, "endTime"),
    "no policies": ({"policies": None}, InvalidEvaluationContractError, "policies"),
    "policies that are no list": ({"policies": {"name": "p"}}, InvalidEvaluationContractError, "policies"),
    "eleven policies": (policies(*({"name": str(n)} for n in range(11))), TooManyPoliciesError, "policies"),
    "a policy without a name": ({"policies": [{"arguments": "--cb_explore_adf"}]}, InvalidPolicyContractError, "policies[0].name"),
    "a policy that is text": ({"policies": ["mine"]}, InvalidPolicyContractError, "policies[0]"),
    "long arguments": (policies({"arguments": "--cb_explore_adf " + " " * 1024}), InvalidPolicyContractError, "policies[0].arguments"),
    "unknown arguments": (
        policies({}, {"name": "b", "arguments": "--cb_explore_adf --nope"}),
        InvalidPolicyConfigurationError,
        "policies[1].arguments",
    ),
    "a name twice": (policies({}, {}), DuplicatePolicyNamesError, "policies[1].name"),
    "the name of the loop's own": (policies({"name": "online"}), DuplicatePolicyNamesError, "policies[0].name"),
    "the name of chance": (policies({}, {"name": "baselineRand"}), DuplicatePolicyNamesError, "policies[1].name"),
    "text for a flag": ({"enablePolicyOptimization": "yes"}, InvalidEvaluationContractError, "enablePolicyOptimization"),
}


@pytest.mark.parametrize(("members", "error", "place"), REFUSED.values(), ids=REFUSED)
def test_a_broken_rule_of_an_evaluation_is_refused_by_naming_the_field(members, error, place):
    with pytest.raises(error) as refused:
        parse(json.dumps({**GOOD, **members}).encode(), EvaluationContract, InvalidEvaluationContractError).to_asked()
    assert refused.value.target == place
    assert str(refused.value).startswith(f"{place}: ")


@pytest.mark.parametrize("flag", ["enablePolicyOptimization", "enableOfflineExperimentation"])
def test_both_names_of_the_search_for_better_policies_are_understood(flag):
    body = json.dumps({**GOOD, flag: True}).encode()
    assert parse(body, EvaluationContract, InvalidEvaluationContractError).to_asked().seeks_better


@pytest.mark.parametrize(
    ("members", "place"), [({"name": ""}, "name"), ({"startTime": "x"}, "startTime"), ({"endTime": "2026-01-01"}, "endTime")]
)
def test_a_broken_rule_of_a_feature_importance_is_refused_by_naming_the_field(members, place):
    with pytest.raises(InvalidContractError) as refused:
        parse(json.dumps({**GOOD, **members}).encode(), FeatureImportanceContract, InvalidContractError).to_asked()
    assert refused.value.target == place


RANGE = {"startTime": "2026-01-01", "endTime": "2026-01-02"}


@pytest.mark.parametrize(
    ("query", "window", "interval"),
    [
        ({}, Window.EXPANDING, 5),
        ({"window": "Expanding", "intervalInMinutes": "5"}, Window.EXPANDING, 5),
        *[({"window": "Rolling", "intervalInMinutes": str(n)}, Window.ROLLING, n) for n in (60, 360, 720, 1440)],
        ({"window": "rolling", "intervalInMinutes": "60"}, Window.ROLLING, 60),
    ],
)
def test_a_query_chooses_a_window_and_an_interval_that_go_with_each_other(query, window, interval):
    asked = read_evaluation_query({**RANGE, **query})
    assert (asked.window, asked.interval_minutes) == (window, interval)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"endTime": "2026-01-02"}, "startTime"),
        ({"startTime": "2026-01-02"}, "endTime"),
        ({**RANGE, "startTime": "yesterday"}, "startTime"),
        ({**RANGE, "endTime": "2026-01-01"}, "endTime"),
        ({**RANGE, "intervalInMinutes": "60"}, "intervalInMinutes"),
        ({**RANGE, "intervalInMinutes": "x"}, "intervalInMinutes"),
        ({**RANGE, "window": "Rolling"}, "intervalInMinutes"),
        ({**RANGE, "window": "Sliding"}, "window"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused_by_naming_the_parameter(query, place):
    with pytest.raises(InvalidRequestError) as refused:
        read_evaluation_query(query)
    assert refused.value.target == place


@pytest.mark.parametrize("text", ["metadata=evaluationType eq 'Auto'", "evaluationType eq 'Auto'", " metadata = evaluationType  eq 'Auto'"])
def test_a_filter_names_the_kind_of_evaluation(text):
    assert read_kind({"filter": text}) is EvaluationKind.AUTO
    assert read_kind({}) is None


@pytest.mark.parametrize("text", ["evaluationType eq 'auto'", "name eq 'x'", "evaluationType ne 'Auto'", "", "evaluationType eq Auto"])
def test_another_filter_is_refused(text):
    with pytest.raises(InvalidRequestError) as refused:
        read_kind({"filter": text})
    assert refused.value.target == "filter"
