"""What passes between the local host's front and the code that runs a function."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """A function called over HTTP; no methods means any method."""

    name: str
    parameter: str
    route: str
    methods: frozenset[str]


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """A function called on a schedule, which may still hold ``%SETTING%``."""

    name: str
    parameter: str
    schedule: str
    run_on_startup: bool


@dataclass(frozen=True, slots=True)
class QueueTrigger:
    """A function called with each message of a queue, whose name may still hold ``%SETTING%``; ``connection`` names a setting."""

    name: str
    parameter: str
    queue: str
    connection: str


@dataclass(frozen=True, slots=True)
class OtherTrigger:
    """A function of a kind the local host does not serve."""

    name: str
    kind: str


Trigger = HttpTrigger | TimerTrigger | QueueTrigger | OtherTrigger


def described(trigger: Trigger) -> dict[str, Any]:
    """Describe a function as the Functions host's own list of functions does; only what tells its trigger.

    >>> described(TimerTrigger("train", "timer", "0 * * * * *", run_on_startup=False))
    {'name': 'train', 'config': {'bindings': [{'type': 'timerTrigger', 'name': 'timer', 'schedule': '0 * * * * *'}]}}
    """
    match trigger:
        case HttpTrigger():
            binding = {"type": "httpTrigger", "name": trigger.parameter, "route": trigger.route, "methods": sorted(trigger.methods)}
        case TimerTrigger():
            binding = {"type": "timerTrigger", "name": trigger.parameter, "schedule": trigger.schedule}
        case QueueTrigger():
            binding = {"type": "queueTrigger", "name": trigger.parameter, "queueName": trigger.queue, "connection": trigger.connection}
        case OtherTrigger():
            binding = {"type": trigger.kind}
    return {"name": trigger.name, "config": {"bindings": [binding]}}


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request as the Functions host hands it on: header names in lower case, no empty query values."""

    method: str
    url: str
    headers: dict[str, str]
    query: dict[str, str]
    route_values: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A function's answer, ready to be sent."""

    status: int
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class TimerCall:
    """A due moment; ``last`` is missing on the first run and on a run by hand."""

    past_due: bool = False
    last: datetime | None = None
    next: datetime | None = None

    def as_json(self) -> str:
        """Write the message the Functions host sends to its workers."""
        moments = {"Last": self.last, "LastUpdated": self.last, "Next": self.next}
        status = {name: moment.isoformat() if moment else "0001-01-01T00:00:00+00:00" for name, moment in moments.items()}
        return json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": self.past_due})


@dataclass(frozen=True, slots=True)
class QueueCall:
    """A message as it was received; a run by hand has its text alone."""

    text: str
    id: str = ""
    receipt: str = ""
    dequeue_count: int = 1
    inserted: datetime | None = None
    expires: datetime | None = None
    next_visible: datetime | None = None


class Backend(Protocol):
    """Runs the functions of one app; a call raises what the function raised."""

    async def load(self, folder: Path) -> list[Trigger]:
        """Import ``function_app.py`` from the folder and index it; called once."""

    async def call_http(self, trigger: HttpTrigger, call: HttpCall) -> HttpReply:
        """Answer one request."""

    async def call_timer(self, trigger: TimerTrigger, call: TimerCall) -> None:
        """Run a timer function once."""

    async def call_queue(self, trigger: QueueTrigger, call: QueueCall) -> None:
        """Run a queue function on one message."""

    async def close(self) -> None:
        """Take no further calls."""


def trigger_of(name: str, raw_bindings: Iterable[str]) -> Trigger:
    """Read a function's trigger from its bindings, which are JSON texts in `function.json`'s format.

    >>> trigger_of("status", ['{"type": "httpTrigger", "name": "req", "route": "status", "methods": ["GET"]}'])
    HttpTrigger(name='status', parameter='req', route='status', methods=frozenset({'GET'}))
    """
    bindings: list[dict[str, Any]] = [json.loads(binding) for binding in raw_bindings]
    trigger = next(binding for binding in bindings if binding["type"].lower().endswith("trigger"))
    if trigger["type"] == "httpTrigger":
        methods = frozenset(method.upper() for method in trigger.get("methods") or ())
        return HttpTrigger(name, trigger["name"], route=trigger.get("route") or name, methods=methods)
    if trigger["type"] == "timerTrigger":
        return TimerTrigger(name, trigger["name"], schedule=trigger["schedule"], run_on_startup=bool(trigger.get("runOnStartup")))
    if trigger["type"] == "queueTrigger":
        connection = trigger.get("connection") or "AzureWebJobsStorage"
        return QueueTrigger(name, trigger["name"], queue=trigger["queueName"], connection=connection)
    return OtherTrigger(name, trigger["type"])
