"""Actions that events refer to by number: each is sent once, and stands for itself in what follows."""

import re
from collections.abc import Iterable
from typing import Final

from shared.domain.errors import UnreadableError
from shared.joining.splitting import MAX_LINE

MOST_KEPT: Final = 64 * 1024 * 1024
"""Bytes of the actions that are kept; of more, those sent last."""

_REFERENCE: Final = re.compile(rb'\{\s*"__aid"\s*:\s*(\d{1,20})\s*\}')


class Dictionary:
    """The actions that were sent until now."""

    def __init__(self) -> None:
        self._texts: dict[int, bytes] = {}
        self._size = 0

    def add(self, texts: Iterable[tuple[int, bytes]]) -> None:
        """Take actions; the oldest make room for them."""
        for number, text in texts:
            self._size -= len(self._texts.pop(number, b""))
            self._texts[number] = text
            self._size += len(text)
        while self._size > MOST_KEPT:
            self._size -= len(self._texts.pop(next(iter(self._texts))))

    def filled_in(self, context: bytes) -> bytes:
        """Give the context with its actions; raises `UnreadableError` where one was not sent, or all together are too long."""
        if b'"__aid"' not in context:
            return context
        parts: list[bytes] = []
        length = done = 0
        for reference in _REFERENCE.finditer(context):
            text = self._texts.get(int(reference[1]))
            if text is None:
                raise UnreadableError("an action is given by its number in a dictionary, which is not before it in the file")
            parts += (context[done : reference.start()], text)
            length += len(text)
            done = reference.end()
            if length > MAX_LINE:
                raise UnreadableError(f"the event's actions have more than {MAX_LINE >> 20} MiB")
        return b"".join((*parts, context[done:]))
