"""Operations that share a function are told apart by the whole path, the version and the method."""

import json

import pytest

from tests.http.building import QUERY_VERSION, path, rank_body, refused


@pytest.mark.parametrize("evaluation", ["model", "logs", "rank", "v1.0", "status"])
def test_an_id_that_looks_like_a_part_of_another_path_is_an_id(quiet, evaluation):
    for kind, code in (("evaluations", "EvaluationNotFound"), ("featureImportances", "FeatureImportanceNotFound")):
        answer = quiet.request("DELETE", path(f"{kind}/{evaluation}", version=QUERY_VERSION))
        assert (answer.status, answer.headers["x-ms-error-code"]) == (404, code)


@pytest.mark.parametrize("kind", ["evaluations", "featureImportances"])
def test_an_id_of_an_analysis_may_have_slashes_decoded_or_not(quiet, kind):
    body = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z", "name": "n", "policies": []}
    for written in (f"{kind}/of%2Fmay", f"{kind}/of/may"):
        assert quiet.request("PUT", path(written, version=QUERY_VERSION), body).status == 200
        answer = quiet.request(
            "GET",
            path(f"{kind}/of/may", version=QUERY_VERSION) + "&startTime=2026-01-01&endTime=2026-01-02&window=Rolling&intervalInMinutes=60",
        )
        assert (answer.status, answer.json.get("name")) == (200, "n"), answer
        assert quiet.request("DELETE", path(f"{kind}/of/may", version=QUERY_VERSION)).status == 204
    assert quiet.request("GET", path("evaluations/of/report")).json["error"]["code"] == "EvaluationNotFound"
    refused(quiet.request("PUT", path("evaluations/of/report", version=QUERY_VERSION), body), 405, "BadRequest", naming="use GET")


@pytest.mark.parametrize("rest", ["multislot/rank", "configurations/applyFromEvaluation"])
def test_what_came_with_a_later_version_is_not_there_in_an_earlier_one(quiet, rest):
    refused(quiet.request("POST", path(rest), {}), 404, "ResourceNotFound", naming="not part of API version v1.0")


def test_an_unknown_version_is_told_which_there_are_wherever_it_stands(quiet):
    refused(quiet.request("GET", path("configurations/service", version="v9")), 404, "ResourceNotFound", naming="v1.0, v1.1-preview.1")


def test_a_large_body_is_read_where_an_operation_says_so_and_nowhere_else(quiet):
    """The hosts pass 64 MiB on; each operation has its own limit below that."""
    body = b"x" * (3 * 1024 * 1024)
    model = quiet.request("PUT", path("model", version=QUERY_VERSION), body, headers={"Content-Type": "application/octet-stream"})
    assert (model.status, model.json["error"]["code"]) == (400, "InvalidModelImportFormat")
    refused(
        quiet.request("POST", path("rank"), json.dumps(rank_body()).encode().ljust(2_000_000)), 413, "PayloadSizeExceeded", naming="1048576"
    )
    assert quiet.request("PUT", path("configurations/policy"), body).status == 413


LARGEST = b"x" * (64 * 1024 * 1024)


def test_the_largest_body_that_any_operation_reads_reaches_it(quiet):
    for sent, status, code in ((LARGEST, 400, "InvalidModelImportFormat"), (LARGEST + b"x", 413, "PayloadSizeExceeded")):
        answer = quiet.request("PUT", path("model", version=QUERY_VERSION), sent)
        assert (answer.status, answer.json["error"]["code"]) == (status, code)


def test_on_a_server_it_does_in_chunks_too(on_a_server):
    answer = on_a_server.request("PUT", path("model", version=QUERY_VERSION), iter([LARGEST[:1_000_000], LARGEST[1_000_000:]]))
    assert (answer.status, answer.json["error"]["code"]) == (400, "InvalidModelImportFormat")


def test_behind_the_functions_host_a_body_in_chunks_is_none_and_that_is_said(quiet):
    sent = quiet.request("PUT", path("model", version=QUERY_VERSION), iter([b"a model"]))
    refused(sent, 400, "InvalidModelImportFormat", naming="with a Content-Length")
