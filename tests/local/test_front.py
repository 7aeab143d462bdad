"""What the Functions host does to requests and replies, seen through both hosts."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.building import KEY
from tests.patience import PATIENCE
from tests.running import HostKind, RunningApp

ADMIN_KEY = "the-administrators-key"


@pytest.fixture(scope="module")
def guarded(sample_folder: Path) -> Iterator[RunningApp]:
    """The sample app, with an administrator."""
    with RunningApp("unused", folder=sample_folder, settings={"PERSONALIZER_ADMIN_KEY": ADMIN_KEY}) as running:
        yield running


def raw(app: RunningApp, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", app.port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_header_names_arrive_in_lower_case_and_repeated_ones_are_joined(sample):
    answer = raw(sample, b"GET /status HTTP/1.1\r\nHost: x\r\nX-CuStom: one\r\nx-custom: two\r\nConnection: close\r\n\r\n")
    assert b'"x-custom": "one,two"' in answer


def test_blanks_around_the_value_of_a_header_are_no_part_of_it(sample):
    answer = raw(sample, b"GET /status HTTP/1.1\r\nHost: x\r\nX-Key: \t two words \t\r\nConnection: close\r\n\r\n")
    assert b'"x-key": "two words"' in answer


def test_empty_query_values_are_dropped_and_repeated_ones_are_joined(sample):
    assert sample.request("GET", "/status?a=&b=1&c=%20x&b=2&d").json["query"] == {"b": "1,2", "c": " x"}
    assert sample.request("GET", "/status?Api=1&aPI=2&E=&e=3").json["query"] == {"Api": "1,2", "E": ",3"}


def test_the_url_is_the_one_that_was_called(sample):
    assert sample.request("GET", "/x%2Fy?a=%201").json["url"] == f"{sample.base_url}/x%2Fy?a=%201"


@pytest.mark.parametrize("path", ["/STATUS", "/status/", "/./status", "/x/../status"])
def test_literal_routes_match_in_any_case_with_a_trailing_slash_and_through_dot_segments(sample, path):
    assert sample.request("GET", path).json["function"] == "status"


def test_a_literal_route_wins_over_a_parameter_and_a_parameter_over_a_catch_all(sample):
    assert sample.request("POST", "/events/latest/reward").json["function"] == "latest"
    assert sample.request("POST", "/events/7/reward").json["function"] == "reward"
    assert sample.request("POST", "/events/7").json["function"] == "unmatched"


def test_a_wrong_method_falls_through_to_the_catch_all(sample):
    assert sample.request("GET", "/events/7/reward").json["function"] == "unmatched"
    assert sample.request("POST", "/status").json["function"] == "unmatched"


def test_a_method_no_route_takes_is_not_found(sample):
    answer = sample.request("DELETE", "/status")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("caf%C3%A9%20au%20lait", "café au lait"),
        ("a%2Fb", "a%2Fb"),
        ("a%2fb", "a%2fb"),
        ("%FF%C3", "%FF%C3"),
        ("a+b", "a+b"),
        ("100%25", "100%"),
        ("%", "%"),
    ],
)
def test_route_values_are_decoded_except_for_slashes_and_what_is_not_utf_8(sample, path, value):
    assert sample.request("POST", f"/events/{path}/reward").json["route"] == {"id": value}


def test_slashes_at_the_beginning_count_as_one(sample):
    assert sample.request("POST", "//events/7/reward").json["function"] == "reward"


@pytest.mark.parametrize("path", ["/events//reward", "/events/7//reward"])
def test_an_empty_segment_matches_no_specific_route(sample, path):
    answer = sample.request("POST", path).json
    assert (answer["function"], answer["route"]["path"]) == ("unmatched", path[1:])


def test_a_zero_byte_in_the_path_is_refused(sample):
    assert sample.request("GET", "/a%00b").status == 400


def test_the_empty_path_reaches_the_catch_all_without_a_value(sample):
    assert sample.request("GET", "/").json["route"] == {}


def test_chunked_bodies_arrive_whole(sample):
    answer = sample.request("POST", "/events/7/reward", iter([b"one,", b"two"]))
    assert answer.json["body"] == "one,two"


@pytest.fixture(scope="module")
def azures(host: HostKind, sample_folder: Path) -> Iterator[RunningApp]:
    """The sample app under the rules of the real host that help nobody."""
    with RunningApp("unused", kind=host, folder=sample_folder, as_azure=True) as running:
        yield running


def test_under_the_real_hosts_rules_a_body_without_a_length_arrives_empty(azures):
    assert azures.request("POST", "/events/7/reward", iter([b"one,", b"two"])).json["length"] == 0
    assert azures.request("POST", "/events/7/reward", b"one,two").json["body"] == "one,two"
    assert azures.request("POST", "/events/8/reward", b"").json["length"] == 0


@pytest.mark.parametrize("path", ["//status", "///events/7/reward", "//"])
def test_under_the_real_hosts_rules_two_slashes_at_the_beginning_lead_nowhere(azures, path):
    assert azures.request("GET", path)[::2] == (404, b"")


@pytest.mark.parametrize("path", ["/runtime/webhooks/queue", "/Runtime/x", "/admin/nothing"])
def test_what_the_host_keeps_for_itself_reaches_no_function(sample, azures, path):
    assert [app.request("GET", path)[::2] for app in (sample, azures)] == [(404, b"")] * 2


def test_what_only_begins_as_that_does_reaches_one(sample):
    assert sample.request("GET", "/runtimes").json["function"] == "unmatched"


def test_a_first_line_or_headers_that_are_too_long_are_refused(sample):
    longest = f"/{'x' * (8192 - len('GET / HTTP/1.1') - 2)}"
    assert [sample.request("GET", path).status for path in (longest, f"{longest}x", f"/status?{longest}")] == [200, 414, 414]
    assert sample.request("GET", "/status", headers={f"x-{number}": "1" for number in range(90)}).status == 200
    assert sample.request("GET", "/status", headers={f"x-{number}": "1" for number in range(100)}).status == 431
    assert [sample.request("GET", "/status", headers={"x": "y" * size}).status for size in (30_000, 33_000)] == [200, 431]


def test_large_bodies_arrive_whole(sample):
    assert sample.request("POST", "/events/7/reward", b"x" * 20_000_000).json["length"] == 20_000_000


def test_a_body_announced_over_the_limit_is_refused_before_it_is_sent(sample):
    length = 100 * 1024 * 1024 + 1
    answer = raw(sample, b"POST /events/7/reward HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_chunked_body_is_refused_once_it_is_over_the_limit(sample):
    with socket.create_connection(("127.0.0.1", sample.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /events/7/reward HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"1000000\r\n" + b"x" * 0x1000000 + b"\r\n"
        try:
            for _ in range(7):
                connection.sendall(chunk)
            answer = connection.recv(100)
        except ConnectionError:  # the host hung up while we were still sending
            return
        assert answer.startswith(b"HTTP/1.1 413")


def test_a_caller_that_leaves_before_the_body_is_complete_calls_no_function(sample):
    with socket.create_connection(("127.0.0.1", sample.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /events/gone/reward HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    sample.request("POST", "/events/here/reward")
    rewarded = [line["id"] for line in sample.log_lines if line["message"] == "reward called"]
    assert rewarded[-1] == "here"
    assert "gone" not in rewarded


@pytest.mark.parametrize("request_bytes", [b"nonsense\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_what_is_not_http_is_refused(sample, request_bytes):
    assert raw(sample, request_bytes).startswith(b"HTTP/1.1 400")


def test_head_is_a_method_like_others_and_its_answer_has_no_body(sample):
    answer = sample.request("HEAD", "/events/7/reward")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
    assert sample.request("HEAD", "/status").status == 404


def test_a_204_has_neither_body_nor_length(sample):
    answer = sample.request("GET", "/answers/no-content")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    assert "transfer-encoding" not in answer.headers


def test_status_headers_and_content_type_are_the_functions_own(sample):
    answer = sample.request("GET", "/answers/headers")
    assert (answer.status, answer.headers["retry-after"]) == (418, "7")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_text_is_an_answer(sample):
    answer = sample.request("GET", "/answers/text")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain; charset=utf-8", b"plain")


@pytest.mark.parametrize("answer", ["nothing", "dict", "failure", "failure-in-a-thread", "unsendable"])
def test_a_failed_function_is_an_empty_500_and_a_log_line(sample, answer):
    before = len(sample.log_lines)
    reply = sample.request("GET", f"/answers/{answer}")
    assert (reply.status, reply.body) == (500, b"")
    assert any(line["message"] == "function failed" and line["exception"] for line in sample.log_lines[before:])


def test_a_function_may_ask_for_its_context(sample):
    assert sample.request("GET", "/context").body == b"context"


def test_a_timer_runs_by_hand_even_where_schedules_are_off(sample):
    before = len(sample.log_lines)
    answer = sample.request("POST", "/admin/functions/at_startup", {"input": ""})
    assert (answer.status, answer.body) == (202, b"")
    until = time.monotonic() + PATIENCE
    while not any(line["message"] == "at_startup ran" for line in sample.log_lines[before:]):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/admin/functions/unknown"), ("GET", "/admin/functions/at_startup"), ("POST", "/admin/x")]
)
def test_the_admin_paths_are_the_hosts_own(sample, method, path):
    assert sample.request(method, path).status == 404


@pytest.mark.parametrize(
    "header",
    [
        {"Host": "personalizer.example.com"},
        {"Host": "192.0.2.1:7071"},
        {"Host": "[bad"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "personalizer.example.com", KEY: "not the administrator's"},
        {"Origin": "https://a.page.elsewhere"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/Admin/functions/at_startup"), ("GET", "/admin/host/status")])
def test_through_a_proxy_or_from_a_page_nobody_uses_the_hosts_own_operations_without_the_administrators_key(guarded, method, path, header):
    answer = guarded.request(method, path, headers=header)
    assert (answer.status, answer.json["error"]["code"]) == (401, "AccessDenied")
    assert guarded.request(method, path, headers={**header, KEY: ADMIN_KEY}).status in (200, 202)


def test_without_an_administrator_no_key_opens_them(sample):
    assert sample.request("GET", "/admin/host/status", headers={"Host": "x", KEY: ""}).status == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:7071", "LOCALHOST", "[::1]:7071", "127.1.2.3:1"])
def test_on_this_machine_they_are_open(guarded, host):
    assert guarded.request("GET", "/admin/host/status", headers={"Host": host}).status == 200


def test_of_two_names_that_were_called_none_opens_them(guarded):
    answer = raw(guarded, b"GET /admin/host/status HTTP/1.1\r\nHost: x\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b" 401 " in answer.partition(b"\r\n")[0] or b" 400 " in answer.partition(b"\r\n")[0]


def test_behind_a_proxy_with_tls_the_url_is_the_callers(sample):
    answer = sample.request("GET", "/x?a=1", headers={"Host": "personalizer.example.com", "X-Forwarded-Proto": "https"})
    assert answer.json["url"] == "https://personalizer.example.com/x?a=1"
    assert sample.request("GET", "/x", headers={"X-Forwarded-Proto": "gopher"}).json["url"] == f"{sample.base_url}/x"


def test_the_host_says_that_it_runs(sample):
    assert sample.request("GET", "/admin/host/status").json == {"state": "Running"}


def test_pipelined_requests_are_answered_in_order(sample):
    answers = raw(sample, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /answers/text HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answers.index(b"finished") < answers.index(b"\r\n\r\nplain")


def test_the_functions_and_what_triggers_them_are_told_to_who_may_administer(sample):
    functions = {each["name"]: each["config"]["bindings"] for each in sample.request("GET", "/admin/functions").json}
    assert functions["take"] == [
        {"type": "queueTrigger", "name": "message", "queueName": "%SAMPLE_QUEUE%", "connection": "AzureWebJobsStorage"}
    ]
    assert functions["failing"] == [{"type": "timerTrigger", "name": "timer", "schedule": "* * * * * *"}]
    assert functions["slow"] == [{"type": "httpTrigger", "name": "req", "route": "slow", "methods": ["GET"]}]
    assert sample.request("GET", "/admin/functions", headers={"Host": "x", KEY: ""}).status == 401
