"""What the description of the API allows is answered as it says, and so is what it forbids: drawn from it by schemathesis."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from unittest import SkipTest

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from schemathesis.checks import load_all_checks
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.specs.openapi.checks import negative_data_rejection

from shared.api.configuration import ConfigurationChanges
from shared.api.lenient import mended
from shared.api.logs import LINES
from shared.api.openapi.catalogue import DESCRIBED
from shared.api.policy import PolicyContract
from shared.api.rank import RankableAction
from tests.http.building import KEY, rank_body
from tests.http.described import ADMIN, DescribedApp, described_app, document, said
from tests.patience import PATIENCE

IDS = {each.operation["operationId"] for each in said()}
TWINS = sorted(name for name in IDS if f"{name}_2022" in IDS)
"""Operations that are under two paths: every boundary is tried under one of them."""

CONFIGURATION: dict[str, Any] = {
    "generation": {"allow-extra-parameters": False},  # what is not described is ignored, here as in the original
    "phases": {"coverage": {"unexpected-methods": []}},  # tests/http/test_openapi.py sends them all
    "checks": {"positive_data_acceptance": {"enabled": False}},  # a schema cannot say every rule
    "operations": [
        {"include-operation-id": TWINS, "phases": {"coverage": {"enabled": False}}},
        {  # its path is v1.0's too, which does not look at the members of the previews
            "include-operation-id": "configuration_put",
            "checks": {"negative_data_rejection": {"enabled": False}},
            "phases": {"coverage": {"enabled": False}},
        },
        {  # the log can be deleted so often only before the first one is cleared up
            "include-operation-id": ["logs_delete", "logs_delete_2022"],
            "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]}},
        },
    ],
}

REWARD = st.fixed_dictionaries({"eventId": st.sampled_from(["e1", "e2"]), "value": st.sampled_from([0, 0.5, 1])})
ACTIVATION = st.fixed_dictionaries({"eventId": st.sampled_from(["e1", "e2"]), "activate": st.just(True)})
DECISION = st.sampled_from("ab").map(
    lambda chosen: rank_body(chosen, eventId="e1", ranking=[{"id": chosen, "probability": 1.0}], rewardActionId=chosen)
)
OTHER = st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=5), max_size=3)
VERIFIED = st.sampled_from("ab").map(
    lambda chosen: rank_body(chosen, eventId="e1", rewardActionId=chosen, probability=1.0, timestamp="2026-05-17T12:00:00Z")
)
TOLD = st.sampled_from([{"sentAt": "2026-05-17T12:00:00Z"}, {"ticket": None}, {"ticket": "made up"}, {"sentAt": 7, "ticket": "x"}])
BATCH = st.sampled_from([REWARD | ACTIVATION, DECISION, VERIFIED | TOLD, REWARD | DECISION | VERIFIED | OTHER]).flatmap(
    lambda line: st.lists(line.map(json.dumps), max_size=4)
)

schemathesis.openapi.media_type(LINES[0], BATCH.map(lambda lines: "\n".join(lines).encode()))


@schemathesis.serializer(LINES[0])
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def whole() -> Any:
    return schemathesis.openapi.from_dict(document(), config=schemathesis.Config.from_dict(CONFIGURATION))


@pytest.fixture(scope="module")
def described(new_store) -> Iterator[DescribedApp]:
    with described_app(new_store()) as running:
        yield running


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as kept:
        yield kept


def is_read_leniently(case) -> bool:
    """Whether the body breaks its schema in a way that is read all the same: tests/api/test_lenient.py has the rules."""
    name = case.operation.definition.raw["operationId"]
    described = DESCRIBED.get(name) or DESCRIBED[name.removesuffix("_2022")]
    if described.body is None or described.body.kind is None or not isinstance(case.body, dict):
        return False
    sent = json.loads(json.dumps(case.body))
    read = mended(sent, described.body.kind)
    parts: dict[str, type[BaseModel]] = {"actions": RankableAction, "policies": PolicyContract}
    inner = [(each, mended(each, parts[name])) for name in parts for each in sent.get(name) or [] if isinstance(sent[name], list)]
    if isinstance(settings := sent.get("configuration"), dict):
        inner.append((settings, mended(settings, ConfigurationChanges)))
    return read != sent or any(before != after for before, after in inner)


@settings(derandomize=True, max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
def answered_as_described(case, described, session):
    before, key = described.reached(case.operation.definition.raw)
    is_dropped = "" in (case.query or {}).values()  # by the Functions host: what is empty in the query does not arrive
    left_out = [negative_data_rejection] if is_dropped or is_read_leniently(case) else []
    address = f"{described.app.base_url}{before}"
    case.call_and_validate(base_url=address, headers={KEY: key}, session=session, excluded_checks=left_out)


@pytest.mark.slow
@pytest.mark.parametrize("operation", sorted(IDS))
@pytest.mark.sweep(keep=20)
def test_every_request_is_answered_as_described(operation, whole, described, session):
    """No status, code, header or body that is not in the document; no 5xx; no key no answer; what breaks a schema is refused.

    What is sent is made up here: schemathesis' own collector does it for all operations in every process that looks for tests.
    """
    load_all_checks()
    found = whole.find_operation_by_id(operation)
    test = build_operation_test(
        config=whole.config, operation=found, test_func=answered_as_described, given_kwargs={}, feedback=FeedbackSources()
    )
    try:
        test(described=described, session=session)
    except SkipTest as cause:
        pytest.fail(f"nothing could be sent: {cause}")


CHAINS = {
    "Rank and reward": {("rank", "reward"), ("rank", "activate"), ("rank", "receipt"), ("reward", "receipt"), ("activate", "receipt")},
    "Several slots": {("multislot_rank", "multislot_reward"), ("multislot_rank", "multislot_activate"), ("multislot_rank", "receipt")},
    "Evaluations": {
        *(("evaluations_put", name) for name in ("evaluations_get", "evaluations_report", "evaluations_delete")),
        *(("evaluations_create", name) for name in ("evaluations_get_old", "evaluations_report", "evaluations_delete")),
        ("importances_put", "importances_get"),
        ("importances_put", "importances_delete"),
    },
    "Loops": {("loops_put", "loops_get"), ("loops_put", "loops_preview"), ("loops_put", "keys_regenerate"), ("loops_put", "loops_delete")},
}
"""By tag: which calls follow on which.

That each of them can, and that schemathesis reads it so, is a law of tests/http/test_openapi_links.py: which ones are drawn is chance.
"""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.long
@pytest.mark.parametrize("tag", CHAINS)
def test_schemathesis_follows_the_links_of_the_description(tag, described, tmp_path):
    """As a user runs it: no server error and nothing undescribed on any chain of calls."""
    base, key = ("", ADMIN) if tag == "Loops" else ("/loops/slots", described.slots_key)
    settings_file, report = tmp_path / "schemathesis.toml", tmp_path / "report.ndjson"
    settings_file.write_text("[phases.stateful.inference]\nalgorithms = []\n", "utf-8")  # the links that are described, and no guesses
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings_file), "run", f"{described.app.base_url}/openapi.json"),
        *("--url", f"{described.app.base_url}{base}", "--header", f"{KEY}: {key}"),
        *("--include-tag", tag, "--include-tag", "Log", "--phases", "stateful", "--mode", "positive", "--checks", CHECKS),
        *("--max-examples", "60", "--seed", "1", "--request-timeout", str(PATIENCE), "--no-color"),
        *("--report", "ndjson", "--report-ndjson-path", str(report)),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert CHAINS[tag] & followed(report.read_text("utf-8").splitlines())


def followed(report: list[str]) -> set[tuple[str, str]]:
    """Give which operations followed on which, by a link and with success."""
    names = {f"{each.method} {each.path}": each.operation["operationId"].removesuffix("_2022") for each in said()}
    recorded = [found["ScenarioFinished"]["recorder"] for found in map(json.loads, report) if "ScenarioFinished" in found]
    links = {
        tuple(case["transition"]["id"].split(" -> "))
        for each in recorded
        for number, case in each.get("cases", {}).items()
        if case.get("transition") and case["is_transition_applied"] and each["interactions"][number]["response"]["status_code"] < 300
    }
    return {(names[source], names[target]) for source, _, target in links}
