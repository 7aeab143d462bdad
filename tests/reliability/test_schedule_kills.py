"""Processes killed (−9) at each of their storage calls while they make, change or run schedules: each due evaluation exists once."""

import random
import signal
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPException

import pytest

from shared.domain.evaluation import JobStatus
from shared.domain.loop import LoopRecord
from shared.domain.schedules import Run
from tests.builders import T0
from tests.clocks import SetClock
from tests.http.test_figures import SHORT
from tests.patience import PATIENCE
from tests.reliability.chosen import last_calls
from tests.reliability.killed import WHEN, Child
from tests.reliability.scheduled import CHANGED, PLAN, WEEK, deployment_at
from tests.running import RunningApp
from tests.services.analysis.logs import drawn
from tests.services.analysis.seeding import seed
from tests.stored.calls import App
from tests.stores import on_both, received
from tests.sweeps import STRIDES

pytestmark = [pytest.mark.slow, pytest.mark.long]

EVENTS = 6


class Survivor:
    """A process of the app that comes after the killed one."""

    def __init__(self, place: str) -> None:
        self.clock = SetClock(T0)
        self.deployment = deployment_at(place, self.clock)
        self.services = self.deployment.services_of(LoopRecord("default"))
        self._app = App(self.deployment)

    async def goes_on(self) -> None:
        """Do what timers and the queue's workers do, until there is nothing left to do."""
        self.clock.pass_(3_600.0)
        await self._app.timer("analyses")
        while (message := await received(self.deployment.host_storage)) is not None:
            await self._app.analyse(message)
        await self._app.timer("analyses")

    async def series(self, schedule_id: str) -> tuple[Run, ...]:
        """Give the runs of a schedule; its evaluations are the loop's only ones."""
        runs = (await self.services.schedules.read(schedule_id)).runs
        assert sorted([each.job.id for each in await self.services.evaluations.listed()]) == sorted([run.evaluation for run in runs])
        return runs

    async def forgets(self, schedule_id: str) -> None:
        await self.services.schedules.delete(schedule_id)
        for each in await self.services.evaluations.listed():
            await self.services.evaluations.delete(each.job.id)
        self.clock.at = T0


def are_whole(runs: tuple[Run, ...], *, weeks: int) -> bool:
    found = [(run.due, run.status, run.events) for run in runs]
    return found == [(T0 + week * WEEK, JobStatus.SUCCEEDED, 0 if week else EVENTS) for week in range(weeks)]


@on_both
@WHEN
@STRIDES
@pytest.mark.sweep(keep=1)
async def test_a_schedule_that_a_process_died_of_making_or_changing_has_each_run_once(way, account, storage, done_first, stride):
    """What was acknowledged is there without the client's doing, and a call that was not is sent again."""
    await _with_log(account)
    survivor = Survivor(storage)
    whole = Child(way, 0, done_first=False)
    assert (await whole.run("schedule", storage, "whole"))[0] == 0
    assert whole.calls >= 8
    await survivor.forgets("whole")
    for number in last_calls(way, whole.calls, done_first=done_first)[::-stride]:
        code, told = await Child(way, number, done_first=done_first).run("schedule", storage, name := f"s{number}")
        assert code in (-signal.SIGKILL, 0)  # after its last call it may be gone already
        if told:
            found = await survivor.services.schedules.read(name)
            assert found.plan in ((CHANGED,) if len(told) > 1 else (PLAN, CHANGED))
        for plan in (PLAN, CHANGED)[len(told) :]:
            await survivor.services.schedules.put(name, plan)
        await survivor.goes_on()
        assert are_whole(await survivor.series(name), weeks=1), number
        assert (await survivor.services.schedules.read(name)).plan == CHANGED
        await survivor.forgets(name)
    await survivor.deployment.close()


@on_both
@WHEN
@STRIDES
@pytest.mark.sweep(keep=1)
async def test_a_run_that_a_process_died_of_beginning_is_there_once(way, account, storage, done_first, stride):
    await _with_log(account)
    survivor = Survivor(storage)
    for number in (await _calls_of_a_run(way, survivor, storage, done_first=done_first))[::-stride]:
        await _scheduled(survivor, name := f"s{number}")
        code, _ = await Child(way, number, done_first=done_first).run("run schedules", storage)
        assert code in (-signal.SIGKILL, 0)
        survivor.clock.at = T0 + WEEK
        await survivor.goes_on()
        assert are_whole(await survivor.series(name), weeks=2), number
        await survivor.forgets(name)
    await survivor.deployment.close()


async def _calls_of_a_run(way, survivor: Survivor, storage: str, *, done_first: bool) -> list[int]:
    await _scheduled(survivor, "counted")
    child = Child(way, 0, done_first=False)
    assert (await child.run("run schedules", storage))[0] == 0
    assert child.calls >= 6
    await survivor.forgets("counted")
    return last_calls(way, child.calls, done_first=done_first)


async def _scheduled(survivor: Survivor, name: str) -> None:
    """Have a schedule whose first run is over."""
    await survivor.services.schedules.put(name, PLAN)
    await survivor.goes_on()
    assert are_whole(await survivor.series(name), weeks=1)


async def _with_log(account) -> None:
    made = drawn(EVENTS, every=60.0, first=T0 - WEEK / 2)
    await seed(account, [made[:3], made[3:]])


@pytest.mark.exhaustive
def test_a_service_that_is_killed_again_and_again_has_each_due_run_once(new_store):
    """A client makes schedules and sends each call again until it is acknowledged; the timer comes by; nobody waits for the kills."""
    chance, names, start = random.Random(24), [f"s{number}" for number in range(4)], datetime.now(UTC) + timedelta(seconds=5)
    plan = {"name": "daily", "everyDays": 1, "overDays": 1, "startTime": start.isoformat()}
    with RunningApp(new_store(), settings=SHORT, queues=True) as app:
        for name in names:
            _killed_during(app, "PUT", f"/evaluations/schedules/{name}", plan, chance.uniform(0.0, 0.05))
            assert app.request("PUT", f"/evaluations/schedules/{name}", plan).status == 200
        until = time.monotonic() + PATIENCE
        while datetime.now(UTC) <= start:
            assert time.monotonic() < until
            time.sleep(0.1)
        for _ in range(3):
            _killed_during(app, "POST", "/admin/functions/analyses", None, chance.uniform(0.0, 0.1))
        while not all(_is_over(app, name) for name in names):
            assert time.monotonic() < until + PATIENCE, app.logs
            app.request("POST", "/admin/functions/analyses")
            time.sleep(0.2)
        runs = [run for name in names for run in app.request("GET", f"/evaluations/schedules/{name}").json["runs"]]
        assert [datetime.fromisoformat(run["dueTime"]) for run in runs] == [start] * len(names)
        listed = app.request("GET", "/personalizer/evaluations?api-version=2022-09-01-preview").json["value"]
        assert sorted([each["id"] for each in listed]) == sorted([run["evaluationId"] for run in runs])


def _killed_during(app: RunningApp, method: str, path: str, body: object, seconds: float) -> None:
    """Kill the service so long after a call was sent, and start it again."""

    def call() -> None:
        with suppress(OSError, HTTPException):
            app.request(method, path, body)

    calling = threading.Thread(target=call)
    calling.start()
    time.sleep(seconds)
    app.kill()
    calling.join()
    app.start()


def _is_over(app: RunningApp, name: str) -> bool:
    found = app.request("GET", f"/evaluations/schedules/{name}").json["runs"]
    return bool(found) and found[-1]["status"] == "Succeeded"
