"""Training many loops over the queue: each is trained once and soon, whatever becomes of its message."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.asked import LIFE, MOST_QUIET, RENEWED, Note
from shared.domain.clock import EPOCH, TimeLimit
from shared.domain.errors import NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.loop import DEFAULT_LOOP
from shared.runtime.each_loop import RUN_TIME, Rounds, for_each_loop
from shared.runtime.fanout import SHARE, SLICE, Requests, give_up
from shared.runtime.wiring import Deployment
from shared.services.training.asking import MOST_STEPS, Request, divide
from shared.services.training.trainer import IDLE_ADVANCE_OF_SEVERAL, Outlook
from shared.services.training.trainer import SLICE as ANEW
from shared.storage import names
from shared.storage.lease import LEASE_SECONDS
from shared.storage.timer_notes import KeptPlace, TrainingNotes
from tests.builders import T0
from tests.clocks import SetClock, Ticks
from tests.reliability.draining import DrainingProcess
from tests.reliability.mortal import NEVER, MortalStorage
from tests.stores import overwrite
from trainer_function import _train, trainer_blueprint

TICK = 60
"""Seconds from one run of the timer to the next."""


@pytest.fixture
def clock():
    return SetClock(T0)


class App(DrainingProcess):
    """A process, and what tests ask it."""

    async def asked_for(self) -> list[str]:
        return sorted(Request.read(base64.b64decode(each.text)).loop for each in await self.taken())


@pytest.fixture
async def app(storage, clock) -> AsyncIterator[App]:
    app = App(storage, clock)
    yield app
    await app.deployment.close()


@pytest.fixture
async def another(storage, clock) -> AsyncIterator[App]:
    another = App(storage, clock)
    yield another
    await another.deployment.close()


# --- who trains what -------------------------------------------------------------------------------------------------------


async def test_one_loop_that_is_due_is_trained_at_once_and_nobody_is_asked(app):
    await app.make("quiet")
    await app.with_events("due")
    await app.tick()
    assert await app.learned("due") == [3]
    assert await app.taken() == []


async def test_for_several_loops_there_is_one_message_each_and_whoever_takes_it_trains(app, another):
    await app.make("quiet")
    await app.with_events("one", "two", "three")
    await app.tick()
    assert await app.learned("one", "two", "three") == [0, 0, 0]
    assert await another.work() == 3
    assert await app.learned("one", "two", "three") == [3, 3, 3]


async def test_a_loop_with_more_than_a_slice_asks_for_itself_again_until_nothing_is_left(app):
    await app.with_events("large", "small", events=1)
    await app.rank("large", *[f"f{number}" for number in range(9)])
    app.clock.pass_(30)
    app.in_small_windows("large", 2)
    app.requests = Requests(lambda: TimeLimit(RUN_TIME, monotonic=Ticks(7)))
    await app.tick()
    assert await app.work() > 3
    assert (await app.learned("large"))[0] >= 8
    await app.settle()
    assert await app.learned("large", "small") == [10, 1]


async def test_what_is_left_of_the_one_that_is_due_is_asked_of_others_so_that_the_timer_is_free(app):
    await app.make("quiet")
    await app.with_events("large", events=12)
    app.in_small_windows("large", 2)
    await app.tick(seconds_a_look=4)
    assert 0 < (await app.learned("large"))[0] < 12
    assert await app.work() > 0
    await app.settle()
    assert await app.learned("large") == [12]


def test_the_functions_hang_on_the_queue_its_poison_and_timers():
    app = func.FunctionApp()
    app.register_functions(trainer_blueprint(lambda: pytest.fail("nothing is built yet"), schedule="0 * * * * *"))
    triggers: dict[str | None, Any] = {each.get_function_name(): each.get_trigger() for each in app.get_functions()}
    assert {*triggers} == {"train", "train_queued", "train_poison", "mirror", "retention"}
    assert triggers["train_queued"].queue_name == names.TRAINING
    assert triggers["train_poison"].queue_name == names.TRAINING + "-poison"


# --- idle loops ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_new", [False, True], ids=["the same process", "a new process"])
async def test_an_idle_loop_costs_one_read(storage, clock, is_new):
    loops = [f"loop{number:02}" for number in range(9)]
    first = App(storage, clock, wait="PT10M")
    await first.with_events(*loops, events=1)
    clock.pass_(630)
    await first.tick()
    await first.work()
    assert await first.learned(*loops) == [1] * 9
    clock.pass_(TICK)
    await first.tick()
    counted = MortalStorage(storage, NEVER)
    app = App(storage, clock, storage=counted, wait="PT10M")
    if not is_new:
        clock.pass_(1)
        await app.tick()
    counted.calls = 0
    clock.pass_(TICK)
    await app.tick()
    whole = 1 if is_new else 0  # that this storage is no copy that was left half-way
    assert counted.calls == len([DEFAULT_LOOP, *loops]) + 2 + whole, "a read for each loop, their names and the notes"
    await app.deployment.close()
    await first.deployment.close()


async def test_for_loops_in_which_nothing_happens_nobody_is_asked_and_their_watermarks_move(app):
    loops = [f"loop{number}" for number in range(5)]
    await app.with_events(*loops, events=12)
    await app.tick()
    assert await app.work() == 5
    for _ in range(8):
        app.clock.pass_(IDLE_ADVANCE_OF_SEVERAL.total_seconds() / 4)
        await app.tick()
    assert await app.taken() == []
    for name in loops:
        services = await app.deployment.find(name)
        assert services is not None
        stored = await services.store.pointer()
        assert stored is not None
        assert app.clock.now() - stored[0].watermark < 2 * IDLE_ADVANCE_OF_SEVERAL


async def test_a_quiet_loop_is_looked_at_again_when_its_settings_change(app):
    await app.make("quiet")
    await app.with_events("changed", events=12)
    await app.tick()
    await app.tick()
    services = await app.deployment.find("changed")
    assert services is not None
    before = await services.store.pointer()
    await services.configurator.configure({"default_reward": 0.5})
    app.clock.pass_(1)
    await app.tick()
    after = await services.store.pointer()
    assert before
    assert after
    assert (before[0].resets, after[0].resets) == (0, 1)


@pytest.mark.parametrize("wait", ["PT1S", "PT90S", "PT10M"])
async def test_events_of_a_loop_that_was_quiet_are_learned_within_a_tick_of_their_time(storage, clock, wait):
    app = App(storage, clock, wait=wait)
    await app.make("one", "two")
    for _ in range(3):
        await app.tick()
        clock.pass_(TICK)
    await app.rank("one", *[f"e{number}" for number in range(12)])
    settings = app.deployment.settings
    due = clock.now() + settings.loop.reward_wait + settings.grace
    while await app.learned("one") == [0]:
        assert clock.now() <= due + timedelta(seconds=TICK)
        clock.pass_(TICK)
        await app.tick()
    await app.deployment.close()


async def test_a_loop_whose_model_is_begun_anew_gets_on_without_a_commit_and_is_left_to_its_request(app):
    await app.with_events("anew", "other", events=12)
    app.in_small_windows("anew", 2)
    await app.tick()
    await app.work()
    services = await app.deployment.find("anew")
    assert services is not None
    await services.configurator.configure({"default_reward": 0.5})
    before = await services.trainer.outlook()
    await services.trainer.turn(TimeLimit(1.5 * ANEW, monotonic=Ticks(ANEW.total_seconds())))
    after = await services.trainer.outlook()
    assert (before.is_due, after.is_due) == (True, True)
    assert before.mark.split()[0] == after.mark.split()[0], "nothing was committed"
    assert before.mark != after.mark


# --- messages that come twice, late or never -------------------------------------------------------------------------------


async def test_while_a_message_waits_there_is_no_other_for_its_loop_and_the_timer_trains_at_its_next_run(app):
    await app.with_events("one", "two")
    await app.tick()
    app.clock.pass_(TICK)
    await app.tick()
    assert await app.learned("one", "two") == [3, 3]
    assert await app.asked_for() == ["one", "two"]


async def test_a_message_that_is_lost_costs_one_tick(app, another):
    await app.with_events("one", "two")
    await app.tick()
    assert len(await app.taken()) == 2
    app.clock.pass_(TICK)
    await another.tick()
    assert await app.learned("one", "two") == [3, 3]


async def test_a_loop_that_is_behind_and_whose_message_is_lost_is_gone_on_with_as_if_there_were_no_queue(app):
    """Its request still stands, but nothing comes of it: a slice a run would be all that the loop gets for minutes."""
    await app.with_events("large", "small", events=12)
    app.in_small_windows("large", 1)
    await app.tick(seconds_a_look=1)
    assert len(await app.taken()) == 2
    app.clock.pass_(TICK)
    await app.tick(seconds_a_look=2)
    large, small = await app.learned("large", "small")
    assert (large >= 11, small) == (True, 12), "the last of them alone is no window yet"


async def test_loops_that_are_due_each_minute_are_trained_each_minute(app):
    await app.make("one", "two")
    for minute in range(8):
        for name in ("one", "two"):
            await app.rank(name, *[f"e{minute}-{number}" for number in range(12)])
        app.clock.pass_(TICK)
        await app.tick()
        assert await app.work() == 2
        assert await app.learned("one", "two") == [12 * (minute + 1)] * 2


async def test_a_message_that_comes_several_times_is_one(app, another):
    await app.with_events("one", "two", events=12)
    await app.tick()
    messages = [base64.b64decode(each.text) for each in await app.taken()]
    app.in_small_windows("one")
    for process in (app, another):
        await asyncio.gather(*[process.requests.handle(process.deployment, each) for each in messages * 3])
    assert len(await app.taken()) <= 1
    await app.settle()
    assert await app.learned("one", "two") == [12, 12]
    assert await app.taken() == []


async def test_a_message_that_comes_too_late_is_dropped_and_its_loop_is_trained_all_the_same(app):
    await app.with_events("one", "two")
    await app.tick()
    messages = await app.taken()
    app.clock.pass_(LIFE.total_seconds())
    for message in messages:
        await app.requests.handle(app.deployment, base64.b64decode(message.text))
    assert await app.learned("one", "two") == [0, 0]
    await app.tick()
    assert await app.work() == 2
    assert await app.learned("one", "two") == [3, 3]


async def test_however_long_nobody_takes_messages_there_are_few_of_each_loop(app):
    """Five loops that are far behind, and nobody behind the queue."""
    loops = [f"loop{number}" for number in range(5)]
    await app.with_events(*loops, events=60)
    for name in loops:
        app.in_small_windows(name, 1)
    for _ in range(12):
        app.clock.pass_(TICK)
        await app.tick(seconds_a_look=5)
    asked = [Request.read(base64.b64decode(each.text)) for each in await app.taken()]
    assert {request.loop for request in asked} <= {*loops}
    standing = [request.loop for request in asked if request.stands(app.clock.now())]
    assert len(standing) <= 2 * len(loops)
    assert max(map(standing.count, standing)) <= 2


async def test_messages_that_nobody_takes_are_given_a_life_a_little_longer_than_their_requests(app, storage):
    """Else those of days in which nobody took any would wait for whoever does."""
    sent: list[timedelta | None] = []

    class Noting(MortalStorage):
        def queue(self, name: str):
            return NotingQueue(sent)

    await app.with_events("one", "two")
    noting = App(storage, app.clock, storage=Noting(storage, NEVER))
    await noting.tick()
    assert len(sent) == 2
    assert all(life is not None and LIFE < life <= 2 * LIFE for life in sent)
    await noting.deployment.close()


class NotingQueue:
    """A queue that notes for how long its messages are kept."""

    def __init__(self, sent: list[timedelta | None]) -> None:
        self._sent = sent

    async def send(self, text: str, *, after: timedelta = timedelta(0), life: timedelta | None = None) -> None:
        self._sent.append(life)


async def test_a_request_whose_loop_is_trained_elsewhere_asks_again_when_that_may_be_over(app, another):
    await app.with_events("one", "two")
    await app.tick()
    services = await another.deployment.find("one")
    assert services is not None
    async with services.store.lease() as is_mine:
        assert is_mine
        assert await app.work() == 2
        assert await app.learned("one", "two") == [0, 3]
    assert await app.taken() == [], "not before the holder's lease would be over"


class Passing(MortalStorage):
    """A store whose queues give each message at once, whatever time it was to wait."""

    def __init__(self, place: str) -> None:
        super().__init__(place, NEVER)
        self.waiting: list[str] = []

    def queue(self, name: str):
        return PassingQueue(self.waiting)


class PassingQueue:
    def __init__(self, waiting: list[str]) -> None:
        self._waiting = waiting

    async def send(self, text: str, *, after: timedelta = timedelta(0), life: timedelta | None = None) -> None:
        self._waiting.append(text)


@pytest.mark.parametrize("hours", [-3, -0.2, 0, 3])
async def test_a_request_ends_after_so_many_messages_whatever_the_clock_of_whoever_takes_them_says(app, storage, hours):
    """Else a clock that is hours behind would keep each request for hours, and with each new one they would be more."""
    await app.with_events("one", "two")
    app.clock.pass_(4 * 3600)  # due by a wrong clock as well
    wrong = App(storage, SetClock(app.clock.now() + timedelta(hours=hours)), storage=(passing := Passing(storage)))
    services = await app.deployment.find("one")
    assert services is not None
    request, taken = Request.new("one", now=app.clock.now()), 1
    async with services.store.lease() as is_mine:  # so that work is left each time
        assert is_mine
        await wrong.requests.handle(wrong.deployment, request.written())
        while passing.waiting and taken <= MOST_STEPS:
            await wrong.requests.handle(wrong.deployment, base64.b64decode(passing.waiting.pop()))
            taken += 1
    assert taken == (MOST_STEPS if hours <= 0 else 1)
    await wrong.deployment.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"format":1}',
        b'{"format":1,"loop":"one","id":"","until":1}',
        b'{"format":1,"loop":"../one","id":"a","until":1}',
        b'{"format":1,"loop":"one","id":"a","until":99999999999999999999}',
        b'{"format":1,"loop":"one","id":"a","until":9223372036854775807}',
        b'{"format":1,"loop":"one","id":"a","until":-9223372036854775807}',
        b'{"format":1,"loop":"one","id":"' + b"a" * 65 + b'","until":1}',
        b'{"format":1,"loop":"one","id":"a","until":1,"step":-1}',
        b'{"format":2,"what":"is not known yet"}',
        b"[" * 40_000,
    ],
    ids=lambda body: body[:40],
)
async def test_a_message_that_cannot_be_read_is_dropped(app, body):
    with pytest.raises((UnreadableError, NewerFormatError)):
        Request.read(body)
    await app.requests.handle(app.deployment, body)
    await give_up(body)


@pytest.mark.parametrize("loop", ["gone", "never"])
async def test_a_message_of_a_loop_that_is_not_there_is_dropped(app, loop):
    await app.make("gone")
    await app.deployment.note(await app.deployment.loops.delete("gone"))
    await app.requests.handle(app.deployment, Request.new(loop, now=app.clock.now()).written())
    assert await app.taken() == []


async def test_a_message_that_failed_is_not_taken_for_one_that_was_done(app):
    await app.with_events("one", "two")
    await app.tick()
    messages = [base64.b64decode(each.text) for each in await app.taken()]
    pointer = names.pointer_file("onex0001")
    await overwrite(app.deployment.storage, names.MODELS, pointer, b"nonsense")
    one = next(each for each in messages if b'"one"' in each)
    for _ in range(2):
        with pytest.raises(UnreadableError):
            await app.requests.handle(app.deployment, one)
    await app.deployment.storage.files(names.MODELS).delete(pointer)
    await app.requests.handle(app.deployment, one)
    assert await app.learned("one") == [3]


async def test_a_loop_that_fails_each_time_keeps_the_others_from_nothing(app, caplog):
    await app.with_events("bad", "good", "better")
    await overwrite(app.deployment.storage, names.MODELS, names.pointer_file("badx0001"), b"nonsense")
    for _ in range(3):
        with pytest.raises(ExceptionGroup):
            await app.tick()
        await app.work()
        app.clock.pass_(TICK)
    assert await app.learned("good", "better") == [3, 3]
    await give_up(Request.new("bad", now=app.clock.now()).written())
    assert [record.loop for record in caplog.records if record.message == "training given up"] == ["bad"]


# --- a queue, or notes, that are not there ---------------------------------------------------------------------------------


class NoQueue:
    """A queue that takes nothing."""

    async def send(self, text: str, *, after: timedelta = timedelta(0), life: timedelta | None = None) -> None:
        raise StorageUnavailableError("down")


class Unqueued(MortalStorage):
    """A store whose queues take nothing."""

    def queue(self, name: str):
        return NoQueue()


async def test_where_the_queue_cannot_be_reached_all_is_trained_in_the_timers_own_process(app, storage, clock):
    await app.with_events("one", "two", "large", events=8)
    alone = App(storage, app.clock, storage=Unqueued(storage, NEVER))
    await alone.learned("large")
    alone.in_small_windows("large", 2)
    await alone.tick(seconds_a_look=2)
    clock.pass_(30)
    await alone.tick(seconds_a_look=2)
    assert await alone.learned("one", "two", "large") == [8, 8, 8]
    await alone.deployment.close()


async def test_a_request_that_nobody_can_be_asked_to_go_on_with_is_gone_on_with(app, storage):
    await app.with_events("large", "small", events=12)
    await app.tick()
    messages = [base64.b64decode(each.text) for each in await app.taken()]
    alone = App(storage, app.clock, storage=Unqueued(storage, NEVER))
    await alone.learned("large")
    alone.in_small_windows("large", 2)
    alone.requests = Requests(lambda: TimeLimit(RUN_TIME, monotonic=Ticks(7)))
    for message in messages:
        await alone.requests.handle(alone.deployment, message)
    assert (await alone.learned("large"))[0] >= 8
    await app.settle()
    assert await alone.learned("large", "small") == [12, 12]
    await alone.deployment.close()


@pytest.mark.parametrize("text", [b"", b"nonsense", b"[1]", b'{"format":1,"loops":{"one":{"asked_until":"x"}}}', b'{"loops":{}}'])
async def test_notes_that_are_damaged_tell_nothing_and_are_written_anew(app, text):
    await app.with_events("one", "two")
    await overwrite(app.deployment.storage, names.MODELS, names.training_notes_file(), text)
    await app.tick()
    assert await app.asked_for() == ["one", "two"]
    notes, _ = await TrainingNotes(app.deployment.storage).read()
    assert notes["one"].has_asked(now=app.clock.now())


async def test_notes_of_a_later_release_are_left_alone_and_the_timer_trains_by_itself(app):
    await app.with_events("one", "two")
    text = b'{"format":2,"loops":["another","form"]}'
    await overwrite(app.deployment.storage, names.MODELS, names.training_notes_file(), text)
    await app.tick()
    assert await app.learned("one", "two") == [3, 3]
    assert await app.taken() == []
    kept = await app.deployment.storage.files(names.MODELS).read(names.training_notes_file())
    assert kept is not None
    assert kept.data == text


class Noteless(MortalStorage):
    """A store that does not give the notes of the trainer's timer."""

    async def run(self, what: str, *given: Any, **named: Any) -> Any:
        if names.training_notes_file() in what:
            raise StorageUnavailableError("down")
        return await super().run(what, *given, **named)


async def test_where_the_notes_cannot_be_read_the_timer_trains_by_itself(app, storage):
    await app.with_events("one", "two")
    noteless = App(storage, app.clock, storage=Noteless(storage, NEVER))
    with pytest.raises(StorageUnavailableError):
        await TrainingNotes(noteless.deployment.storage).read()
    await noteless.tick()
    assert await app.learned("one", "two") == [3, 3]
    assert await app.taken() == []
    await noteless.deployment.close()


async def test_notes_from_a_clock_that_was_years_ahead_keep_no_loop_from_being_trained(app):
    await app.with_events("one", "two")
    far = app.clock.now() + timedelta(days=1000)
    stored = TrainingNotes(app.deployment.storage)
    await app.tick()
    await app.taken()
    notes, etag = await stored.read()
    await stored.write({name: Note(each.settings, far, "", far) for name, each in notes.items()}, expected=etag)
    await app.tick()
    assert await app.work() == 2
    assert await app.learned("one", "two") == [3, 3]


async def test_notes_are_read_as_they_were_written_to_the_microsecond(app):
    stored = TrainingNotes(app.deployment.storage)
    assert await stored.read() == ({}, None)
    notes = {"two": Note(), "one": Note("digest", T0 + timedelta(microseconds=1), "etag", T0)}
    etag = await stored.write(notes, expected=None)
    assert await stored.read() == (notes, etag)


async def test_the_notes_of_two_timers_at_once_make_no_second_request(app, another):
    await app.with_events("one", "two", "three")
    await asyncio.gather(app.tick(), another.tick())
    asked = await app.asked_for()
    assert len(asked) == len({*asked})
    assert max(await app.learned("one", "two", "three")) <= 3


async def test_a_release_without_the_queue_at_work_on_the_same_loops_does_no_harm(app, another):
    """Its timer goes over all loops one after another, and leaves messages where they are."""
    loops = ["one", "two", "three", "four"]
    await app.make(*loops)
    total = 0
    for minute in range(4):
        for name in loops:
            await app.rank(name, *[f"e{minute}-{number}" for number in range(12)])
        total += 12
        app.clock.pass_(TICK)
        old = for_each_loop(another.deployment, _train, "training did not finish", rounds=Rounds())
        await asyncio.gather(app.tick(), old, app.work())
    app.clock.pass_(TICK)
    await app.tick()
    await app.work()
    assert await app.learned(*loops) == [total] * 4


# --- fairness --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_quiet_loop_beside_many_that_are_an_hour_behind_lags_two_ticks_at_most(app, workers):
    """With no worker at all, too: the queue is full of those that are behind, or nobody takes messages."""
    busy = [f"busy{number}" for number in range(4)]
    await app.make("quiet", *busy)
    for name in busy:
        await app.rank(name, *[f"e{number}" for number in range(25)])
        app.in_small_windows(name, 1)
    app.clock.pass_(3600)
    delay = app.deployment.settings.loop.reward_wait + app.deployment.settings.grace
    since: dict[str, float] = {}
    for minute in range(5):
        await app.rank("quiet", *[f"q{minute}-{number}" for number in range(12)])
        since[f"q{minute}"] = app.clock.now().timestamp()
        app.clock.pass_(TICK)
        await app.tick(seconds_a_look=3)
        app.requests = Requests(lambda: TimeLimit(RUN_TIME, monotonic=Ticks(7)))
        await app.work(most=3 * workers)  # as many slices as fit in a minute
        (learned,) = await app.learned("quiet")
        waits = app.clock.now().timestamp() - since[f"q{learned // 12}"] if learned // 12 <= minute else 0
        assert waits <= 2 * TICK + delay.total_seconds()
    assert min(await app.learned(*busy)) < 25, "they are still behind"


def outlooks() -> st.SearchStrategy[Outlook]:
    return st.builds(Outlook, is_due=st.booleans(), is_small=st.booleans(), is_idle=st.booleans(), mark=st.sampled_from(["", "a", "b"]))


def notes() -> st.SearchStrategy[Note]:
    times = st.sampled_from([EPOCH, *[T0 + timedelta(seconds=each) for each in (-1, 0, 59, 61, 250, 300, 301, 10**7)]])
    return st.builds(Note, mark=st.sampled_from(["", "a", "b"]), asked_until=times)


@given(seen=st.dictionaries(st.sampled_from("abcdef"), outlooks()), kept=st.dictionaries(st.sampled_from("abcdef"), notes()))
def test_whatever_was_noted_each_loop_that_is_due_is_trained_asked_for_or_getting_on(seen, kept):
    division = divide(seen, kept, now=T0)
    taken = [*division.here, *division.asked]
    assert len(taken) == len({*taken})
    for name, outlook in seen.items():
        note = kept.get(name, Note())
        gets_on = note.has_asked(now=T0) and note.mark != outlook.mark and not (outlook.is_small or outlook.is_idle)
        assert (name in taken) == (outlook.is_due and not gets_on)
    assert not [name for name in division.asked if kept.get(name, Note()).has_asked(now=T0) and not seen[name].is_small]
    assert not [name for name in division.asked if seen[name].is_idle]
    sizes = [seen[name].is_small or seen[name].is_idle for name in division.here]
    assert sizes == sorted(sizes, reverse=True), "no small one waits for a large one"


def test_the_times_fit_together():
    assert SLICE < SHARE < timedelta(seconds=TICK) <= RENEWED < LIFE
    assert MOST_QUIET <= LIFE
    assert MOST_STEPS * min(SLICE.total_seconds(), LEASE_SECONDS) >= LIFE.total_seconds()
    assert timedelta(minutes=10) >= 2 * (RUN_TIME + SLICE)


# --- the place of the other timers -----------------------------------------------------------------------------------------


async def over_all(app: App, rounds: Rounds, *, seconds: float = 0, dies_of: str = "") -> list[str]:
    done: list[str] = []

    async def do(_: Deployment, loop: str) -> None:
        if loop == dies_of:
            raise asyncio.CancelledError
        done.append(loop)

    limit = TimeLimit(RUN_TIME, monotonic=Ticks(seconds))
    await for_each_loop(app.deployment, do, "it did not finish", limit=limit, rounds=rounds)
    return done


async def test_a_run_begins_where_the_last_one_stopped_whichever_process_that_was(app, another):
    await app.make("a", "b", "c", "d")
    done: list[str] = []
    for process in (app, another) * 3:
        done += await over_all(process, Rounds("mirror"), seconds=50)
    loops = [DEFAULT_LOOP, "a", "b", "c", "d"]
    first = loops.index(done[0])
    assert 6 < len(done) < 30
    assert done == ([*loops[first:], *loops[:first]] * 6)[: len(done)]


async def test_a_loop_that_runs_die_of_keeps_no_other_waiting_for_ever(app, clock):
    await app.make("a", "b", "bad", "c")
    served: set[str] = set()
    for _ in range(6):
        done: list[str] = []

        async def do(_: Deployment, loop: str, done: list[str] = done) -> None:
            if loop == "bad":
                raise asyncio.CancelledError
            done.append(loop)

        try:
            await for_each_loop(app.deployment, do, "it did not finish", rounds=Rounds("retention"))
        except asyncio.CancelledError:
            served |= {*done}
    assert served == {DEFAULT_LOOP, "a", "b", "c"}


@pytest.mark.parametrize("text", [b"nonsense", b'{"format":2,"last":7}', b'{"format":1,"last":"gone"}', b"[" * 9_000])
async def test_a_place_that_cannot_be_read_or_is_of_no_loop_keeps_no_run_from_its_work(app, text):
    await app.make("a", "b")
    await overwrite(app.deployment.storage, names.MODELS, names.place_file("mirror"), text)
    assert sorted(await over_all(app, Rounds("mirror"))) == ["a", "b", DEFAULT_LOOP]


async def test_a_deployment_of_one_loop_keeps_no_place(app):
    assert await over_all(app, Rounds("mirror")) == [DEFAULT_LOOP]
    assert await KeptPlace(app.deployment.storage, timer="mirror").read() == ("", None)
