"""Scheduled evaluations: each period is run once, whatever dies and whatever clocks say, and its figures are kept as a series."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import EvaluationNotFoundError, ScheduleNotFoundError, StorageUnavailableError, TooManyKeptError
from shared.domain.evaluation import Asked, JobStatus, Lift, PolicySource, Report
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.schedules import EVALUATIONS_KEPT, MOST_RUNS, MOST_SCHEDULES, Plan, Run, Schedule
from shared.runtime.telemetry import MESSAGES
from shared.services.analysis.evaluations import MOST_KEPT, Evaluations
from shared.services.analysis.scheduling import JOINING, Schedules
from shared.services.log.logs import DateRange
from shared.storage import names
from shared.storage.evaluation_store import evaluation_store
from shared.storage.files import Files
from shared.storage.schedule_store import FileScheduleStore
from tests.builders import T0
from tests.clocks import SetClock
from tests.services.analysis.desk import Died, Fate
from tests.services.analysis.test_evaluations import Log, Work
from tests.stores import opened
from tests.sweeps import STRIDES

DAY, WEEK = timedelta(days=1), timedelta(days=7)
WEEKLY = Plan("every week", 7, 7, T0, (LearningPolicy("mine", "--cb_explore_adf --softmax"),), least_lifts={"mine": 0.1})
LOOP = LoopSettings(reward_wait=timedelta(hours=1))


class Mortal:
    """A port whose every call may be the one at which the process dies."""

    def __init__(self, port: Any, fate: Fate) -> None:
        self._port, self._fate = port, fate

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._fate.through(lambda: None)
            result = await getattr(self._port, name)(*args, **kwargs)
            await self._fate.through(lambda: None)
            return result

        return call


class Told(Evaluations):
    """Evaluations whose reports a test sets."""

    loop: "Loop"

    async def reported(self, job_id: str) -> Any:
        return self.loop.reports, None


class Loop:
    """One loop; `process` gives what another process would see of it."""

    def __init__(self, account: Any) -> None:
        self.account, self.clock, self.fate, self.work, self.log = account, SetClock(T0), Fate(), Work(), Log()
        self.log.range = DateRange(T0 - 1_000 * WEEK, T0 + 1_000 * WEEK)
        self.reports: tuple[Report, ...] = ()
        self.joined: datetime | None = None

    def evaluations(self, *, fate: Fate | None = None) -> Told:
        store = evaluation_store(self.account, loop="default")
        found = Told(Mortal(store, fate) if fate else store, self.log, self.work, clock=self.clock)
        found.loop = self
        return found

    def process(self, *, clock: SetClock | None = None, fate: Fate | None = None) -> Schedules:
        store = FileScheduleStore.of(self.account, loop="default")
        kept: Any = Mortal(store, fate) if fate else store
        return Schedules("default", kept, self.evaluations(fate=fate), self, self, clock=clock or self.clock)

    async def read(self) -> LoopSettings:
        return LOOP

    async def watermark(self) -> datetime | None:
        return self.joined

    async def series(self, schedule_id: str = "weekly") -> tuple[Run, ...]:
        return (await self.process().read(schedule_id)).runs

    async def asked(self) -> list[str]:
        return sorted([each.job.id for each in await self.evaluations().listed()])

    async def ends(self, *reports: Report, status: JobStatus = JobStatus.SUCCEEDED) -> None:
        """Have all evaluations end."""
        self.reports = reports
        store = evaluation_store(self.account, loop="default")
        for listed in await store.listed():
            found = await store.read(listed.job.id)
            if found is not None and not found[0].job.status.is_over:
                await store.replace(replace(found[0], job=replace(found[0].job, status=status)), expected=found[1])


@pytest.fixture
async def loop(storage) -> AsyncIterator[Loop]:
    account = opened(storage)
    yield Loop(account)
    await account.close()


def report(name: str = "mine", *, lift: float = 0.2, source: PolicySource = PolicySource.CUSTOM, slot: str = "") -> Report:
    lifts = {"baseline1": Lift(lift, (lift - 0.05, lift + 0.05), (lift - 0.1, inf))}
    intervals, weights = {"default": (0.4, 0.6)}, (1.0, (0.9, 1.1), True, 100.0, 5.0, 10.0, 0.0)
    return Report(name, name, source, slot, 700, {"calibrated_dr": 0.5}, intervals, *weights, lifts=lifts)


ONLINE = report("online", source=PolicySource.ONLINE)

# --- when --------------------------------------------------------------------------------------------------------------


async def test_a_schedule_runs_at_once_and_then_each_period_once(loop):
    await loop.process().put("weekly", WEEKLY)
    for hours in range(0, 24 * 22, 5):
        loop.clock.at = T0 + timedelta(hours=hours)
        await loop.process().run()
    runs = await loop.series()
    assert [run.due for run in runs] == [T0 + number * WEEK for number in range(4)]
    assert await loop.asked() == sorted([run.evaluation for run in runs])


async def test_ranges_adjoin_and_end_where_rewards_have_had_their_time(loop):
    await loop.process().put("weekly", WEEKLY)
    loop.clock.at = T0 + WEEK
    await loop.process().run()
    first, second = await loop.series()
    assert first.until == second.since
    assert second.until == T0 + WEEK - LOOP.reward_wait - JOINING
    asked = (await loop.evaluations().read(second.evaluation)).asked[1]
    assert (asked.since, asked.until, asked.policies) == (second.since, second.until, WEEKLY.policies)


async def test_a_range_ends_where_the_log_is_joined_and_never_after_the_run_is_due(loop):
    loop.joined = T0 - timedelta(minutes=20)
    await loop.process().put("fresh", WEEKLY)
    loop.joined = T0 + DAY
    await loop.process().put("ahead", WEEKLY)
    loop.joined = T0 - 9 * DAY
    await loop.process().put("behind", WEEKLY)
    ends = [(await loop.series(name))[0].until for name in ("fresh", "ahead", "behind")]
    assert ends == [T0 - timedelta(minutes=20), T0, T0 - LOOP.reward_wait - JOINING]


async def test_without_a_start_the_first_run_is_that_of_the_moment_and_a_later_start_is_waited_for(loop):
    made = await loop.process().put("weekly", replace(WEEKLY, start=None))
    assert [run.due for run in made.runs] == [T0]
    later = await loop.process().put("later", replace(WEEKLY, start=T0 + DAY))
    assert (later.runs, later.next_due(T0)) == ((), T0 + DAY)


async def test_missed_periods_are_not_made_up_for(loop):
    await loop.process().put("weekly", WEEKLY)
    loop.clock.at = T0 + 40 * WEEK + DAY
    for _ in range(3):
        await loop.process().run()
    assert [run.due for run in await loop.series()] == [T0, T0 + 40 * WEEK]


async def test_a_start_long_ago_begins_one_run(loop):
    made = await loop.process().put("weekly", replace(WEEKLY, start=T0 - 500 * WEEK - DAY))
    assert [run.due for run in made.runs] == [T0 - DAY]


async def test_a_clock_that_was_ahead_for_years_does_not_stop_the_series(loop):
    await loop.process().put("weekly", WEEKLY)
    await loop.process(clock=SetClock(T0 + 1_500 * WEEK)).run()
    loop.clock.at = T0 + WEEK
    await loop.process().run()
    assert [run.due for run in await loop.series()] == [T0, T0 + 1_500 * WEEK, T0 + WEEK]


async def test_a_period_that_a_fast_clock_ran_too_early_is_not_run_again(loop):
    await loop.process().put("weekly", WEEKLY)
    await loop.process(clock=SetClock(T0 + WEEK)).run()
    for days in range(14):
        loop.clock.at = T0 + days * DAY
        await loop.process().run()
    assert [run.due for run in await loop.series()] == [T0, T0 + WEEK]


async def test_a_slow_clock_runs_nothing_again(loop):
    await loop.process().put("weekly", WEEKLY)
    loop.clock.at = T0 + WEEK
    await loop.process().run()
    for days in (-9_000, -1, 0, 3):
        await loop.process(clock=SetClock(T0 + days * DAY)).run()
    assert [run.due for run in await loop.series()] == [T0, T0 + WEEK]


def looked(schedule: Schedule, now: Any) -> Schedule:
    due = schedule.due(now)
    run = None if due is None else Run(due, "", due, due)
    return replace(schedule, runs=(*schedule.runs, *([run] if run else []))[-MOST_RUNS:])


@given(
    st.lists(st.integers(-3_000, 3_000), max_size=30),
    st.integers(1, 90),
    st.integers(0, 2_000),
)
def test_whatever_clocks_say_each_period_is_run_once_and_the_right_clock_gets_its_own(skews, days, age):
    """A look makes one run at most, and what others' clocks said leaves the run of the present period there."""
    schedule = Schedule("s", replace(WEEKLY, every_days=days, start=None), T0)
    now = T0 + age * DAY
    for skew in skews:
        before = len(schedule.runs)
        schedule = looked(schedule, now + skew * DAY)
        assert len(schedule.runs) - before in (0, 1)
    schedule = looked(schedule, now)
    dues = [run.due for run in schedule.runs]
    assert len(set(dues)) == len(dues)
    assert schedule.last_due(now) in dues
    assert schedule.due(now) is None


def test_a_series_that_is_full_and_all_ahead_of_the_clock_tells_that_the_clock_is_wrong():
    runs = tuple([Run(T0 + number * WEEK, "", T0, T0) for number in range(MOST_RUNS)])
    schedule = Schedule("s", replace(WEEKLY, start=T0 - 9 * WEEK), T0, runs)
    assert schedule.due(T0 - DAY) is None
    assert schedule.due(T0 + MOST_RUNS * WEEK) == T0 + MOST_RUNS * WEEK


# --- what dies, and who is there besides ------------------------------------------------------------------------------


async def lived_through(loop: Loop, schedules: Schedules) -> None:
    """Go through all that there is to do: a run begins, ends, and older ones are tidied up."""
    await schedules.put("weekly", WEEKLY)
    for number in range(EVALUATIONS_KEPT + 1):
        loop.clock.at = max(loop.clock.at, T0 + number * WEEK)
        await schedules.run()
        await loop.ends(ONLINE, report())
        await schedules.run()


@STRIDES
async def test_a_period_is_run_once_and_told_wherever_a_process_dies(storage, caplog, stride):
    """Each call of storage is the last of a process once; the next process goes on."""
    caplog.set_level(logging.CRITICAL)
    account, died = opened(storage), 1
    while True:
        loop, fate = Loop(account), Fate(died)
        try:
            await lived_through(loop, loop.process(fate=fate))
        except Died:
            await lived_through(loop, loop.process())
        runs = await loop.series()
        assert [run.due for run in runs] == [T0 + week * WEEK for week in range(EVALUATIONS_KEPT + 1)], died
        assert all(run.status is JobStatus.SUCCEEDED and run.figures for run in runs), died
        assert await loop.asked() == sorted([run.evaluation for run in runs[-EVALUATIONS_KEPT:]]), died
        await loop.process().delete("weekly")
        for each in await loop.asked():
            await loop.evaluations().delete(each)
        if fate.calls < fate.number:
            break
        died += stride
    assert died > 100, "it went through each call"
    await account.close()


async def test_processes_that_look_at_the_same_time_begin_one_run(loop):
    await loop.process().put("weekly", WEEKLY)
    for week in range(1, 5):
        loop.clock.at = T0 + week * WEEK
        await asyncio.gather(*[loop.process().run() for _ in range(4)])
        await loop.process().run()
    assert len(await loop.series()) == len(await loop.asked()) == 5


async def test_a_schedule_that_is_deleted_meanwhile_stays_deleted(loop):
    """Between any two calls of a look."""
    for at in range(1, 40):
        await loop.process().put("weekly", replace(WEEKLY, start=T0 - 30 * at * DAY))
        fate = Fate(at)
        try:
            loop.clock.at += WEEK
            await loop.process(fate=fate).run()
        except Died:
            await loop.process().delete("weekly")
            await loop.process().run()
            assert await loop.process().all() == []
            continue
        break
    assert at > 5


async def test_a_plan_that_is_changed_during_a_look_is_kept(loop):
    await loop.process().put("weekly", WEEKLY)
    loop.clock.at = T0 + WEEK
    changed = replace(WEEKLY, policies=(), least_lifts={})
    await asyncio.gather(loop.process().run(), loop.process().put("weekly", changed), loop.process().run())
    await loop.process().run()
    found = await loop.process().read("weekly")
    assert (found.plan, [run.due for run in found.runs]) == (changed, [T0, T0 + WEEK])
    assert all(run.is_asked and not run.status.is_over for run in found.runs)


async def test_what_cannot_be_read_does_not_stop_the_others(loop):
    await loop.process().put("weekly", WEEKLY)
    await Files(loop.account, names.MODELS).replace(names.schedules_prefix("default") + names.job_file("bad"), b"{", expected=None)
    loop.clock.at = T0 + WEEK
    await loop.process().run()
    assert len(await loop.series()) == 2
    await loop.process().delete("bad")
    with pytest.raises(ScheduleNotFoundError):
        await loop.process().delete("bad")


async def test_storage_that_fails_is_told_and_the_next_look_goes_on(loop):
    await loop.process().put("weekly", WEEKLY)
    loop.clock.at = T0 + WEEK

    async def fails(kind: Any, job: Any) -> None:
        raise StorageUnavailableError("down")

    begin, loop.work.start = loop.work.start, fails
    with pytest.raises(StorageUnavailableError):
        await loop.process().run()
    loop.work.start = begin
    await loop.process().run()
    runs = await loop.series()
    assert [run.is_asked for run in runs] == [True, True]
    assert len(await loop.asked()) == 2


# --- the series --------------------------------------------------------------------------------------------------------


async def test_the_figures_of_each_run_are_kept_over_all_slots(loop):
    await loop.process().put("weekly", WEEKLY)
    await loop.ends(ONLINE, report(lift=0.2), report(lift=0.9, slot="top"))
    assert [each.policy for each in (await loop.series())[0].figures] == ["online", "mine"], "seen before it is kept"
    await loop.process().run()
    await loop.evaluations().delete((await loop.series())[0].evaluation)
    [run] = await loop.series()
    mine = run.figures[1]
    assert (run.status, run.events, run.compared_with) == (JobStatus.SUCCEEDED, 700, "baseline1")
    assert (mine.value, mine.interval, mine.lift) == (0.5, (0.4, 0.6), 0.2)
    assert (mine.lift_interval, mine.anytime) == (pytest.approx((0.15, 0.25)), (pytest.approx(0.1), None))
    assert (mine.least, mine.is_below) == (0.1, False)


async def test_an_evaluation_that_fails_or_is_deleted_leaves_a_run_without_figures(loop):
    await loop.process().put("weekly", WEEKLY)
    await loop.ends(status=JobStatus.FAILED)
    await loop.process().run()
    loop.clock.at = T0 + WEEK
    await loop.process().run()
    await loop.evaluations().delete((await loop.series())[1].evaluation)
    await loop.process().run()
    assert [(run.status, run.figures) for run in await loop.series()] == [(JobStatus.FAILED, ()), (JobStatus.CANCELED, ())]


async def test_series_and_evaluations_are_bounded(loop):
    store = FileScheduleStore.of(loop.account, loop="default")
    runs = tuple([Run(T0 + week * WEEK, f"e{week}", T0, T0, is_asked=True, status=JobStatus.FAILED) for week in range(MOST_RUNS)])
    await store.write(Schedule("weekly", WEEKLY, T0, runs), expected=None)
    loop.clock.at = T0 + MOST_RUNS * WEEK
    await loop.process().run()
    found = await loop.series()
    assert (len(found), found[0].due, found[-1].due) == (MOST_RUNS, T0 + WEEK, T0 + MOST_RUNS * WEEK)
    assert [run.is_kept for run in found] == [False] * (MOST_RUNS - EVALUATIONS_KEPT) + [True] * EVALUATIONS_KEPT


async def test_a_loop_has_ten_schedules_at_most_and_one_that_is_there_can_be_changed(loop):
    for number in range(MOST_SCHEDULES):
        await loop.process().put(f"s{number}", replace(WEEKLY, start=T0 + DAY))
    with pytest.raises(TooManyKeptError, match="10 schedules"):
        await loop.process().put("one more", WEEKLY)
    await loop.process().put("s3", WEEKLY)
    await loop.process().delete("s4")
    await loop.process().put("one more", WEEKLY)


async def test_a_loop_that_has_no_room_for_an_evaluation_says_so_in_the_run(loop):
    for number in range(MOST_KEPT):
        asked = Asked("mine", T0 - WEEK, T0)
        await loop.evaluations().submit(asked, online=LearningPolicy(), request_id="", job_id=f"e{number}")
    [run] = (await loop.process().put("weekly", WEEKLY)).runs
    assert (run.status, run.is_asked) == (JobStatus.FAILED, False)
    assert f"{MOST_KEPT} are kept already" in run.description


async def test_the_same_call_again_changes_nothing_and_a_changed_plan_keeps_the_series(loop):
    first = await loop.process().put("weekly", replace(WEEKLY, start=None))
    loop.clock.at = T0 + DAY
    assert await loop.process().put("weekly", replace(WEEKLY, start=None)) == first
    changed = await loop.process().put("weekly", replace(WEEKLY, start=None, every_days=1))
    assert [run.due for run in changed.runs] == [T0, T0 + DAY]


async def test_a_schedule_that_is_made_again_asks_for_evaluations_of_its_own(loop):
    old = await loop.process().put("weekly", WEEKLY)
    await loop.process().delete("weekly")
    with pytest.raises(ScheduleNotFoundError):
        await loop.process().read("weekly")
    assert (await loop.evaluations().read(old.runs[0].evaluation)).job.name == f"every week {T0:%Y-%m-%d}"
    loop.clock.at = T0 + timedelta(seconds=1)
    new = await loop.process().put("weekly", WEEKLY)
    assert len({run.evaluation for run in (*old.runs, *new.runs)}) == 2
    assert new.runs[0].is_asked


async def test_the_longest_texts_have_room(loop):
    plan = replace(WEEKLY, name="\x01" * 256, policies=(LearningPolicy("\x01" * 256, "--cb_explore_adf"),))
    made = await loop.process().put("\x01" * 256, plan)
    assert made.runs[0].is_asked


# --- alerts ------------------------------------------------------------------------------------------------------------


def alerts(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    begins = ("a lift", "a scheduled")
    found = [line for line in caplog.records if isinstance(line.msg, str) and line.msg.startswith(begins)]
    return [(line.msg, {name: getattr(line, name) for name in MESSAGES[line.msg]}) for line in found]


async def test_a_lift_below_what_is_set_is_told_once_with_its_facts(loop, caplog):
    await loop.process().put("weekly", WEEKLY)
    await loop.ends(ONLINE, report(lift=0.05))
    for _ in range(3):
        await loop.process().run()
    [(text, told)] = alerts(caplog)
    assert text == "a lift is lower than its schedule asks for"
    assert told == {
        "loop": "default",
        "schedule": "weekly",
        "policy": "mine",
        "lift": 0.05,
        "lowest": 0.0,
        "highest": pytest.approx(0.1),
        "least": 0.1,
    }
    assert (await loop.series())[0].figures[1].is_below


async def test_a_lift_that_is_as_high_as_asked_for_is_not_told(loop, caplog):
    await loop.process().put("weekly", WEEKLY)
    await loop.ends(ONLINE, report(lift=0.1))
    await loop.process().run()
    assert alerts(caplog) == []


@pytest.mark.parametrize("reports", [(), (ONLINE,), (ONLINE, report(lift=nan))], ids=["no event", "no such policy", "not known"])
async def test_a_lift_that_is_watched_and_not_known_is_told(loop, caplog, reports):
    await loop.process().put("weekly", WEEKLY)
    await loop.ends(*reports)
    await loop.process().run()
    assert alerts(caplog) == [("a lift that a schedule asks for is not known", {"loop": "default", "schedule": "weekly", "policy": "mine"})]


async def test_a_run_that_failed_is_told(loop, caplog):
    await loop.process().put("weekly", replace(WEEKLY, least_lifts={}))
    await loop.ends(status=JobStatus.TIMEOUT)
    await loop.process().run()
    assert alerts(caplog) == [
        ("a scheduled evaluation has no figures", {"loop": "default", "schedule": "weekly", "status": JobStatus.TIMEOUT})
    ]


async def test_an_alert_is_told_though_the_process_dies_that_has_found_it(loop, caplog):
    await loop.process().put("weekly", WEEKLY)
    await loop.ends(ONLINE, report(lift=0.0))
    for at in range(1, 100):
        try:
            await loop.process(fate=Fate(at)).run()
        except Died:
            continue
        break
    assert alerts(caplog)
    assert all(text.startswith("a lift is lower") for text, _ in alerts(caplog))


async def test_an_evaluation_of_somebody_else_is_never_deleted(loop):
    await loop.evaluations().submit(Asked("mine", T0 - WEEK, T0), online=LearningPolicy(), request_id="", job_id="mine")
    await lived_through(loop, loop.process())
    await loop.process().delete("weekly")
    await loop.process().run()
    assert "mine" in await loop.asked()
    with pytest.raises(EvaluationNotFoundError):
        await loop.evaluations().read("other")
