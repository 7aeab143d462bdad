"""A queue of Queue storage: `shared.storage.ports.QueueStore`. Texts go as they are: the Functions host expects Base64 by itself."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from shared.domain.errors import StorageUnavailableError
from shared.storage.azure.deletions import is_being_deleted
from shared.storage.azure.failures import believe, storage_failures, told
from shared.storage.ports import Message

_FOREVER = -1
"""Seconds until a message without a life expires unread: a host that was down for long finds all that was asked of it."""


class AzureQueue:
    """One queue, made on first need; ``queue`` gives the SDK's client."""

    def __init__(self, queue: Callable[[], QueueClient]) -> None:
        self._queue = queue

    async def send(self, text: str, *, after: timedelta = timedelta(0), life: timedelta | None = None) -> None:
        """Put a message in."""
        async with storage_failures("send a message to the queue"):
            try:
                await self._send(text, after, life)
            except ResourceNotFoundError:
                await self._make()
                await self._send(text, after, life)

    async def _send(self, text: str, after: timedelta, life: timedelta | None) -> None:
        expires = _FOREVER if life is None else _seconds(life)
        await self._queue().send_message(text, visibility_timeout=_seconds(after), time_to_live=expires)

    async def _make(self) -> None:
        try:
            await self._queue().create_queue()
        except ResourceExistsError as answer:  # another process was faster
            if is_being_deleted(answer):
                raise

    async def receive(self, *, most: int, hidden_for: timedelta) -> Sequence[Message]:
        """Take messages; a queue that is not there is an empty one."""
        async with storage_failures("receive messages of the queue"):
            try:
                pages = self._queue().receive_messages(messages_per_page=most, visibility_timeout=_seconds(hidden_for)).by_page()
                return [_message(each) async for each in await anext(pages)]
            except StopAsyncIteration:
                return ()
            except ResourceNotFoundError as answer:
                believe(answer)
                return ()

    async def hide(self, message: Message, *, during: timedelta) -> Message:
        """Hide a message for that time."""
        async with storage_failures("hide a message of the queue"):
            changed = await self._queue().update_message(message.id, message.receipt, visibility_timeout=_seconds(during))
            return replace(message, receipt=told(changed.pop_receipt))

    async def delete(self, message: Message) -> None:
        """Delete a message."""
        async with storage_failures("delete a message of the queue"):
            try:
                await self._queue().delete_message(message.id, message.receipt)
            except ResourceNotFoundError as answer:
                if getattr(answer, "error_code", None) not in ("MessageNotFound", "QueueNotFound"):
                    raise


def _message(taken: QueueMessage) -> Message:
    """Give a message as the port has it; raises `StorageUnavailableError` for an answer that is none."""
    if taken.inserted_on is None or taken.next_visible_on is None:
        raise StorageUnavailableError("storage gave a message without the needed facts")
    return Message(
        id=told(taken.id),
        receipt=told(taken.pop_receipt),
        text=str(taken.content or ""),
        dequeue_count=taken.dequeue_count or 1,
        inserted=taken.inserted_on,
        next_visible=taken.next_visible_on,
        expires=taken.expires_on,
    )


def _seconds(duration: timedelta) -> int:
    return math.ceil(duration.total_seconds())
