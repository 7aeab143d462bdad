"""`PERSONALIZER_LOG_SHARDS` is each writer's own: processes with different values work on one log, and readers need not know any."""

import asyncio
from collections import Counter
from datetime import timedelta

from shared.joining.reading import read_lines
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from tests.builders import after, decision, observation
from tests.clocks import SetClock
from tests.processes import Process
from tests.reliability.world import GRACE, LOOKBACK, LOOP
from tests.stores import on_both, rows_of


def spread(account, clock: SetClock, shards: int) -> RowEventLog:
    settings = LogSettings(loop=LOOP.name, shards=shards, append_deadline=timedelta(seconds=4))
    return RowEventLog(account, settings=settings, clock=clock, settled=LOOKBACK)


def trainer(process: Process, shards: int) -> Trainer:
    """One whose own setting is this, with windows so small that they end between rows of one minute."""
    limits = Limits(grace=GRACE, lookback=LOOKBACK, max_events=25)
    log = spread(process.account, process.clock, shards)
    return Trainer(log, process.joined, process.store, process.configuration, clock=process.clock, limits=limits)


async def write(logs: list[RowEventLog], clock: SetClock, second: int) -> None:
    """Log a decision and a reward of each process, all of them at once."""
    ids = [f"e{second}-{number}" for number in range(len(logs))]
    await asyncio.gather(*[log.append_decision(decision(each, at=clock.at)) for log, each in zip(logs, ids, strict=True)])
    rewards = zip(logs[::-1], ids, strict=True)  # a reward need not come by way of the process that decided
    await asyncio.gather(*[log.append_observation(observation(each, 1.0, at=clock.at)) for log, each in rewards])


@on_both
async def test_the_number_of_shards_changes_up_and_down_while_events_come_and_each_is_learned_once(one, other, account, clock):
    """An update goes from process to process: those of before, of now and of a step back are at work side by side."""
    rounds = [[1, 1], [1, 4, 64], [4, 64, 64, 64], [64, 2, 1], [1, 1]]
    kept: dict[tuple[int, int], RowEventLog] = {}
    for number, values in enumerate(rounds):
        logs = [kept.setdefault((each, values[:place].count(each)), spread(account, clock, each)) for place, each in enumerate(values)]
        for second in range(0, 80, 20):
            clock.at = after(80 * number + second)
            await write(logs, clock, 80 * number + second)
            if second % 40:
                await trainer((one, other)[number % 2], (1, 64)[number % 2]).run()
    partitions = {row["PartitionKey"].partition("-")[2] for row in await rows_of(account, one.log._decisions.table_name(clock.at))}
    assert len(partitions) > 1, "some were spread"
    clock.at = after(1_000)
    await trainer(one, 3).run()
    expected = {
        f"e{80 * number + second}-{n}" for number, values in enumerate(rounds) for second in range(0, 80, 20) for n in range(len(values))
    }
    pointer = await one.pointer()
    assert (pointer.counters.learned, pointer.counters.stragglers) == (len(expected), 0)
    assert (pointer.counters.rewards, pointer.counters.late_rewards, pointer.counters.unknown_rewards) == (len(expected), 0, 0)
    chunks = [await one.joined.chunk(name) for name in await one.joined.chain()]
    joined = [event for text in chunks for event in read_lines(text)]
    assert Counter(event.decision.event_id for event in joined) == Counter(expected)
    assert {event.reward for event in joined} == {1.0}
    assert (await one.progress()).pending == 0
