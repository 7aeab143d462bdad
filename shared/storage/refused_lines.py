"""Copies of refused lines beside those of damaged segments, and dropped with them: `shared.domain.ports.RefusedLines`."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson

from shared.domain.uploads import Refusal
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

_MOST_BYTES: Final = 64 * 1024
"""Of lines in a copy: the first ones tell enough."""


class FileRefusedLines:
    """Those of one loop."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._files = Files(storage, names.LOGS)
        self._loop = loop

    async def keep(self, refused: Sequence[Refusal], at: datetime) -> None:
        """Write a file of them: a JSON object on each line."""
        lines: list[bytes] = []
        size = 0
        for each in refused:
            line = orjson.dumps(_document(each))
            size += len(line)
            if lines and size > _MOST_BYTES:
                break
            lines.append(line)
        text = b"\n".join(lines)
        await self._files.write_once(names.refused_file(self._loop, at, hashlib.sha256(text).hexdigest()), text)


def _document(each: Refusal) -> dict[str, object]:
    text = each.text[:_MOST_BYTES].decode("utf-8", "replace")
    return {"line": each.line, "eventId": each.event_id, "code": each.code.value, "message": each.message, "text": text}
