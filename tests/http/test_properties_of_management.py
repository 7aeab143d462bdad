"""Properties: whatever is sent to be configured or analysed is taken whole or refused whole, in the contract's shape."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.http.building import KEY, QUERY_VERSION, VERSIONS, actions, code_of, path
from tests.http.test_any_json import anything, places
from tests.http.test_any_json import changed as with_another
from tests.running import Answer, RunningApp
from tests.stores import NewStorage

ADMIN_KEY = "the-administrators-key"
ROOT = "/loops/any"
MINE = {"name": "mine", "arguments": "--cb_explore_adf --softmax"}
RANGE = {"startTime": "2019-01-12T00:00:00Z", "endTime": "2019-01-18T00:00:00Z"}

FIRST = {"name": "several slots", "arguments": "--ccb_explore_adf --epsilon 0.2"}

thorough = settings(max_examples=20, deadline=None, derandomize=True)
fewer = settings(max_examples=10, deadline=None, derandomize=True)


class Loop(NamedTuple):
    """A loop of these tests' own: several slots may be asked about, and there is one evaluation."""

    app: RunningApp
    key: str

    def call(self, method: str, rest: str, body: object = None, *, version: str = QUERY_VERSION) -> Answer:
        sent = json.dumps(body).encode() if body is not None else None
        return self.app.request(method, ROOT + path(rest, version=version), sent, headers={KEY: self.key})

    def get(self, rest: str, query: Mapping[str, str]) -> Answer:
        """Read with a query of the latest version."""
        address = f"{ROOT}/personalizer/{rest}?{urlencode({**query, 'api-version': QUERY_VERSION})}"
        return self.app.request("GET", address, headers={KEY: self.key})

    def administer(self, method: str, body: object = None) -> Answer:
        sent = json.dumps(body).encode() if body is not None else None
        return self.app.request(method, ROOT, sent, headers={KEY: ADMIN_KEY})

    def settings(self) -> tuple[Any, Any]:
        return self.call("GET", "configurations/service").json, self.call("GET", "configurations/policy").json

    def counters(self) -> Any:
        return self.app.request("GET", f"{ROOT}/status", headers={KEY: self.key}).json["loop"]["counters"]

    def listed(self, kind: str) -> list[str]:
        return [each["id"] for each in self.call("GET", kind).json["value"]]


@pytest.fixture(scope="module")
def loop(new_store: NewStorage) -> Iterator[Loop]:
    given_settings = {"PERSONALIZER_ADMIN_KEY": ADMIN_KEY}
    with RunningApp(new_store(), settings=given_settings) as app:
        made = app.request("PUT", ROOT, headers={KEY: ADMIN_KEY})
        loop = Loop(app, made.json["keys"][0])
        loop.call("PUT", "configurations/policy", FIRST)
        loop.call("PUT", "evaluations/kept", {"name": "kept", **RANGE, "policies": [MINE]})
        yield loop


def refused(answer: Answer) -> None:
    """Demand a refusal in the contract's shape, that blames the caller."""
    assert 400 <= answer.status < 500, answer.body
    assert code_of(answer)


# --- what is sent ----------------------------------------------------------------------------------------------------------

IDS = "abcde"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
short = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
job_ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda text: text not in {".", ".."}
)

waits = st.sampled_from(["PT1S", "PT10M", "PT4H", "P1DT2H"])
configurations = st.fixed_dictionaries(
    {
        "rewardWaitTime": waits,
        "defaultReward": st.floats(-1, 1),
        "rewardAggregation": st.sampled_from(["earliest", "Sum", "average", "median", "min", "MAX"]),
        "explorationPercentage": st.floats(0, 1),
        "modelExportFrequency": waits.filter(lambda text: not text.startswith("P1D")),
        "logRetentionDays": st.integers(40, 2**31 - 1) | st.just(-1),
        "modelRetrainDays": st.integers(0, 40),
    },
    optional={
        "autoOptimizationFrequency": st.sampled_from(["PT1H", "P7D", "P365D"]),
        "autoOptimizationStartDate": st.sampled_from(["2022-09-20", "2022-09-20T10:00:00+02:00", "2022-10-25T23:14:43.2544898Z"]),
        "isAutoOptimizationEnabled": st.just(False),
        "isInferenceExplainabilityEnabled": st.booleans(),
        "logMirrorEnabled": st.just(False),
        "lastConfigurationEditDate": texts,
    },
)
followable = st.sampled_from(["--cb_explore_adf", "--cb_explore_adf --softmax --lambda 2", "--ccb_explore_adf --epsilon 0.1 -q ::"])
policies = st.fixed_dictionaries({"name": short, "arguments": followable})
of_an_evaluation: dict[str, st.SearchStrategy[Any]] = {
    "name": short,
    "startTime": st.sampled_from(["2019-01-12", "2018-12-19T00:00:00Z"]),
    "endTime": st.sampled_from(["2019-01-18", "2019-01-18T00:00:00.1234567Z", "2100-01-01T00:00:00-12:00"]),
    "policies": st.lists(policies, max_size=3, unique_by=lambda policy: policy["name"]),
}
wishes = {"enablePolicyOptimization": st.booleans(), "enableOfflineExperimentation": st.booleans()}
evaluations = st.fixed_dictionaries(of_an_evaluation, optional=wishes)
importances = st.fixed_dictionaries({"name": short, "startTime": st.just("2019-01-12"), "endTime": st.just("2019-01-18")})
references = st.fixed_dictionaries({"evaluationId": st.just("kept"), "policyName": st.sampled_from(["mine", "online"])})
loops = st.fixed_dictionaries({}, optional={"tier": st.sampled_from(["S0", "f0"]), "configuration": configurations})


@st.composite
def several_slots(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(st.lists(short, min_size=1, max_size=len(IDS), unique=True))
    baselines = draw(st.permutations(IDS))
    asked = [{"id": slot, "baselineAction": baseline} for slot, baseline in zip(ids, baselines, strict=False)]
    excluded = draw(st.sampled_from([None, [], list(baselines[-1])] if len(ids) < len(IDS) else [None, []]))
    return {"contextFeatures": [{"hour": 9}], "actions": actions(*IDS), "slots": [{**asked[0], "excludedActions": excluded}, *asked[1:]]}


rewards = st.lists(
    st.fixed_dictionaries({"slotId": short, "value": st.floats(-1, 1) | st.sampled_from([-1, 0, 1])}), min_size=1, max_size=3
).map(lambda given_rewards: {"reward": given_rewards})

almost = st.sampled_from(
    [
        *["P31D", "PT0S", "-PT1M", "PT", "1:00:00", "P1Y"],
        *[-1.0000001, 1.5, 1e308, -2, 39, 2**31, True],
        *["mode", "Offline", "Apprentice", "LoggingOnly"],
        *["https://a.blob.core.windows.net/logs?sig=x", "file:///etc/passwd", "https://[::1", "x" * 5000],
        *["", "--epsilon 2", "--cb_explore_adf --lambda 1e400", "--ccb_explore_adf -f", "--cb_explore_adf '", "\\"],
        *["0001-01-01", "9999-12-31T23:59:59-23:59", "2019-13-01", "now"],
        *["none", "random", "a", "unknown"],
    ]
)
"""Values that are right somewhere else, or nearly right here."""


@st.composite
def changed(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """Draw a valid document with another value, or none, in one of its places."""
    document = draw(documents)
    place = draw(st.sampled_from(list(places(document))))
    return with_another(document, place, draw(almost | anything))


# --- configuration, policy, loop -------------------------------------------------------------------------------------------


@fewer
@given(body=configurations, version=st.sampled_from(VERSIONS))
def test_every_valid_configuration_is_read_back_in_every_version(loop, body, version):
    answer = loop.call("PUT", "configurations/service", body, version=version)
    assert answer.status == 200, answer.body
    assert loop.call("GET", "configurations/service", version=version).json == answer.json
    latest, _ = loop.settings()
    numbers = {name: body[name] for name in ("defaultReward", "explorationPercentage", "logRetentionDays")}
    assert {name: latest[name] for name in numbers} == numbers


@thorough
@given(body=changed(configurations), version=st.sampled_from(VERSIONS))
def test_any_json_is_a_configuration_or_changes_nothing(loop, body, version):
    before = loop.settings()
    answer = loop.call("PUT", "configurations/service", body, version=version)
    if answer.status == 200:
        assert loop.settings()[1] == before[1]
        return
    refused(answer)
    assert loop.settings() == before


@fewer
@given(body=policies, version=st.sampled_from(VERSIONS))
def test_every_valid_policy_is_read_back_in_every_version(loop, body, version):
    answer = loop.call("PUT", "configurations/policy", body, version=version)
    assert (answer.status, answer.json) == (200, body)
    assert loop.settings()[1] == body


@thorough
@given(body=changed(policies), version=st.sampled_from(VERSIONS))
def test_any_json_is_a_policy_or_changes_nothing(loop, body, version):
    before = loop.settings()
    answer = loop.call("PUT", "configurations/policy", body, version=version)
    if answer.status == 200:
        assert answer.json == {name: body[name] for name in ("name", "arguments")} == loop.settings()[1]
        return
    refused(answer)
    assert loop.settings() == before


@thorough
@given(body=loops | changed(loops))
def test_any_json_is_a_change_of_a_loop_or_changes_nothing(loop, body):
    before = loop.administer("GET").json
    answer = loop.administer("PUT", body)
    if answer.status == 200:
        assert loop.administer("GET").json == answer.json
        return
    refused(answer)
    assert loop.administer("GET").json == before


# --- several slots ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slotted(loop: Loop) -> Loop:
    """The loop once its policy allows for several slots, whatever other properties have put there."""
    configuration, _ = loop.settings()
    online = {**configuration, "isAutoOptimizationEnabled": False, "learningMode": "Online"}
    assert loop.call("PUT", "configurations/service", online).status == 200
    assert loop.call("PUT", "configurations/policy", {"name": "several", "arguments": "--ccb_explore_adf"}).status == 200
    return loop


@fewer
@given(body=several_slots(), version=st.sampled_from(VERSIONS[1:]))
def test_every_slot_gets_an_allowed_action_of_its_own_and_all_of_them_are_logged(slotted, body, version):
    before = slotted.counters()["ranked"]
    answer = slotted.call("POST", "multislot/rank", body, version=version)
    assert answer.status == 201, answer.body
    filled = {each["id"]: each["rewardActionId"] for each in answer.json["slots"]}
    assert list(filled) == [each["id"] for each in body["slots"]]
    assert len(set(filled.values())) == len(filled)
    assert not [slot for slot in body["slots"] if filled[slot["id"]] in (slot.get("excludedActions") or ())]
    assert slotted.counters()["ranked"] == before + len(filled)


@thorough
@given(body=changed(several_slots()), version=st.sampled_from(VERSIONS[1:]))
def test_any_json_is_ranked_for_several_slots_or_nothing_of_it_is_logged(slotted, body, version):
    before = slotted.counters()
    answer = slotted.call("POST", "multislot/rank", body, version=version)
    if answer.status == 201:
        assert slotted.counters()["ranked"] == before["ranked"] + len(answer.json["slots"])
        return
    refused(answer)
    assert slotted.counters() == before


@thorough
@given(body=rewards | changed(rewards), version=st.sampled_from(VERSIONS[1:]))
def test_any_json_is_a_reward_of_several_slots_or_nothing_of_it_is_logged(slotted, body, version):
    before = slotted.counters()
    answer = slotted.call("POST", "multislot/events/any/reward", body, version=version)
    if answer.status == 204:
        assert slotted.counters()["rewards"] == before["rewards"] + len(body["reward"])
        return
    refused(answer)
    assert slotted.counters() == before


# --- evaluations and feature importances -----------------------------------------------------------------------------------


@fewer
@given(job_id=job_ids, body=evaluations)
@example(job_id="one\nline / é?", body={"name": "first", **RANGE, "policies": []})
def test_every_valid_evaluation_is_found_under_exactly_its_id(loop, job_id, body):
    place = f"evaluations/{quote(job_id, safe='')}"
    assert loop.call("PUT", place, body).status == 200
    found = loop.get(place, RANGE)
    assert (found.status, found.json["id"], found.json["name"]) == (200, job_id, body["name"])
    assert loop.call("DELETE", place).status == 204
    assert loop.listed("evaluations") == ["kept"]


@thorough
@given(body=changed(evaluations))
def test_any_json_is_an_evaluation_or_none_is_kept(loop, body):
    answer = loop.call("PUT", "evaluations/e1", body)
    if answer.status == 200:
        assert loop.call("DELETE", "evaluations/e1").status == 204
    else:
        refused(answer)
    assert loop.listed("evaluations") == ["kept"]


@thorough
@given(body=evaluations | changed(evaluations), version=st.sampled_from(VERSIONS[:-1]))
def test_any_json_is_an_evaluation_of_the_older_shape_or_none_is_kept(loop, body, version):
    answer = loop.call("POST", "evaluations", body, version=version)
    if answer.status == 201:
        job_id = answer.json["id"]
        assert sorted(loop.listed("evaluations")) == sorted(["kept", job_id])
        assert loop.call("DELETE", f"evaluations/{job_id}", version=version).status == 204
    else:
        refused(answer)
    assert loop.listed("evaluations") == ["kept"]


@thorough
@given(job_id=job_ids, body=importances | changed(importances))
def test_any_json_is_a_feature_importance_under_exactly_its_id_or_none_is_kept(loop, job_id, body):
    place = f"featureImportances/{quote(job_id, safe='')}"
    answer = loop.call("PUT", place, body)
    if answer.status == 200:
        assert loop.call("GET", place).json["id"] == job_id
        assert loop.call("DELETE", place).status == 204
    else:
        refused(answer)
    assert loop.listed("featureImportances") == []


@thorough
@given(body=references | changed(references))
def test_any_json_applies_a_policy_of_an_evaluation_or_changes_nothing(loop, body):
    before = loop.settings()
    answer = loop.call("POST", "configurations/applyFromEvaluation", body)
    if answer.status == 204:
        assert loop.settings()[1] == (MINE if body["policyName"] == "mine" else FIRST)
        return
    refused(answer)
    assert loop.settings() == before


# --- queries ---------------------------------------------------------------------------------------------------------------

numbers = st.sampled_from(["0", "1", "5", "60", "2147483647"]) | st.sampled_from(["-1", "2147483648", "1.5", "", "٣"]) | texts
starts = st.sampled_from(["2019-01-12", "2018-12-19T00:00:00.000Z", "0001-01-01", "now"])
ends = st.sampled_from(["2019-01-18T00:00:00Z", "2019-02-01", "9999-12-31T23:59:59-12:00", ""])
filters = st.sampled_from(["metadata=evaluationType eq 'Manual'", "evaluationType eq 'Auto'"]) | texts
windows = st.sampled_from(["Expanding", "rolling", ""]) | texts


@thorough
@given(query=st.fixed_dictionaries({}, optional={"top": numbers, "skip": numbers, "maxpagesize": numbers, "filter": filters}))
def test_any_query_gives_a_page_or_names_the_parameter_that_is_wrong(loop, query):
    answer = loop.get("evaluations", query)
    if answer.status == 200:
        assert [each["id"] for each in answer.json["value"]] in ([], ["kept"])
        return
    refused(answer)
    assert answer.json["error"]["target"] in query


@thorough
@given(query=st.fixed_dictionaries({"startTime": starts, "endTime": ends}, optional={"intervalInMinutes": numbers, "window": windows}))
def test_any_query_reads_an_evaluation_or_names_the_parameter_that_is_wrong(loop, query):
    answer = loop.get("evaluations/kept", query)
    if answer.status == 200:
        assert answer.json["id"] == "kept"
        return
    refused(answer)
    assert answer.json["error"]["target"] in {*query, "intervalInMinutes"}
