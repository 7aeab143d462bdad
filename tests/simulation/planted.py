"""Faults that are put into the service, one at a time, to see whether the simulation finds them.

Each takes the place of a method of the real code, and does what a careless change of it might do.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from shared.services.training.room import Room
from shared.services.training.stepping import Stepper
from shared.storage.clocks import LogClock
from shared.storage.event_log import RowEventLog
from shared.storage.files import Files
from shared.storage.hot_log import HotLog

_real: "list[tuple[type, str, object]]" = []


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Put a fault into the service while the context lasts; none without a name."""
    if name:
        PLANTED[name]()
    try:
        yield
    finally:
        while _real:
            setattr(*_real.pop())


def _no_condition() -> None:
    """A file is replaced whatever another has written meanwhile: the If-Match is missing."""
    real = Files.replace

    async def replace(self: Files, name: str, data: bytes, *, expected: str | None, metadata: Any = None) -> str:
        present = await self.read(name)
        return await real(self, name, data, expected=present.etag if present else None, metadata=metadata)

    _put(Files, "replace", replace)


def _cut_without_parting() -> None:
    """A deletion cuts at the time of the clock, whatever was sealed up to then."""

    async def cut(self: Any) -> Any:
        return self._clock.now()

    _put(RowEventLog, "cut", cut)


def _window_too_early() -> None:
    """A window is learned twenty seconds before its time."""
    real = Room.plan

    async def plan(self: Room, pointer: Any, lookback: Any, *, horizon: Any, most: Any) -> Any:
        return await real(self, pointer, lookback, horizon=horizon + timedelta(seconds=20), most=most)

    _put(Room, "plan", plan)


def _acknowledged_before_the_put() -> None:
    """A row counts as stored when it was sent."""
    real = HotLog._put

    async def put(self: Any, row: Any, sealed_at: Any) -> int:
        self._sent = asyncio.create_task(real(self, row, sealed_at))
        self._sent.add_done_callback(lambda task: task.cancelled() or task.exception())
        generation: int = self._epochs.epoch.generation
        return generation

    _put(HotLog, "_put", put)


def _learner_of_another_version() -> None:
    """The learner at hand is taken for the published model's, whatever its version is: a cache that is keyed by too little."""
    real = Stepper._learner

    async def learner(self: Any, version: str, loop: Any) -> Any:
        at_hand = self._warm.learner
        return await real(self, version, loop) if at_hand is None or not version else at_hand

    _put(Stepper, "_learner", learner)


def _sent_again_under_another_name() -> None:
    """A row whose answer does not come within a second is sent anew, as another row."""
    real = HotLog._put

    async def put(self: Any, row: Any, sealed_at: Any) -> int:
        try:
            async with asyncio.timeout(1.0):
                return await real(self, row, sealed_at)
        except TimeoutError:
            self._rows += 1
            time, writer, number, rest = row["RowKey"].split("-", 3)
            return await real(self, {**row, "RowKey": f"{time}-{writer}-{int(number) + 500:06d}-{rest}"}, sealed_at)

    _put(HotLog, "_put", put)


def _generation_left() -> None:
    """Tables of a deleted log are never dropped."""

    async def sweep(self: RowEventLog, *, settled_for: timedelta) -> int:
        return 0

    _put(RowEventLog, "sweep", sweep)


def _own_clock() -> None:
    """Rows are sealed by the own clock, however wrong it is."""
    _put(LogClock, "now", lambda self: self._own.now())
    _put(HotLog, "_check_sealed", lambda self, sealed_at: None)


def _duplicates_not_looked_for() -> None:
    """Decisions of other windows are not looked through for the same event id."""

    async def sightings(self: RowEventLog, since: Any, until: Any, marks: Any, *, opened: Any = None) -> dict[int, Any]:
        return {}

    _put(RowEventLog, "sightings", sightings)


def _put(owner: type, name: str, method: object) -> None:
    _real.append((owner, name, vars(owner)[name]))
    setattr(owner, name, method)


PLANTED: Final[Mapping[str, Callable[[], None]]] = MappingProxyType(
    {
        "no-condition": _no_condition,
        "cut-without-parting": _cut_without_parting,
        "window-too-early": _window_too_early,
        "acknowledged-before-the-put": _acknowledged_before_the_put,
        "learner-of-another-version": _learner_of_another_version,
        "sent-again-under-another-name": _sent_again_under_another_name,
        "generation-left": _generation_left,
        "own-clock": _own_clock,
        "duplicates-not-looked-for": _duplicates_not_looked_for,
    }
)
