"""What becomes of batches: sent again, in halves, with a corrected clock, or kept aside; never silently dropped."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from open_personalizer.errors import RefusedError
from open_personalizer.health import Tally
from open_personalizer.memory import MemoryQueue
from open_personalizer.records import Record
from open_personalizer.sending import MOST_TICKETS, Sender
from open_personalizer.wire import Answer, Seconds, Wire, WireError

from tests.client.service import Reply, Service, error
from tests.client.waiting import until
from tests.patience import PATIENCE


def decision(number: int, ticket: str | None = "t") -> Record:
    return Record(True, time.time(), b'{"eventId":"e%d","rewardActionId":"a","probability":1.0' % number, ticket)


def observation(number: int) -> Record:
    return Record(False, time.time(), b'{"eventId":"e%d","value":1.0' % number)


class Sending:
    """A sender that begins once all is queued."""

    def __init__(self, service: Service) -> None:
        self.tally = Tally()
        self.aside: list[bytes] = []
        self.queue = MemoryQueue(size=1 << 30)
        self.sender = Sender(self.queue, Wire(service.endpoint, "key"), self.tally, aside=self.aside.append)

    def send(self, *records: Record) -> None:
        for each in records:
            self.queue.put(each, 0.0)
        self.sender.start()
        until(lambda: self.queue.waiting()[0] == 0)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as made:
        yield made


@pytest.fixture
def sending(service) -> Iterator[Sending]:
    made = Sending(service)
    yield made
    assert made.sender.close(0.0)


def ids(lines: list[dict]) -> list[str]:
    return [each["eventId"] for each in lines]


def test_decisions_go_before_what_was_observed_of_them(service, sending):
    sending.send(observation(0), *map(decision, range(3)), observation(1))
    assert [each.path for each in service.sent] == ["/logs/decisions", "/personalizer/v1.1-preview.3/logs/observations"]
    assert ids(service.decisions) == ["e0", "e1", "e2"]
    assert ids(service.observations) == ["e0", "e1"]
    assert (sending.tally.stored, sending.tally.observed) == (3, 2)


def test_a_batch_has_its_time_first_and_each_ticket_once(service, sending):
    sending.send(decision(0, "a"), decision(1, "b"), decision(2, "a"), decision(3, None))
    (sent,) = service.sent
    assert list(sent.lines[0]) == ["sentAt"]
    assert [each.get("ticket", each.get("eventId")) for each in sent.lines[1:]] == ["a", "e0", "e2", "b", "e1", None, "e3"]
    age = datetime.fromisoformat(sent.lines[0]["sentAt"]) - datetime.fromisoformat(sent.lines[2]["timestamp"])
    assert timedelta(0) <= age < timedelta(seconds=PATIENCE)


def test_more_tickets_than_a_body_may_have_take_several(service, sending):
    sending.send(*[decision(number, f"t{number % 20}") for number in range(60)])
    assert all(sum("ticket" in line for line in each.lines) <= MOST_TICKETS for each in service.sent)
    assert sorted(ids(service.decisions)) == sorted(f"e{number}" for number in range(60))


def test_no_body_is_larger_than_the_service_takes(service, sending):
    long = b'{"eventId":"e%d","rewardActionId":"a","probability":1.0,"contextFeatures":[{"t":"%b"}]'
    sending.send(*[Record(True, 0.0, long % (number, b"x" * 2_000), "t" * 8_192) for number in range(2_000)])
    assert len(service.decisions) == 2_000
    assert all(len(each.lines) <= 1_000 for each in service.sent)
    assert all(sum(len(json.dumps(line)) for line in each.lines) < 1 << 20 for each in service.sent)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_sent_again_until_it_is_stored(service, sending, status):
    service.replies.append(Reply(status, error("X", "not now")))
    sending.send(decision(1), observation(1))
    assert ids(service.decisions) == ids(service.observations) == ["e1"]
    assert sending.tally.sending_error is None
    assert sending.tally.refused == 0


def test_a_pause_that_the_service_asks_for_is_kept(service, sending):
    service.replies.append(Reply(503, error("X"), {"Retry-After": "2"}))
    began = time.monotonic()
    sending.send(decision(1))
    assert time.monotonic() - began >= 2.0


@pytest.mark.parametrize("odd", ["soon", "-5", "nan", "inf", "1e300"])
def test_an_odd_pause_neither_ends_the_thread_nor_lasts_for_ever(odd):
    assert 0.0 <= Answer(503, {"Retry-After": odd}, b"").retry_after <= 300.0


@pytest.mark.parametrize("reply", [Reply(413), Reply(400, error("PayloadSizeExceeded"))])
def test_what_is_too_large_is_sent_in_halves_down_to_single_lines(service: Service, sending, reply):
    def answer(path: str, body: bytes) -> Reply:
        return reply if body.count(b"eventId") > 1 else service.answer_as_usual(path, body)

    service.answer = answer
    sending.send(*map(decision, range(10)))
    assert ids(service.decisions) == [f"e{number}" for number in range(10)]


def test_a_line_that_is_too_large_alone_is_kept_aside(service, sending):
    service.replies.append(Reply(413))
    sending.send(decision(1))
    assert sending.tally.refused == 1
    assert json.loads(sending.aside[0])["line"]["eventId"] == "e1"


def test_lines_that_are_refused_are_counted_told_and_kept_aside_and_the_rest_is_stored(service, sending):
    service.judge = lambda line: "NotReproduced" if line.get("eventId") in {"e1", "e3"} else None
    sending.send(*map(decision, range(5)))
    assert (sending.tally.stored, sending.tally.refused) == (3, 2)
    assert [json.loads(each)["line"]["eventId"] for each in sending.aside] == ["e1", "e3"]
    assert [each.code for each in sending.tally.refused_lines] == ["NotReproduced"] * 2
    assert len(service.sent) == 1


def test_whoever_waits_is_told_what_became_of_its_line(service, sending):
    records = [decision(number) for number in range(3)]
    for each in records:
        each.outcome = Future()
    service.judge = lambda line: "Conflict" if line.get("eventId") == "e1" else None
    sending.send(*records)
    outcomes = [each.outcome.exception(PATIENCE) if each.outcome else None for each in records]
    assert outcomes[0] is outcomes[2] is None
    assert isinstance(outcomes[1], RefusedError)
    assert outcomes[1].code == "Conflict"


def test_a_body_of_observations_that_is_refused_for_a_line_goes_without_it(service, sending):
    service.replies.append(Reply(400, error("InvalidRewardRequest", target="line 2: value")))
    sending.send(*map(observation, range(3)))
    assert ids(service.observations) == ["e0", "e2"]
    assert [json.loads(each)["line"]["eventId"] for each in sending.aside] == ["e1"]


@pytest.mark.parametrize("target", ["line 99", "line x", None, "line 0"])
def test_a_body_that_is_refused_as_a_whole_is_kept_aside(service, sending, target):
    service.replies.append(Reply(400, error("InvalidRequest", target=target)))
    sending.send(*map(decision, range(3)))
    assert sending.tally.refused == len(sending.aside) == 3
    assert not service.sent


def test_a_wrong_clock_is_corrected_by_the_services(service, sending):
    theirs = datetime.now(UTC) + timedelta(hours=3)
    date = {"Date": format_datetime(theirs, usegmt=True)}
    service.replies.append(Reply(400, error("InvalidRequest", target="line 1: sentAt"), date))
    sending.send(decision(1), observation(1))
    (line,) = service.decisions
    sent_at = datetime.fromisoformat(service.sent[0].lines[0]["sentAt"])
    assert abs(sent_at - theirs) < timedelta(seconds=PATIENCE)
    assert timedelta(0) <= sent_at - datetime.fromisoformat(line["timestamp"]) < timedelta(seconds=PATIENCE)
    assert abs(datetime.fromisoformat(service.observations[0]["timestamp"]) - theirs) < timedelta(seconds=PATIENCE)
    assert sending.tally.clock_offset == pytest.approx(3 * 3600, abs=PATIENCE)


def test_a_time_that_is_ahead_counts_as_now(service, sending):
    """The clock was ahead when it was decided, and has been set right since, by this process or while there was none."""
    ahead = decision(0)
    ahead.at += 7_200
    sending.send(ahead, observation(1))
    times = [datetime.fromisoformat(line["timestamp"]) for line in [*service.decisions, *service.observations]]
    assert max(times) <= datetime.now(UTC)
    assert times[0] <= datetime.fromisoformat(service.sent[0].lines[0]["sentAt"]) + timedelta(seconds=1)


class Bare:
    """A server of one connection after the other, by hand."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._socket.accept()
                with taken, suppress(OSError):
                    self._serve(taken)

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"], ids=["of the head", "of the body"])
def test_an_answer_that_comes_drop_by_drop_is_given_up_in_time(head):
    over = threading.Event()

    def drip(taken: socket.socket) -> None:
        taken.sendall(head or b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.02):
            taken.sendall(b"x")

    server = Bare(drip)
    try:
        wire = Wire(server.endpoint, "key", seconds=Seconds(read=PATIENCE, answer=0.3))
        with pytest.raises(WireError, match="no answer"):
            wire.serving(None)
    finally:
        over.set()
        server.close()


def test_a_body_has_more_time_to_leave_than_it_may_take_to_connect():
    """A slow line takes seconds for a batch of a megabyte."""
    connect = 0.2

    def slow(taken: socket.socket) -> None:
        time.sleep(2 * connect)
        left = 4_000_000
        while left > 0:
            left -= len(taken.recv(1 << 20))
        taken.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = Bare(slow)
    try:
        assert Wire(server.endpoint, "key", seconds=Seconds(connect=connect)).post("/lines", bytes(4_000_000)).status == 204
    finally:
        server.close()


def test_a_clock_that_cannot_be_corrected_is_no_reason_to_try_for_ever(service, sending):
    service.replies.extend([Reply(400, error("InvalidRequest", target="line 1: sentAt"))] * 4)
    sending.send(decision(1))
    assert sending.tally.refused == 1


UNREADABLE: list[object] = [
    None,
    [],
    "<html>",
    {},
    {"refused": "x"},
    {"stored": "many", "repeated": 0, "refused": []},
    {"stored": 0, "repeated": 0, "refused": []},
    {"stored": 2, "repeated": -1, "refused": []},
    {"stored": 0, "repeated": 0, "refused": [{"line": 99}]},
    {"stored": 0, "repeated": 0, "refused": ["x"]},
]


@pytest.mark.parametrize("body", UNREADABLE, ids=str)
def test_a_page_that_does_not_say_what_became_of_each_line_is_no_answer_and_the_lines_are_sent_again(service, sending, body):
    service.replies.append(Reply(200, body))
    sending.send(decision(1))
    assert ids(service.decisions) == ["e1"]
    assert sending.tally.stored == 1
    assert sending.tally.refused == 0


@pytest.mark.parametrize(
    "reply", [Reply(200, "<html>"), Reply(204), Reply(301), Reply(302), Reply(400, "<html>"), Reply(407), Reply(421, {})]
)
def test_what_a_proxy_answers_loses_no_line(service, sending, reply):
    """204 is what the service itself says of observations, and of nothing else."""
    service.replies.append(reply)
    sending.send(decision(1))
    service.replies.append(reply if reply.status != 204 else Reply(200, "<html>"))
    sending.queue.put(observation(1), 0.0)
    until(lambda: sending.queue.waiting()[0] == 0)
    assert ids(service.decisions) == ids(service.observations) == ["e1"]
    assert sending.tally.refused == 0
    assert sending.tally.sending_error is None


def test_at_the_end_what_waits_is_sent_and_no_longer_than_there_is_time(service):
    quick = Sending(service)
    for number in range(2_500):
        quick.queue.put(decision(number), 0.0)
    quick.sender.start()
    assert quick.sender.close(PATIENCE)
    assert len(service.decisions) == 2_500
    service.replies.extend([Reply(503, error("X"))] * 10_000)
    stuck = Sending(service)
    stuck.queue.put(decision(1), 0.0)
    stuck.sender.start()
    assert stuck.sender.close(0.3)
    assert stuck.queue.waiting()[0] == 1
