"""What becomes of schedules and holdouts when their loop, its log or the whole deployment goes, is made anew or is copied."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest

from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.storage import names
from shared.storage.copying.copying import Copier
from tests.builders import T0
from tests.clocks import SetClock
from tests.stored.asking import go_on, serve_newest
from tests.stored.calls import App, place, said, under
from tests.stores import NewStorage, listed, opened, received, settings_of

ADMIN: Final = "the-administrators-key"
KEY: Final = "a-key-of-the-app"
SETTINGS: Final = {
    "PERSONALIZER_KEYS": KEY,
    "PERSONALIZER_ADMIN_KEY": ADMIN,
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1M",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
}
EVENTS: Final = 16
SHARE: Final = 0.5
LOOP: Final = "shop"
DAILY: Final = {"name": "daily", "everyDays": 1, "overDays": 30, "leastLifts": {"online": -5.0}}
_ACTIONS: Final = [{"id": each, "features": [{"is": each}]} for each in ("one", "two")]
DAY: Final = timedelta(days=1).total_seconds()


class Site:
    """The app on a storage, and the keys of its loops."""

    def __init__(self, place: str, clock: SetClock, keys: dict[str, str]) -> None:
        self.place, self.clock, self.keys = place, clock, keys
        self.deployment = Deployment(read_settings({**settings_of(place), **SETTINGS}), clock=clock)
        self.app = App(self.deployment)

    async def asks(self, method: str, path: str, body: object = None, *, loop: str = LOOP) -> Any:
        return await self.app.call(method, path, body, key=self.keys[loop])

    async def told(self, path: str, *, loop: str = LOOP) -> Any:
        return said(await self.asks("GET", path, loop=loop))

    async def make(self, loop: str = LOOP) -> None:
        """Make a loop with a holdout and a schedule, which is due each day from tomorrow on."""
        made = said(await self.app.call("PUT", f"loops/{loop}", {"tier": "S0", "configuration": {}}, key=ADMIN))
        self.keys[loop] = made["keys"][0]
        change = {"configuration": {"holdoutPercentage": SHARE}}
        assert said(await self.asks("POST", place(loop, "configurations/set"), change, loop=loop))["holdoutPercentage"] == SHARE
        await self.schedule(loop)

    async def schedule(self, loop: str = LOOP, **changes: Any) -> Any:
        start = (self.clock.at + timedelta(days=1)).isoformat()
        return said(await self.asks("PUT", _daily(loop), {**DAILY, "startTime": start, **changes}, loop=loop))

    async def traffic(self, name: str, loop: str = LOOP) -> None:
        """Have events, and the trainer learn them."""
        chance = random.Random(name)
        await serve_newest(self.deployment, [loop])
        for number in range(EVENTS):
            body = {"eventId": f"{name}-{number}", "contextFeatures": [], "actions": _ACTIONS}
            said(await self.asks("POST", place(loop, "rank"), body, loop=loop))
            said(await self.asks("POST", place(loop, f"events/{name}-{number}/reward"), {"value": chance.random()}, loop=loop))
            self.clock.pass_(1.0)
        await self.after(600.0)

    async def after(self, seconds: float) -> None:
        """Let time pass, and have the timers do their work."""
        self.clock.pass_(seconds)
        for _ in range(2):
            await self.app.timer("analyses")
            await go_on(self.deployment, self.app)
        await self.app.timer("analyses")

    async def runs(self, loop: str = LOOP) -> list[tuple[str, int]]:
        """Tell of each run how it stands, and on how many events it rests; what is in the series is asked for once."""
        found = (await self.told(_daily(loop), loop=loop))["runs"]
        asked = [each["id"] for each in (await self.told(place(loop, "evaluations"), loop=loop))["value"]]
        assert sorted(asked) == sorted({each["evaluationId"] for each in found if "evaluationId" in each})
        return [(each["status"], each["events"]) for each in found]

    async def experiment(self, loop: str = LOOP) -> Any:
        return (await self.told(under(loop, "figures"), loop=loop)).get("experiment")


def _daily(loop: str) -> str:
    return under(loop, "evaluations/schedules/daily")


@pytest.fixture
def engine() -> str:
    """A store: the app opens it by its name, and it is copied to another."""
    return "embedded"


@pytest.fixture
async def site(storage: str) -> AsyncIterator[Site]:
    site = Site(storage, SetClock(T0), {"default": KEY})
    yield site
    await site.deployment.close()


async def test_a_loop_that_is_deleted_takes_its_schedules_and_its_holdout_along_and_a_new_one_has_none(site):
    for loop in (LOOP, "other"):
        await site.make(loop)
        await site.traffic("first", loop)
    await site.after(DAY)
    assert [status for status, _ in await site.runs()] == ["Succeeded"]
    site.clock.pass_(DAY)
    await site.app.timer("analyses")  # the next run's evaluation waits in the queue when its loop goes
    assert (await site.told(_daily(LOOP)))["lastRun"]["status"] == "NotSubmitted"
    said(await site.app.call("DELETE", f"loops/{LOOP}", key=ADMIN))
    await site.after(DAY)
    made = said(await site.app.call("PUT", f"loops/{LOOP}", {"tier": "S0"}, key=ADMIN))
    site.keys[LOOP] = made["keys"][0]
    assert await site.told(under(LOOP, "evaluations/schedules")) == {"value": []}
    assert (await site.told(place(LOOP, "evaluations")))["value"] == []
    assert "holdoutPercentage" not in await site.told(place(LOOP, "configurations/service"))
    await site.traffic("second")
    assert await site.experiment() is None
    await site.after(3 * DAY)
    await site.app.timer("retention")
    account = opened(site.place)
    left = [each for each in await listed(account, names.MODELS, names.LOOPS) if each.startswith(names.schedules_prefix(f"{LOOP}x0001"))]
    await account.close()
    assert not left
    assert await site.told(under(LOOP, "evaluations/schedules")) == {"value": []}
    others = await site.runs("other")
    assert len(others) == 4, "a run for each time that was looked: the other loop goes on"
    assert {status for status, _ in others} == {"Succeeded"}
    assert (await site.experiment("other"))["events"] == EVENTS


async def test_a_log_that_is_deleted_leaves_the_series_and_its_holdout_begins_anew(site):
    await site.make()
    await site.traffic("first")
    await site.after(DAY)
    assert await site.runs() == [("Succeeded", EVENTS)]
    assert (await site.experiment())["events"] == EVENTS
    site.clock.pass_(DAY)
    await site.app.timer("analyses")  # the next run's evaluation waits in the queue when the log goes
    said(await site.asks("DELETE", place(LOOP, "logs")))
    await site.after(3_600.0)
    first, second = await site.runs()
    assert (first, second[1]) == (("Succeeded", EVENTS), 0)
    assert second[0] not in ("NotSubmitted", "Running"), "it has ended, with no figures of a log that is gone"
    assert await site.experiment() is None
    await site.traffic("second")
    await site.after(DAY)
    assert (await site.runs())[2] == ("Succeeded", EVENTS)
    found = await site.experiment()
    assert (found["events"], found["split"]["asked"]) == (EVENTS, pytest.approx(SHARE))


async def test_a_copy_has_the_series_the_holdout_and_the_same_sides_and_runs_once_what_is_due(site, new_store: NewStorage):
    """Copied at three moments: before a run is due, while its evaluation waits, and when it is over."""
    await site.make()
    await site.traffic("first")
    for moment in ("before", "asked for", "over"):
        if moment == "asked for":
            site.clock.pass_(DAY)
            await site.app.timer("analyses")
        if moment == "over":
            await site.after(600.0)
        copied = await _copy(site, new_store())
        assert await copied.told(_daily(LOOP)) == await site.told(_daily(LOOP))
        assert (await copied.told(place(LOOP, "configurations/service")))["holdoutPercentage"] == SHARE
        assert await _sides(copied) == await _sides(site)
        assert (await copied.experiment())["events"] == EVENTS
        if moment == "before":
            copied.clock.pass_(DAY)
        await copied.after(3_600.0)  # a step whose message was not copied is taken up again
        assert await copied.runs() == [("Succeeded", EVENTS)], moment
        await copied.after(DAY)
        assert [status for status, _ in await copied.runs()] == ["Succeeded"] * 2
        await copied.deployment.close()


async def _copy(site: Site, target: str) -> Site:
    """Copy a deployment, but for its queue, as ``cli copy``, ``backup`` and ``restore`` do."""
    source, other = opened(site.place), opened(target)
    await Copier(source, other, source_id="one").run()
    await source.close()
    await other.close()
    copied = Site(target, SetClock(site.clock.at), site.keys)
    assert await received(copied.deployment.host_storage) is None
    await serve_newest(copied.deployment, [LOOP])
    return copied


async def _sides(site: Site) -> list[bool]:
    found = [await site.told(place(LOOP, f"events/first-{number}")) for number in range(8)]
    sides = [each["decisions"][0]["isHeldOut"] for each in found]
    assert len(set(sides)) == 2
    return sides
