"""Runs queue functions on the messages of their queues, with the retries and the poison queues of the Functions host."""

import asyncio
import base64
import binascii
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from local.backend import Backend, QueueCall, QueueTrigger
from local.settings import QueueSettings, expand, storage_settings
from shared.domain.errors import StorageUnavailableError
from shared.domain.patience import patience
from shared.storage.opening import open_storage
from shared.storage.ports import Message
from shared.storage.settings import StorageSettings

log = logging.getLogger("local.queues")

HELD_FOR = timedelta(seconds=60)
"""How long a message stays hidden when the host that has it is killed; Azure's host lets ten minutes pass."""

FASTEST = timedelta(milliseconds=100)
"""Between two looks at a queue that had something."""

POISON = "-poison"

PATIENCE: Final = timedelta(seconds=20)
"""That one use of a queue may take; a message that was held meanwhile is held for longer."""

Call = Callable[[QueueTrigger, QueueCall], Coroutine[Any, Any, None]]


class Queues:
    """The queue functions of one app, each with a queue of its own.

    All but the functions themselves is done in a thread beside them, as Azure does it in another process: a function that keeps its loop
    busy still keeps its message.
    """

    def __init__(self, backend: Backend, triggers: Iterable[QueueTrigger], *, settings: QueueSettings, held_for: timedelta) -> None:
        self._backend = backend
        self._triggers = {trigger.name.lower(): trigger for trigger in triggers}
        self._settings = settings
        self._held_for = held_for
        self._by_hand: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look at the queues; a setting that is missing raises here."""
        if not self._triggers:
            return
        functions = asyncio.get_running_loop()

        async def call(trigger: QueueTrigger, message: QueueCall) -> None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._backend.call_queue(trigger, message), functions))

        connections = {trigger.name: storage_settings(trigger.connection) for trigger in self._triggers.values()}
        listeners = [
            _Listener(trigger, expand(trigger.queue), connections[trigger.name], self._settings, self._held_for, call)
            for trigger in self._triggers.values()
        ]
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._grace = 0.0
        self._thread = threading.Thread(target=self._run, args=[listeners], name="queues", daemon=True)
        self._thread.start()

    def run_by_hand(self, name: str, text: str) -> bool:
        """Run a function once on this text, which is in no queue; False when there is no such function."""
        trigger = self._triggers.get(name.lower())
        if trigger is None:
            return False
        task = asyncio.create_task(self._fire(trigger, QueueCall(text)))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)
        return True

    async def stop(self, *, grace: float) -> None:
        """Take no more messages; give the functions that are running ``grace`` seconds, then let go of what they had."""
        if self._thread is not None:
            self._grace = grace
            self._loop.call_soon_threadsafe(self._stopping.set)
            await asyncio.to_thread(self._thread.join)
        for task in self._by_hand:
            task.cancel()

    def _run(self, listeners: Sequence["_Listener"]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen(listeners))

    async def _listen(self, listeners: Sequence["_Listener"]) -> None:
        await asyncio.gather(*[listener.listen(self._stopping, grace=lambda: self._grace) for listener in listeners])

    async def _fire(self, trigger: QueueTrigger, call: QueueCall) -> None:
        try:
            await self._backend.call_queue(trigger, call)
        except Exception:
            log.exception("queue function failed", extra={"function": trigger.name})


class _Listener:
    """Takes one queue's messages and hands each to the function, several at a time."""

    def __init__(
        self, trigger: QueueTrigger, queue: str, connection: StorageSettings, settings: QueueSettings, held_for: timedelta, call: Call
    ) -> None:
        self._trigger = trigger
        self._name = queue
        self._connection = connection
        self._settings = settings
        self._held_for = held_for
        self._call = call

    async def listen(self, stopping: asyncio.Event, *, grace: Callable[[], float]) -> None:
        """Go on until told to stop."""
        stopped = asyncio.create_task(stopping.wait())
        running: set[asyncio.Task[None]] = set()
        pause = FASTEST
        storage = open_storage(self._connection)
        self._queue, self._poison = storage.queue(self._name), storage.queue(self._name + POISON)
        try:
            while not stopped.done():
                found = await self._taken()
                running |= {asyncio.create_task(self._handle(_Held(message))) for message in found}
                pause = FASTEST if found else min(2 * pause, self._settings.max_polling_interval)
                await asyncio.wait({stopped}, timeout=pause.total_seconds())
                running = await self._with_room(running, stopped)
            await _ended(running, grace())
        finally:
            await storage.close()

    async def _with_room(self, running: set[asyncio.Task[None]], stopped: asyncio.Task[Any]) -> set[asyncio.Task[None]]:
        """Wait until few enough messages are worked on to ask for more; gives those that are."""
        running = {task for task in running if not task.done()}
        while len(running) > self._settings.new_batch_threshold and not stopped.done():
            await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            running = {task for task in running if not task.done()}
        return running

    async def _taken(self) -> Sequence[Message]:
        """Take a batch, hidden from others from now on; a queue that is not there is an empty one."""
        try:
            with patience(PATIENCE):
                return await self._queue.receive(most=self._settings.batch_size, hidden_for=self._held_for)
        except StorageUnavailableError as error:
            log.warning("queue cannot be read", extra={"queue": self._name, "error": str(error)})
            return ()

    async def _handle(self, held: "_Held") -> None:
        try:
            await self._tried(held)
        except StorageUnavailableError as error:
            facts = {"queue": self._name, "message_id": held.message.id, "error": str(error)}
            log.warning("message could not be put away; it will be there again", extra=facts)

    async def _tried(self, held: "_Held") -> None:
        """Run the function, and delete the message if that succeeded; after the last try it goes to the poison queue."""
        text = self._text(held.message)
        tries = held.message.dequeue_count
        if text is None or tries > self._settings.max_dequeue_count:
            await self._give_up(held.message)
            return
        try:
            succeeded = await self._succeeded(held, text)
        except asyncio.CancelledError:
            await self._release(held, timedelta(0))
            raise
        if succeeded:
            with patience(PATIENCE):
                await self._queue.delete(held.message)
        elif tries >= self._settings.max_dequeue_count:
            await self._give_up(held.message)
        elif not self._is_poison:  # a message that failed there stays hidden for as long as it was to be held
            await self._release(held, self._settings.retry_after)

    async def _succeeded(self, held: "_Held", text: str) -> bool:
        async with self._kept_hidden(held):
            try:
                await self._call(self._trigger, _call_of(held.message, text))
            except Exception:
                facts = {"function": self._trigger.name, "message_id": held.message.id, "dequeue_count": held.message.dequeue_count}
                log.exception("queue function failed", extra=facts)
                return False
        return True

    @contextlib.asynccontextmanager
    async def _kept_hidden(self, held: "_Held") -> AsyncIterator[None]:
        ended = asyncio.Event()
        renewing = asyncio.create_task(self._renew(held, ended))
        try:
            yield
        finally:
            ended.set()
            await renewing  # not cancelled: whether a renewal that is under way succeeds decides which receipt is the message's

    async def _renew(self, held: "_Held", ended: asyncio.Event) -> None:
        while not await _happens(ended, within=self._held_for / 2):
            try:
                await self._release(held, self._held_for)
            except StorageUnavailableError as error:
                log.warning("message could not be kept hidden", extra={"message_id": held.message.id, "error": str(error)})

    async def _release(self, held: "_Held", after: timedelta) -> None:
        """Let others see the message after that time."""
        with patience(PATIENCE):
            held.message = await self._queue.hide(held.message, during=after)

    async def _give_up(self, message: Message) -> None:
        """Move the message to the poison queue; one that is there already stays where it is."""
        if self._is_poison:
            return
        facts = {"function": self._trigger.name, "message_id": message.id, "dequeue_count": message.dequeue_count}
        log.warning("message moved to the poison queue", extra=facts)
        with patience(PATIENCE):
            await self._poison.send(message.text)
            await self._queue.delete(message)

    @property
    def _is_poison(self) -> bool:
        return self._name.endswith(POISON)

    def _text(self, message: Message) -> str | None:
        """Decode the message's body; None for what is not in the encoding that `host.json` tells."""
        if not self._settings.is_base64:
            return message.text
        try:
            return base64.b64decode(message.text, validate=True).decode(errors="replace")
        except binascii.Error:
            return None


@dataclass(slots=True)
class _Held:
    """A message that is worked on, with the receipt that counts."""

    message: Message


async def _ended(running: set[asyncio.Task[None]], grace: float) -> None:
    """Let what is running end by itself, or cancel it when the time is over."""
    if running:
        _, late = await asyncio.wait(running, timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _happens(event: asyncio.Event, *, within: timedelta) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within.total_seconds())
    return event.is_set()


def _call_of(message: Message, text: str) -> QueueCall:
    return QueueCall(
        text,
        id=message.id,
        receipt=message.receipt,
        dequeue_count=message.dequeue_count,
        inserted=message.inserted,
        expires=message.expires,
        next_visible=message.next_visible,
    )
