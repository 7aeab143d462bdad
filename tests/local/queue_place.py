"""A queue as its messages are seen from beside the host that reads it, on either engine."""

import base64
import sqlite3
from datetime import timedelta
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueServiceClient

from shared.storage.ports import QueueStore
from tests.stores import opened


class QueuePlace:
    """The queues of a storage."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.storage = opened(place)

    def queue(self, name: str) -> QueueStore:
        return self.storage.queue(name)

    async def send(self, *texts: str, queue: str) -> None:
        for text in texts:
            await self.queue(queue).send(base64.b64encode(text.encode()).decode())

    async def waiting(self, queue: str) -> list[str]:
        """The contents of the messages that anyone could take now; each was received once more then."""
        found = await self.queue(queue).receive(most=32, hidden_for=timedelta(seconds=30))
        for message in found:
            await self.queue(queue).hide(message, during=timedelta(0))
        return [message.text for message in found]

    async def stored(self, queue: str) -> int:
        """How many messages there are, hidden ones among them."""
        if "=" in self._place:
            async with QueueServiceClient.from_connection_string(self._place) as service:
                try:
                    return (await service.get_queue_client(queue).get_queue_properties()).approximate_message_count or 0
                except ResourceNotFoundError:
                    return 0
        database = sqlite3.connect(Path(self._place) / "queue.db")
        try:
            return int(database.execute("SELECT count(*) FROM messages WHERE queue = ?", (queue,)).fetchone()[0])
        finally:
            database.close()
