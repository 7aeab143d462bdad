"""Lines of decisions: what is read without parsing its actions is what is read with care."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from shared.api.decisions import read_decisions
from shared.api.rank import ActionReader
from shared.domain.uploads import Batch, RefusalCode

LINE: dict[str, Any] = {
    "eventId": "e1",
    "contextFeatures": [{"user": {"age": 30}}],
    "actions": [{"id": "a", "features": [{"x": 1}]}, {"id": "b", "features": [{"y": [1, 2]}]}],
    "rewardActionId": "a",
    "probability": 0.5,
    "timestamp": "2026-05-17T12:00:00Z",
}
ODD: dict[str, Any] = {
    "plain": {},
    "no context": {"contextFeatures": None},
    "excluded": {"excludedActions": ["b"], "deferActivation": True},
    "a whole number": {"probability": 1},
    "a number as text": {"probability": "0.5"},
    "a number as id": {"eventId": 7, "rewardActionId": 1},
    "a slash": {"eventId": "a%2Fb"},
    "an offset": {"timestamp": "2026-05-17T14:00:00.5+02:00"},
    "no name": {"contextFeatures": [{"": 1, "x": 2}]},
    "all excluded": {"excludedActions": ["a", "b"]},
    "the same id": {"actions": [LINE["actions"][0]] * 2},
    "no feature": {"actions": [{"id": "a", "features": []}]},
    "no action": {"actions": []},
    "too likely": {"probability": 1.0001},
    "no time": {"timestamp": "noon"},
    "nothing": {"eventId": ""},
    "deep": {"contextFeatures": [{"x": {"x": {"x": {"x": 1}}}}]},
}


def read(*lines: bytes) -> Batch:
    return read_decisions(b"\n".join([b'{"sentAt": "2026-05-17T12:00:00Z"}', *lines]), ActionReader())


def without_text(batch: Batch) -> Batch:
    return replace(
        batch, claims=[replace(each, text=b"") for each in batch.claims], unread=[replace(each, text=b"") for each in batch.unread]
    )


@pytest.mark.parametrize("members", ODD.values(), ids=ODD)
def test_a_line_that_is_read_fast_is_what_it_is_when_it_is_read_with_care(members):
    line = LINE | members
    assert without_text(read(orjson.dumps(line))) == without_text(read(orjson.dumps({**line, "of no member": 1})))


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"ticket": 7.5e400}',
        b"\xff\xfe{}",
        b'{"eventId": "\xff"}',
        b'{"eventId": NaN}',
        orjson.dumps({**LINE, "slots": []}),
    ],
)
def test_what_is_no_decision_is_refused_by_its_line(line):
    batch = read(line, orjson.dumps(LINE))
    assert [(each.line, each.code) for each in batch.unread] == [(2, RefusalCode.INVALID_LINE)]
    assert [each.line for each in batch.claims] == [3]


def test_the_first_line_need_not_tell_a_time():
    batch = read_decisions(orjson.dumps(LINE), ActionReader())
    assert (batch.sent_at, [each.ticket for each in batch.claims]) == (None, [""])
