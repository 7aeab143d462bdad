"""A small log to train on, and trainers that learn it at set times: what every reliability test starts from."""

import asyncio
import random
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.ledger import Counters, Pointer
from shared.domain.loop import LoopSettings
from shared.services.breakdowns.files import load as load_breakdown
from shared.services.figures.files import load
from shared.services.log.retention import Retention, Terms
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage.cold_log import FileColdLog
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.model_store import FileModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.ports import Storage
from tests.builders import T0, after, apprentice, decision, observation
from tests.clocks import SetClock

LOOP = LoopSettings(reward_wait=timedelta(seconds=10), model_export_frequency=timedelta(seconds=1), breakdown_feature="user.segment")
RESET = replace(LOOP, resets=1)
"""After a change of settings that has the model begun anew."""

GRACE = timedelta(seconds=5)
LOOKBACK = timedelta(seconds=8)
SETTLED_FOR = timedelta(seconds=30)
FIRST, SECOND = after(60), after(120)
"""When the trainer comes by: each time with a window of its own to learn."""


IN_APPRENTICE_MODE = 30
"""Of the log's decisions, those that are learned."""


def event_log(account: Storage, clock: SetClock, *, deadline: float = 4) -> RowEventLog:
    settings = LogSettings(loop=LOOP.name, shards=1, append_deadline=timedelta(seconds=deadline))
    return RowEventLog(account, settings=settings, clock=clock, settled=LOOKBACK)


def trainer(
    account: Storage,
    at: datetime,
    *,
    store: str,
    max_events: int = 50_000,
    loop: LoopSettings = LOOP,
    kept: FileModelStore | None = None,
) -> Trainer:
    """One whose log is the shared one, and whose models go to a store of their own; what it remembers always has a file."""
    clock = SetClock(at)
    return Trainer(
        event_log(account, clock),
        FileColdLog(account, loop=store),
        kept or FileModelStore(account, loop=store),
        StoredConfiguration(account, defaults=loop),
        clock=clock,
        limits=Limits(grace=GRACE, lookback=LOOKBACK, max_events=max_events, max_carried=0),
    )


def retention(account: Storage, *, store: str, models_kept: int, loop: LoopSettings = LOOP) -> Retention:
    clock = SetClock(SECOND)
    kept = FileModelStore(account, loop=store)
    return Retention(
        event_log(account, clock),
        FileColdLog(account, loop=store),
        kept,
        StoredConfiguration(account, defaults=loop),
        clock=clock,
        terms=Terms(models_kept, SETTLED_FOR),
    )


async def models_and_states(account: Storage, store: str) -> tuple[list[str], list[str]]:
    kept = FileModelStore(account, loop=store)
    return [*await kept.replaced()], [version async for version in kept.states()]


async def write_log(account: Storage) -> Counters:
    """Write two windows' worth of decisions and rewards, with some of every oddity; gives what should be counted in the end."""
    clock = SetClock(T0)
    log = event_log(account, clock)
    chance = random.Random(7)
    for second in range(0, 90, 3):
        clock.at = after(second)
        names = [f"e{second}-{n}" for n in range(4)]
        decisions = [decision(name, at=clock.at, chosen=chance.randrange(2)) for name in names[1:]]
        decisions.append(apprentice(names[0], at=clock.at, proposed=chance.randrange(2)))
        await asyncio.gather(*map(log.append_decision, decisions))
        rewarded = [name for name in names if chance.random() < 0.7]
        await asyncio.gather(*(log.append_observation(observation(name, chance.random(), at=clock.at)) for name in rewarded))
    clock.at = after(90)
    await log.append_decision(decision("e0-0", at=clock.at))
    await log.append_decision(decision("deferred", at=clock.at, deferred=True))
    await log.append_observation(observation("nobody", at=clock.at))
    await log.append_observation(observation("e3-0", at=clock.at))
    return (await train_undisturbed(account, store="expected")).counters


async def train_undisturbed(account: Storage, *, store: str) -> Pointer:
    for at in (FIRST, SECOND):
        await trainer(account, at, store=store).run()
    return await committed(account, store)


async def committed(account: Storage, store: str) -> Pointer:
    stored = await FileModelStore(account, loop=store).pointer()
    assert stored is not None
    return stored[0]


async def assert_as_undisturbed(account: Storage, store: str) -> None:
    """Check that a run came to what the undisturbed one did: counters, figures, watermark, chunk, model and its state, to the byte."""
    mine, expected = await committed(account, store), await committed(account, "expected")
    parts = ("counters", "apprentice", "figures", "breakdown", "lookback", "watermark", "chunk", "version")
    assert {part: getattr(mine, part) for part in parts} == {part: getattr(expected, part) for part in parts}
    assert len(mine.apprentice.rewards) == IN_APPRENTICE_MODE
    ours, theirs = FileModelStore(account, loop=store), FileModelStore(account, loop="expected")
    assert await ours.artifact(mine.version) == await theirs.artifact(expected.version)
    assert await ours.state(mine.version) == await theirs.state(expected.version)
    assert await ours.figures(mine.figures) == await theirs.figures(expected.figures)
    assert isinstance(mine.lookback, str)
    assert await ours.lookback(mine.lookback) == await theirs.lookback(mine.lookback)
    assert load(await ours.figures(mine.figures)).timeline.activity.events.sum() == mine.counters.learned
    assert await ours.breakdown(mine.breakdown) == await theirs.breakdown(expected.breakdown)
    kept = load_breakdown(await ours.breakdown(mine.breakdown)).breakdown
    assert {table.sums.events.sum() for table in (kept.actions, kept.values, kept.pairs)} == {mine.counters.learned}
