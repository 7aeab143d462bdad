"""A loop with a holdout and a schedule, as releases stored it: both are read, say what they said, and go on."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.stored.asking import answers, differences, go_on, of_what_is_summed, of_what_went_on, without_digests
from tests.stored.calls import place, said, under
from tests.stored.conftest import Opened, open_
from tests.stored.kinds import KINDS
from tests.stored.releases import Release, releases
from tests.stored.story import HELD, ROUNDS, SHARE


@pytest.fixture
def engine() -> str:
    return "embedded"


@pytest.fixture(params=releases("holdout"), ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


@pytest.fixture
async def held(release: Release, own_storage: str) -> AsyncIterator[Opened]:
    opened = open_(release, own_storage)
    yield opened
    await opened.deployment.close()


def test_there_is_one():
    assert releases("holdout")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_read_as_it_was_read(release, kind):
    assert not differences(release.read("read")[kind], KINDS[kind](release.folder))


async def test_the_share_the_comparison_and_the_series_are_what_they_were(held):
    known, then = held.release.known(), held.release.read("said")[HELD]
    now = (await answers(held.deployment, held.app, known["keys"], known["events"]))[HELD]
    assert not of_what_is_summed(differences(then, now))
    assert now["configuration"]["holdoutPercentage"] == SHARE
    assert then["figures"]["experiment"]["events"] == ROUNDS
    assert [run["status"] for run in now["schedules, each"][0]["runs"]] == ["Succeeded", "NotSubmitted"]
    assert now["schedules, each"][0]["runs"][0]["value"] == then["schedules, each"][0]["runs"][0]["value"]
    sides = [each["decisions"][0]["isHeldOut"] for each in now["receipts"].values()]
    assert sides
    assert sides == [each["decisions"][0]["isHeldOut"] for each in then["receipts"].values()]


async def test_what_waited_is_learned_the_run_that_was_asked_for_ends_and_the_next_day_has_its_own(held):
    known = held.release.known()
    held.clock.pass_(known["later"])
    await go_on(held.deployment, held.app)
    then = without_digests(held.release.read("said-later")[HELD])
    now = without_digests((await answers(held.deployment, held.app, known["keys"], known["events"]))[HELD])
    assert not [each for each in of_what_went_on(differences({HELD: then}, {HELD: now})) if "/schedules" not in each]
    assert now["figures"]["experiment"]["events"] == 2 * ROUNDS
    assert await _runs(held) == ["Succeeded"] * 2
    held.clock.pass_(timedelta(days=1).total_seconds())
    for _ in range(2):
        await held.app.timer("analyses")
        await go_on(held.deployment, held.app)
    assert await _runs(held) == ["Succeeded"] * 3
    asked = said(await held.app.call("GET", place(HELD, "evaluations"), key=_key(held)))["value"]
    assert len(asked) == 3


async def _runs(held: Opened) -> list[str]:
    told: Any = said(await held.app.call("GET", under(HELD, "evaluations/schedules/daily"), key=_key(held)))
    return [run["status"] for run in told["runs"]]


def _key(held: Opened) -> str:
    return str(held.release.known()["keys"][HELD][0])
