"""Bodies that nobody sends in good faith: each gets a precise answer, soon, and none that is refused leaves a trace."""

import gzip
import json
import random
import time
import zlib
from typing import Any

import pytest

from tests.http.building import VERSIONS, actions, event_path, nothing_logged, path, rank, rank_body, refused
from tests.patience import BUSY
from tests.running import Answer, RunningApp

ACTIONS = json.dumps(actions("a", "b"))
PRINTABLE = "".join(map(chr, range(32, 127))).replace('"', "").replace("\\", "")
SOON = BUSY
"""Seconds: ten times what the largest body takes on a machine with nothing else to do."""


def with_context(features: str) -> bytes:
    return f'{{"contextFeatures": [{features}], "actions": {ACTIONS}}}'.encode()


def with_value(text: str) -> bytes:
    return with_context(f'{{"x": {text}}}')


def nested(depth: int) -> bytes:
    return with_context('{"x":' * depth + "1" + "}" * depth)


def promptly(app: RunningApp, place: str, body: Any, **options: Any) -> Answer:
    began = time.monotonic()
    answer = app.request("POST", place, body, **options)
    assert time.monotonic() - began < SOON
    return answer


NOT_JSON = {
    "words": b"hello",
    "a form": b"actions=a&actions=b",
    "blanks": b"  \r\n\t ",
    "nothing but a bracket": b"{",
    "cut short": with_value("1")[:-5],
    "something after the end": with_value("1") + b"{}",
    "a comma too much": b'{"actions": [],}',
    "single quotes": b"{'actions': []}",
    "a comment": b'{/* */"actions": []}',
    "NaN": with_value("NaN"),
    "Infinity": with_value("Infinity"),
    "minus Infinity": with_value("-Infinity"),
    "more than a double holds": with_value("1e400"),
    "a whole number of 400 digits": with_value("9" * 400),
    "a whole number of 100,000 digits": with_value("9" * 100_000),
    "bytes that are not UTF-8": with_value('"caf\u00e9"').decode().encode("latin-1"),
    "a surrogate in UTF-8": with_value('"?"').replace(b"?", b"\xed\xa0\x80"),
    "an overlong NUL": with_value('"?"').replace(b"?", b"\xc0\x80"),
    "UTF-16": with_value("1").decode().encode("utf-16"),
    "a raw control character": with_value('"\x01"'),
    "a lone surrogate in a value": with_value(r'"\ud800"'),
    "a low surrogate alone": with_value(r'"\udc00"'),
    "surrogates in the wrong order": with_value(r'"\udc00\ud800"'),
    "a lone surrogate in a name": with_context(r'{"\ud800": 1}'),
    "a lone surrogate in an action's id": rb'{"actions": [{"id": "\ud800", "features": [{"x": 1}]}]}',
    "a lone surrogate in the event's id": rb'{"eventId": "\ud800", "actions": ' + ACTIONS.encode() + b"}",
    "a lone surrogate where nobody looks": rb'{"other": "\ud800", "actions": ' + ACTIONS.encode() + b"}",
    "10,000 open brackets": b"[" * 10_000,
    "10,000 arrays": b"[" * 10_000 + b"]" * 10_000,
    "10,000 objects in features": nested(10_000),
    "900 arrays around a NaN": with_value("[" * 900 + "NaN" + "]" * 900),
    "20,000 arrays around a NaN": with_value("[" * 20_000 + "NaN" + "]" * 20_000),
    "10,000 arrays where nobody looks": b'{"other": ' + b"[" * 10_000 + b"]" * 10_000 + b', "actions": ' + ACTIONS.encode() + b"}",
}

NO_RANK = {
    "an array": (b"[]", "the body: ", None),
    "text": (b'"actions"', "the body: ", None),
    "a number": (b"1", "the body: ", None),
    "true": (b"true", "the body: ", None),
    "null": (b"null", "the body: ", None),
    "an object in an array": (b"[" + json.dumps(rank_body()).encode() + b"]", "the body: ", None),
    "33 levels": (nested(33), "contextFeatures[0].x.x", f"contextFeatures[0]{'.x' * 32}"),
    "1,000 levels": (nested(1000), "contextFeatures[0].x.x", f"contextFeatures[0]{'.x' * 32}"),
    "1,000 arrays": (with_value("[" * 1000 + "1" + "]" * 1000), "contextFeatures[0].x[0]: ", "contextFeatures[0].x[0]"),
    "a member twice, the last one wrong": (b'{"actions": ' + ACTIONS.encode() + b', "actions": []}', "actions: ", "actions"),
    "100,000 actions": (json.dumps({"actions": [1] * 100_000}).encode(), "actions: ", "actions"),
    "100,000 exclusions": (
        json.dumps({"actions": actions("a"), "excludedActions": ["a"] * 100_000}).encode(),
        "excludedActions: ",
        "excludedActions",
    ),
}

NO_RANK |= {
    "110,000 features": (
        with_context("{" + ",".join(f'"{number:x}":1' for number in range(110_000)) + "}"),
        "actions: context and actions may hold at most 50000 feature values together",
        "actions",
    ),
    "an event id that is a dot segment": (json.dumps(rank_body() | {"eventId": ".."}).encode(), "eventId: ", "eventId"),
    "an event id with a NUL": (json.dumps(rank_body() | {"eventId": "a\0"}).encode(), "eventId: ", "eventId"),
}

NO_RANK |= {
    "an object for 80,000 actions": (
        json.dumps({"actions": {str(number): {} for number in range(80_000)}}).encode(),
        "actions: List should have at most 50 items",
        "actions",
    ),
}

LARGE_AND_RIGHT = {
    "a number with 20 digits for each id and 400,000 members that nobody looks at": b'{"u": 1, "actions": ['
    + b",".join(b'{"id": 1234567890123456789%d.5, "features": [{"x": 1}]}' % number for number in range(50))
    + b'], "z": ['
    + b",".join([b"1"] * 400_000)
    + b"]}",
    "150,000 numbers among what is excluded, under a name in another case": json.dumps(
        {"Actions": actions("a"), "EXCLUDEDACTIONS": [1.5] * 120_000, **{f"{number:x}": 1 for number in range(30_000)}}
    ).encode(),
    "100,000 nulls": with_context(",".join(["null"] * 100_000)),
    "80,000 features without a name": with_context(",".join(['{"":1}'] * 80_000)),
    "a byte order mark": b"\xef\xbb\xbf" + with_value("1"),
    "32 levels": nested(32),
    "900 levels where nobody looks": b'{"other": ' + b"[" * 900 + b"]" * 900 + b', "actions": ' + ACTIONS.encode() + b"}",
    "49,000 features of different names": with_context("{" + ",".join(f'"{number:x}":1' for number in range(49_000)) + "}"),
    "48,000 features in arrays": with_context(",".join(f'{{"{name}":[{",".join("1" * 12_000)}]}}' for name in "abcd")),
    "100,000 objects": with_context(",".join(["{}"] * 100_000)),
    "50 actions of 900 features": json.dumps(
        {"actions": [{"id": f"{each}", "features": [{f"{number:x}": 1 for number in range(900)}]} for each in range(50)]}
    ).encode(),
    "a value of 900 kB": with_value(f'"{"x" * 900_000}"'),
    "a name of 900 kB": with_context(f'{{"{"x" * 900_000}": 1}}'),
    "escaped NULs": with_context(r'{"\u0000": "\u0000"}'),
    "escaped pairs of surrogates": with_value(r'"\ud83c\udf89"'),
    "the largest whole numbers": with_value(f"[{2**63}, {2**64}, {-(2**63) - 1}, 1{'0' * 300}]"),
    "the largest and the smallest doubles": with_value("[1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 1e-400]"),
    "a member twice, the last one right": b'{"actions": [], "actions": ' + ACTIONS.encode() + b"}",
    "names of Python's own": with_context('{"__class__": {"__init__": 1}, "self": 1, "$where": "1"}'),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.sweep(keep=20)
def test_what_is_not_json_is_refused_with_the_place_of_the_first_error(quiet, body):
    for place in (path("rank"), event_path("e1", "reward")):
        refused(promptly(quiet, place, body), 400, "InvalidRequest", naming="the body is not valid JSON: ")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_named_with_their_place(quiet, literal):
    answer = quiet.request("POST", path("rank"), with_value(literal))
    refused(answer, 400, "InvalidRequest", naming=f"{literal} is not a number of JSON (contextFeatures[0].x, line 1 column ")
    answer = quiet.request("POST", event_path("e1", "reward"), f'{{"value": {literal}}}'.encode())
    refused(answer, 400, "InvalidRequest", naming=f"{literal} is not a number of JSON (value, line 1 column ")


@pytest.mark.parametrize(("compression", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_named_as_such(quiet, compression, compress):
    for place in (path("rank"), event_path("e1", "reward"), path("multislot/rank", version=VERSIONS[1])):
        answer = quiet.request("POST", place, compress(with_value("1")), headers={"Content-Encoding": compression})
        assert answer.status in (400, 415), answer.body
        if "multislot" not in place:
            refused(answer, 415, "InvalidRequest", naming=f"the body is compressed ({compression})")


@pytest.mark.parametrize("coding", ["br", "deflate", "X-GZIP", "identity, zstd"])
def test_a_body_that_is_said_to_be_compressed_is_read_if_it_is_json_all_the_same(app, quiet, coding):
    said = {"Content-Encoding": coding}
    for place in (path("rank"), event_path("e1", "reward")):
        answer = quiet.request("POST", place, b"\x8b\x05\x80 a stream without a mark", headers=said)
        refused(answer, 415, "InvalidRequest", naming=f"the body is compressed ({coding.rpartition(' ')[2].lower()})")
    assert app.request("POST", path("rank"), with_value("1"), headers=said).status == 201, "a proxy has unpacked it"
    assert app.request("POST", event_path("e1", "activate"), b"\x8b", headers=said).status == 204, "its body is not read"


@pytest.mark.parametrize(("body", "naming", "target"), NO_RANK.values(), ids=NO_RANK)
def test_json_that_is_no_rank_is_refused_by_naming_the_place(quiet, body, naming, target):
    refused(promptly(quiet, path("rank"), body), 400, "InvalidRankRequest", naming=naming, target=target)


@pytest.mark.parametrize("body", LARGE_AND_RIGHT.values(), ids=LARGE_AND_RIGHT)
def test_what_is_extreme_but_right_is_ranked(app, body):
    assert len(body) <= 1024 * 1024
    assert promptly(app, path("rank"), body).status == 201


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 10_000_000])
def test_a_body_over_a_mebibyte_is_refused_whatever_is_in_it(quiet, on_a_server, size):
    for text in (b"x" * size, json.dumps(rank_body()).encode().ljust(size)):
        for app, body in ((quiet, text), (on_a_server, (text[: size // 2], text[size // 2 :]))):
            refused(promptly(app, path("rank"), body), 413, "PayloadSizeExceeded", naming=f"{size} bytes; at most 1048576")


def test_a_body_of_exactly_a_mebibyte_is_read(app):
    assert promptly(app, path("rank"), json.dumps(rank_body()).encode().ljust(1024 * 1024)).status == 201


@pytest.mark.parametrize("length", [700_000, 800_000, 900_000, 1_000_000])
def test_an_event_that_does_not_compress_is_stored_or_refused_for_good(app, length):
    noise = "".join(random.Random(1).choices(PRINTABLE, k=length))
    answer = promptly(app, path("rank"), with_value(f'"{noise}"'))
    if answer.status != 201:
        refused(answer, 400, "PayloadSizeExceeded", naming="the event is too large to be logged")


def test_refused_bodies_leave_no_trace(quiet):
    with nothing_logged(quiet):
        for body in (*NOT_JSON.values(), *(body for body, *_ in NO_RANK.values()), b"x" * 2_000_000):
            for place in (path("rank"), event_path("e1", "reward")):
                assert 400 <= quiet.request("POST", place, body).status < 500


@pytest.mark.parametrize(
    "body",
    [
        {"actions": [{"id": "a", "features": [{"x" * 900_000: {"y": [[]]}}]}]},
        {"actions": [{"id": "a" * 900_000, "features": [{"x": 1}]}]},
        {"actions": actions("a"), "eventId": "x" * 900_000},
        {"actions": actions("a"), "excludedActions": "x" * 900_000},
    ],
    ids=["a feature's name", "an action's id", "an event's id", "a member of the wrong type"],
)
def test_no_refusal_sends_the_body_back(quiet, body):
    answer = promptly(quiet, path("rank"), body)
    assert (answer.status, len(answer.body) < 2_000) == (400, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Expect": "100-continue"},
        {"Accept": "text/html"},
        {"Accept": "application/xml;q=0.9, */*;q=0"},
        {"Accept-Encoding": "gzip, br"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Original-URL": "/status", "X-Rewrite-URL": "/status"},
        {"X-Forwarded-Host": "elsewhere.example", "X-Forwarded-Proto": "gopher"},
        {"Host": "elsewhere.example"},
        {"x-ms-client-request-id": "not-a-uuid", "X-BingApis-SDK-Client": "Python-SDK"},
        {"Cookie": "é=ü; a=b"},
        {"X-Long": "x" * 20_000},
        {f"X-{number}": "x" for number in range(90)},
        {"Content-Encoding": "gzip"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_headers_that_mean_nothing_to_the_service_change_nothing(app, headers):
    answer = app.request("POST", path("rank"), rank_body("a", "b", eventId="headers"), headers=headers)
    assert (answer.status, answer.body) == (201, rank(app, "a", "b", eventId="headers").body)


def test_the_service_goes_on_after_all_this(quiet):
    for body in (*NOT_JSON.values(), b"x" * 2_000_000):
        quiet.request("POST", path("rank"), body)
    assert rank(quiet).status == 201
    assert "unexpected failure" not in quiet.logs
    assert "Traceback" not in quiet.logs
