"""What was measured, a line each, and how it is shown."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

HEADINGS = ("benchmark", "measure", "ours", "floor", "ratio", "goal", "")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of the ratio."""

    limit: float
    at_least: bool = False

    def __str__(self) -> str:
        """Write as in the documentation.

        >>> str(Goal(8, at_least=True)), str(Goal(1.3))
        ('≥ 8×', '≤ 1.3×')
        """
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}×"

    def is_met(self, ratio: float) -> bool:
        """Whether the ratio is on the right side."""
        return ratio >= self.limit if self.at_least else ratio <= self.limit


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement; ``ours`` and ``floor`` are texts with their unit, ``ratio`` is ours over floor."""

    benchmark: str
    measure: str
    ours: str
    floor: str = ""
    ratio: float | None = None
    goal: Goal | None = None

    @property
    def verdict(self) -> str:
        """``pass`` or ``FAIL``; nothing without a goal."""
        if self.goal is None or self.ratio is None:
            return ""
        return "pass" if self.goal.is_met(self.ratio) else "FAIL"

    @property
    def cells(self) -> tuple[str, ...]:
        """The line as texts, in the order of `HEADINGS`."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}×"
        return self.benchmark, self.measure, self.ours, self.floor, ratio, str(self.goal or ""), self.verdict


def show(lines: Sequence[Line]) -> None:
    """Print all lines: in colour for a person, aligned text for a file."""
    if sys.stdout.isatty():
        Console().print(_rich(lines))
    else:
        print(plain(lines))


def plain(lines: Sequence[Line]) -> str:
    """Lay the lines out in columns.

    >>> print(plain([Line("rank", "p50", "9.0 ms", "8.0 ms", 1.125, Goal(1.3))]))
    benchmark  measure  ours    floor   ratio  goal
    rank       p50      9.0 ms  8.0 ms  1.12×  ≤ 1.3×  pass
    """
    rows = [HEADINGS, *(line.cells for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _rich(lines: Sequence[Line]) -> Table:
    table = Table(*HEADINGS)
    for line in lines:
        table.add_row(*line.cells, style={"pass": "green", "FAIL": "bold red"}.get(line.verdict))
    return table
