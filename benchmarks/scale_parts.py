"""What `benchmarks.scale` measures, each in a process of its own: ``python -m benchmarks.scale_parts PART OPTIONS`` prints what it found.

``fill-...`` writes the log and ends; what it takes is not measured.
"""

import asyncio
import gc
import json
import random
import sys
import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks import memory
from benchmarks.made_tables import MadeAccount
from benchmarks.samples import Traffic
from benchmarks.timing import SetClock
from shared.domain.clock import EPOCH
from shared.domain.events import Action, Decision, LearningMode, Observation, Situation
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.joining.dsjson import situation_text
from shared.learning.encoding import Encoder
from shared.services.process.concurrency import keep_memory_together
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage.azure.storage import AzureStorage
from shared.storage.cold_log import FileColdLog
from shared.storage.event_log import RowEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.model_store import FileModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.settings import AccountSettings

BEGIN: Final = datetime(2026, 5, 17, 12, tzinfo=UTC)
GRACE: Final = timedelta(seconds=30)
LOOKBACK: Final = timedelta(seconds=40)
_LIMITS: Final = Limits(grace=GRACE, lookback=LOOKBACK)
_WRITERS: Final = 4
_POOL: Final = 2_000
_STEP: Final = timedelta(minutes=10)
_DECISIONS_A_ROW: Final = 20
"""Of a long wait, where it is the rewards that are measured."""

_ACTIONS: Final = 50
_FLOATS: Final = 445
"""Of each action, in full precision: with them a decision is 439 kB of JSON."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Options:
    """Where the log is, and how large: decisions a second over so many ``seconds``, or rewards a second over so many ``days``."""

    storage: str
    file: str = ""
    rate: float = 2_000.0
    seconds: int = 120
    days: float = 30.0
    events: int = 400
    per_row: int = 1

    @property
    def account(self) -> AzureStorage:
        """The account: with real tables unless a file is named."""
        return MadeAccount(self.storage, Path(self.file)) if self.file else AzureStorage(AccountSettings(connection_string=self.storage))


# --- an hour's backlog ---------------------------------------------------------------------------------------------------


async def fill_backlog(options: Options) -> Mapping[str, Any]:
    """Write decisions as four busy processes do, a row each in turn, and a reward for each decision five seconds later."""
    account, clock, chance = options.account, SetClock(BEGIN), random.Random(1)
    logs = [_log(account, clock) for _ in range(_WRITERS)]
    traffic = Traffic(actions=10, seed=3)
    pool = [traffic.decision("", BEGIN) for _ in range(_POOL)]
    per_row = max(int(options.rate) // _WRITERS, 1)
    rewarded: list[tuple[datetime, list[str]]] = []
    for number in range(options.seconds * _WRITERS):
        clock.at = BEGIN + timedelta(seconds=number / _WRITERS)
        ids = [f"{chance.getrandbits(128):032x}" for _ in range(per_row)]
        decisions = [replace(chance.choice(pool), event_id=each, decided_at=clock.at) for each in ids]
        await logs[number % _WRITERS].append_decisions(decisions)
        rewarded.append((clock.at + timedelta(seconds=5), ids))
    for number, (at, ids) in enumerate(rewarded):
        clock.at = at
        await logs[number % _WRITERS].append_observations([Observation(each, at, float(chance.random() < 0.3)) for each in ids])
    await account.close()
    return {"rows": 2 * len(rewarded)}


async def backlog(options: Options) -> Mapping[str, Any]:
    """Let a trainer that was away for an hour catch up; tell what it took, and the memory at each commit."""
    account = options.account
    clock = SetClock(BEGIN + timedelta(seconds=options.seconds, hours=1))
    store = _Watched(account, "backlog")
    await _warmed(account)
    trainer = _trainer(account, clock, store, LoopSettings())
    found = await _measured(trainer)
    await account.close()
    return {**found, "peaks": store.peaks}


# --- a window of large decisions -----------------------------------------------------------------------------------------


async def fill_window(options: Options) -> Mapping[str, Any]:
    """Write decisions whose actions carry an embedding each, and a reward for each."""
    account, clock, chance = options.account, SetClock(BEGIN), random.Random(2)
    log, encoder = _log(account, clock), Encoder()
    size = 0
    for number in range(options.events):
        clock.at = BEGIN + timedelta(milliseconds=10 * number)
        decision = _embedded(f"e{number}", clock.at, chance, encoder)
        size += len(decision.situation)
        await log.append_decision(decision)
    clock.at += timedelta(seconds=5)
    await log.append_observations([Observation(f"e{number}", clock.at, float(chance.random() < 0.3)) for number in range(options.events)])
    await account.close()
    return {"text": size}


async def window(options: Options) -> Mapping[str, Any]:
    """Let a trainer learn them."""
    account = options.account
    await _warmed(account)
    trainer = _trainer(account, SetClock(BEGIN + timedelta(hours=1)), FileModelStore(account, loop="window"), LoopSettings())
    found = await _measured(trainer)
    await account.close()
    return found


def _embedded(event_id: str, at: datetime, chance: random.Random, encoder: Encoder) -> Decision:
    def action(number: int) -> Action:
        return Action(f"a{number}", ({"item": {"embedding": [chance.gauss(0, 1) for _ in range(_FLOATS)]}},))

    asked = Situation(({"user": {"segment": f"s{chance.randrange(50)}"}},), tuple(map(action, range(_ACTIONS))))
    even = (1.0 / _ACTIONS,) * _ACTIONS
    chosen = chance.randrange(_ACTIONS)
    situation, encoded = situation_text(asked), encoder.encode(asked).logged(chosen)
    return Decision(event_id, at, "", LearningMode.ONLINE, even, chosen, deferred=False, situation=situation, encoded=encoded)


# --- a long wait ---------------------------------------------------------------------------------------------------------


async def fill_wait(options: Options) -> Mapping[str, Any]:
    """Write what a step reads: the decisions of as long as the wait before its window, and the rewards of as long behind."""
    account, clock = options.account, SetClock(BEGIN)
    log, wait, every = _log(account, clock), timedelta(days=options.days), timedelta(seconds=1 / options.rate)
    chance, pool = random.Random(3), [Traffic(actions=5, seed=4).decision("", BEGIN)]
    made = _times(BEGIN - wait - timedelta(hours=1), BEGIN + _STEP, every)
    decisions = [(at, f"{chance.getrandbits(128):032x}") for at in made]
    for row in _rows(decisions, _DECISIONS_A_ROW):
        clock.at = row[-1][0]
        await log.append_decisions([replace(pool[0], event_id=event_id, decided_at=at) for at, event_id in row])
    known = [event_id for at, event_id in decisions if at >= BEGIN - _STEP]
    observed = list(_times(BEGIN - timedelta(minutes=1), BEGIN + wait + _STEP, every))
    for times in _rows(observed, options.per_row):
        clock.at = times[-1]
        ids = [chance.choice(known) if at < BEGIN + _STEP else f"{chance.getrandbits(128):032x}" for at in times]
        await log.append_observations([Observation(event_id, at, 1.0) for event_id, at in zip(ids, times, strict=True)])
    await account.close()
    return {"observations": len(observed), "decisions": len(decisions)}


def _times(since: datetime, until: datetime, every: timedelta) -> Iterator[datetime]:
    at = since
    while at < until:
        yield at
        at += every


def _rows(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[first : first + size] for first in range(0, len(items), size))


async def wait(options: Options) -> Mapping[str, Any]:
    """Take one step with nothing in memory, and one a minute later; tell as well how much is resident between them."""
    account = options.account
    clock, trainer = await _waiting(account, options, loop="wait")
    before = memory.resident()
    cold = await _measured(trainer)
    kept = memory.resident() - before
    clock.at += timedelta(minutes=1)
    warm = await _measured(trainer)
    await account.close()
    return {"cold": cold, "warm": warm, "kept": kept}


async def remembered(options: Options) -> Mapping[str, Any]:
    """Take that first step with every object traced, and tell how many bytes of the log's are in use after it."""
    account = options.account
    _, trainer = await _waiting(account, options, loop="traced")
    tracemalloc.start()
    await trainer.run()
    gc.collect()
    ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(inclusive=True, filename_pattern="*/shared/storage/*")])
    await account.close()
    return {"bytes": sum(each.size for each in ours.statistics("filename"))}


async def _waiting(account: AzureStorage, options: Options, *, loop: str) -> tuple[SetClock, Trainer]:
    """Give a trainer of which a minute's window has waited long enough."""
    longest = timedelta(days=options.days)
    clock = SetClock(BEGIN + longest + GRACE + timedelta(minutes=5))
    store = FileModelStore(account, loop=loop)
    await store.commit(Pointer(sequence=1, version="", published_at=EPOCH, watermark=BEGIN), expected=None)
    await _warmed(account)
    settings = LoopSettings(reward_wait=longest, model_export_frequency=timedelta(seconds=1))
    return clock, _trainer(account, clock, store, settings)


# --- what all have in common ---------------------------------------------------------------------------------------------


class _Watched(FileModelStore):
    """A store that notes the process's peak at each commit."""

    def __init__(self, account: AzureStorage, loop: str) -> None:
        super().__init__(account, loop=loop)
        self.peaks: list[int] = []

    async def commit(self, pointer: Pointer, **others: Any) -> Any:
        self.peaks.append(memory.peak())
        return await super().commit(pointer, **others)


async def _warmed(account: AzureStorage) -> None:
    """Have a trainer learn a little of another log first: what any trainer takes is there then."""
    clock, traffic = SetClock(BEGIN), Traffic(actions=_ACTIONS, seed=5)
    await _log(account, clock, loop="little").append_decisions([traffic.decision(f"e{number}", BEGIN) for number in range(100)])
    clock.at += timedelta(hours=1)
    await _trainer(account, clock, FileModelStore(account, loop="little"), LoopSettings(), loop="little").run()


def _log(account: AzureStorage, clock: SetClock, *, loop: str = "scale") -> RowEventLog:
    settings = LogSettings(loop=loop, shards=1, append_deadline=timedelta(seconds=15), asks_after=timedelta(days=365))
    return RowEventLog(account, settings=settings, clock=clock, settled=LOOKBACK)


def _trainer(account: AzureStorage, clock: SetClock, store: FileModelStore, settings: LoopSettings, *, loop: str = "scale") -> Trainer:
    place = store._loop
    return Trainer(
        _log(account, clock, loop=loop),
        FileColdLog(account, loop=place),
        store,
        StoredConfiguration(account, defaults=settings),
        clock=clock,
        limits=_LIMITS,
    )


async def _measured(trainer: Trainer) -> Mapping[str, Any]:
    """Run a trainer to the end of what is due; gives seconds, events, and the peak over what the process had before."""
    before, begin = memory.resident(), time.perf_counter()
    commits = await trainer.run()
    seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "events": sum(each.learned for each in commits),
        "windows": len(commits),
        "over": memory.peak() - before,
        "bound": _LIMITS.max_bytes,
    }


PARTS: Final = {
    "fill-backlog": fill_backlog,
    "backlog": backlog,
    "fill-window": fill_window,
    "window": window,
    "fill-wait": fill_wait,
    "wait": wait,
    "remembered": remembered,
}


def main(arguments: Sequence[str]) -> None:
    """Do one part, with the options as JSON."""
    part, options = arguments
    keep_memory_together()  # as the app does
    print(json.dumps(asyncio.run(PARTS[part](Options(**json.loads(options))))))


if __name__ == "__main__":
    main(sys.argv[1:])
