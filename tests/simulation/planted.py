"""Faults that are put into the service, one at a time, to see whether the simulation finds them.

Each takes the place of a method of the real code, and does what a careless change of it might do.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from shared.joining import join
from shared.learning import choosing
from shared.services.analysis.scheduling import Schedules
from shared.services.log.mirroring import Mirroring
from shared.services.models import keeper
from shared.services.serving.multislot import MultiSlotRanker, decide_slots
from shared.services.serving.verified_uploads import VerifiedUploads
from shared.services.training.room import Room
from shared.services.training.stepping import Stepper
from shared.storage.clocks import LogClock
from shared.storage.event_log import RowEventLog
from shared.storage.files import Files
from shared.storage.hot_log import HotLog
from shared.storage.polling import StoredConfiguration

_real: "list[tuple[Any, str, object]]" = []


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


def _slots_one_by_one() -> None:
    """The slots of an event are stored one after the other, each in a row of its own."""

    async def rank(self: Any, asked: Any, *, event_id: Any, deferred: bool, is_scored: bool = False) -> None:
        served = await self._models.served()
        for each in decide_slots(self._decider, asked, served, event_id=event_id, at=self._clock.now(), deferred=deferred):
            await self._log.append_decisions([each])

    _put(MultiSlotRanker, "rank", rank)


def _mirror_remembers_first() -> None:
    """A chunk counts as copied before it is written to the container."""

    async def copy(self: Any, target: Any, name: str, state: Any) -> None:
        self._later = (target, name, state)

    async def run(self: Any) -> Any:
        self._later = None
        done = await real(self)
        if self._later is not None:
            await real_copy(self, *self._later)
        return done

    real, real_copy = Mirroring._run, Mirroring._copy
    _put(Mirroring, "_copy", copy)
    _put(Mirroring, "_run", run)


def _period_asked_anew() -> None:
    """A run's evaluation is asked for, under a name of its own, before the run is noted."""
    real = Schedules._planned

    async def planned(self: Any, schedule: Any) -> Any:
        new = await real(self, schedule)
        if new == schedule:
            return schedule
        run = replace(new.runs[-1], evaluation=f"scheduled-{secrets.token_hex(4)}")
        return replace(new, runs=(*new.runs[:-1], await self._asked(new, run)))

    _put(Schedules, "_planned", planned)


def _ticket_of_the_present() -> None:
    """A client's decision is made once more by what is served now, whatever its ticket says."""

    async def basis(self: Any, ticket: str, settings: Any) -> Any:
        return await self._models.served()

    _put(VerifiedUploads, "_basis", basis)


def _held_out_one_way() -> None:
    """An event's probabilities are those of the policy alone, as if none were held out."""
    _put(choosing, "mixed", lambda probabilities, *, baseline, chance: tuple(probabilities))


def _goes_back_to_its_own() -> None:
    """A record that this process has written is the newest, whatever it has read since."""

    def note(self: Any, record: Any) -> None:
        self._known = replace(self._known, record=record)

    _put(StoredConfiguration, "note", note)


def _copy_without_its_path() -> None:
    """A restored model tells of the model that it is a copy of, and not of what that one has learned."""
    _put(keeper, "path_of", lambda version, models: ())


def _ids_not_looked_at() -> None:
    """A reward that a client sends again to another process counts again: only the process that it came to first knows its id."""
    _put(join, "_once", tuple)


def _put(owner: Any, name: str, method: object) -> None:
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
        "slots-one-by-one": _slots_one_by_one,
        "mirror-remembers-first": _mirror_remembers_first,
        "period-asked-anew": _period_asked_anew,
        "ticket-of-the-present": _ticket_of_the_present,
        "held-out-one-way": _held_out_one_way,
        "goes-back-to-its-own": _goes_back_to_its_own,
        "copy-without-its-path": _copy_without_its_path,
        "ids-not-looked-at": _ids_not_looked_at,
    }
)
