"""F0's calls are counted together by all processes, never beyond the limit, and anew each month."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import QuotaExceededError, StorageUnavailableError
from shared.domain.loop import Tier
from shared.services.serving.allowance import PORTION, Allowance
from tests.clocks import SetClock

NOVEMBER = datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)
LIMIT = 50_000


class Count:
    """`shared.domain.ports.Usage` in memory."""

    def __init__(self, granted: int = 0) -> None:
        self.granted = {"202611": granted}
        self.asked = 0
        self.is_down = False

    async def grant(self, month: str, *, wanted: int, limit: int) -> int:
        await asyncio.sleep(0)
        if self.is_down:
            raise StorageUnavailableError("down")
        self.asked += 1
        before = self.granted.get(month, 0)
        taken = min(wanted, limit - before)
        self.granted[month] = before + taken
        return taken


@pytest.fixture
def clock():
    return SetClock(NOVEMBER)


async def served(allowance: Allowance, calls: int) -> int:
    async def call() -> bool:
        try:
            await allowance.take(Tier.F0)
        except QuotaExceededError:
            return False
        return True

    return sum(await asyncio.gather(*(call() for _ in range(calls))))


@pytest.mark.parametrize("tier", [Tier.S0, Tier.E0])
async def test_the_other_tiers_are_not_counted(clock, tier):
    count = Count(LIMIT)
    await Allowance(count, clock=clock).take(tier)
    assert count.asked == 0


async def test_two_processes_answer_exactly_what_is_left_of_the_month(clock):
    count = Count(LIMIT - 100)
    processes = [Allowance(count, clock=clock) for _ in range(2)]
    assert sum(await asyncio.gather(*(served(each, 80) for each in processes))) == 100
    assert count.granted["202611"] == LIMIT


async def test_calls_are_taken_in_portions_so_storage_is_asked_rarely(clock):
    count = Count()
    assert await served(Allowance(count, clock=clock), 10 * PORTION) == 10 * PORTION
    assert count.asked == 10


async def test_a_refusal_says_when_the_next_month_begins(clock):
    allowance = Allowance(Count(LIMIT), clock=clock)
    with pytest.raises(QuotaExceededError, match=r"^Out of call volume quota: .* replenished in 00:00:30, on 2026-12-01$"):
        await allowance.take(Tier.F0)
    clock.at = datetime(2026, 11, 2, tzinfo=UTC)
    with pytest.raises(QuotaExceededError, match=r"replenished in 29\.00:00:00, on 2026-12-01$"):
        await allowance.take(Tier.F0)


async def test_once_the_month_is_spent_storage_is_not_asked_again(clock):
    count = Count(LIMIT)
    assert await served(Allowance(count, clock=clock), 50) == 0
    assert count.asked == 1


async def test_a_new_month_begins_anew_and_what_was_left_of_the_old_one_is_gone(clock):
    count = Count()
    allowance = Allowance(count, clock=clock)
    await allowance.take(Tier.F0)
    clock.at = NOVEMBER + timedelta(minutes=1)
    assert await served(allowance, PORTION) == PORTION
    assert count.granted == {"202611": PORTION, "202612": PORTION}
    spent = Allowance(Count(LIMIT), clock=clock)
    assert await served(spent, 1) == 1


async def test_a_call_that_was_refused_is_not_counted(clock):
    count = Count(LIMIT - 1)
    allowance = Allowance(count, clock=clock)
    for _ in range(5):
        allowance.give_back(await allowance.take(Tier.F0))
    assert await served(allowance, 2) == 1


async def test_a_refusal_in_a_new_month_gives_nothing_back_of_the_old_one(clock):
    allowance = Allowance(Count(LIMIT - 1), clock=clock)
    month = await allowance.take(Tier.F0)
    clock.at = NOVEMBER + timedelta(minutes=1)
    await allowance.take(Tier.F0)
    allowance.give_back(month)
    allowance.give_back(await allowance.take(Tier.S0))
    assert await served(allowance, PORTION - 1) == PORTION - 1
    assert allowance._left == 0


async def test_storage_that_is_down_is_said_to_be_and_counts_nothing(clock):
    count = Count()
    count.is_down = True
    allowance = Allowance(count, clock=clock)
    with pytest.raises(StorageUnavailableError):
        await allowance.take(Tier.F0)
    count.is_down = False
    assert await served(allowance, 1) == 1
    assert count.granted["202611"] == PORTION
