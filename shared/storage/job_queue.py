"""The queues in the Functions host's storage: what is sent there triggers a function."""

import base64
from datetime import timedelta

from shared.storage import names
from shared.storage.ports import Storage

MAX_MESSAGE = 48 * 1024
"""Bytes of a message: in Base64, which the Functions host expects, these are the 64 KiB that a queue takes."""


class QueuedJobs:
    """Sends to one queue: `shared.domain.ports.JobQueue`."""

    def __init__(self, storage: Storage, *, queue: str = names.JOBS, life: timedelta | None = None) -> None:
        """``life`` is how long its messages are worth taking (None: for ever)."""
        self._storage = storage
        self._queue = queue
        self._life = life

    async def send(self, message: bytes, *, after: timedelta = timedelta(0)) -> None:
        """Return once the message is stored."""
        if len(message) > MAX_MESSAGE:
            raise ValueError(f"a job's message may have {MAX_MESSAGE} bytes, not {len(message)}")
        await self._storage.queue(self._queue).send(base64.b64encode(message).decode(), after=after, life=self._life)
