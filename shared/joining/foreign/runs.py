"""Which lines of another's log are of Apprentice mode.

There the other service's join puts −1 in the place of the cost where the policy proposed what was shown (the first action, or the slot's
own one), and 0 where it proposed anything else; the cost that was observed stands beside it. No member says that it did. So it is seen by
all costs of a file, or of a long run of its lines: each is of that pattern, and some differ from what was observed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import isclose
from typing import Final, Generic, TypeVar

from shared.domain.events import LearningMode
from shared.joining.foreign.choice import named_action
from shared.joining.foreign.line import Line

Item = TypeVar("Item")

MOST_HELD: Final = 4_096
MOST_BYTES: Final = 16 * 1024 * 1024
"""Lines, and bytes of their text, that are held back until it is clear what they are."""

LONG: Final = 20
TELLING: Final = 10
"""A run in a file that holds other lines as well has at least so many lines, of which at least so many differ from what was observed..."""

TELLING_IN_DOUBT: Final = 100
"""... or so many, if costs of the file differ from the observed ones in other ways as well: somebody's hand has been at work."""

_ROUNDING: Final = 1e-6


class Sign(Enum):
    """What a line tells of its mode: nothing, that its costs are of the pattern (and differ from what was observed), or that they are not.

    A line of the pattern fits if it does not tell what was observed, too: in Apprentice mode its reward is lost, and it is refused.
    One that `CONTRADICTS` holds a cost that is not of the pattern and differs from what was observed all the same.
    """

    NONE = 0
    FITS = 1
    DIFFERS = 2
    BREAKS = 3
    CONTRADICTS = 4


def says_apprentice(line: Line) -> bool:
    """Whether the line itself says that it is of another's Apprentice mode; lines of this service's own tell the proposal apart."""
    return line.mode == LearningMode.APPRENTICE.value and line.proposed is None and has_original(line)


def sign_of(line: Line) -> Sign:
    """Tell what a line says."""
    if says_apprentice(line):
        return Sign.NONE
    if line.mode is not None:
        return Sign.BREAKS
    fits, differs = _pattern(line) if line.outcomes is None else _pattern_of_slots(line)
    if all(fits):
        return Sign.DIFFERS if any(differs) else Sign.FITS
    return Sign.CONTRADICTS if any(is_other and not does_fit for does_fit, is_other in zip(fits, differs, strict=True)) else Sign.BREAKS


def is_changed(line: Line) -> bool:
    """Whether a cost of the line is another one than was observed."""
    if line.outcomes is None:
        return _differs(line.cost, line.original)
    return any(_differs(each.cost, each.original) for each in line.outcomes)


def has_original(line: Line) -> bool:
    """Whether the cost that was observed stands beside the one that another join made of it."""
    outcomes = line.outcomes
    return line.original is not None if outcomes is None else any(each.original is not None for each in outcomes)


def _pattern(line: Line) -> tuple[list[bool], list[bool]]:
    return [_is_lesson(line.cost, is_baseline=named_action(line) == 0)], [_differs(line.cost, line.original)]


def _pattern_of_slots(line: Line) -> tuple[list[bool], list[bool]]:
    baselines = line.baselines or []
    fits, differs = [], []
    for number, outcome in enumerate(line.outcomes or ()):
        if outcome.cost is None:
            continue
        first = next(iter(outcome.numbers), None) if isinstance(outcome.numbers, list) else outcome.numbers
        is_known = number < len(baselines) and baselines[number] >= 0
        fits.append(is_known and _is_lesson(outcome.cost, is_baseline=first == baselines[number]))
        differs.append(_differs(outcome.cost, outcome.original))
    return fits, differs


def _is_lesson(cost: float | None, *, is_baseline: bool) -> bool:
    return cost is not None and isclose(cost, -1.0 if is_baseline else 0.0, abs_tol=_ROUNDING)


def _differs(cost: float | None, original: float | None) -> bool:
    return cost is not None and original is not None and not isclose(cost, original, rel_tol=_ROUNDING, abs_tol=_ROUNDING)


@dataclass(slots=True)
class ApprenticeRuns(Generic[Item]):
    """Tells the lines of one file apart, in order; those that are not clear yet are held back, ``most`` of them at most."""

    most: int = MOST_HELD
    _held: list[tuple[Item, Sign]] = field(default_factory=list)
    _bytes: int = 0
    _fitting: int = 0
    _differing: int = 0
    _is_whole: bool = True
    _is_doubted: bool = False
    _is_sure: bool = False

    def feed(self, item: Item, sign: Sign, size: int) -> Iterator[tuple[Item, bool]]:
        """Take a line of so many bytes, and give the lines that are clear now, each with whether it is of Apprentice mode."""
        if sign in (Sign.BREAKS, Sign.CONTRADICTS):
            self._is_doubted |= sign is Sign.CONTRADICTS
            yield from self._released(is_apprentice=self._is_long)
            self._is_whole = self._is_sure = False
            yield item, False
        elif self._is_sure or (sign is Sign.NONE and not self._held):
            yield item, sign is not Sign.NONE
        else:
            self._hold(item, sign, size)
            if len(self._held) >= self.most or self._bytes >= MOST_BYTES:
                self._is_sure = self._is_apprentice
                yield from self._released(is_apprentice=self._is_sure)

    def end(self) -> Iterator[tuple[Item, bool]]:
        """Give what was held back up to the file's end."""
        yield from self._released(is_apprentice=self._is_apprentice)

    @property
    def _is_apprentice(self) -> bool:
        return self._differing > 0 if self._is_whole else self._is_long

    @property
    def _is_long(self) -> bool:
        return self._fitting >= LONG and self._differing >= (TELLING_IN_DOUBT if self._is_doubted else TELLING)

    def _hold(self, item: Item, sign: Sign, size: int) -> None:
        self._held.append((item, sign))
        self._bytes += size
        self._fitting += sign is not Sign.NONE
        self._differing += sign is Sign.DIFFERS

    def _released(self, *, is_apprentice: bool) -> Iterator[tuple[Item, bool]]:
        held = self._held
        self._held, self._bytes, self._fitting, self._differing = [], 0, 0, 0
        for item, sign in held:
            yield item, is_apprentice and sign is not Sign.NONE
