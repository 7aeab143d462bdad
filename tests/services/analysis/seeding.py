"""A loop's joined log on real storage, written without its trainer: the chunks that it would have written, and the pointer to them."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.domain.clock import EPOCH
from shared.domain.events import JoinedEvent
from shared.domain.ledger import Pointer
from shared.joining.chunks import ChunkName, compressed
from shared.joining.dsjson import lines
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage


async def seed(account: Storage, parts: Sequence[Sequence[JoinedEvent]], *, loop: str = "default", until: datetime = EPOCH) -> list[str]:
    """Write a chunk for each part, in order, and commit them without a model; gives their names. ``until`` is how far all is joined."""
    store, names = FileModelStore(account, loop=loop), [""]
    for part in parts:
        data = compressed(lines(part))
        since, last = part[0].decision.decided_at, part[-1].decision.decided_at + timedelta(microseconds=1)
        until = max(until, last)
        names.append(str(ChunkName(1, since, last, hashlib.sha256(data).hexdigest()[:12])))
        await store.write_chunk(names[-1], data, parent=names[-2])
    stored = await store.pointer()
    pointer = Pointer(sequence=1, version="", published_at=EPOCH, watermark=until, chunk=names[-1])
    await store.commit(pointer, expected=stored[1] if stored else None)
    return names[1:]
