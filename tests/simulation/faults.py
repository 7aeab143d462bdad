"""A network between processes and storage whose calls take their time, and fail in every way that is known.

A call arrives a while after it was sent, and its answer a while after that: others' calls come between. What becomes of a call is drawn
by the process's own chance, the same number of draws for each call, so that one fault can be taken out of a schedule and leaves
the others as they were.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, Final, TypeVar

from shared.domain.errors import StorageUnavailableError
from shared.domain.patience import seconds_left
from shared.storage.clocks import StorageTime
from shared.storage.failures import CALL_DEADLINE, in_time
from tests.simulation.network import Call, date_of_second
from tests.simulation.virtual import BEGIN, Life, VirtualLoop, current

Answer = TypeVar("Answer")
TRIES: Final = 4
"""As the SDK's."""
READ_TIMEOUT: Final = 8.0
"""Seconds after which a client takes an answer for lost."""
LATEST: Final = 20.0
"""Seconds after which nothing arrives any more."""
LASTING: Final = 0.4
"""Of the faults, the part that does not pass before the client gives up."""
_MARGIN: Final = 0.01
_BEGUN: Final = BEGIN.timestamp()
_PAUSES: Final = (0.2, 2.2, 4.2)
_NOBODY: Final = Context()


class Kind(StrEnum):
    """What may become of a call."""

    REFUSED = "refused: storage answered 429, 500 or 503, and did nothing"
    TORN = "torn: the connection broke before storage had all of it"
    LOST = "lost: storage did it, and the answer was lost"
    SILENT = "silent: storage did it, and no answer came"
    LATE = "late: it arrived when the client had given it up"
    TWICE = "twice: it arrived a second time, later"
    SLOW = "slow: call and answer took seconds"


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that went wrong: ``number`` counts the calls of that life of a process."""

    life: str
    number: int
    kind: Kind = field(compare=False)
    call: str = field(compare=False, default="")

    def __str__(self) -> str:
        return f"{self.life} call {self.number} ({self.call}): {self.kind.value}"


@dataclass(frozen=True)
class Weather:
    """How storage is: how often a call fails, which faults there are, and how long calls take."""

    rate: float = 0.0
    kinds: tuple[Kind, ...] = tuple(Kind)
    usual: float = 0.005
    spread: float = 4.0


@dataclass(eq=False)
class Refused:
    """An answer that says nothing of what was asked."""


class SimulatedNetwork:
    """Brings calls by the loop's time; ``without`` are faults that are left out."""

    def __init__(self, loop: VirtualLoop, weather: Weather, *, without: frozenset[tuple[str, int]] = frozenset()) -> None:
        self._loop = loop
        self._weather = weather
        self._without = without
        self._noted: tuple[StorageTime | None, int] = (None, 0)
        self.met: list[Fault] = []

    async def bring(self, call: Call, apply: Callable[[], Answer], time: StorageTime) -> Answer:
        if self._loop.is_quiet:
            self._note(time)
            return apply()
        life = current.get()
        assert life is not None
        kind, there, back = self._drawn(life, call)
        lasts = self._lasts(life, kind)
        if kind is None and there + back + _MARGIN < seconds_left(CALL_DEADLINE):
            return await self._tried(None, apply, time, there, back, lasts=False)  # it cannot be too late
        async with in_time(f"{call.verb} {call.place} {call.name}"):
            return await self._tried(kind, apply, time, there, back, lasts=lasts)

    async def _tried(
        self, kind: Kind | None, apply: Callable[[], Answer], time: StorageTime, there: float, back: float, *, lasts: bool
    ) -> Answer:
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(_PAUSES[attempt - 1])
            sent = time.leaving()
            answer, date = await self._sent(kind if attempt == 0 or lasts else None, apply, there, back)
            if date:
                time.note(date, sent=sent)
            if not isinstance(answer, Refused):
                return _given(answer)  # type: ignore[no-any-return]  # what ``apply`` gave
        raise StorageUnavailableError("storage did not answer")

    def bring_at_once(self, call: Call, apply: Callable[[], Answer], time: StorageTime) -> Answer:
        """Do what `bring` does for a thread that waits: at one moment, without another try."""
        if self._loop.is_quiet:
            self._note(time)
            return apply()
        life = current.get()
        assert life is not None
        kind, _, _ = self._drawn(life, call)
        sent = time.leaving()
        if kind in {Kind.REFUSED, Kind.TORN, Kind.LATE}:
            raise StorageUnavailableError("storage did not answer")
        answer = _done(apply)
        if kind in {Kind.LOST, Kind.SILENT}:
            raise StorageUnavailableError("storage did not answer")
        time.note(self._date(), sent=sent)
        return _given(answer)  # type: ignore[no-any-return]  # likewise

    def _note(self, time: StorageTime) -> None:
        """Tell a process storage's time by an answer that comes at once; the same one is told once."""
        now = time, int(self._loop.time())
        if now != self._noted:
            self._noted = now
            time.note(self._date(), sent=time.leaving())

    def _drawn(self, life: Life, call: Call) -> tuple[Kind | None, float, float]:
        weather = self._weather
        life.calls += 1
        drawn = life.chance.random
        fate = drawn()
        there = weather.usual * weather.spread ** (2 * drawn() - 1)
        back = weather.usual * weather.spread ** (2 * drawn() - 1)
        if self._loop.is_calm:
            return None, 0.001 * there, 0.001 * back
        if fate >= weather.rate or (life.name, life.calls) in self._without:
            return None, there, back
        kind = weather.kinds[int(fate / weather.rate * len(weather.kinds))]
        self.met.append(Fault(life.name, life.calls, kind, f"{call.verb} {call.place} {call.name}".strip()))
        if kind is Kind.SLOW:
            there, back = 0.5 + there * 100 % 3, 0.5 + back * 100 % 3
        return kind, there, back

    def _lasts(self, life: Life, kind: Kind | None) -> bool:
        """Whether it goes wrong at every try: then the caller hears that storage does not answer, and storage may have done it."""
        return life.chance.random() < LASTING and kind is not None

    async def _sent(self, kind: Kind | None, apply: Callable[[], Any], there: float, back: float) -> tuple[Any, str]:
        loop = self._loop
        if kind is None or kind in {Kind.SLOW, Kind.TWICE}:
            answer = loop.create_future()
            loop.call_later(there, self._arrive, apply, answer, back, context=_NOBODY)
            if kind is Kind.TWICE:
                loop.call_later(there + LATEST * Random(there).random(), _done, apply, context=_NOBODY)
            return await answer  # type: ignore[no-any-return]  # what `_arrive` gives
        if kind is Kind.LATE:
            loop.call_later(READ_TIMEOUT + (LATEST - READ_TIMEOUT) * Random(there).random(), _done, apply, context=_NOBODY)
            await asyncio.sleep(READ_TIMEOUT)
            return Refused(), ""
        if kind in {Kind.LOST, Kind.SILENT}:
            loop.call_later(there, _done, apply, context=_NOBODY)
            await asyncio.sleep(READ_TIMEOUT if kind is Kind.SILENT else there + back)
            return Refused(), ""
        await asyncio.sleep(there + back)
        return Refused(), self._date() if kind is Kind.REFUSED else ""

    def _arrive(self, apply: Callable[[], Any], answer: "asyncio.Future[tuple[Any, str]]", back: float) -> None:
        self._loop.call_later(back, _answer, answer, (_done(apply), self._date()), context=_NOBODY)

    def _date(self) -> str:
        return date_of_second(int(_BEGUN + self._loop.time()))


def _answer(answer: "asyncio.Future[Any]", given: tuple[Any, str]) -> None:
    if not answer.done():  # nobody waits for it any more
        answer.set_result(given)


def _done(apply: Callable[[], Any]) -> Any:
    try:
        return apply()
    except Exception as error:  # noqa: BLE001 - it is the answer
        return error


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
