"""What became of the files of a log of others: how many lines were read, passed over and refused, and why."""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from shared.domain.errors import KindNotReadError, NoLogError, UnreadableError

MOST_TOLD: Final = 100
"""Lines that could not be read are told one by one; of more than these only the number."""

MOST_FILES: Final = 1_000
MOST_REMARKS: Final = 20
"""Files that are told of one by one, and reasons for each; of more than these only the numbers."""

_MOST_CHARACTERS: Final = 500

_DIFFERENT: Final = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d[\d.e+-]*")
"""What differs in reasons of the same kind."""


class Fate(StrEnum):
    """What became of lines: ``read``, but with a remark; passed over (``skipped``), since they are no log; ``refused``."""

    READ = "read"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that could not be read, and why; of a damaged file, all that follows."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What is said of ``count`` lines of a file, or of the whole file, that are alike; ``line`` is the first of them."""

    fate: Fate
    reason: str
    line: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class FileFate:
    """What became of a file's lines."""

    file: str
    read: int
    skipped: int
    refused: int
    remarks: tuple[Remark, ...]


class FileAccount:
    """Counts what becomes of one file's lines; ``read`` are those that were."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.read = 0
        self._counts = {Fate.SKIPPED: 0, Fate.REFUSED: 0}
        self._remarks: dict[tuple[Fate, str], Remark] = {}

    def note(self, reason: str, line: int) -> None:
        """Remark on a line that was read."""
        self._remark(Fate.READ, reason, line)

    def lose(self, fate: Fate, reason: str, line: int) -> bool:
        """Count a line that was not, and tell whether it is the first of its kind."""
        self._counts[fate] += 1
        return self._remark(fate, reason, line)

    def fate(self) -> FileFate:
        """Say what became of it."""
        remarks = sorted(self._remarks.values(), key=lambda each: each.line)
        return FileFate(self.name, self.read, self._counts[Fate.SKIPPED], self._counts[Fate.REFUSED], tuple(remarks))

    def _remark(self, fate: Fate, reason: str, line: int) -> bool:
        kind = fate, _DIFFERENT.sub("", reason)
        known = self._remarks.get(kind)
        if known is not None:
            self._remarks[kind] = replace(known, count=known.count + 1)
        elif len(self._remarks) < MOST_REMARKS:
            self._remarks[kind] = Remark(fate, reason, line)
        return known is None


@dataclass(frozen=True, slots=True)
class HowFar:
    """What was read: ``bytes`` as they are stored, ``lines`` that are not empty.

    ``thinned`` lines were logged with the remark that others were left out by chance, and ``apprentice`` ones where the application's own
    choice was shown; ``skipped`` ones are no log, and ``malformed`` ones
    could not be read. ``told`` are the first of the latter, one of each kind where a file has many of it; ``fates`` are those of the
    first files.
    """

    files: int = 0
    bytes: int = 0
    lines: int = 0
    thinned: int = 0
    apprentice: int = 0
    passed_over: int = 0
    malformed: int = 0
    told: tuple[Malformed, ...] = ()
    fates: tuple[FileFate, ...] = field(default=(), repr=False, compare=False)

    def with_error(self, file: FileAccount, error: UnreadableError, line: int) -> "HowFar":
        """Count a line, or a file, that was passed over or refused."""
        reason = str(error)[:_MOST_CHARACTERS]
        if isinstance(error, NoLogError):
            file.lose(Fate.SKIPPED, reason, line)
            return replace(self, passed_over=self.passed_over + 1)
        is_first = file.lose(Fate.REFUSED, reason, line)
        is_told = len(self.told) < MOST_TOLD and (is_first or not isinstance(error, KindNotReadError))
        told = (*self.told, Malformed(file.name, line, reason)) if is_told else self.told
        return replace(self, malformed=self.malformed + 1, told=told)

    def with_file(self, file: FileAccount) -> "HowFar":
        """Count a file that is over; of too many, those of which something is to be said are kept."""
        fate, fates = file.fate(), self.fates
        plain = next((place for place, each in enumerate(fates) if not each.remarks), None) if len(fates) >= MOST_FILES else None
        if len(fates) < MOST_FILES:
            fates = (*fates, fate)
        elif fate.remarks and plain is not None:
            fates = (*fates[:plain], *fates[plain + 1 :], fate)
        return replace(self, files=self.files + 1, fates=fates)
