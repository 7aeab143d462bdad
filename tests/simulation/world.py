"""Plays a plan: processes that live and die, calls of clients, and at last a calm in which everything has its last chance."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from shared.domain.clock import TimeLimit
from shared.domain.errors import PersonalizerError, UnavailableError
from shared.domain.patience import patience
from shared.runtime.auth import HEADER
from shared.runtime.fanout import train_turn
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import read_settings
from tests.builders import situation
from tests.simulation.auditor import Auditor
from tests.simulation.engine import Stored
from tests.simulation.faults import Fault, SimulatedNetwork
from tests.simulation.plan import KEYS, Clock, Plan, Step
from tests.simulation.process import Process
from tests.simulation.virtual import BEGIN, Life, StuckError, VirtualLoop

LOOP: Final = "default"
_ANSWERED_WITHIN: Final = 150.0
"""Seconds of calm after which whoever called has an answer."""


@dataclass
class Played:
    """What came of a schedule."""

    plan: Plan
    broken: list[str]
    faults: list[Fault]
    calls: int = 0

    def told(self) -> list[str]:
        """Tell of it: who did what, what went wrong in between, and what was broken by that."""
        plan = self.plan
        clocks = [f"process {number}: {clock}" for number, clock in enumerate(plan.clocks)]
        settings = [f"{name}={value}" for name, value in plan.settings.items() if name.startswith("PERSONALIZER_")]
        return [
            f"seed {plan.seed}, from second {plan.start:.0f} of the day's second half, {plan.weather}",
            *settings,
            *clocks,
            *map(str, plan.steps),
            *map(str, self.faults),
            *(self.broken or ["nothing was broken"]),
        ]


def play(plan: Plan) -> Played:
    """Play a plan from its beginning to its audit."""
    logging.disable(logging.CRITICAL)
    world = World(plan)
    played = Played(plan, [], world.network.met)
    try:
        played.broken += world.loop.run(world.loop.create_task(world.play()))
    except StuckError as stuck:
        played.broken.append(f"nothing waits for ever: {stuck}")
    played.broken += [f"nothing breaks on an error of its own: {error}" for error in world.loop.errors]
    played.calls = sum(world.stored.traffic.calls.values())
    world.close()
    return played


@dataclass
class World:
    """Everything that there is in one schedule."""

    plan: Plan
    tasks: "set[asyncio.Task[Any]]" = field(default_factory=set)

    def __post_init__(self) -> None:
        plan = self.plan
        self.loop = VirtualLoop(plan.start)
        self.stored = Stored(now=self.now, name_is_kept=timedelta(seconds=40))
        self.network = SimulatedNetwork(self.loop, plan.weather, without=plan.without)
        self.settings = read_settings(plan.settings)
        self.lives = [0 for _ in plan.clocks]
        self.processes: list[Process | None] = [None for _ in plan.clocks]
        self.offsets = [clock.offset for clock in plan.clocks]
        self.auditor = Auditor(plan, self.settings)

    def now(self) -> datetime:
        """Tell the time as it is, by storage's clock."""
        return BEGIN + timedelta(seconds=self.loop.time())

    def close(self) -> None:
        for process in self.processes:
            if process is not None:
                process.end()

    def present(self, number: int) -> Process:
        """Give a process that lives."""
        process = self.processes[number]
        assert process is not None
        return process

    # --- the course of it ------------------------------------------------------------------------------------------------

    async def play(self) -> list[str]:
        for number in range(len(self.processes)):
            self._start(number)
        for step in self.plan.steps:
            await self._until(self.plan.start + step.at)
            self._begin(step)
        await self._calm_down()
        return await self.auditor.audit(self)

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(at - self.loop.time(), 0.0))

    def _start(self, number: int) -> None:
        clock: Clock = self.plan.clocks[number]
        self.lives[number] += 1
        name = f"p{number}.{self.lives[number]}"
        chance = Random(f"{self.plan.seed} {name}")
        life = Life(name, self.loop, chance, self.offsets[number], clock.drift, clock.tick)
        self.processes[number] = Process(life, self.settings, self.stored, self.network)

    def _begin(self, step: Step) -> None:
        process = self.processes[step.process]
        if process is None:
            return
        if step.what in {"crash", "freeze", "set_clock"}:
            self._happen(step, process, step.arguments["seconds"])
            return
        work: Callable[[Process, Step], Awaitable[None]] = getattr(self, step.what)
        task = process.begin(self._told(process, step, work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _happen(self, step: Step, process: Process, seconds: float) -> None:
        if step.what == "freeze":
            process.life.frozen_until = max(process.life.frozen_until, self.loop.time() + seconds)
        elif step.what == "set_clock":
            self.offsets[step.process] += seconds
            process.life.offset = self.offsets[step.process]
        else:
            process.end()
            self.tasks -= process.life.tasks
            self.processes[step.process] = None
            self.loop.call_later(seconds, self._start_again, step.process)

    def _start_again(self, number: int) -> None:
        if self.processes[number] is None:
            self._start(number)

    async def _told(self, process: Process, step: Step, work: Callable[[Process, Step], Awaitable[None]]) -> None:
        promise = self.auditor.asked(step, self.now())
        try:
            with patience(timedelta(seconds=20), each=timedelta(seconds=10)):
                await work(process, step)
        except UnavailableError:
            return
        except PersonalizerError as error:
            promise.refusal = error
            return
        promise.kept_at = self.now()

    async def _calm_down(self) -> None:
        """End all faults, have what is under way end, and let everything be done that is due, by one who lives."""
        self.network.is_calm = True
        for number, process in enumerate(self.processes):
            if process is None:
                self._start(number)
        await self._until(max(self.present(number).life.frozen_until for number in range(len(self.processes))))
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=_ANSWERED_WITHIN)
        self.auditor.waiting = [str(task.get_coro()) for task in self.tasks]
        behind = max(map(abs, self.offsets)) + self.plan.wait + self.settings.lookback.total_seconds() + 30.0
        await asyncio.sleep(max(behind, 30.0))
        await self._last_chance()
        await asyncio.sleep(self.settings.settled_for.total_seconds() + max(map(abs, self.offsets)) + 10.0)
        await self._last_chance()

    async def _last_chance(self) -> None:
        number = self.plan.seed % len(self.processes)
        for what in ("train", "retain", "train"):
            process, work = self.present(number), getattr(self, what)
            await process.begin(work(process, Step(0.0, 0, number, what)))
        for each in range(len(self.processes)):
            await self.present(each).begin(self._looked(self.present(each)))

    async def _looked(self, process: Process) -> None:
        services = await process.services(LOOP)
        assert services is not None
        await asyncio.to_thread(services.models.refresh)

    # --- steps -----------------------------------------------------------------------------------------------------------

    async def _admitted(self, process: Process) -> LoopServices:
        return await process.deployment.admit(LOOP, {HEADER.lower(): KEYS[0]})

    async def rank(self, process: Process, step: Step) -> None:
        services = await self._admitted(process)
        await services.ranker.rank(situation(), event_id=step.arguments["event"], deferred=step.arguments["deferred"])

    async def reward(self, process: Process, step: Step) -> None:
        await (await self._admitted(process)).rewarder.reward(step.arguments["event"], step.arguments["value"])

    async def activate(self, process: Process, step: Step) -> None:
        await (await self._admitted(process)).rewarder.activate(step.arguments["event"])

    async def train(self, process: Process, step: Step) -> None:
        services = await process.services(LOOP)
        if services is not None:
            await train_turn(services, TimeLimit(timedelta(minutes=1)))

    async def retain(self, process: Process, step: Step) -> None:
        services = await process.services(LOOP)
        if services is not None:
            await services.retention.run()
        await process.deployment.erase(LOOP)

    async def delete_log(self, process: Process, step: Step) -> None:
        await (await self._admitted(process)).logs.delete()

    async def configure(self, process: Process, step: Step) -> None:
        await (await self._admitted(process)).configurator.configure(step.arguments)
