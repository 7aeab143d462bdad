"""What was promised to whom, and whether it was kept: the invariants of the documentation, after everything had its last chance."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.domain.errors import AccessDeniedError, PersonalizerError, ResourceNotFoundError, SettingsError, UnusableModelError
from shared.domain.events import JoinedEvent, SkipReason
from shared.domain.ledger import Counters
from shared.joining.chunks import ChunkName
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import AppSettings
from shared.services.models.replay import Replay
from shared.storage.names import DayTable
from tests.simulation.audits import joined, of_container, of_holdout, of_policy, of_refused, of_schedules, of_slots
from tests.simulation.engine import Stored
from tests.simulation.plan import KEYS, Plan, Step
from tests.simulation.process import Process
from tests.simulation.promises import APART, Promise, Promises
from tests.simulation.steps import DEFAULT, IMPORTED, OTHER, TAKEN, admitted, train

if TYPE_CHECKING:
    from tests.simulation.world import World

DEFAULT_REWARD: Final = 0.5
"""As plans set it."""


class Auditor:
    """Knows what was asked and what was acknowledged, and looks at what came of it."""

    def __init__(self, plan: Plan, settings: AppSettings) -> None:
        self._plan = plan
        self._settings = settings
        self._promises = Promises(sets_clocks=any(step.what == "set_clock" for step in plan.steps))
        self.waiting: list[str] = []

    def asked(self, step: Step, life: str, at: datetime) -> Promise:
        promise = Promise(step, life, at)
        self._promises[step.what].append(promise)
        return promise

    async def audit(self, world: "World") -> list[str]:
        """Tell what was not kept."""
        broken = [f"nobody waits for ever: {each}" for each in self.waiting]
        broken += [
            f"no call is refused for a mistake that it has not: {each.step}: {each.refusal!r}"
            for promises in self._promises.values()
            for each in promises
            if each.refusal is not None and not _is_deserved(each)
        ]
        broken += await world.present(0).begin(self._of_storage(world.present(0)))
        for number in range(len(world.processes)):
            broken += await world.present(number).begin(_served(world.present(number)))
            broken += await world.present(number).begin(self._keys(world.present(number)))
        broken += await world.present(0).begin(self._imported(world.present(0)))
        broken += await world.present(0).begin(self._beside(world.present(0)))
        for promise, stored in world.backups:
            broken += await self._restored(world, promise, stored)
        return broken

    async def _of_storage(self, process: Process) -> list[str]:
        """Look at what is stored, as any process sees it."""
        broken: list[str] = []
        services = await process.deployment.fresh(DEFAULT)
        assert services is not None
        progress = await services.progress.read()
        events = await joined(services)
        broken += self._decisions(events)
        first = [event for event in events if event.skip is not SkipReason.DUPLICATE]
        broken += self._rewards(first)
        broken += of_holdout(events, self._promises)
        if not self._promises["delete_log"]:
            broken += self._counters(events, first, progress.counters)
        if progress.pending or progress.pending_rewards:
            broken.append(f"nothing waits for ever once faults end: {progress.pending} decisions, {progress.pending_rewards} rewards")
        if self._plan.rebuilds:
            broken += await _replayed(services)
        broken += await _gone(process, services)
        broken += await self._evaluations(services)
        return broken

    async def _beside(self, process: Process) -> list[str]:
        """Look at what was done beside the loop's own calls."""
        services, promises = await process.deployment.fresh(DEFAULT), self._promises
        assert services is not None
        broken = [*of_refused(promises), *await of_policy(services, promises)]
        if promises["rank_slots"]:
            broken += await of_slots(process, promises, timedelta(seconds=self._plan.wait))
        if promises["put_schedule"]:
            broken += await of_schedules(services, promises)
        if promises["mirror"] and not promises["delete_log"]:
            broken += await of_container(process, services)
        return broken

    async def _restored(self, world: "World", promise: Promise, stored: Stored) -> list[str]:
        """Look at what a copy gives when it is put to use: all that was acknowledged before it was begun, whole."""
        if self._promises["delete_log"]:
            return []
        process = world.opened(stored)
        await process.begin(train(process, {}))
        services = await process.begin(process.deployment.fresh(DEFAULT))
        assert services is not None
        found = Counter(
            [event.decision.event_id for event in await process.begin(joined(services)) if event.skip is not SkipReason.DUPLICATE]
        )
        ranked = [each for each in self._decided if each.is_logged and each.kept_at and each.kept_at + APART < promise.made_at]
        lost = {event_id for each in ranked for event_id in each.events if found[event_id] != 1}
        broken = [f"a copy has all that was acknowledged before it: {event_id} counts {found[event_id]} times" for event_id in sorted(lost)]
        return [*broken, *[f"of a copy: {each}" for each in await process.begin(_replayed(services))]]

    async def _imported(self, process: Process) -> list[str]:
        """Look at the loop that a log was imported into, perhaps by two at once: each of its events is there once."""
        services = await process.deployment.fresh(TAKEN)
        if services is None:
            return []
        found = Counter([event.decision.event_id for event in await joined(services)])
        broken = [f"an event is imported once: {event_id} is there {times} times" for event_id, times in found.items() if times > 1]
        if any(each.is_acknowledged for each in self._promises["import_log"]) and len(found) != IMPORTED:
            broken.append(f"a log is imported whole: {len(found)} of {IMPORTED} events are there")
        stored = await services.store.pointer()
        if stored is not None and stored[0].imported != len(found):
            broken.append(f"imported events are counted: {stored[0].imported} of {len(found)}")
        if self._plan.rebuilds:
            broken += [f"of a loop with an imported log: {each}" for each in await _replayed(services)]
        return broken

    async def _evaluations(self, services: LoopServices) -> list[str]:
        broken = []
        for promise in self._promises["evaluate"]:
            if promise.is_acknowledged:
                status = (await services.evaluations.read(str(promise.answer))).job.status
                if not status.is_over:
                    broken.append(f"each evaluation comes to an end: {promise.answer} is {status}")
        return broken

    async def _keys(self, process: Process) -> list[str]:
        """Look which keys open the default loop, one poll after the calm began."""
        changes = self._promises["new_key"]
        if not any(each.is_acknowledged for each in changes):
            return []
        told = [str(each.answer) for each in changes if each.is_acknowledged]
        opening = [key for key in (*KEYS, *told) if await _opens(process, key)]
        broken = [f"a key that was revoked opens nothing: {process.life.name} lets {KEYS[1]} in"] if KEYS[1] in opening else []
        if KEYS[0] not in opening:
            broken.append(f"a key opens until it is revoked: {process.life.name} refuses {KEYS[0]}")
        if len(opening) > len(KEYS) or (len(changes) == 1 and told[0] not in opening):
            broken.append(f"of the second keys the last one opens: {process.life.name} lets {len(opening)} in")
        return broken

    # --- decisions -------------------------------------------------------------------------------------------------------

    def _decisions(self, events: list[JoinedEvent]) -> Iterator[str]:
        ranked: dict[str, list[Promise]] = defaultdict(list)
        for promise in self._decided:
            for event_id in promise.events:
                ranked[event_id].append(promise)
        found = Counter(event.decision.event_id for event in events)
        once = Counter(event.decision.event_id for event in events if event.skip is not SkipReason.DUPLICATE)
        for event_id in found.keys() - ranked.keys():
            yield f"the log holds what was asked for alone: {event_id} was not"
        for event_id, calls in ranked.items():
            certain = [each for each in calls if self._is_certainly_logged(each)]
            possible = [each for each in calls if self._is_possibly_logged(each)]
            if not len(certain) <= found[event_id] <= len(possible):
                times = f"{found[event_id]} times of {len(certain)} to {len(possible)}"
                yield f"each stored decision is in the log once: {event_id} is there {times}"
            if once[event_id] > 1 or (certain and not once[event_id]):
                yield f"of an event one decision counts: {event_id} counts {once[event_id]} times"

    def _is_certainly_logged(self, promise: Promise) -> bool:
        """Whether it was acknowledged, and every deletion that was tried was over before it was asked for."""
        deletions = self._promises["delete_log"]
        return promise.is_logged and all(each.is_surely_before(promise) for each in deletions)

    def _is_possibly_logged(self, promise: Promise) -> bool:
        """Whether no deletion that was acknowledged began after it was answered."""
        deletions = [each for each in self._promises["delete_log"] if each.is_acknowledged]
        return not any(promise.is_surely_before(each) for each in deletions)

    @property
    def _decided(self) -> list[Promise]:
        return [*self._promises["rank"], *self._promises["upload"], *self._promises["send"]]

    @property
    def _all_rewards(self) -> list[Promise]:
        return [*self._promises["reward"], *self._promises["upload_rewards"], *self._told]

    @property
    def _told(self) -> list[Promise]:
        """Give the calls that send a reward with an id, most of them again."""
        return [each for each in self._promises["tell"] if not each.step.arguments["slot"]]

    # --- rewards ---------------------------------------------------------------------------------------------------------

    def _rewards(self, events: list[JoinedEvent]) -> Iterator[str]:
        placed: Counter[float] = Counter()
        where: dict[float, str] = {}
        for event in events:
            values = [each.reward for each in event.observations if each.reward is not None]
            placed.update(values)
            where.update(dict.fromkeys(values, event.decision.event_id))
            if abs(event.reward - sum(values)) > 1e-6 and (values or event.reward != DEFAULT_REWARD):
                yield f"a reward is the sum of what was observed: {event.decision.event_id} has {event.reward} of {values}"
        for promise in self._all_rewards:
            value, event_id = promise.step.arguments["value"], promise.event
            if placed[value] > 1:
                yield f"a reward counts once: {value} of {event_id} counts {placed[value]} times"
            if placed[value] and where[value] != event_id:
                yield f"a reward is its own event's: {value} of {event_id} is at {where[value]}"
            if not placed[value] and self._is_surely_in_time(promise):
                yield f"a reward in time is placed: {value} of {event_id} is not"

    def _counters(self, events: list[JoinedEvent], first: list[JoinedEvent], counters: Counters) -> Iterator[str]:
        """Look at counters that no deletion has changed."""
        learned = sum(event.skip is None for event in events)
        skipped = Counter(event.skip.value for event in events if event.skip is not None)
        if (learned, skipped) != (counters.learned, Counter(counters.skipped)):
            yield f"counters tell what the log holds: {counters} of {learned} learned and {dict(skipped)} skipped"
        used = [each.reward for event in first for each in event.observations if each.reward is not None]
        acknowledged = {each.step.arguments["value"] for each in self._all_rewards if each.is_acknowledged}
        unsure = sum(value not in acknowledged for value in used)  # one that arrived behind everything counts in the join alone
        unsure += sum(not each.is_acknowledged for each in self._told)
        if not 0 <= len(used) + counters.late_rewards + counters.unknown_rewards + counters.repeated_rewards - counters.rewards <= unsure:
            yield f"each reward is placed, late, unknown or repeated: {len(used)} are placed of {counters}"

    def _has_a_clock_that_is_set(self, promise: Promise) -> bool:
        """Whether the process that was asked may have thought that it was another time: it hears so with storage's next answer."""
        return any(each.what == "set_clock" and each.process == promise.step.process for each in self._plan.steps)

    def _is_surely_in_time(self, reward: Promise) -> bool:
        if self._promises.is_sent_again(reward):
            return False
        calls = [each for each in self._decided if reward.event in each.events]
        if len(calls) != 1 or calls[0].step.what == "send":  # it was decided at another time than it was sent
            return False
        if not self._is_certainly_logged(calls[0]) or not self._is_certainly_logged(reward):
            return False
        if self._has_a_clock_that_is_set(reward) or self._has_a_clock_that_is_set(calls[0]):
            return False
        made = calls[0].made_at - timedelta(seconds=calls[0].step.arguments.get("age", 0.0))
        return (
            reward.kept_at is not None
            and calls[0].kept_at is not None
            and calls[0].kept_at - timedelta(seconds=100) < reward.made_at  # a process may stand still between the call and its row
            and reward.kept_at + APART < made + timedelta(seconds=self._plan.wait)
        )


def _is_deserved(promise: Promise) -> bool:
    """Whether a call may be refused so: a loop or a model was not there; there was nothing to copy, or another copy was under way."""
    deserved = SettingsError if promise.step.what == "back_up" else (ResourceNotFoundError, UnusableModelError)
    return isinstance(promise.refusal, deserved)


async def _opens(process: Process, key: str) -> bool:
    try:
        await admitted(process, key=key)
    except AccessDeniedError:
        return False
    return True


async def _replayed(services: LoopServices) -> list[str]:
    stored = await services.store.pointer()
    if stored is None or not stored[0].version:
        return []
    replay = Replay(services.joined, services.store)
    try:
        steps = [step async for step in replay.run(await replay.plan())]
    except PersonalizerError as error:
        made_of = (await services.joined.models())[stored[0].version]
        chunks = [made_of.chunk, *[each.last for each in made_of.origin.path]]
        if any(chunk and ChunkName.parse(chunk).generation < stored[0].log.generation for chunk in chunks):
            return []  # the log that it was made of was deleted
        return [f"a model is rebuilt from the log: {error!r}"]
    return [f"a model is rebuilt to the byte: {step.version} has another {', '.join(step.differing)}" for step in steps if step.differing]


async def _gone(process: Process, services: LoopServices) -> list[str]:
    """Look whether there is anything left of a log that was deleted: no table and no chunk of an older generation, and no file beside."""
    stored = await services.store.pointer()
    if stored is None:
        return []
    generation = stored[0].log.generation
    found = [each for each in map(DayTable.parse, await process.storage.rows.tables()) if each is not None]
    tables = [each.name for each in found if each.loop == DEFAULT and each.generation < generation]
    chunks = [name for name in await services.joined.sizes() if ChunkName.parse(name).generation < generation]
    left = [f"deleted means gone: {name} is there" for name in [*tables, *chunks]]
    left += [f"deleted means gone: {name} is there" for name in await _of_ended_lives(process)]
    kept = len(await services.store.replaced())
    if kept > max(services.settings.models_kept, 2):
        left.append(f"what a commit needs no more is removed: {kept} models are there")
    return left


async def _of_ended_lives(process: Process) -> list[str]:
    """List what is there of the lives of the other loop that are over: only its record may be."""
    if OTHER not in await process.deployment.names():
        return []
    record = await process.deployment.record(OTHER)
    ended = tuple(f"{OTHER}x{life:04d}" for life in range(1, record.life + (not record.is_there)))
    left = [name for name in await process.storage.rows.tables() if name.startswith(ended)]
    for area in await process.storage.areas():
        left += [entry.name async for entry in process.storage.files(area).listing("loops/") if entry.name.split("/")[1] in ended]
    return left


async def _served(process: Process) -> list[str]:
    if DEFAULT not in [each.record.name for each in process.served]:
        return []  # it has served nobody
    services = await process.deployment.fresh(DEFAULT)
    assert services is not None
    broken = []
    stored, served = await services.store.pointer(), services.models._served
    if stored is not None and served.version != stored[0].version:
        broken.append(f"each process serves what is published: {process.life.name} serves {served.version!r} and {served.error}")
    if served.settings != await services.configurator.read():
        broken.append(f"each process follows the settings: {process.life.name} does not")
    return broken
