"""What a trainer notes before it takes on a large window, so that one that dies of it takes a smaller one next time."""

from dataclasses import dataclass, replace
from typing import Final

LEAST: Final = 1 << 20
"""Bytes below which windows are not cut any further."""

NOTED: Final = 8 << 20
"""Bytes up to which a window is not worth a note: the machine has more to spare than that."""

_STEADY: Final = 16
"""Windows in a row that have to go well before larger ones are tried again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How many bytes a window may take (``limit``), as far as experience tells.

    ``under_way`` is the number of the commit from which a window was begun that has not come to an end (-1: none), and ``well`` counts
    the large windows that went well since the limit was changed.
    """

    limit: int
    under_way: int = -1
    well: int = 0

    def after(self, sequence: int) -> "Attempt":
        """Judge what is found by who goes on from the commit of this number: if a window was begun from there, whoever did that died.

        >>> Attempt(8 << 20, under_way=3).after(3).limit == 4 << 20, Attempt(8 << 20, under_way=3).after(4).limit == 8 << 20
        (True, True)
        """
        return Attempt(max(self.limit // 2, LEAST)) if self.under_way == sequence else replace(self, under_way=-1)

    def begun(self, sequence: int) -> "Attempt":
        """Note that a window is begun from the commit of this number."""
        return replace(self, under_way=sequence)

    def went_well(self, most: int) -> "Attempt":
        """Note that it came to its end; when enough did, windows may be twice as large, up to the ``most``."""
        if self.well + 1 < _STEADY:
            return Attempt(self.limit, well=self.well + 1)
        return Attempt(min(2 * self.limit, most))

    def failed(self) -> "Attempt":
        """Note that it came to no end, for a reason that was told: a smaller one would have fared no better."""
        return replace(self, under_way=-1)
