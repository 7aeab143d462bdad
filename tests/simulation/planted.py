"""Faults that are put into the service, one at a time, to see whether the simulation finds them.

Each takes the place of a method of the real code, and does what a careless change of it might do.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from shared.runtime.settings import AppSettings
from shared.services.serving.model_server import ModelServer
from shared.services.training.stepping import Stepper
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


def _short_lookback() -> None:
    """The trainer looks back for stragglers over half a second alone."""
    _put(AppSettings, "lookback", property(lambda _: timedelta(seconds=0.5)))


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


def _nobody_asks_for_deletions() -> None:
    """A writer that has not heard for long whether the log was deleted does not ask."""

    async def confirm(self: RowEventLog) -> None:
        return

    _put(RowEventLog, "confirm", confirm)


def _too_late_and_acknowledged() -> None:
    """A row that came too late after its sealing is acknowledged."""
    _put(HotLog, "_check_sealed", lambda self, sealed_at: None)


def _duplicates_not_looked_for() -> None:
    """Decisions of other windows are not looked through for the same event id."""

    async def sightings(self: RowEventLog, since: Any, until: Any, marks: Any, *, opened: Any = None) -> dict[int, Any]:
        return {}

    _put(RowEventLog, "sightings", sightings)


def _model_given_up() -> None:
    """A model that could not be loaded is not wanted any more until another is published."""
    real = ModelServer._refresh_model

    def refresh(self: Any, *, wants_model: bool) -> None:
        try:
            real(self, wants_model=wants_model)
        except Exception:
            self._wanted = None
            raise

    _put(ModelServer, "_refresh_model", refresh)


def _put(owner: type, name: str, method: object) -> None:
    _real.append((owner, name, vars(owner)[name]))
    setattr(owner, name, method)


PLANTED: Final[Mapping[str, Callable[[], None]]] = MappingProxyType(
    {
        "no-condition": _no_condition,
        "cut-without-parting": _cut_without_parting,
        "short-lookback": _short_lookback,
        "acknowledged-before-the-put": _acknowledged_before_the_put,
        "learner-of-another-version": _learner_of_another_version,
        "sent-again-under-another-name": _sent_again_under_another_name,
        "generation-left": _generation_left,
        "nobody-asks-for-deletions": _nobody_asks_for_deletions,
        "too-late-and-acknowledged": _too_late_and_acknowledged,
        "duplicates-not-looked-for": _duplicates_not_looked_for,
        "model-given-up": _model_given_up,
    }
)
