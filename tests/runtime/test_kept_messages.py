"""What a host that drops the messages of no call is told all the same, wherever it was logged.

The host drops what comes without the id of a call that is under way (WebJobs.Script.Grpc, `GrpcWorkerChannel.Log`).
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from shared.domain.patience import unlimited
from shared.runtime.telemetry import MOST_CHARACTERS, MOST_KEPT, in_a_call, write_facts
from tests.functions_host.tasks import ids_of_calls, name_call, present_call
from tests.running import REPOSITORY

logger = logging.getLogger("tests.kept")

LIST_OTHERS = """
import function_app
names = [each.get_function_name() for each in function_app.app.get_functions() if not hasattr(each.get_user_function(), "is_in_a_call")]
print("functions:", *names)
"""


class Worker(logging.Handler):
    """The worker and its host: ``heard`` has each message that arrived with the call that it belongs to, ``dropped`` the others."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str]] = []
        self.dropped: list[str] = []
        self._under_way: set[str] = set()

    async def call(self, function: Callable[[], Awaitable[None]], *, name: str) -> None:
        """Call a function as a host does, in a task of its own."""

        async def invocation() -> None:
            name_call(name)
            await in_a_call(function)()

        self._under_way.add(name)
        try:
            with ids_of_calls():
                await asyncio.create_task(invocation())
        finally:
            self._under_way.remove(name)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on, or drop, what is logged."""
        name = present_call()
        if name in self._under_way:
            self.heard.append((name, self.format(record)))
        else:
            self.dropped.append(self.format(record))

    @property
    def told(self) -> list[tuple[str, str]]:
        """What was heard, without when it was logged."""
        return [(name, text.partition(" {")[0]) for name, text in self.heard]


@pytest.fixture
def worker() -> Iterator[Worker]:
    handler, root, level = Worker(), logging.getLogger(), logging.getLogger().level
    write_facts([handler])
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    assert handler.dropped == []


async def nothing() -> None:
    """Do nothing: the call of a caller that came later."""


async def test_what_a_call_logs_is_heard_in_it_at_once(worker):
    async def function() -> None:
        logger.warning("here")
        assert worker.heard == [("1", "here")]

    await worker.call(function, name="1")


async def test_what_a_task_logs_that_outlives_its_call_is_heard_in_the_next_one(worker):
    gone_on = asyncio.Event()
    begun: list[asyncio.Task[None]] = []

    async def goes_on() -> None:
        await gone_on.wait()
        logger.warning("too late")

    async def function() -> None:
        begun.append(asyncio.create_task(goes_on(), context=unlimited()))

    await worker.call(function, name="1")
    gone_on.set()
    await begun[0]
    assert worker.heard == []
    await worker.call(nothing, name="2")
    assert worker.told == [("2", "too late")]


async def test_what_a_thread_without_a_call_logs_is_heard_in_the_next_one(worker):
    thread = threading.Thread(target=logger.warning, args=("from a thread",))
    thread.start()
    thread.join()
    await worker.call(nothing, name="1")
    assert worker.told == [("1", "from a thread")]


async def test_what_a_thread_of_a_call_logs_is_heard_in_that_call_and_in_no_other(worker):
    logged, goes_on = asyncio.Event(), asyncio.Event()

    async def function() -> None:
        await asyncio.to_thread(logger.warning, "from its thread")
        logged.set()
        await goes_on.wait()

    first = asyncio.create_task(worker.call(function, name="1"))
    await logged.wait()
    await worker.call(nothing, name="2")
    assert worker.heard == []
    goes_on.set()
    await first
    assert worker.told == [("1", "from its thread")]


async def test_what_another_event_loop_logs_for_a_call_is_heard_in_it(worker):
    async def elsewhere() -> None:
        logger.warning("from another loop")

    async def function() -> None:
        await asyncio.to_thread(asyncio.run, elsewhere())

    await worker.call(function, name="1")
    assert worker.told == [("1", "from another loop")]


async def test_what_a_callback_logs_that_is_in_no_task_is_heard(worker):
    async def function() -> None:
        asyncio.get_running_loop().call_soon(logger.warning, "from a callback")
        await asyncio.sleep(0)

    await worker.call(function, name="1")
    assert worker.told == [("1", "from a callback")]


async def test_what_is_logged_before_the_first_call_is_heard_in_it(worker):
    logger.warning("at the start")
    await worker.call(nothing, name="1")
    assert worker.told == [("1", "at the start")]


async def test_a_handler_that_came_after_the_start_hears_as_the_others_do(worker):
    late = Worker()
    logging.getLogger().addHandler(late)
    try:
        await late.call(nothing, name="1")
        logger.warning("between calls")
        assert late.dropped == []
        await late.call(nothing, name="2")
        assert late.told == [("2", "between calls")]
    finally:
        logging.getLogger().removeHandler(late)
        worker.dropped.clear()  # the calls were the other's


async def test_what_was_kept_comes_before_what_is_logged_after_it(worker):
    async def function() -> None:
        await asyncio.to_thread(logger.warning, "first")
        logger.warning("second")

    await worker.call(function, name="1")
    assert worker.told == [("1", "first"), ("1", "second")]


async def test_a_call_that_fails_writes_what_was_kept(worker):
    async def function() -> None:
        await asyncio.to_thread(logger.warning, "before it failed")
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await worker.call(function, name="1")
    assert worker.told == [("1", "before it failed")]


async def test_what_was_kept_tells_when_it_was_logged_with_its_facts_and_traceback(worker):
    try:
        raise OSError("no disk")
    except OSError:
        logger.exception("storage cannot be reached", extra={"operation": "append", "secret": "s"})
    await worker.call(nothing, name="1")
    first, *traceback = worker.heard[0][1].splitlines()
    facts = json.loads(first.removeprefix("storage cannot be reached "))
    assert facts.pop("logged_at").endswith("+00:00")
    assert facts == {"operation": "append"}
    assert traceback[-1] == "OSError: no disk"


async def test_only_so_much_is_kept_and_what_was_lost_is_counted(worker):
    for number in range(MOST_KEPT + 3):
        logger.warning("%d%s", number, "x" * 2 * MOST_CHARACTERS)
    await worker.call(nothing, name="1")
    *kept, lost = [text for _, text in worker.heard]
    assert lost == 'messages were lost: no call came in which they could be written {"lost":3}'
    assert len(kept) == MOST_KEPT
    assert kept[0].startswith("3x")
    assert max(map(len, kept)) < MOST_CHARACTERS + 10


async def test_a_message_that_cannot_be_written_breaks_nobody(worker, capsys):
    assert not worker.filter(logging.makeLogRecord({"name": "kept", "msg": "%d", "args": ("no number",)}))
    await worker.call(nothing, name="1")
    assert worker.heard == []
    assert "no number" in capsys.readouterr().err


async def test_what_the_worker_itself_says_is_left_to_it(worker):
    logging.getLogger("azure_functions_worker.dispatcher").warning("its own")
    assert worker.dropped == ["its own"]
    worker.dropped.clear()


def test_every_function_of_the_app_writes_what_was_kept():
    environment = {"PATH": os.environ["PATH"], "PERSONALIZER_STORE": "unused"}
    listed = subprocess.run(
        [sys.executable, "-c", LIST_OTHERS], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == ["functions:"]
