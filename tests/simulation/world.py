"""Plays a plan: processes that live and die, calls of clients, and at last a calm in which everything has its last chance."""

import asyncio
import gc
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any, Final

from shared.domain.errors import PersonalizerError, UnavailableError
from shared.domain.patience import patience
from shared.runtime.settings import AppSettings, read_settings
from shared.services.analysis.running import STALE
from tests.simulation.auditor import Auditor
from tests.simulation.beside import BESIDE
from tests.simulation.engine import Stored, copied
from tests.simulation.faults import Fault, SimulatedNetwork
from tests.simulation.plan import Clock, Plan, Step
from tests.simulation.process import Outside, Process
from tests.simulation.promises import Promise
from tests.simulation.steps import STEPS
from tests.simulation.virtual import BEGIN, Life, StuckError, VirtualLoop

_DOES: Final = {**STEPS, **BESIDE}

_ANSWERED_WITHIN: Final = 150.0
"""Seconds of calm after which whoever called has an answer."""

_TAKEN_UP: Final = STALE.total_seconds() + 120.0
"""Seconds after which an evaluation is taken up that was lost between two calls; a schedule asks for one whoever is gone by then."""

_SETTLES: Final = {"delete_log", "delete_loop", "make_loop", "evaluate", "put_schedule", "mirror", "set_policy", "configure"}
"""What is at its end some time later; a focus without it ends at once."""

_BEGINS_ANEW: Final = {"set_policy", "configure"}
"""What may have a model begun anew: a run ends with that model, and one that is due later learns what came meanwhile."""

_HIDDEN: Final = 600.0
"""Seconds after which a message is seen again whose process has ended."""


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
            f"seed {plan.seed}{plan.focus and f' ({plan.focus})'}, from second {plan.start:.0f} of the day's second half, {plan.weather}",
            *settings,
            *clocks,
            *map(str, plan.steps),
            *map(str, self.faults),
            *(self.broken or ["nothing was broken"]),
        ]


def play(plan: Plan) -> Played:
    """Play a plan from its beginning to its audit."""
    logging.disable(logging.CRITICAL)
    gc.collect(0)  # of the schedule before, all at once: nothing is collected while one is played
    world = World(plan)
    played = Played(plan, [], world.network.met)
    try:
        played.broken += world.loop.run(world.loop.create_task(world.play()))
    except StuckError as stuck:
        played.broken.append(f"nothing waits for ever: {stuck}")
    except Exception as error:  # noqa: BLE001 - whatever it is, it should not have come up
        played.broken.append(f"once faults have ended, everything can be done: {error!r}")
    played.broken += [f"nothing breaks on an error of its own: {error}" for error in world.loop.errors]
    played.calls = sum(world.stored.traffic.calls.values())
    world.close()
    return played


@lru_cache(maxsize=128)
def _read(settings: tuple[tuple[str, str], ...]) -> AppSettings:
    """Read settings, of which there are few."""
    return read_settings(dict(settings))


@dataclass
class World:
    """Everything that there is in one schedule."""

    plan: Plan
    tasks: "set[asyncio.Task[Any]]" = field(default_factory=set)

    def __post_init__(self) -> None:
        plan = self.plan
        self.loop = VirtualLoop(plan.start)
        self.stored = Stored(now=self.now, name_is_kept=timedelta(seconds=40))
        self.backup = Stored(now=self.now)
        self.outside = Outside()
        self.backups: list[tuple[Promise, Stored]] = []
        self.network = SimulatedNetwork(self.loop, plan.weather, without=plan.without)
        self.settings = _read(tuple(sorted(plan.settings.items())))
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

    def opened(self, stored: Stored) -> Process:
        """Give a process on another storage, as after a restore."""
        life = Life("restored", self.loop, Random(0))
        return Process(life, self.settings, stored, self.network, backup=Stored(now=self.now), outside=Outside())

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
        self.processes[number] = Process(life, self.settings, self.stored, self.network, backup=self.backup, outside=self.outside)

    def _begin(self, step: Step) -> None:
        process = self.processes[step.process]
        if process is None:
            return
        if step.what in {"crash", "freeze", "set_clock"}:
            self._happen(step, process, step.arguments["seconds"])
            return
        task = process.begin(self._told(process, step))
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

    async def _told(self, process: Process, step: Step) -> None:
        promise = self.auditor.asked(step, process.life.name, self.now())
        try:
            with patience(timedelta(seconds=20), each=timedelta(seconds=10)):
                promise.answer = await _DOES[step.what](process, step.arguments)
        except UnavailableError:
            return
        except PersonalizerError as error:
            promise.refusal = error
            return
        promise.kept_at = self.now()
        if step.what == "back_up":
            self.backups.append((promise, copied(self.backup)))

    async def _calm_down(self) -> None:
        """End all faults, have what is under way end, and let everything be done that is due, by one who lives."""
        self.loop.is_calm = True
        for number, process in enumerate(self.processes):
            if process is None:
                self._start(number)
        await self._until(max(self.present(number).life.frozen_until for number in range(len(self.processes))))
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=_ANSWERED_WITHIN)
        self.auditor.waiting = [str(task.get_coro()) for task in self.tasks]
        behind = max(map(abs, self.offsets)) + self.plan.wait + self.settings.lookback.total_seconds() + 30.0
        await asyncio.sleep(max(behind, 30.0))
        self.loop.is_quiet = True
        asked = {step.what for step in self.plan.steps}
        if not self.plan.focus:
            await self._last_chance(["train", "retain", "train"])
        settles = not self.plan.focus or bool(asked & _SETTLES)
        if settles:
            hidden = _TAKEN_UP if "put_schedule" in asked else _HIDDEN if "evaluate" in asked else 0.0
            await asyncio.sleep(max(self.settings.settled_for.total_seconds() + max(map(abs, self.offsets)), hidden) + 10.0)
        if asked & _BEGINS_ANEW:
            await self._do(["train"])
            await asyncio.sleep(self.settings.loop.model_export_frequency.total_seconds() + 1.0)
        await self._last_chance(["train", "retain"] if settles else ["train"])
        for each in range(len(self.processes)):
            await self.present(each).begin(self.present(each).look())

    async def _last_chance(self, does: list[str]) -> None:
        asked = {step.what for step in self.plan.steps}
        does += ["run_schedules"] * ("put_schedule" in asked)
        does += ["sweep", "work"] * bool(asked & {"evaluate", "put_schedule"})
        does += ["run_schedules"] * ("put_schedule" in asked)
        does += ["mirror_all"] * ("mirror" in asked)
        await self._do(does)

    async def _do(self, does: list[str]) -> None:
        number = self.plan.seed % len(self.processes)
        for what in does:
            process = self.present(number)
            await process.begin(_DOES[what](process, {}))
