"""The learning policy: read, replaced, reset; and what Rank then does."""

import re
import time
from collections.abc import Iterator
from math import isclose

import pytest

from tests.http.building import KEY, ON_ONE_HOST, QUERY_VERSION, VERSIONS, path, probabilities, rank, refused
from tests.http.own_loops import QUICK, OwnLoop, own_loop
from tests.http.test_configuration import changed
from tests.patience import PATIENCE
from tests.running import Answer, Asked, RunningApp

PLACE = "configurations/policy"
AZURES = "--cb_explore_adf --epsilon 0.2 --power_t 0 -l 0.001 --cb_type mtr -q ::"


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    with own_loop(shared) as loop:
        yield loop


def put(app: Asked, arguments: object = AZURES, *, name: object = "mine", version: str = "v1.0") -> Answer:
    return app.request("PUT", path(PLACE, version=version), {"name": name, "arguments": arguments})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_policy_is_read_replaced_and_reset_in_every_version(own, version):
    place = path(PLACE, version=version)
    first = own.request("GET", place)
    assert (first.status, first.json) == (200, {"name": "default", "arguments": "--cb_explore_adf"})
    answer = put(own, version=version)
    assert (answer.status, answer.json) == (200, {"name": "mine", "arguments": AZURES})
    assert own.request("GET", place).json == answer.json
    reset = own.request("DELETE", place)
    assert reset.status == 200
    assert reset.json["arguments"] == "--cb_explore_adf"
    assert re.fullmatch(r"[0-9a-f]{32}", reset.json["name"])
    assert own.request("GET", place).json == reset.json


def test_options_that_are_taken_without_effect_are_named_in_a_header_and_nowhere_in_the_body(own):
    model = "--cb_adf --cb_explore_adf --csoaa_ldf multiline --csoaa_rank --softmax --psi 2 --hash_seed 0 --coin --interactions AA AU AAUB"
    answers = [put(own, model), own.request("GET", path(PLACE))]
    idle = "--cb_adf, --csoaa_ldf, --csoaa_rank, --psi, --hash_seed, --coin"
    assert [answer.headers.get("x-personalizer-without-effect") for answer in answers] == [idle, idle]
    assert [answer.json for answer in answers] == [{"name": "mine", "arguments": model}] * 2
    assert "x-personalizer-without-effect" not in put(own, "--cb_explore_adf --softmax").headers


@ON_ONE_HOST
def test_the_app_names_the_policy_that_a_loop_begins_with_and_goes_back_to(host, storage):
    with RunningApp(storage, kind=host, settings={"PERSONALIZER_POLICY_ARGUMENTS": AZURES}) as own:
        assert own.request("GET", path(PLACE)).json == {"name": "default", "arguments": AZURES}
        put(own, "--cb_explore_adf --softmax")
        assert own.request("DELETE", path(PLACE)).json["arguments"] == AZURES


@ON_ONE_HOST
def test_a_change_of_policy_is_a_change_of_configuration(own):
    assert "lastConfigurationEditDate" not in own.request("GET", path("configurations/service", version=QUERY_VERSION)).json
    put(own)
    assert "lastConfigurationEditDate" in own.request("GET", path("configurations/service", version=QUERY_VERSION)).json


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--cb_explore_adf --nonsense", "--nonsense"),
        ("--epsilon 0.2", "--cb_explore_adf or --ccb_explore_adf is missing"),
        ("--cb_explore_adf --epsilon 2", "--epsilon"),
        ("--cb_explore_adf -d /etc/passwd", "-d is refused"),
        ("--cb_explore_adf -f model", "-f is refused"),
        ("--cats 4", "--cats is refused"),
        ("--cb_explore_adf --bag 5 --cover 3", "only one can be used"),
        ("--cb_explore_adf '", "quotes"),
        ("--cb_explore_adf \x00", "is not an option, and not a value"),
    ],
)
def test_arguments_that_cannot_be_followed_are_refused_by_name(quiet, arguments, named):
    before = quiet.request("GET", path(PLACE)).json
    refused(put(quiet, arguments), 400, "InvalidPolicyConfiguration", naming=named, target="arguments")
    assert quiet.request("GET", path(PLACE)).json == before


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({}, "name"),
        ({"name": "x"}, "arguments"),
        ({"arguments": AZURES}, "name"),
        ({"name": "", "arguments": AZURES}, "name"),
        ({"name": "n" * 257, "arguments": AZURES}, "name"),
        ({"name": "x", "arguments": ""}, "arguments"),
        ({"name": "x", "arguments": AZURES + " " * 1_024}, "arguments"),
        ({"name": None, "arguments": AZURES}, "name"),
        ({"name": ["x"], "arguments": AZURES}, "name"),
        ({"name": "x", "arguments": ["--cb_explore_adf"]}, "arguments"),
        ([], None),
    ],
)
def test_a_policy_without_its_parts_or_with_too_long_ones_is_refused(quiet, body, target):
    answer = quiet.request("PUT", path(PLACE), body)
    refused(answer, 400, "InvalidPolicyContract", naming=f"{target}: " if target else "the body: ", target=target)


def test_the_longest_name_and_arguments_are_taken(own):
    arguments = AZURES.ljust(1_024)
    assert put(own, arguments, name="ñ" * 256).json == {"name": "ñ" * 256, "arguments": arguments}


@ON_ONE_HOST
def test_a_policy_for_several_slots_and_automatic_optimisation_exclude_each_other(own):
    changed(own, isAutoOptimizationEnabled=True)
    answer = put(own, "--ccb_explore_adf")
    refused(answer, 403, "ProblemTypeIncompatibleWithAutoOptimization", naming="isAutoOptimizationEnabled", target="arguments")
    changed(own, isAutoOptimizationEnabled=False)
    assert put(own, "--ccb_explore_adf").status == 200
    place = path("configurations/service", version=QUERY_VERSION)
    body = {**own.request("GET", place).json, "isAutoOptimizationEnabled": True}
    answer = own.request("PUT", place, body)
    refused(answer, 403, "ProblemTypeIncompatibleWithAutoOptimization", naming="--ccb_explore_adf", target="isAutoOptimizationEnabled")


def test_without_a_key_no_policy_is_told_or_changed(quiet):
    for method in ("GET", "PUT", "DELETE"):
        answer = quiet.request(method, path(PLACE), {"name": "x", "arguments": AZURES}, headers={KEY: "wrong"})
        refused(answer, 401, "401", naming="Access denied")


@ON_ONE_HOST
@pytest.mark.slow
def test_rank_explores_as_the_policy_says_from_the_put_on(shared):
    """ε-greedy gives the best 1 − ε + ε/K and each other ε/K, where the product's own way gives them unlike chances."""
    with own_loop(shared, **QUICK) as own:
        for number in range(40):
            answer = rank(own, eventId=f"e{number}").json
            value = float(answer["rewardActionId"] == "b")
            own.request("POST", path(f"events/e{number}/reward"), {"value": value})
        until = time.monotonic() + PATIENCE
        while own.request("GET", "/status").json["loop"]["modelVersion"] is None:
            assert time.monotonic() < until, own.logs
            own.request("POST", "/admin/functions/train", {})
            time.sleep(0.3)
        ours = sorted(chance for _, chance in probabilities(rank(own, eventId="ours")))
        assert put(own, "--cb_explore_adf --epsilon 0.9").status == 200
        theirs = sorted(chance for _, chance in probabilities(rank(own, eventId="theirs")))
        assert all(map(isclose, theirs, [0.2 / 3, 0.2 / 3, 1 - 0.4 / 3])), "the loop's percentage is ε, whatever the policy says"
        assert ours != theirs
