"""Batches on the wire: read whole or refused, and the line is named."""

import orjson
import pytest

from shared.api.lines import MAX_LINES
from shared.api.logs import DateRange, LogsProperties, check_lines, read_interactions, read_observations
from shared.api.rank import ActionReader
from shared.domain.errors import InvalidRankRequestError, InvalidRequestError, InvalidRewardRequestError, UnsupportedMediaTypeError
from tests.builders import T0, after
from tests.joining.test_foreign import PERSONALIZER, SLOTS
from tests.joining.test_lenient import CONTINUOUS
from tests.services.serving.test_uploads import line


def interactions(*lines: bytes):
    return read_interactions(b"\n".join(lines), ActionReader())


def chances(**each: float) -> list[dict]:
    return [{"id": name, "probability": chance} for name, chance in each.items()]


def test_empty_lines_and_either_line_ending_do_not_matter():
    assert len(interactions(line() + b"\r", b"", line("e2"), b"  ")) == 2


def test_members_that_are_not_known_are_ignored():
    assert interactions(line(pdrop=0.5))[0].event_id == "e1"


@pytest.mark.parametrize(
    ("members", "target", "reason"),
    [
        ({"eventId": None}, "eventId", "string"),
        ({"eventId": ""}, "eventId", "at least 1"),
        ({"actions": []}, "actions", "at least 1"),
        ({"actions": [{"id": "a", "features": [{"x": None}]}]}, "actions[0].features", "not null"),
        ({"ranking": chances(a=1.0)}, "ranking", "every action exactly once"),
        ({"ranking": chances(a=0.5, b=0.25, c=0.25)}, "ranking", "every action exactly once"),
        ({"ranking": [*chances(a=0.5), *chances(a=0.5)]}, "ranking", "every action exactly once"),
        ({"ranking": chances(a=0.5, b=0.4)}, "ranking", "add up to 1"),
        ({"ranking": chances(a=-0.5, b=1.5)}, "ranking[0].probability", "greater than or equal to 0"),
        ({"ranking": []}, "ranking", "at least 1"),
        ({"ranking": chances(a=1.0, b=0.0)}, "rewardActionId", "probability is at least"),
        ({"ranking": chances(a=1.0, b=1e-9)}, "rewardActionId", "probability is at least"),
        ({"rewardActionId": "z"}, "rewardActionId", "must be the id of an action"),
        ({"rewardActionId": None}, "rewardActionId", "string"),
        ({"excludedActions": ["b"]}, "ranking", "an excluded action's probability must be 0"),
        ({"timestamp": "yesterday"}, "timestamp", "date and time"),
        ({"timestamp": 5}, "timestamp", "date and time"),
        ({"modelVersion": "v" * 257}, "modelVersion", "at most 256"),
        ({"deferActivation": "yes"}, "deferActivation", "boolean"),
    ],
)
def test_a_decision_that_breaks_a_rule_is_refused_with_its_line_and_member(members, target, reason):
    with pytest.raises(InvalidRankRequestError, match=rf"line 3: .*{reason}") as refused:
        interactions(line(), b"", line("e2", **members), line("e3"))
    assert refused.value.target == f"line 3: {target}"


@pytest.mark.parametrize(
    ("document", "target", "reason"),
    [
        ({}, "eventId", "required"),
        ({"eventId": "e1"}, "value", "either a value"),
        ({"eventId": "e1", "value": 1, "activate": True}, "value", "either a value"),
        ({"eventId": "e1", "activate": False}, "value", "either a value"),
        ({"eventId": "e1", "value": 1.5}, "value", "less than or equal to 1"),
        ({"eventId": "e1", "value": "one"}, "value", "number"),
        ({"eventId": "e1", "value": True}, "value", "number"),
        ({"eventId": "e1", "activate": True, "slotId": "s"}, "slotId", "whole event"),
        ({"eventId": "e1", "value": 1, "slotId": ""}, "slotId", "at least 1"),
        ({"eventId": ".."}, "eventId", "may not be"),
    ],
)
def test_a_reward_that_breaks_a_rule_is_refused_with_its_line_and_member(document, target, reason):
    with pytest.raises(InvalidRewardRequestError, match=rf"line 2: .*{reason}") as refused:
        read_observations(b'{"eventId": "e0", "value": 0}\n' + orjson.dumps(document))
    assert refused.value.target == f"line 2: {target}"


@pytest.mark.parametrize("text", [b"nonsense", b'{"eventId":', b'{"eventId": "\xff"}', b"[" * 100_000])
def test_a_line_that_is_not_json_is_named(text):
    with pytest.raises(InvalidRequestError, match="line 2: not valid JSON") as refused:
        interactions(line(), text)
    assert refused.value.target == "line 2"


@pytest.mark.parametrize("text", [b"5", b"null", b'"text"'])
def test_a_line_that_is_no_object_is_named(text):
    with pytest.raises(InvalidRewardRequestError, match=r"line 1: .*JSON object"):
        read_observations(text)


@pytest.mark.parametrize(
    "read", [lambda body: read_interactions(body, ActionReader()), read_observations], ids=["interactions", "observations"]
)
@pytest.mark.parametrize("joined", [PERSONALIZER, SLOTS, CONTINUOUS], ids=["one", "slots", "continuous"])
def test_a_line_of_a_joined_log_is_told_where_it_is_taken_in(read, joined):
    with pytest.raises(
        InvalidRequestError, match=r"line 2: a line of a joined log .*: take such logs in by python -m cli import"
    ) as refused:
        read(b"\n" + orjson.dumps(joined))
    assert refused.value.target == "line 2"


@pytest.mark.parametrize("body", [b"", b"\n\n  \n"])
def test_a_batch_needs_a_line(body):
    with pytest.raises(InvalidRequestError, match="no line"):
        read_observations(body)


def test_a_batch_has_a_bounded_number_of_lines():
    one = b'{"eventId":"e","value":1}\n'
    assert len(read_observations(one * MAX_LINES)) == MAX_LINES
    with pytest.raises(InvalidRequestError, match="at most 1000"):
        read_observations(one * (MAX_LINES + 1))


@pytest.mark.parametrize("sent", ["application/octet-stream", "application/json", "", "text/plain; charset=utf-8"])
def test_what_is_not_said_to_be_json_lines_is_told_what_is_read(sent):
    with pytest.raises(UnsupportedMediaTypeError, match=r"application/x-ndjson.*FlatBuffers"):
        check_lines(sent)


@pytest.mark.parametrize("sent", ["application/x-ndjson", "Application/X-NDJSON; charset=utf-8", "application/jsonl"])
def test_json_lines_are_read(sent):
    check_lines(sent)


def test_properties_are_the_range_or_nothing():
    found = LogsProperties(date_range=DateRange(from_=T0, to=after(1.5)))
    assert orjson.loads(found.to_wire()) == {"dateRange": {"from": "2026-05-17T12:00:00Z", "to": "2026-05-17T12:00:01.5Z"}}
    assert LogsProperties().to_wire() == b"{}"
