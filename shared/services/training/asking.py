"""Who trains which loop: what the timer makes of what it saw, and the messages by which it asks others to train.

A message is a request and never a right: whoever trains has the loop's lease. So one that comes twice, late or never does no harm. It
carries the id of its request and the time when that ends; until then it is sent again as long as there is work left, and nobody asks anew.
Clocks may be wrong by hours, so it is also sent again only so many times: a request ends soon by anybody's clock.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from shared.domain.asked import LIFE, Note
from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.loop import is_loop_name
from shared.services.training.trainer import Outlook

FORMAT: Final = 1

MOST_STEPS: Final = 20
"""Messages of one request. No more fit in its `LIFE`: the next one follows a slice, or the time after which a lease is free again."""

_LONGEST_ID: Final = 64


class _Written(msgspec.Struct, frozen=True):
    format: int
    loop: str = ""
    id: str = ""
    until: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request to train a loop: ``step`` counts the messages that were sent before this one, ``until`` tells when it ends."""

    loop: str
    id: str
    until: datetime
    step: int = 0

    @staticmethod
    def new(loop: str, *, now: datetime) -> "Request":
        """Make a request with an id of its own."""
        return Request(loop, secrets.token_hex(8), now + LIFE)

    def stands(self, now: datetime) -> bool:
        """Whether it has not ended."""
        return now < self.until and self.step < MOST_STEPS

    def again(self) -> "Request":
        """Give the message that asks for the rest."""
        return replace(self, step=self.step + 1)

    def written(self) -> bytes:
        """Write it as JSON.

        >>> Request("news", "a1", from_micros(5)).written()
        b'{"format":1,"loop":"news","id":"a1","until":5,"step":0}'
        """
        return msgspec.json.encode(_Written(FORMAT, self.loop, self.id, to_micros(self.until), self.step))

    @staticmethod
    def read(text: bytes) -> "Request":
        """Inverse of `written`; raises `NewerFormatError` or `UnreadableError`."""
        try:
            found = msgspec.json.decode(text, type=_Written)
            if found.format > FORMAT:
                raise NewerFormatError("a request to train", found=found.format, known=FORMAT)
            until = from_micros(found.until)
        except (msgspec.MsgspecError, RecursionError, OverflowError, UnicodeDecodeError) as cause:
            raise UnreadableError(f"a request to train cannot be read: {cause}") from cause
        if not is_loop_name(found.loop) or not found.id or len(found.id) > _LONGEST_ID or found.step < 0:
            raise UnreadableError("a request to train names no loop, or has no id")
        return Request(found.loop, found.id, until, found.step)


@dataclass(frozen=True, slots=True)
class Division:
    """What is to be trained: ``here`` in this process, at once and in this order, and ``asked`` by whom the queue triggers."""

    here: Sequence[str] = ()
    asked: Sequence[str] = ()


def divide(seen: Mapping[str, Outlook], notes: Mapping[str, Note], *, now: datetime) -> Division:
    """Divide the loops that are due.

    A loop for which a request stands is left to that as long as it gets on. One that has not got on since the last look is trained here:
    its message waits behind others, or is lost. Of loops without a request one alone is trained here at once; for several it is asked.
    Idle ones take no time worth a message. What is trained here begins with loops of which one window is left at most, so that none of
    them waits for those that are behind.
    """
    idle, overdue, new = [], [], []
    for name, outlook in _due(seen):
        note = notes.get(name, Note())
        if outlook.is_idle:
            idle.append(name)
        elif not note.has_asked(now=now):
            new.append(name)
        elif note.mark == outlook.mark:
            overdue.append(name)
        elif outlook.is_small:  # its request has come to its end: this is what came since
            new.append(name)
    here, asked = ([*overdue, *new], []) if len(new) == 1 else (overdue, new)
    small = [name for name in here if seen[name].is_small]
    return Division([*small, *idle, *(name for name in here if not seen[name].is_small)], asked)


def _due(seen: Mapping[str, Outlook]) -> Iterator[tuple[str, Outlook]]:
    return ((name, outlook) for name, outlook in seen.items() if outlook.is_due)
