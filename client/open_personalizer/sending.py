"""Sends what waits, in batches: as many as have come together while the batch before was under way."""

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

from open_personalizer.errors import RefusedError
from open_personalizer.health import RefusedLine, Tally
from open_personalizer.records import Queue, Record
from open_personalizer.requests import LONGEST_LINE
from open_personalizer.wire import DECISIONS, OBSERVATIONS, Answer, Wire, WireError

logger = logging.getLogger("open_personalizer")

MOST_LINES: Final = 900
"""In a batch; the service takes 1,000, tickets included."""

MOST_TICKETS: Final = 8
MOST_BYTES: Final = LONGEST_LINE + 10_000
"""The service takes 1 MiB, in which 8 tickets of 8,192 bytes need room as well."""

_IDLE: Final = 1.0
_PATIENCE: Final = 5.0
"""Seconds that an answer under way may take when the time to end has come."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_MOST_CORRECTIONS: Final = 3
_LONGEST_TOLD: Final = 2_000


class Chunk(NamedTuple):
    """A body to send, and which record each of its lines is, None for lines that are no records."""

    path: str
    body: bytes
    lines: Sequence[Record | None]


class Sender:
    """A thread that empties a queue. It goes on for ever, whatever fails; `close` ends it.

    Between two batches it lingers for so many seconds: then a batch has more lines, and calls are not disturbed for each.
    """

    def __init__(
        self, queue: Queue, wire: Wire, tally: Tally, *, linger: float = 0.0, aside: Callable[[bytes], None] = lambda line: None
    ) -> None:
        self._linger = linger
        self._queue = queue
        self._wire = wire
        self._tally = tally
        self._aside = aside
        self._closing = threading.Event()
        self._until = 0.0
        self._thread: threading.Thread | None = None
        self._corrections = 0

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._run, name="open-personalizer-send", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> bool:
        """Send what waits, for so many seconds at most, and end; tells whether nothing is under way any more."""
        self._until = time.monotonic() + timeout
        self._closing.set()
        self._queue.wake()
        if self._thread is not None:
            self._thread.join(timeout + _PATIENCE)
            return not self._thread.is_alive()
        return True

    def _run(self) -> None:
        while not self._is_over():
            try:
                is_last = self._closing.is_set()  # before it is looked whether anything waits
                batch = self._queue.take(records=MOST_LINES, size=MOST_BYTES, timeout=0.0 if is_last else _IDLE)
                if batch is None:
                    if is_last:
                        return
                    continue
                if self._send_all(batch.records):
                    self._queue.done(batch)
                self._closing.wait(self._linger)
            except Exception as error:  # noqa: BLE001 - it is told, and the thread has to live on
                self._tell(WireError(f"an unexpected failure: {error!r}"))
                self._closing.wait(_FIRST_PAUSE)

    def _is_over(self) -> bool:
        return self._closing.is_set() and time.monotonic() >= self._until

    def _send_all(self, records: Sequence[Record]) -> bool:
        """Send decisions, and then what was observed of them; false if there was no time to end."""
        decisions = [each for each in records if each.is_decision]
        observations = [each for each in records if not each.is_decision]
        return self._send(decisions, self._decisions) and self._send(observations, self._observations)

    def _send(self, records: Sequence[Record], write: Callable[[Sequence[Record]], Chunk]) -> bool:
        left = deque(_groups(records))
        pause = _FIRST_PAUSE
        while left:
            records = left.popleft()
            chunk = write(records)
            try:
                rest = self._settled(chunk, self._wire.post(chunk.path, chunk.body), records)
                left.extendleft(reversed(rest))
                pause = _FIRST_PAUSE
            except WireError as error:
                self._tell(error)
                left.appendleft(records)
                if not self._rest(max(pause * random.uniform(0.5, 1.0), error.retry_after)):
                    return False
                pause = min(pause * 2, _LONGEST_PAUSE)
        return True

    def _rest(self, seconds: float) -> bool:
        """Wait before the next try; false if the time to end has come."""
        if not self._closing.wait(seconds):
            return True
        left = self._until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(seconds, left, 0.5))
        return not self._is_over()

    def _settled(self, chunk: Chunk, answer: Answer, records: Sequence[Record]) -> list[Sequence[Record]]:
        """Do what an answer asks for; gives what is still to be sent. Raises `WireError` where all of it is, after a while."""
        if answer.status == (204 if chunk.path == OBSERVATIONS else 200) and _is_of_the_service(chunk, answer):
            self._stored(chunk, answer)
            return []
        if answer.status == 413 or answer.error.get("code") == "PayloadSizeExceeded":
            return self._halves(records, answer)
        if answer.status == 400 and self._corrected(answer):
            return [records]
        if answer.status >= 500 or answer.status in {401, 403, 404, 408, 429} or not answer.error:  # a proxy's, or of a wrong address
            raise WireError(answer.told, retry_after=answer.retry_after)
        return self._without(chunk, records, answer)

    def _stored(self, chunk: Chunk, answer: Answer) -> None:
        self._corrections = 0
        self._tally.sending_error = None
        refused = self._refused(chunk, answer.json)
        for number, record in enumerate(chunk.lines, start=1):
            if record is not None and number not in refused:
                _tell_outcome(record, None)
        if chunk.path == OBSERVATIONS:
            self._tally.count(observed=sum(each is not None for each in chunk.lines))
        else:
            self._tally.count(stored=answer.json["stored"], repeated=answer.json.get("repeated", 0))

    def _refused(self, chunk: Chunk, told: Any) -> set[int]:
        refused = told.get("refused", []) if isinstance(told, dict) else []
        for each in refused:
            record = chunk.lines[each["line"] - 1]
            if record is not None:
                self._refuse(record, str(each.get("code", "")), str(each.get("message", "")))
        return {each["line"] for each in refused}

    def _halves(self, records: Sequence[Record], answer: Answer) -> list[Sequence[Record]]:
        if len(records) > 1:
            return [records[: len(records) // 2], records[len(records) // 2 :]]
        self._refuse(records[0], str(answer.error.get("code", answer.status)), answer.told)
        return []

    def _corrected(self, answer: Answer) -> bool:
        """Correct the clock by the service's, if that is what it refuses."""
        date = answer.date
        if not str(answer.error.get("target", "")).endswith("sentAt") or date is None or self._corrections >= _MOST_CORRECTIONS:
            return False
        self._corrections += 1
        self._tally.clock_offset = date.timestamp() - time.time()
        logger.warning("this machine's clock is wrong by %.0f seconds; times are corrected", -self._tally.clock_offset)
        return True

    def _without(self, chunk: Chunk, records: Sequence[Record], answer: Answer) -> list[Sequence[Record]]:
        """Leave out the line that all are refused for, or, if none is named, all of them."""
        record = _named(chunk, str(answer.error.get("target", "")))
        code = str(answer.error.get("code", answer.status))
        if record is None:
            for each in records:
                self._refuse(each, code, answer.told)
            return []
        self._refuse(record, code, answer.told)
        return [[each for each in records if each is not record]] if len(records) > 1 else []

    def _refuse(self, record: Record, code: str, message: str) -> None:
        line = record.line + b"}"
        self._tally.refuse(RefusedLine(code, message, line[:_LONGEST_TOLD].decode(errors="replace")))
        self._aside(json.dumps({"code": code, "message": message}).encode()[:-1] + b',"line":' + line + b"}\n")
        logger.warning("the service refuses a line: %s: %s", code, message)
        _tell_outcome(record, RefusedError(message, code=code))

    def _tell(self, error: WireError) -> None:
        if self._tally.sending_error != str(error):
            logger.warning("nothing can be sent; it is tried again: %s", error)
        self._tally.sending_error = str(error)

    def _decisions(self, records: Sequence[Record]) -> Chunk:
        lines: list[Record | None] = [None]
        texts = [b'{"sentAt":"%b"}' % self._time(time.time())]
        for ticket, of_ticket in groupby(records, key=lambda each: each.ticket):
            texts.append(json.dumps({"ticket": ticket}).encode())
            lines.append(None)
            for record in of_ticket:
                texts.append(self._ended(record))
                lines.append(record)
        return Chunk(DECISIONS, b"\n".join(texts), lines)

    def _observations(self, records: Sequence[Record]) -> Chunk:
        return Chunk(OBSERVATIONS, b"\n".join(map(self._ended, records)), records)

    def _ended(self, record: Record) -> bytes:
        """End a line with its time, which is never ahead of now: the clock may have been set back since."""
        return b'%b,"timestamp":"%b"}' % (record.line, self._time(min(record.at, time.time())))

    def _time(self, at: float) -> bytes:
        told = datetime.fromtimestamp(at, UTC) + timedelta(seconds=self._tally.clock_offset)
        return told.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()


def _is_of_the_service(chunk: Chunk, answer: Answer) -> bool:
    """Tell whether this says of each line what became of it: a page of a proxy may have the same status."""
    if chunk.path == OBSERVATIONS:
        return not answer.body
    told = answer.json
    if not isinstance(told, dict) or not isinstance(told.get("refused"), list):
        return False
    counts = [told.get("stored"), told.get("repeated", 0), len(told["refused"])]
    numbers = [each for each in counts if type(each) is int and each >= 0]
    lines = [each for each in chunk.lines if each is not None]
    return len(numbers) == len(counts) and sum(numbers) == len(lines)


def _groups(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    """Put records of the same ticket together, with at most `MOST_TICKETS` tickets in each group."""
    by_ticket: dict[str | None, list[Record]] = {}
    for record in records:
        by_ticket.setdefault(record.ticket, []).append(record)
    tickets = list(by_ticket.values())
    for first in range(0, len(tickets), MOST_TICKETS):
        yield [record for of_ticket in tickets[first : first + MOST_TICKETS] for record in of_ticket]


def _named(chunk: Chunk, target: str) -> Record | None:
    words = target.partition(":")[0].split()
    if len(words) != 2 or words[0] != "line" or not words[1].isdigit() or not 1 <= int(words[1]) <= len(chunk.lines):
        return None
    return chunk.lines[int(words[1]) - 1]


def _tell_outcome(record: Record, error: Exception | None) -> None:
    if record.outcome is None or record.outcome.done():
        return
    if error is None:
        record.outcome.set_result(None)
    else:
        record.outcome.set_exception(error)
