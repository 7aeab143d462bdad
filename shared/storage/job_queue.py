"""The queue of jobs, in the Functions host's account: what is sent there triggers a function."""

import math
from datetime import timedelta
from functools import cached_property

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import BinaryBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.deletions import is_being_deleted
from shared.storage.failures import storage_failures

MAX_MESSAGE = 48 * 1024
"""Bytes of a message: in Base64, which the Functions host expects, these are the 64 KiB that a queue takes."""

_FOREVER = -1
"""Seconds until a message expires unread: a host that was down for long finds all that was asked of it."""


class StorageJobQueue:
    """Sends to the queue, which is made when it is not there: `shared.domain.ports.JobQueue`."""

    def __init__(self, account: StorageAccount) -> None:
        self._account = account

    async def send(self, message: bytes, *, after: timedelta = timedelta(0)) -> None:
        """Return once the message is stored."""
        if len(message) > MAX_MESSAGE:
            raise ValueError(f"a job's message may have {MAX_MESSAGE} bytes, not {len(message)}")
        async with storage_failures("send a job to the queue"):
            try:
                await self._send(message, after)
            except ResourceNotFoundError:
                await self._make()
                await self._send(message, after)

    async def _send(self, message: bytes, after: timedelta) -> None:
        await self._queue.send_message(message, visibility_timeout=math.ceil(after.total_seconds()), time_to_live=_FOREVER)

    async def _make(self) -> None:
        try:
            await self._queue.create_queue()
        except ResourceExistsError as answer:  # another process was faster
            if is_being_deleted(answer):
                raise

    @cached_property
    def _queue(self) -> QueueClient:
        return self._account.queues.get_queue_client(names.JOBS, message_encode_policy=BinaryBase64EncodePolicy())
