"""Learning modes that answer what the application would have shown anyway."""

import pytest

from tests.http.building import ON_ONE_HOST, probabilities, rank


@ON_ONE_HOST
@pytest.mark.parametrize(("excluded", "place"), [([], 0), (["a"], 1), (["a", "b"], 2), (["b"], 0)])
def test_the_first_action_that_is_not_excluded_is_certain(baseline, excluded, place):
    for number in range(10):
        answer = rank(baseline, *"abcd", excludedActions=excluded, eventId=f"event {number}")
        assert answer.json["rewardActionId"] == "abcd"[place]
        assert probabilities(answer) == [(each, float(index == place)) for index, each in enumerate("abcd")]


@ON_ONE_HOST
def test_status_names_the_mode(baseline):
    loop = baseline.request("GET", "/status").json["loop"]
    assert loop["learningMode"] == baseline.environment["PERSONALIZER_LEARNING_MODE"]
