"""What the description of the API allows is answered as it says, and so is what it forbids: drawn from it by schemathesis."""

import json
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
from tests.http.described import DescribedApp, described_app, document, said

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
