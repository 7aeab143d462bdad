"""What a seed stands for: in one of fifty a whole schedule, and in the others a focus, where a few act closely together on one thing.

Most faults need two or three that act at nearly the same moment on the same thing. A focus has these alone, so it costs a fraction of a
whole schedule, and far more of them are played.
"""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from types import MappingProxyType
from typing import Any, Final

from tests.simulation.faults import Kind, Weather
from tests.simulation.plan import KEYS, MIDNIGHT, NOON, POLICIES, Beside, Clock, Plan, Step, whole

EVERY: Final = 100
"""Of so many seeds one is a whole schedule."""

WAIT: Final = 5
"""Seconds that a focus waits for rewards."""

_DEAR: Final = {"evaluations", "imports", "copies", "clients"}
"""Focuses that cost most, and are drawn half as often."""

_CHEAP: Final = {"rivals", "loops", "schedules"}
"""Focuses that cost least, and are drawn twice as often."""

_OF_TWO: Final = {"stale", "rivals", "loops"}
"""Focuses that say nothing of a process that is alone."""

_OF_MODELS: Final = {"models", "deletion"}
"""Focuses of what models are made of. In the others, models are rebuilt in one schedule of `REBUILT`."""

REBUILT: Final = 8

LOOKED_BACK: Final = 45.0
"""Seconds after which a window may be learned, and a little more: the time of all that is done late."""


def drawn(seed: int) -> Plan:
    """Draw the schedule of a seed."""
    return focused(seed) if seed % EVERY else whole(seed // EVERY)


def focused(seed: int) -> Plan:
    """Draw a schedule of few processes that do one thing."""
    chance = Random(f"{seed} focus")
    name = chance.choices(list(FOCUSES), [1 if each in _DEAR else 4 if each in _CHEAP else 2 for each in FOCUSES])[0]
    length = chance.choice((1.0, 5.0, 20.0))
    processes = 2 if name in _OF_TWO else chance.choice((1, 2, 2))
    settings = {
        "PERSONALIZER_KEYS": ",".join(KEYS),
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "PERSONALIZER_REWARD_WAIT_TIME": f"PT{WAIT}S",
        "PERSONALIZER_REWARD_AGGREGATION": "sum",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
        "PERSONALIZER_MODEL_POLL_INTERVAL": chance.choice(("PT20S", "PT30S", "PT60S")),
        "PERSONALIZER_INGEST_GRACE": chance.choice(("PT0S", "PT0S", "PT10S")),
        "PERSONALIZER_LOG_SHARDS": chance.choice(("1", "1", "2")),
        "PERSONALIZER_MODELS_KEPT": chance.choice(("1", "2", "20")),
    }
    tick = chance.choice((1e-6, 1e-6, 1.0))
    skew = chance.choice((0.0, 1.5, 90.0))
    clocks = tuple(Clock(chance.uniform(-skew, skew), chance.uniform(-2e-4, 2e-4), tick) for _ in range(processes))
    weather = Weather(
        rate=chance.choice((0.0, 0.02, 0.1)),
        kinds=tuple(chance.sample(list(Kind), k=chance.choice((1, 3)))),
        usual=chance.choice((0.002, 0.02, 0.3)),
        spread=chance.choice((2.0, 8.0)),
    )
    start = chance.choice((NOON, NOON, NOON + 59.0, MIDNIGHT - length / 2))
    steps = [*FOCUSES[name](_Close(chance, length, WAIT, processes)), *_Close.disturbed(chance, length, processes)]
    rebuilds = name in _OF_MODELS or seed % REBUILT == 0
    return Plan(seed, start, settings, clocks, weather, tuple(sorted(steps)), focus=name, rebuilds=rebuilds)


class _Close(Beside):
    """Draws few steps, close together."""

    first = 0
    slotted = (2, 4)
    clients_at_once = (1, 2)
    unheard = (1, 2)

    @staticmethod
    def disturbed(chance: Random, length: float, processes: int) -> Iterator[Step]:
        """Have a process end or stand still, in a part of the schedules, also while it learns."""
        at = chance.choice((chance.random() * length, length + LOOKED_BACK + chance.random()))
        what, seconds = chance.choice((("crash", 0.1), ("crash", 5.0), ("freeze", 12.0), ("freeze", 45.0), ("freeze", 150.0)))
        if chance.random() < 0.3:
            yield Step(at, 900, chance.randrange(processes), what, {"seconds": seconds})

    def _events(self, count: int = 2) -> Iterator[Step]:
        for number in range(count):
            yield from self._event(f"e{number}")

    def _ended_during(self, step: Step) -> Step:
        """Have the process end that does this, while it does it."""
        at = step.at + self._chance.choice((0.02, 0.2, 2.0)) * self._chance.random()
        return self._step(at, "crash", process=step.process, seconds=0.1)

    def _late(self) -> float:
        """Draw a time at which what was done before may be learned."""
        return self._length + LOOKED_BACK + self._chance.choice((0.0, 0.05, 1.0))

    def _trained(self, *, most: int = 2) -> Iterator[Step]:
        for _ in range(self._chance.choice(range(most + 1))):
            yield self._step(self._late(), "train")

    def writers(self) -> Iterator[Step]:
        """Write events of the same ids, before and after one is learned, by any process."""
        yield from self._events(self._chance.choice((1, 2, 3)))
        yield from self._trained()
        for _ in range(self._chance.choice((0, 1))):
            yield self._step(self._late() + 1.0, "rank", event="e0", deferred=False)
            yield self._step(self._late() + LOOKED_BACK, "train")

    def deletion(self) -> Iterator[Step]:
        yield from self._around_a_deletion(self._chance.choice((1, 1, 2)))
        yield from self._trained(most=1)
        for _ in range(self._chance.choice((0, 1))):
            yield self._step(self._late(), "retain")

    def stale(self) -> Iterator[Step]:
        yield from self._stale_writer()

    def rivals(self) -> Iterator[Step]:
        """Change the loop in both processes, while a timer reads it anew in both."""
        for _ in range(self._chance.choice((1, 2))):
            changes = list(self._rivals())
            yield from changes
            for each in changes:
                yield self._step(each.at + 2.0 * self._chance.random(), "train")

    def batches(self) -> Iterator[Step]:
        yield from self._uploads(self._chance.choice((1, 2)))
        yield from self._trained()

    def clients(self) -> Iterator[Step]:
        """Have clients decide by a model that is replaced meanwhile."""
        yield from self._events(1)
        yield from self._trained()
        yield from self._clients()
        for number in range(self._chance.choice((0, 1))):
            at, events = self._late() - 10.0, [f"k{number}"]
            yield self._step(at, "decide", batch=f"k{number}", events=events)
            yield self._step(at + self._chance.choice((9.0, 20.0, 40.0)), "send", batch=f"k{number}", events=events)

    def unanswered(self) -> Iterator[Step]:
        yield from self._unanswered()
        yield from self._trained(most=1)

    def slots(self) -> Iterator[Step]:
        """Rank several slots; often a process ends while it ranks the last ones."""
        steps = list(self._slots())
        yield from steps
        ranked = max(each for each in steps if each.what == "rank_slots")
        if self._chance.random() < 0.5:
            yield self._ended_during(ranked)

    def models(self) -> Iterator[Step]:
        """Delete and restore models while others are learned."""
        chance = self._chance
        for number in range(chance.choice((1, 2))):
            at = number * (LOOKED_BACK + WAIT + 5.0)
            yield self._step(at, "rank", event=f"e{number}", deferred=False)
            yield self._reward(f"e{number}", at + 0.5)
            for _ in range(chance.choice((1, 1, 2))):
                yield self._step(at + LOOKED_BACK + WAIT + chance.choice((0.0, 0.05)), "train")
            what = chance.choice(("delete_model", "restore_model", "restore_model", "delete_log", "set_policy"))
            more: dict[str, Any] = {"arguments": POLICIES[-1]} if what == "set_policy" else {}
            yield self._step(at + LOOKED_BACK + WAIT + chance.choice((0.0, 0.05, 2.0)), what, **more)

    def evaluations(self) -> Iterator[Step]:
        yield from self._events(1)
        yield from self._trained(most=1)
        at = self._late()
        yield self._step(at, "evaluate", id="evaluation")
        for _ in range(self._chance.choice((1, 2, 3))):
            yield self._step(at + self._chance.choice((0.5, 1.0, 20.0)), "work")

    def schedules(self) -> Iterator[Step]:
        yield from self._schedules()
        for _ in range(self._chance.choice((1, 2))):
            yield self._step(self._length, "run_schedules")

    def mirrored(self) -> Iterator[Step]:
        yield from self._events(1)
        yield self._step(self._late(), "train")
        yield from self._mirrored()
        for _ in range(self._chance.choice((1, 2))):
            mirror = self._step(self._late() + self._chance.choice((1.0, 10.0, 60.0)), "mirror")
            yield mirror
            if self._chance.random() < 0.5:
                yield self._ended_during(mirror)

    def copies(self) -> Iterator[Step]:
        """Copy the deployment while a model is learned, and while events are written."""
        yield from self._events(2)
        yield from self._trained()
        yield self._step(self._chance.choice((self._moment(), self._late())), "back_up")

    def imports(self) -> Iterator[Step]:
        at = self._moment()
        for later in (0.0, 0.05, 10.0)[: self._chance.choice((1, 2))]:
            yield self._step(at + later, "import_log")

    def loops(self) -> Iterator[Step]:
        """Make a loop, delete it and make it again, all at nearly the same time."""
        yield from self._other_loop()
        for what in self._chance.choices(("make_loop", "delete_loop", "rank_other", "retain"), k=3):
            more: dict[str, Any] = {"event": "o9"} if what == "rank_other" else {}
            yield self._step(self._moment(), what, **more)

    def ways(self) -> Iterator[Step]:
        """Change the policy and the holdout while events are ranked, before and after a model is learned."""
        yield from self._events(2)
        yield from self._chance.choice((self._policies, self._holdout))()
        yield from self._trained()
        for number in range(self._chance.choice((0, 3))):
            yield self._step(self._late() + LOOKED_BACK, "rank", event=f"l{number}", deferred=False)


FOCUSES: Final[Mapping[str, Callable[[_Close], Iterator[Step]]]] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            _Close.writers,
            _Close.deletion,
            _Close.stale,
            _Close.rivals,
            _Close.batches,
            _Close.clients,
            _Close.unanswered,
            _Close.slots,
            _Close.models,
            _Close.evaluations,
            _Close.schedules,
            _Close.mirrored,
            _Close.copies,
            _Close.imports,
            _Close.loops,
            _Close.ways,
        )
    }
)
