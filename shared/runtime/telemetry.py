"""What the app tells Application Insights: which facts of which log messages, in what form, and when.

The Functions host takes the text of a message and no more: what is given as ``extra`` does not get there. So the facts named here are
written behind the text, as one JSON object. Nothing else is: no feature, no key and no text of a caller's, but for what an owner has called
an analysis, a schedule, and a policy that a schedule watches. The workbook and the alerts of infra/ read them.

The host also drops each message that does not belong to a call which is under way. A worker knows the call by the task that logs; a task
that goes on for others keeps the call that it was begun in, and a thread has none. What is logged so is kept, and written in the next call
that can (`in_a_call`).
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from types import MappingProxyType
from typing import Final, ParamSpec, TypeVar

logger = logging.getLogger(__name__)

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

MOST_KEPT: Final = 100
"""Messages that wait for a call; of more than these the oldest are dropped."""
MOST_CHARACTERS: Final = 8_192
"""Of a message that waits; what is in the middle of a longer one is left out."""
_WORKERS: Final = ("azure_functions_worker", "azure_functions_runtime", "azure.functions", "proxy_worker")
"""How the names of the workers' own loggers begin: the host takes what they say at any time."""

MESSAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "window committed": (
            "loop",
            "model_version",
            "events",
            "learned",
            "quarantined",
            "rewards",
            "late_rewards",
            "unknown_rewards",
            "explored",
            "reward_sum",
            "best_weight",
            "best_reward_sum",
            "baseline_weight",
            "baseline_reward_sum",
        ),
        "retraining": ("loop", "chunk", "chunks", "learned"),
        "training finished": ("loop", "commits", "lag_seconds", "model_age_seconds", "asked_again"),
        "loops looked at": ("loops", "due", "asked", "here"),
        "training given up": ("loop",),
        "no request to train could be sent: %s": ("loop",),
        "retention done": ("tables_dropped", "models_dropped"),
        "job given up": ("loop", "kind"),
        "refused": ("operation", "status", "code", "request_id", "cause"),
        "unexpected failure": ("operation", "request_id"),
        "storage refused": ("operation", "status", "reason"),
        "storage did not answer in time": ("operation",),
        "storage cannot be reached": ("operation", "error"),
        "storage gave an answer that is not valid": ("operation", "error"),
        "an append took too long": ("appends",),
        "not everything could be refreshed; the loop is served as before": ("error",),
        "model loaded": ("model_version", "learned"),
        "training did not finish": ("loop", "error"),
        "mirroring did not finish": ("loop", "error"),
        "retention did not finish": ("loop", "error"),
        "the work on analyses did not finish": ("loop", "error"),
        "a window killed a trainer; smaller windows are used": ("bytes",),
        "a segment of the log is damaged": ("damage",),
        "a chunk is left out of the new model: %s": ("chunk",),
        "a chunk is left out of the new model: every process that came to it died": ("chunk", "tries"),
        "a chunk is left out of an analysis: %s": ("chunk",),
        "no sample could be taken of a chunk: %s": ("chunk",),
        "an analysis ended without a result": ("job", "status"),
        "a scheduled evaluation could not be asked for: %s": ("loop", "schedule"),
        "a scheduled evaluation has no figures": ("loop", "schedule", "status"),
        "a lift is lower than its schedule asks for": ("loop", "schedule", "policy", "lift", "lowest", "highest", "least"),
        "a lift that a schedule asks for is not known": ("loop", "schedule", "policy"),
        "files of a deleted analysis are left behind for now": ("job",),
        "left out of a listing": ("file",),
        "a file is not written, because it could not be read again: %s": ("file",),
        "advice is given without a part of the log": ("error",),
        "the live figures cannot be read and start again from zero: %s": ("figures",),
        "the breakdown cannot be read and starts again from zero: %s": ("breakdown",),
        "a change of the loop is not confirmed in the list of changes: %s": ("file",),
        "the list of the loop's changes cannot be read and starts again: %s": ("file",),
        "%s: events that arrive behind the watermark are not learned": ("lookback",),
        "too many rewards are late or unknown; the oldest are forgotten and stay counted as they are": ("rewards",),
        "the log was not mirrored: %s": ("copied", "waiting"),
        "runs of the trainer died just before their commit; the files that they left are removed": ("states",),
        "there are too many trusted certificates; the others are ignored": ("most",),
        "messages were lost: no call came in which they could be written": ("lost",),
    }
)
"""The facts that are written, by message; a message that is not here goes without, but for the time at which a kept one was logged."""


@dataclass(eq=False, slots=True)
class _Call:
    """One call of a function, and the event loop that its tasks are in."""

    loop: asyncio.AbstractEventLoop
    is_under_way: bool = True


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


def in_a_call(function: Callable[Given, Awaitable[Answer]]) -> Callable[Given, Coroutine[None, None, Answer]]:
    """Let a function of the app write what was kept, and its own messages until it ends. Every function that the host calls needs this."""

    @wraps(function)
    async def call(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        write_facts(logging.getLogger().handlers)  # a handler may have come since the last call
        here = _Call(asyncio.get_running_loop())
        before = _call.set(here)
        try:
            return await function(*args, **kwargs)
        finally:
            _write_kept()
            here.is_under_way = False
            _call.reset(before)

    call.is_in_a_call = True  # type: ignore[attr-defined]  # for the test that looks at all functions
    return call


def _write_kept() -> None:
    for handler in logging.getLogger().handlers:
        for each in handler.filters:
            if isinstance(each, KeptForACall):
                each.write()


def _is_heard() -> bool:
    """Whether a worker knows for which call this is logged, and that call is under way."""
    call = _call.get()
    if call is None or not call.is_under_way:
        return False
    try:
        return asyncio.get_running_loop() is call.loop and asyncio.current_task() is not None
    except RuntimeError:  # in a thread
        return False


@dataclass(frozen=True, slots=True)
class _Kept:
    record: logging.LogRecord
    call: _Call | None

    @property
    def is_anothers(self) -> bool:
        """Whether a call that is under way elsewhere will write it."""
        return self.call is not None and self.call.is_under_way and self.call is not _call.get()


class KeptForACall(logging.Filter):
    """Keeps what the host would drop, and has the handler write it where it is heard: in its own call, if that still goes on, or in any."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler
        self._kept: deque[_Kept] = deque()
        self._lost = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what is heard."""
        if record.name.startswith(_WORKERS):
            return True
        if not _is_heard():
            self._keep(record)
            return False
        self.write()
        return True

    def write(self) -> None:
        """Write what is kept; does nothing where it would not be heard."""
        if not self._kept or not _is_heard():
            return
        if lost := self._lost:
            self._lost -= lost
            logger.warning("messages were lost: no call came in which they could be written", extra={"lost": lost})
        for _ in range(len(self._kept)):
            try:
                kept = self._kept.popleft()
            except IndexError:  # another thread was faster
                return
            if kept.is_anothers:
                self._kept.append(kept)
            else:
                self._emit(kept.record)

    def _keep(self, record: logging.LogRecord) -> None:
        """Keep the text alone: what it was made of may change or be large."""
        timed = copy(record)
        timed.logged_at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        try:
            text = self._handler.format(timed)
        except Exception:  # noqa: BLE001 - as with all that is logged: a message that cannot be written breaks nobody
            self._handler.handleError(record)
            return
        if len(text) > MOST_CHARACTERS:
            text = f"{text[: MOST_CHARACTERS // 2]}\n...\n{text[-MOST_CHARACTERS // 2 :]}"
        said = {"name": record.name, "levelno": record.levelno, "levelname": record.levelname, "created": record.created, "msg": text}
        self._kept.append(_Kept(logging.makeLogRecord(said), _call.get()))
        while len(self._kept) > MOST_KEPT:
            self._kept.popleft()
            self._lost += 1

    def _emit(self, record: logging.LogRecord) -> None:
        self._handler.acquire()
        try:
            self._handler.emit(record)
        finally:
            self._handler.release()


class FactsFormatter(logging.Formatter):
    """Writes a record's text and the facts that `MESSAGES` names.

    >>> record = logging.makeLogRecord({"msg": "training finished", "loop": "news", "commits": 2, "secret": "s"})
    >>> FactsFormatter().format(record)
    'training finished {"loop":"news","commits":2}'
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """Give the text, without the traceback that may follow."""
        names = (*(MESSAGES.get(record.msg, ()) if isinstance(record.msg, str) else ()), "logged_at")
        facts = {name: getattr(record, name) for name in names if hasattr(record, name)}
        text = super().formatMessage(record)
        return f"{text} {json.dumps(facts, separators=(',', ':'), default=str)}" if facts else text


def write_facts(handlers: Iterable[logging.Handler]) -> None:
    """Let the handlers that have no form of their own, as the Functions worker's, write the facts, and all of it where it is heard."""
    for handler in handlers:
        if handler.formatter is None:
            handler.setFormatter(FactsFormatter())
            handler.addFilter(KeptForACall(handler))
