"""The trainer: catches up with the log, window by window, and begins the model anew beside that where its settings ask for it.

Killed anywhere it leaves either the old pointer, and what was under way is done again, or the new one, and it goes on from there.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.clock import Clock, TimeLimit
from shared.domain.errors import ConflictError, PersonalizerError, UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog, LoopConfiguration, ModelStore
from shared.services.models.publishing import beginning
from shared.services.process.sharing import Shared
from shared.services.training.lookbacks import LookbackKeeper
from shared.services.training.retraining import Chunks, Retrainer
from shared.services.training.room import Room
from shared.services.training.stepping import Commit, Stepper
from shared.services.training.windows import IDLE_ADVANCE, Limits, Pace, Plan, is_due, plan_window

logger = logging.getLogger(__name__)

MAX_STEPS = 1_000
"""Of one turn; the next goes on from there."""

RUN_TIME = timedelta(minutes=4)
"""How long a run goes on beginning things, unless it is told."""

IDLE_ADVANCE_OF_SEVERAL = timedelta(minutes=30)
"""How far an idle loop's watermark may stay behind where there are several: a commit costs more than a look."""

SLICE = timedelta(seconds=20)
"""How long a model is learned anew, at most, before that is written down and windows may have a turn: what a killed run loses."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was committed in a turn, and whether that was all that there is to do now.

    ``is_elsewhere`` if another trainer was at work on the loop, or was faster: the rest is left to it.
    """

    commits: Sequence[Commit]
    is_done: bool
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How the loop stands: for how long what follows the watermark could have been learned already, and how old the model is."""

    lag: timedelta
    model_age: timedelta | None
    mark: str = ""
    """Another one after each commit, and after each slice of a model that is begun anew."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether there is something to do for a loop now, and whether that is one window at most.

    ``is_idle`` if nothing is to be learned, and only the watermark to be moved. Until ``quiet_until`` there is surely nothing to do,
    unless the loop's settings change (None: that is not known). ``mark`` is as in `Standing`.
    """

    is_due: bool
    is_small: bool = True
    is_idle: bool = False
    quiet_until: datetime | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be done next, and from where: to learn the window of the plan, or to begin the model anew."""

    pointer: Pointer
    etag: str | None
    loop: LoopSettings
    plan: Plan | None

    @property
    def is_last(self) -> bool:
        """Whether nothing more waits behind it."""
        return self.plan is not None and not self.plan.is_cut and self.loop.resets == self.pointer.resets


@dataclass(slots=True)
class _Shares:
    """The seconds that windows and a model begun anew have had of a turn; whichever had less has its turn, if it has anything to do.

    ``failure`` is why the model is not gone on with in this turn: windows are not to wait for that.
    """

    windows: float = 0.0
    anew: float = 0.0
    failure: PersonalizerError | None = None

    def add(self, task: _Task, seconds: float) -> None:
        if task.plan is None:
            self.anew += seconds
        else:
            self.windows += seconds


class Trainer:
    """Learns one loop's log, in bounded steps, as far as it can be learned now."""

    def __init__(
        self,
        log: EventLog,
        chunks: Chunks,
        store: ModelStore,
        configuration: LoopConfiguration,
        *,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._log = log
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._limits = limits
        self._room = Room(log, store.attempts, limits)
        self._pace = Pace()
        self._lookbacks = LookbackKeeper(store, carried=limits.max_carried)
        self._stepper = Stepper(log, store, self._lookbacks, clock=clock, limits=limits)
        self._retrainer = Retrainer(chunks, store, clock=clock)

    def sharing(self, shared: Shared) -> "Trainer":
        """Keep what is kept at hand within what all loops of the process share; to be said before it is used. Gives itself."""
        self._lookbacks.sharing(shared.logs)
        self._stepper.sharing(shared)
        self._retrainer.sharing(shared)
        return self

    def close(self) -> None:
        """Keep nothing at hand any more: the loop is gone."""
        self._lookbacks.close()
        self._stepper.close()
        self._retrainer.close()

    async def run(self, limit: TimeLimit | None = None) -> list[Commit]:
        """Catch up, for as long as the limit lets (`RUN_TIME`); gives the commits made. Raises as `turn`."""
        return [*(await self.turn(limit or TimeLimit(RUN_TIME))).commits]

    async def turn(self, limit: TimeLimit) -> Turn:
        """Do what there is to do until the limit is over; what is begun then is brought to its end.

        Another trainer at work, or one that was faster, ends the turn without harm. Raises `StorageUnavailableError`,
        `NewerFormatError` or `UnreadableError`; what was committed stays.
        """
        commits: list[Commit] = []
        shares = _Shares()
        is_done = is_elsewhere = False
        for _ in range(MAX_STEPS):
            task = None if limit.is_over else await self._due(shares)
            if task is None:
                is_done = not limit.is_over
                break
            async with self._store.lease() as is_mine:
                if not is_mine:
                    logger.info("another trainer is at work")
                    is_done = is_elsewhere = True
                    break
                if (await self._stored())[1] != task.etag:
                    continue
                try:
                    commits += await self._do(task, shares, limit)
                except ConflictError:
                    logger.info("another commit came first; this run's work is dropped")
                    is_done = is_elsewhere = True
                    break
            if task.is_last:
                is_done = True
                break
        if shares.failure is not None:
            raise shares.failure
        return Turn(commits, is_done, is_elsewhere)

    async def standing(self) -> Standing:
        """Look how far it has come; raises as `run`."""
        pointer, etag = await self._stored()
        loop = await asyncio.to_thread(self._configuration.read)
        pointer, now = pointer or await beginning(self._log, loop, clock=self._clock), self._clock.now()
        lag = now - loop.reward_wait - self._limits.grace - pointer.watermark
        return Standing(
            max(lag, timedelta(0)), now - pointer.published_at if pointer.version else None, await self._mark(pointer, etag, loop)
        )

    async def outlook(self) -> Outlook:
        """Look whether there is something to do, and do nothing; raises as `run`.

        Of a log in which nothing is due, five minutes more are looked at: what is sealed later is due later.
        """
        pointer, etag = await self._stored()
        loop = await asyncio.to_thread(self._configuration.read)
        pointer = pointer or await beginning(self._log, loop, clock=self._clock)
        mark = await self._mark(pointer, etag, loop)
        if loop.resets != pointer.resets:
            return Outlook(is_due=True, is_small=False, mark=mark)
        now = self._clock.now()
        delay = loop.reward_wait + self._limits.grace
        plan = await plan_window(self._log, pointer, await self._lookbacks.of(pointer), horizon=now - delay, limits=self._limits)
        is_idle = plan is None or not (plan.is_cut or plan.decisions or plan.observations)
        if plan is not None and is_due(plan, pointer, loop, now=now):
            if not is_idle or plan.until - plan.since >= IDLE_ADVANCE_OF_SEVERAL:
                return Outlook(is_due=True, is_small=not plan.is_cut, is_idle=is_idle, mark=mark)
        elif not is_idle:
            return Outlook(is_due=False, mark=mark)
        nothing_before = await self._nothing_before(max(pointer.watermark, now - delay), now)
        if pointer.sequence:
            nothing_before = min(nothing_before, pointer.watermark + IDLE_ADVANCE_OF_SEVERAL)
        return Outlook(is_due=False, quiet_until=nothing_before + delay, mark=mark)

    async def _mark(self, pointer: Pointer, etag: str | None, loop: LoopSettings) -> str:
        """Tell this state of the loop from those before it; a model that is begun anew gets on without any commit."""
        if loop.resets == pointer.resets:
            return str(etag or "")
        try:
            return f"{etag} {await self._store.checkpoints.progress()}"
        except UnreadableError:  # it is the turn's to deal with that
            return str(etag or "")

    async def _nothing_before(self, since: datetime, now: datetime) -> datetime:
        """Find until when the log is known to hold nothing from ``since`` on, looking five minutes ahead at most.

        Of what was sealed within the grace nothing is known: it may still turn up.
        """
        until = min(since + IDLE_ADVANCE, now - self._limits.grace)
        for heads in (self._log.decision_heads, self._log.observation_heads):
            if until > since:
                async for minute in heads(since, until):
                    until = min(until, minute[0].key.sealed_at)
                    break
        return min(max(until, since), now - self._limits.grace)

    async def _due(self, shares: _Shares) -> _Task | None:
        pointer, etag = await self._stored()
        loop = await asyncio.to_thread(self._configuration.read)  # after the pointer, which followed no later settings than these
        pointer = pointer or await beginning(self._log, loop, clock=self._clock)
        anew = _Task(pointer, etag, loop, None) if loop.resets != pointer.resets and shares.failure is None else None
        if anew is not None and await self._goes_first(anew, shares):
            return anew
        now = self._clock.now()
        lookback, horizon = await self._lookbacks.of(pointer), now - loop.reward_wait - self._limits.grace
        most = self._pace.most(self._limits, wanted=loop.model_export_frequency)
        plan = await self._room.plan(pointer, lookback, horizon=horizon, most=most)
        return _Task(pointer, etag, loop, plan) if plan is not None and is_due(plan, pointer, loop, now=now) else anew

    async def _goes_first(self, anew: _Task, shares: _Shares) -> bool:
        """Whether the model has its turn before windows; one that an earlier run has begun does not: windows stop for nothing in it."""
        if shares.windows == shares.anew:
            return not await self._retrainer.is_begun(anew.pointer, anew.loop)
        return shares.anew < shares.windows

    async def _stored(self) -> tuple[Pointer | None, str | None]:
        stored = await self._store.pointer()
        if stored is None:
            return None, None
        self._log.follow(stored[0].log)
        return stored

    async def _do(self, task: _Task, shares: _Shares, limit: TimeLimit) -> Sequence[Commit]:
        """Do what is due, and count how long that took; raises as `run`, but what is wrong with the model alone only at the turn's end."""
        began = limit.spent
        commits: Sequence[Commit] = ()
        try:
            if task.plan is not None:
                async with self._room.taken(task.pointer):
                    commits = [await self._stepper.step(task.plan, task.pointer, task.etag, task.loop)]
                return commits
            return await self._begin_anew(task, limit.within(SLICE))
        except ConflictError:
            raise
        except PersonalizerError as error:
            if task.plan is not None:
                raise
            shares.failure = error
            return []
        finally:
            seconds = limit.spent - began
            shares.add(task, seconds)
            if task.plan is not None and commits:
                self._pace.took(task.plan.events, seconds=seconds, limits=self._limits)

    async def _begin_anew(self, task: _Task, limit: TimeLimit) -> Sequence[Commit]:
        """Go on with the model that is begun anew; gives its commit once it is published."""
        self._stepper.forget()
        anew = await self._retrainer.run(task.pointer, task.etag, task.loop, limit=limit)
        if anew is None:
            return []
        self._stepper.take_up(anew.pointer.version, anew.learner)
        return [Commit(anew.pointer, anew.pointer.learned)]
