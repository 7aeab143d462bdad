"""If-Match and If-None-Match: a change is made only of what was read, and who sends neither is served as ever."""

from collections.abc import Iterator

import pytest

from tests.http.building import ON_ONE_HOST, QUERY_VERSION, VERSIONS, path, refused
from tests.http.own_loops import ADMIN, OwnLoop, own_loop
from tests.running import Answer

EPSILON = {"name": "epsilon", "arguments": "--cb_explore_adf --epsilon 0.3"}
SOFTMAX = {"name": "softmax", "arguments": "--cb_explore_adf --softmax --lambda 5"}


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    """A loop of the test's own, which it may change."""
    with own_loop(shared) as loop:
        yield loop


def configuration(own: OwnLoop, version: str = QUERY_VERSION) -> Answer:
    return own.request("GET", path("configurations/service", version=version))


def configure(own: OwnLoop, *, version: str = QUERY_VERSION, tag: str | None = None, **members: object) -> Answer:
    headers = {} if tag is None else {"If-Match": tag}
    return own.request("PUT", path("configurations/service", version=version), {**configuration(own).json, **members}, headers=headers)


def with_policy(own: OwnLoop, policy: dict[str, str], tag: str | None = None) -> Answer:
    return own.request("PUT", path("configurations/policy"), policy, headers={} if tag is None else {"If-Match": tag})


def tag_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return {name.lower(): value for name, value in answer.headers.items()}["etag"]


def test_a_configuration_that_somebody_else_has_changed_is_not_written_over(own):
    read = tag_of(configuration(own))
    configure(own, defaultReward=0.25)
    refused(configure(own, tag=read, explorationPercentage=0.4), 412, "PreconditionFailed")
    assert configuration(own).json["explorationPercentage"] == 0.2
    changed = configure(own, tag=tag_of(configuration(own)), explorationPercentage=0.4)
    assert tag_of(changed) == tag_of(configuration(own)) != read


@ON_ONE_HOST
@pytest.mark.parametrize("version", VERSIONS)
def test_a_tag_is_the_same_in_every_version(own, version):
    assert tag_of(configuration(own, version)) == tag_of(configuration(own))
    configure(own, defaultReward=0.5)
    tag = tag_of(configuration(own, version))
    assert configure(own, version=version, tag=tag, explorationPercentage=0.3).status == 200
    refused(configure(own, version=version, tag=tag, explorationPercentage=0.4), 412, "PreconditionFailed")


@ON_ONE_HOST
def test_a_tag_tells_values_and_nothing_beside_them(own):
    read = tag_of(configuration(own))
    with_policy(own, EPSILON)
    own.app.request("POST", f"/loops/{own.name}/keys/2/regenerate", headers=ADMIN)
    assert tag_of(configuration(own)) == read
    configure(own, defaultReward=0.25)
    configure(own, defaultReward=0)
    assert tag_of(configuration(own)) == read


@ON_ONE_HOST
@pytest.mark.parametrize("written", ["{0}", "W/{0}", '"other", {0}', '"other",W/{0} ', "*"])
def test_every_way_to_write_a_tag_is_understood(own, written):
    tag = tag_of(configuration(own))
    assert configure(own, tag=written.format(tag), explorationPercentage=0.4).status == 200


@ON_ONE_HOST
@pytest.mark.parametrize("written", ["nonsense", '"open', '"a" "b"', '"a",', f'"{"a" * 3000}"'])
def test_a_malformed_condition_is_refused_by_its_name(own, written):
    refused(configure(own, tag=written, explorationPercentage=0.4), 400, "InvalidRequest", target="If-Match")
    assert configuration(own).json["explorationPercentage"] == 0.2


@ON_ONE_HOST
def test_a_change_whose_answer_was_lost_can_be_sent_again(own):
    tag = tag_of(configuration(own))
    for _ in range(2):
        assert configure(own, tag=tag, explorationPercentage=0.4).json["explorationPercentage"] == 0.4
    tag = tag_of(own.request("GET", path("configurations/policy")))
    for _ in range(2):
        assert with_policy(own, EPSILON, tag).status == 200


def test_a_policy_that_somebody_else_has_changed_is_neither_written_over_nor_reset(own):
    read = tag_of(own.request("GET", path("configurations/policy")))
    assert tag_of(with_policy(own, EPSILON, read)) != read
    refused(with_policy(own, SOFTMAX, read), 412, "PreconditionFailed")
    refused(own.request("DELETE", path("configurations/policy"), headers={"If-Match": read}), 412, "PreconditionFailed")
    assert own.request("GET", path("configurations/policy")).json == EPSILON
    tag = tag_of(own.request("GET", path("configurations/policy")))
    assert own.request("DELETE", path("configurations/policy"), headers={"If-Match": tag}).status == 200


@ON_ONE_HOST
def test_members_are_set_only_of_what_was_read(own):
    read = tag_of(configuration(own))
    configure(own, defaultReward=0.25)
    place = path("configurations/set", version=QUERY_VERSION)
    members = {"configuration": {"explorationPercentage": 0.4}}
    refused(own.request("POST", place, members, headers={"If-Match": read}), 412, "PreconditionFailed")
    assert own.request("POST", place, members, headers={"If-Match": tag_of(configuration(own))}).json["explorationPercentage"] == 0.4


@ON_ONE_HOST
def test_members_are_unset_only_of_what_was_read(own):
    configure(own, explorationPercentage=0.4)
    read = tag_of(configuration(own))
    configure(own, explorationPercentage=0.5)
    unset = path("configurations/unset", version=QUERY_VERSION)
    members = {"members": ["explorationPercentage"]}
    refused(own.request("POST", unset, members, headers={"If-Match": read}), 412, "PreconditionFailed")
    assert own.request("POST", unset, members, headers={"If-Match": tag_of(configuration(own))}).json["explorationPercentage"] == 0.2


def test_a_loop_is_changed_only_as_it_was_read(own):
    place = f"/loops/{own.name}"
    read = tag_of(own.app.request("GET", place, headers=ADMIN))
    assert own.app.request("PUT", place, {"tier": "E0"}, headers={**ADMIN, "If-Match": read}).json["tier"] == "E0"
    refused(own.app.request("PUT", place, {"tier": "F0"}, headers={**ADMIN, "If-Match": read}), 412, "PreconditionFailed")
    assert own.app.request("GET", place, headers=ADMIN).json["tier"] == "E0"


def test_a_loop_that_is_there_is_not_changed_by_who_wants_a_new_one(own):
    only_new = {**ADMIN, "If-None-Match": "*"}
    refused(own.app.request("PUT", f"/loops/{own.name}", {}, headers=only_new), 412, "PreconditionFailed")
    refused(own.app.request("PUT", "/loops/default", {}, headers=only_new), 412, "PreconditionFailed")
    fresh = f"{own.name}n"
    assert own.app.request("PUT", f"/loops/{fresh}", {}, headers=only_new).status == 201
    own.app.request("DELETE", f"/loops/{fresh}", headers=ADMIN)
    gone = own.app.request("PUT", f"/loops/{fresh}", {}, headers={**ADMIN, "If-Match": '"0"'})
    refused(gone, 412, "PreconditionFailed")
    assert own.app.request("PUT", f"/loops/{fresh}", {}, headers=only_new).status == 201
    own.app.request("DELETE", f"/loops/{fresh}", headers=ADMIN)
