"""Bodies of JSON, an object on each line, and what is sent in their place."""

import json
from typing import Any

import pytest

from shared.api.decisions import read_decisions
from shared.api.logs import read_interactions, read_observations
from shared.api.rank import ActionReader
from shared.domain.errors import InvalidRequestError

ONE = {"eventId": "e", "value": 1}
MARK = b"\xef\xbb\xbf"
READERS: list[Any] = [
    read_observations,
    lambda body: read_interactions(body, ActionReader()),
    lambda body: read_decisions(body, ActionReader()),
]
BATCHES = pytest.mark.parametrize("read", READERS, ids=["observations", "interactions", "decisions"])


@BATCHES
@pytest.mark.parametrize("body", [json.dumps([ONE, ONE]), json.dumps([ONE, ONE], indent=2), "[]", f" \n[{json.dumps(ONE)},\nNaN]"])
def test_an_array_is_told_in_one_sentence(read, body):
    for before in (b"", MARK):
        with pytest.raises(InvalidRequestError, match=r"^the body is a JSON array: send each JSON object on a line of its own") as refused:
            read(before + body.encode())
        assert refused.value.target is None


@BATCHES
def test_an_indented_object_is_told_in_one_sentence(read):
    with pytest.raises(InvalidRequestError, match=r"^the body is one JSON object on several lines: send each"):
        read(json.dumps(ONE, indent=2).encode())


@BATCHES
@pytest.mark.parametrize("body", ['{"eventId":', '{\n"eventId": 1', '{"a": 1}{"a": 1}'])
def test_what_is_neither_is_told_by_its_line(read, body):
    with pytest.raises(InvalidRequestError, match=r"^line 1: not valid JSON: .*: column \d+$"):
        read(body.encode())


def test_a_fault_is_told_by_its_line_and_its_column_in_it():
    with pytest.raises(InvalidRequestError, match=r"^line 3: not valid JSON: NaN is not a number of JSON \(value, column 11\)"):
        read_observations(f'{json.dumps(ONE)}\n\n{{"value": NaN}}'.encode())


def test_each_of_several_joined_files_may_begin_with_a_mark():
    lines = json.dumps(ONE).encode() + b"\r\n"
    assert len(read_observations(MARK + lines + MARK + lines + MARK)) == 2
