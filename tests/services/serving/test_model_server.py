"""The polling thread: what it serves, what it keeps, and what it says."""

import asyncio
import http.client
import os
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.budget import Budget
from shared.domain.errors import NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.ledger import Counters, Pointer
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.patience import patience
from shared.learning import artifact
from shared.learning.arguments import PolicyArguments, Softmax, parse_arguments
from shared.learning.encoding import to_batch
from shared.learning.learner import Learner
from shared.learning.sizes import bytes_in
from shared.services.serving import model_server
from shared.services.serving.model_server import ModelServer, Polling
from tests.builders import T0, decision
from tests.learning.building import encoded
from tests.patience import BUSY, PATIENCE

INTERVAL = 0.05
ASKED = encoded({"u": {"a": 1}}, [{}, {"b": 2}])
COLD = 20_000
"""Bytes of a cold model, at most."""


def trained() -> bytes:
    learner = Learner.cold()
    learner.learn(to_batch([decision().encoded], rewards=[1.0], probabilities=[0.75]))
    return artifact.dump_model(learner)


class Feed:
    """A model feed and a configuration in memory, which can be made to fail."""

    def __init__(self) -> None:
        self.pointer: Pointer | None = None
        self.models: dict[str, bytes] = {}
        self.settings = LoopSettings()
        self.error: BaseException | None = None
        self.settings_error: BaseException | None = None
        self.artifact_error: BaseException | None = None
        self.hold = threading.Event()
        self.hold.set()
        self._given: Pointer | None = None

    def publish(self, version: str, data: bytes | None = None) -> None:
        self.models[version] = trained() if data is None else data
        self.pointer = Pointer(sequence=1, version=version, published_at=T0, watermark=T0, counters=Counters(learned=1))

    def news(self) -> Pointer | None:
        self.hold.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        news = self.pointer if self.pointer != self._given else None
        self._given = self.pointer
        return news

    def artifact(self, version: str) -> bytes:
        if self.artifact_error is not None:
            raise self.artifact_error
        return self.models[version]

    def read(self) -> LoopSettings:
        if self.settings_error is not None:
            raise self.settings_error
        return self.settings


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def polling():
    polling = Polling(timedelta(seconds=INTERVAL))
    yield polling
    polling.stop()


@pytest.fixture
def server(feed, polling):
    return ModelServer(feed, feed, defaults=LoopSettings(), polling=polling)


async def eventually(is_true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < until, "it did not happen"
        await asyncio.sleep(0.01)


async def test_a_process_without_a_model_serves_a_cold_one(server):
    served = await server.served()
    assert (served.version, served.model.is_cold, served.error) == ("", True, None)


async def test_the_first_call_already_gets_a_published_model(server, feed):
    feed.publish("1")
    assert (await server.served()).version == "1"


async def test_a_slow_storage_holds_up_the_first_calls_for_half_a_second_in_all(server, feed):
    feed.hold.clear()
    started = time.monotonic()
    assert (await server.served()).version == ""
    assert (await server.served()).version == ""
    assert 0.4 < time.monotonic() - started < BUSY
    started = time.monotonic()
    for _ in range(100):
        await server.served()
    assert time.monotonic() - started < BUSY  # and not half a second each time
    feed.hold.set()


async def test_a_new_model_is_served_within_a_poll(server, feed):
    feed.publish("1")
    await server.served()
    feed.publish("2")
    await asyncio.sleep(INTERVAL * 4)
    served = await server.served()
    assert (served.version, served.published_at, served.model.learned) == ("2", T0, 1)


@pytest.mark.parametrize("error", [StorageUnavailableError("down"), NewerFormatError("the model pointer", found=9, known=1)])
async def test_a_failed_refresh_keeps_the_old_model_and_says_so(server, feed, error):
    feed.publish("1")
    await server.served()
    feed.error = error
    await eventually(lambda: server._served.error is not None)
    served = await server.served()
    assert (served.version, served.error) == ("1", str(error))
    feed.error = None
    feed.publish("2")
    await eventually(lambda: server._served.version == "2")
    assert (await server.served()).error is None


async def test_a_damaged_model_is_not_served_and_tried_again(server, feed):
    feed.publish("1")
    await server.served()
    feed.publish("2", b"nonsense")
    await eventually(lambda: server._served.error is not None)
    assert (await server.served()).version == "1"
    feed.models["2"] = trained()
    await eventually(lambda: server._served.version == "2")


async def test_a_model_that_is_gone_since_others_were_published_gives_way_to_the_newest_in_the_same_look(server, feed):
    feed.publish("00000001-a")
    await server.served()
    feed.publish("00000002-b")
    server.refresh()
    publish = iter(["00000005-e", "00000006-f"])

    def overtaken(version: str) -> bytes:
        """Let two more be published each time before one is found, as by a process that commits faster than this one loads."""
        newer = next(publish, "")
        if not newer:
            return trained()
        feed.publish(newer)
        raise UnreadableError(f"model {version} is not there")

    feed.publish("00000003-c")
    feed.artifact = overtaken
    server.refresh()
    served = await server.served()
    assert (served.version, served.error) == ("00000006-f", None)


async def test_a_model_that_is_gone_and_none_in_its_place_is_told_of_and_the_old_one_goes_on(server, feed):
    feed.publish("00000001-a")
    await server.served()
    feed.publish("00000002-b")
    feed.artifact_error = UnreadableError("model 00000002-b is not there")
    server.refresh()
    served = await server.served()
    assert (served.version, served.error) == ("00000001-a", "model 00000002-b is not there")


async def test_where_the_model_was_taken_away_while_it_was_loaded_a_cold_one_serves(server, feed):
    feed.publish("00000001-a")
    await server.served()
    feed.publish("00000002-b")

    def taken_away(version: str) -> bytes:
        feed.publish("")
        raise UnreadableError(f"model {version} is not there")

    feed.artifact = taken_away
    server.refresh()
    served = await server.served()
    assert (served.version, served.published_at, served.model.is_cold, served.error) == ("", None, True, None)


async def test_settings_and_model_are_refreshed_each_by_itself(server, feed):
    await server.served()
    feed.settings_error = UnreadableError("bad configuration")
    feed.publish("1")
    await eventually(lambda: server._served.version == "1")
    await eventually(lambda: server._served.error == "bad configuration")  # the poll that found the model may have begun before
    feed.settings_error = None
    feed.settings = replace(feed.settings, exploration_percentage=0.5)
    await eventually(lambda: server._served.settings.exploration_percentage == 0.5)


async def test_the_thread_is_started_again_when_it_is_gone(server, feed, polling):
    await server.served()
    polling.stop()
    feed.publish("1")
    await server.served()
    await eventually(lambda: server._served.version == "1")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_a_forked_process_polls_for_itself(server, feed):
    await server.served()
    feed.publish("1")
    pid = os.fork()
    if pid == 0:
        server.watch()
        until = time.monotonic() + PATIENCE
        while server._served.version != "1" and time.monotonic() < until:
            time.sleep(0.01)  # noqa: ASYNC251 - the child has no loop
        os._exit(0 if server._served.version == "1" else 1)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def polling_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "model-poll" and thread.is_alive()]


async def test_the_thread_does_not_keep_a_process_alive(server):
    await server.served()
    assert all(thread.daemon for thread in polling_threads())


async def test_one_thread_polls_for_all_loops_of_a_process(server, polling):
    before = len(polling_threads())
    feeds = [Feed() for _ in range(5)]
    servers = [ModelServer(each, each, defaults=LoopSettings(), polling=polling) for each in feeds]
    for each in (server, *servers):
        await each.served()
    assert len(polling_threads()) == before + 1
    for each in feeds:
        each.publish("1")
    await eventually(lambda: all(each._served.version == "1" for each in servers))


async def test_a_loop_that_is_stopped_is_polled_no_more_and_the_others_are(server, feed, polling):
    other_feed = Feed()
    other = ModelServer(other_feed, other_feed, defaults=LoopSettings(), polling=polling)
    await server.served()
    await other.served()
    server.stop()
    feed.publish("1")
    other_feed.publish("1")
    await eventually(lambda: other._served.version == "1")
    await asyncio.sleep(INTERVAL * 4)
    assert server._served.version == ""


async def test_a_policy_is_parsed_when_it_changes_and_served_with_its_settings(server, feed, monkeypatch):
    parsed: list[str] = []

    def parse(text: str) -> PolicyArguments:
        parsed.append(text)
        return parse_arguments(text)

    monkeypatch.setattr(model_server, "parse_arguments", parse)
    assert (await server.served()).arguments == PolicyArguments()
    feed.settings = replace(feed.settings, policy=LearningPolicy("mine", "--cb_explore_adf --softmax --lambda 7"))
    await eventually(lambda: server._served.arguments.exploration == Softmax(7.0))
    assert (await server.served()).settings.policy.name == "mine"
    await asyncio.sleep(INTERVAL * 4)
    assert parsed == ["--cb_explore_adf --softmax --lambda 7"]


async def test_a_stored_policy_that_cannot_be_followed_leaves_the_old_settings_serving(server, feed):
    await server.served()
    feed.settings = replace(feed.settings, exploration_percentage=0.9, policy=LearningPolicy("bad", "--cb_explore_adf --nonsense"))
    await eventually(lambda: server._served.error is not None)
    served = await server.served()
    assert (served.settings, served.arguments) == (LoopSettings(), PolicyArguments())
    assert "--nonsense" in (served.error or "")


# --- loops that nobody calls ---------------------------------------------------------------------------------------------------


@pytest.fixture
def resting():
    """One that lets a loop rest at once, and for as long as a test takes."""
    polling = Polling(timedelta(seconds=INTERVAL), rests_after=timedelta(seconds=INTERVAL), rest=timedelta(hours=1))
    yield polling
    polling.stop()


class Counted:
    """Something to be polled for that counts the looks."""

    def __init__(self) -> None:
        self.looks = 0

    def refresh(self) -> None:
        self.looks += 1


async def rested(polling: Polling, refreshable: Any) -> None:
    await eventually(lambda: polling._watched[refreshable].rests)


async def test_what_nobody_asks_for_is_looked_at_no_more_and_what_is_asked_for_every_interval(resting):
    quiet, called = Counted(), Counted()
    resting.watch(quiet)
    resting.watch(called)
    await rested(resting, quiet)
    before = quiet.looks, called.looks
    for _ in range(20):
        resting.watch(called)
        await asyncio.sleep(INTERVAL / 2)
    assert quiet.looks == before[0] <= 4
    assert called.looks >= before[1] + 5


async def test_whoever_calls_for_a_loop_again_gets_what_was_published_and_set_meanwhile(feed, resting):
    server = ModelServer(feed, feed, defaults=LoopSettings(), polling=resting)
    await server.served()
    await rested(resting, server)
    feed.publish("1")
    feed.settings = replace(feed.settings, exploration_percentage=0.5)
    await asyncio.sleep(2 * INTERVAL)
    served = await server.served()
    assert (served.version, served.settings.exploration_percentage) == ("1", 0.5)
    feed.publish("2")
    for _ in range(20):
        if (await server.served()).version == "2":
            break
        await asyncio.sleep(INTERVAL)
    else:
        pytest.fail("it is polled for no more")


async def test_many_calls_for_a_loop_that_rested_look_once(feed, resting):
    server = ModelServer(feed, feed, defaults=LoopSettings(), polling=resting)
    await server.served()
    await rested(resting, server)
    await asyncio.sleep(2 * INTERVAL)
    feed.publish("1")
    resting._rests_after = 3_600.0  # it rests once: however long the calls take, what follows are polls
    looks: list[str] = []
    given: Callable[[], Pointer | None] = feed.news

    def counted() -> Pointer | None:
        looks.append(threading.current_thread().name)
        time.sleep(0.02)
        return given()

    feed.news = counted
    assert {each.version for each in await asyncio.gather(*[server.served() for _ in range(5)])} == {"1"}
    assert len([thread for thread in looks if thread != "model-poll"]) == 1


async def test_where_storage_does_not_answer_a_call_for_a_loop_that_rested_gets_what_is_known_in_time(feed, resting, monkeypatch):
    monkeypatch.setattr(model_server, "_CAUGHT_UP", timedelta(seconds=0.2))
    feed.publish("1")
    server = ModelServer(feed, feed, defaults=LoopSettings(), polling=resting)
    await server.served()
    await rested(resting, server)
    await asyncio.sleep(2 * INTERVAL)
    feed.error = StorageUnavailableError("down")
    feed.settings_error = StorageUnavailableError("down")
    served = await server.served()
    assert (served.version, served.error) == ("1", "down; down")


async def test_loops_are_looked_at_several_at_a_time(polling):
    together, met = threading.Barrier(4), threading.Event()

    class Slow:
        def refresh(self) -> None:
            with suppress(threading.BrokenBarrierError):
                together.wait(PATIENCE)
                met.set()

    for _ in range(32):
        polling.watch(Slow())
    assert await asyncio.to_thread(met.wait, PATIENCE)
    together.abort()
    assert len(polling._threads) == 4


# --- models that were let go ---------------------------------------------------------------------------------------------------


def bytes_of(server: ModelServer) -> int:
    return bytes_in(server._served.model)


async def test_a_model_that_was_let_go_is_there_again_for_the_next_call_and_the_poll_leaves_it_alone(server, feed):
    feed.publish("1")
    before = await server.served()
    expected = before.model.scores(ASKED).mean.tolist()
    while server.let_go():
        pass
    await asyncio.sleep(4 * INTERVAL)
    assert server._served.is_let_go
    served = await server.served()
    assert (served.version, served.published_at, served.model.learned, served.error) == ("1", T0, 1, None)
    assert served.model.scores(ASKED).mean.tolist() == expected


async def test_settings_are_followed_and_newer_models_noted_while_a_model_is_let_go(server, feed):
    feed.publish("1")
    await server.served()
    while server.let_go():
        pass
    feed.publish("2")
    feed.settings = replace(feed.settings, exploration_percentage=0.5)
    await eventually(lambda: server._served.settings.exploration_percentage == 0.5)
    assert (await server.served()).version == "2"


async def test_what_scoring_takes_goes_first_and_is_laid_out_again_without_storage(server, feed):
    feed.publish("1")
    served = await server.served()
    large = bytes_of(server)
    kept = server.let_go()
    assert 0 < kept == bytes_of(server) < large / 5
    feed.artifact_error = feed.error = StorageUnavailableError("down")
    again = await server.served()
    assert again.version == "1"
    assert again.model is served.model
    assert again.model.is_prepared


async def test_where_a_model_that_was_let_go_cannot_be_had_a_cold_one_answers_and_says_why(server, feed):
    feed.publish("1")
    await server.served()
    while server.let_go():
        pass
    feed.artifact_error = StorageUnavailableError("down")
    served = await server.served()
    assert (served.version, served.model.is_cold, served.error) == ("", True, "down")
    feed.artifact_error = None
    assert (await server.served()).version == "1"


@pytest.mark.parametrize("most", [1, 100_000, 3_000_000])
async def test_whatever_the_number_of_loops_their_models_take_no_more_than_the_budget_and_no_call_gets_a_cold_one(polling, most):
    budget, data = Budget(most), trained()
    servers = []
    for _ in range(12):
        feed = Feed()
        feed.publish("1", data)
        servers.append(ModelServer(feed, feed, defaults=LoopSettings(), polling=polling, budget=budget))
    for _ in range(3):
        for server in servers:
            served = await server.served()
            assert served.version == "1"
            served.model.scores(ASKED)
            assert sum(map(bytes_of, servers)) < most + 1.5 * bytes_of(server) + COLD * len(servers)
    for server in servers:
        server.stop()
        await server.served()
    assert budget.held == 0


async def test_a_loop_that_is_stopped_takes_no_room_even_if_a_call_under_way_goes_on(server, feed, polling):
    feed.publish("1")
    await server.served()
    server.stop()
    await server.served()
    server.refresh()
    assert not polling._watched
    assert server._budget.held == 0


# --- whatever a loop meets ---------------------------------------------------------------------------------------------------

FOREIGN = [
    KeyError("etag"),
    TypeError("None"),
    AttributeError("x"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    MemoryError(),
    RecursionError(),
    ssl.SSLError("cut"),
    http.client.IncompleteRead(b""),
    SystemExit(3),
]


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["settings_error", "error", "artifact_error"])
async def test_whatever_one_loop_meets_is_shown_and_told_once_and_the_others_go_on(server, feed, polling, where, error, caplog):
    other_feed = Feed()
    other = ModelServer(other_feed, other_feed, defaults=LoopSettings(), polling=polling)
    await server.served()
    await other.served()
    setattr(feed, where, error)
    feed.publish("1")
    await eventually(lambda: server._served.error is not None)
    assert type(error).__name__ in (server._served.error or "")
    other_feed.publish("1")
    await eventually(lambda: other._served.version == "1")
    await asyncio.sleep(INTERVAL * 4)
    assert (await other.served()).error is None
    assert len([record for record in caplog.records if record.name == model_server.__name__ and record.levelname == "WARNING"]) == 1
    setattr(feed, where, None)
    await eventually(lambda: (server._served.version, server._served.error) == ("1", None))


class Breaking:
    """Something to be polled for that breaks in every way."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.looks = error, 0

    def refresh(self) -> None:
        self.looks += 1
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
async def test_the_thread_survives_whatever_is_raised(server, feed, polling, error, caplog):
    breaking = Breaking(error)
    polling.watch(breaking)
    await server.served()
    thread = polling._threads[0]
    feed.publish("1")
    await eventually(lambda: server._served.version == "1" and breaking.looks > 3)
    assert polling._threads[0] is thread
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


async def test_a_look_that_hangs_lets_others_who_ask_for_one_go_in_time(server, feed):
    await server.served()
    feed.hold.clear()
    await asyncio.sleep(INTERVAL * 4)
    began = time.monotonic()
    with patience(timedelta(seconds=0.3)):
        await asyncio.to_thread(server.refresh)
    assert time.monotonic() - began < BUSY
    feed.hold.set()
