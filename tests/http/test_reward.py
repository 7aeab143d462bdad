"""Reward and Activate."""

import json
import secrets
import socket
from datetime import UTC, datetime

import pytest

from tests.http.building import KEY, activate, counters, event_path, log_since, nothing_logged, refused, reward
from tests.patience import PATIENCE


@pytest.mark.parametrize("value", [1, -1, 0, 1.0, -1.0, 0.5, -0.0, 1e-300, 5e-324])
def test_a_reward_is_any_number_from_minus_one_to_one(app, value):
    answer = reward(app, "e1", value)
    assert (answer.status, answer.body) == (204, b"")


BROKEN = {
    "missing": b"{}",
    "null": b'{"value": null}',
    "under another name": b'{"reward": 1}',
    "words": b'{"value": "abc"}',
    "an empty text": b'{"value": ""}',
    "a number too large, as text": b'{"value": "1.5"}',
    "no number, as text": b'{"value": "NaN"}',
    "a bool": b'{"value": true}',
    "a list": b'{"value": [1]}',
    "an object": b'{"value": {"value": 1}}',
    "too much": b'{"value": 1.5}',
    "a little too much": b'{"value": 1.0000001}',
    "too little": b'{"value": -1.01}',
    "far too much": b'{"value": 1e308}',
    "a whole number too much": b'{"value": 2}',
    "a huge whole number": b'{"value": 123456789012345678901234567890}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_value_that_is_no_reward_is_refused_by_name(quiet, body):
    refused(quiet.request("POST", event_path("e1", "reward"), body), 400, "InvalidRewardRequest", naming="value: ", target="value")


NOT_NUMBERS = (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"01", b"+1", b".5", b"1.", b"0x1")


@pytest.mark.parametrize("literal", NOT_NUMBERS)
def test_what_json_has_no_number_for_is_no_reward(quiet, literal):
    answer = quiet.request("POST", event_path("e1", "reward"), b'{"value": ' + literal + b"}")
    refused(answer, 400, "InvalidRequest", naming="the body is not valid JSON")


def test_a_refused_reward_leaves_no_trace(quiet):
    with nothing_logged(quiet):
        for body in (*BROKEN.values(), *(b'{"value": ' + literal + b"}" for literal in NOT_NUMBERS)):
            quiet.request("POST", event_path("e1", "reward"), body)


@pytest.mark.parametrize("body", [b"[]", b"1.0", b'"1"', b"null", b"true"])
def test_a_reward_is_an_object(quiet, body):
    refused(quiet.request("POST", event_path("e1", "reward"), body), 400, "InvalidRewardRequest", naming="the body: ")


@pytest.mark.parametrize("body", [None, b"", ()], ids=["none", "empty", "no chunks"])
def test_a_reward_without_a_body_is_told_so(quiet, body):
    refused(quiet.request("POST", event_path("e1", "reward"), body), 400, "InvalidRequest", naming="the request has no body")


def test_members_that_the_contract_does_not_name_are_ignored(app):
    assert app.request("POST", event_path("e1", "reward"), {"value": 1, "slotId": 7, "Value": "x"}).status == 204


def test_a_reward_in_chunks_and_without_a_type_is_read_on_a_server(on_a_server):
    assert on_a_server.request("POST", event_path("e1", "reward"), iter([b'{"val', b'ue": 1}'])).status == 204


def test_an_activation_needs_neither_body_nor_type(app):
    answer = app.request("POST", event_path("e1", "activate"), None, headers={"Content-Length": "0"})
    assert (answer.status, answer.body) == (204, b"")


def test_an_activation_need_not_even_announce_that_it_has_no_body(app):
    head = f"POST {event_path('e1', 'activate')} HTTP/1.1\r\nHost: x\r\n{KEY}: {app.key}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", app.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize("body", [{}, {"value": "x"}, [1], b"nonsense", b"\xff", (b"chunk",)], ids=str)
def test_whatever_body_an_activation_has_is_not_read(app, body):
    assert app.request("POST", event_path("e1", "activate"), body).status == 204


async def test_every_reward_and_activation_is_logged_with_its_value_in_order(app):
    since, event_id = datetime.now(UTC), secrets.token_hex(8)
    for value in (1, -0.25, 0):
        assert reward(app, event_id, value).status == 204
    assert activate(app, event_id).status == 204
    log = await log_since(app, since)
    assert [(each.event_id, each.reward) for each in log.observations] == [(event_id, value) for value in (1.0, -0.25, 0.0, None)]
    assert log.decisions == []


def test_rewards_are_counted_and_activations_are_not(quiet):
    before = counters(quiet)
    assert reward(quiet, "e1").status == 204
    assert activate(quiet, "e1").status == 204
    assert counters(quiet) == {**before, "rewards": before["rewards"] + 1}


def test_a_body_larger_than_any_reward_is_refused(quiet):
    body = json.dumps({"value": 1, "padding": "x" * 1_100_000}).encode()
    refused(quiet.request("POST", event_path("e1", "reward"), body), 413, "PayloadSizeExceeded", naming="1048576")
