"""What is known of storage's clock: an interval that holds the truth, whatever the answers, the clocks and the process go through."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import Clock
from shared.storage.azure.storage import AzureStorage
from shared.storage.clocks import EarlierClock, LogClock, StorageTime
from shared.storage.files import Files
from shared.storage.settings import AccountSettings
from tests.builders import T0
from tests.clocks import SetClock
from tests.storage.conftest import new_log


class Machine:
    """A machine whose clock is wrong, drifts and is set, and whose monotonic clock may stand still with it."""

    def __init__(self, skew: float = 0.0, drift: float = 0.0) -> None:
        self.true, self.skew, self.drift, self.uptime = 0.0, skew, drift, 0.0
        self.time = StorageTime(self, monotonic=lambda: self.uptime)

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.true + self.skew)

    def pass_(self, seconds: float) -> None:
        self.true += seconds
        self.skew += self.drift * seconds
        self.uptime += seconds * (1 + self.drift)

    def suspend(self, seconds: float) -> None:
        self.true += seconds

    def ask(self, *, there: float, back: float) -> None:
        """Ask storage, whose answer takes its time."""
        sent = (self.now().timestamp(), self.uptime)
        self.pass_(there)
        date = format_datetime(T0 + timedelta(seconds=self.true), usegmt=True)
        self.pass_(back)
        self.time.note(date, sent=sent)

    def check(self) -> None:
        bounds = self.time.bounds()
        if bounds is not None:
            assert bounds[0] - 1e-3 <= -self.skew <= bounds[1] + 1e-3


@dataclass(frozen=True)
class Event:
    kind: str
    size: float


def events_with(*anomalies: st.SearchStrategy[Event]) -> st.SearchStrategy[list[Event]]:
    asked, slow, passed = (
        st.builds(Event, st.just(kind), st.floats(0, most)) for kind, most in (("ask", 0.3), ("ask", 800), ("pass", 1000))
    )
    return st.lists(st.one_of(asked, slow, passed, *anomalies), max_size=12)


SUSPENDED = st.builds(Event, st.just("suspend"), st.floats(0, 1000))
SET = st.builds(Event, st.just("set"), st.floats(-400, 400))


@given(skew=st.floats(-400, 400), drift=st.floats(-2e-4, 2e-4), events=events_with(SUSPENDED) | events_with(SET))
def test_the_interval_holds_the_truth_whatever_happens(skew, drift, events):
    """But for a suspension that setting the clock back makes up for, to the second, between two answers: nothing tells of that."""
    machine = Machine(skew, drift)
    for event in events:
        if event.kind == "pass":
            machine.pass_(event.size)
        elif event.kind == "suspend":
            machine.suspend(event.size)
        elif event.kind == "set":
            machine.skew += event.size
        else:
            machine.ask(there=event.size, back=event.size / 2)
        machine.check()


@given(skew=st.floats(-400, 400), phases=st.lists(st.floats(0, 1), min_size=30, max_size=30))
def test_answers_narrow_it(skew, phases):
    machine = Machine(skew)
    for number, phase in enumerate(phases):
        machine.pass_(phase + number / 30)
        machine.ask(there=0.005, back=0.005)
    bounds = machine.time.bounds()
    assert bounds is not None
    assert bounds[1] - bounds[0] <= 2.02
    if abs(skew) > 5:
        assert abs(machine.time.ahead().total_seconds() - skew) <= 2.02


def test_before_the_first_answer_the_own_clock_is_all_there_is():
    machine = Machine(300.0)
    clocks: list[Clock] = [LogClock(machine, machine.time), EarlierClock(machine, machine.time)]
    assert {clock.now() for clock in clocks} == {machine.now()}
    assert machine.time.ahead() == timedelta(0)


@pytest.mark.parametrize("skew", [-0.9, 0.0, 0.9])
def test_clocks_that_may_agree_are_taken_as_they_are(skew):
    machine = Machine(skew)
    machine.pass_(0.5)
    machine.ask(there=0.01, back=0.01)
    if machine.time.ahead() == timedelta(0):
        assert LogClock(machine, machine.time).now() == EarlierClock(machine, machine.time).now() == machine.now()


@given(skew=st.floats(-1000, 1000), phase=st.floats(0, 1))
def test_rows_are_sealed_no_earlier_and_windows_end_no_later_than_storage_says(skew, phase):
    machine = Machine(skew)
    machine.pass_(phase)
    machine.ask(there=0.01, back=0.01)
    truth = T0 + timedelta(seconds=machine.true)
    unseen = timedelta(0) if machine.time.ahead() else timedelta(seconds=2.1)
    assert LogClock(machine, machine.time).now() >= truth - unseen
    assert EarlierClock(machine, machine.time).now() <= truth + unseen
    assert EarlierClock(machine, machine.time).now() <= machine.now()
    assert LogClock(machine, machine.time).now() <= truth + timedelta(seconds=2.1)


@pytest.mark.parametrize("date", ["", "soon", "Sun, 99 Nov 1994 08:49:37 GMT", "0", "Sun, 06 Nov 99999 08:49:37 GMT"])
def test_a_date_that_is_none_tells_nothing(date):
    machine = Machine()
    machine.time.note(date, sent=(machine.now().timestamp(), 0.0))
    assert machine.time.bounds() is None


async def test_every_service_of_an_account_tells_its_time(new_account):
    storage = new_account()
    account = AzureStorage(AccountSettings(connection_string=storage))
    assert account.time.bounds() is None
    await Files(account, "anything").read("not there")
    bounds = account.time.bounds()
    assert bounds is not None
    assert bounds[0] <= 0.0 <= bounds[1]
    await account.close()
    again = AzureStorage(AccountSettings(connection_string=storage))
    assert [each async for each in again.queues.list_queues()] == []
    assert again.time.bounds() is not None
    await again.close()
    third = AzureStorage(AccountSettings(connection_string=storage))
    await asyncio.to_thread(third.waiter.ask, lambda account: account.blobs.get_service_properties(), deadline=timedelta(seconds=10))
    assert third.time.bounds() is not None
    await third.close()


async def test_storage_whose_own_clock_is_right_leaves_every_other_clock_alone(account):
    """What tests set, and tools that look at the past, is nobody's wrong clock."""
    log = new_log(account, SetClock(T0))
    await log.refresh()
    assert await log.cut() == T0
