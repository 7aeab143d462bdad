"""Of calls that repeat an event id one is learned, whichever was stored first and whichever windows they are in."""

import pytest

from tests.builders import after, decision, observation
from tests.processes import WAIT, Process


async def stored(process: Process, *, made: float, at: float) -> None:
    """Store a decision of the event that was made at one time, at another (seconds)."""
    until(process, at)
    await process.log.append_decision(decision(at=after(made)))


async def trained(process: Process, *, window: float) -> None:
    """Train when the window ends there (seconds)."""
    until(process, window + WAIT)
    await process.train()


def until(process: Process, seconds: float) -> None:
    process.clock.pass_((after(seconds) - process.clock.now()).total_seconds())


@pytest.mark.parametrize("ends", [[], [2], [4]], ids=["one window", "two windows", "one window and an empty one"])
async def test_the_call_that_was_made_first_is_learned_though_the_other_one_was_stored_first(one, ends):
    await stored(one, made=1, at=1.5)
    await one.log.append_observation(observation(at=after(2)))
    await stored(one, made=0, at=3)
    for window in [*ends, 100]:
        await trained(one, window=window)
    receipt = await one.receipts.find("e1")
    assert [(each.decision.decided_at, each.reason) for each in receipt.decisions] == [(after(0), ""), (after(1), "duplicate")]
    found = (await one.progress()).counters
    assert (found.learned, found.skipped) == (1, {"duplicate": 1})
    assert (found.rewards, found.late_rewards, found.unknown_rewards) == (1, 0, 0)


@pytest.mark.parametrize("stored_at", [WAIT + 4, 2 * WAIT, 20 * WAIT])
async def test_a_call_that_is_stored_when_another_one_was_learned_is_a_duplicate_though_it_was_made_first(one, stored_at):
    """Its process stood still."""
    await stored(one, made=1, at=1.5)
    await one.log.append_observation(observation(at=after(2)))
    await trained(one, window=3)
    assert (await one.progress()).counters.learned == 1
    await stored(one, made=0, at=stored_at)
    await trained(one, window=stored_at + 1)
    found = (await one.progress()).counters
    assert (found.learned, found.skipped) == (1, {"duplicate": 1})
    assert (found.rewards, found.late_rewards, found.unknown_rewards) == (1, 0, 0)
