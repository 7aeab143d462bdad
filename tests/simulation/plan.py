"""What a seed stands for: processes with their clocks, how storage is, and what everybody does at what time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from types import MappingProxyType
from typing import Any, Final

from tests.simulation.faults import Kind, Weather

KEYS: Final = ("first-key", "second-key")
CONTAINER: Final = "https://owner.blob.core.windows.net/log?sp=w&sr=c&sig=x"
POLICIES: Final = ("--cb_explore_adf --epsilon 0.5", "--cb_explore_adf --ignore_linear u", "--cb_explore_adf -q uc")
NOON, MIDNIGHT = 0.0, 12 * 3_600.0
_OFTEN: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "retain": (0, 1, 3),
        "delete_log": (0, 0, 1, 2),
        "crash": (0, 0, 1, 3),
        "configure": (0, 0, 0, 1),
        "delete_model": (0, 0, 0, 1),
        "restore_model": (0, 0, 0, 1),
        "new_key": (0, 0, 0, 1, 2),
        "back_up": (0, 0, 0, 0, 1, 2),
    }
)
"""How often each is done in a schedule: one of these numbers."""


@dataclass(frozen=True)
class Clock:
    """How wrong a process's clock is: seconds ahead, seconds gained in one, and how finely it tells the time."""

    offset: float = 0.0
    drift: float = 0.0
    tick: float = 1e-6


@dataclass(frozen=True, order=True)
class Step:
    """Something that is begun at a time, by a process; ``number`` tells it from all others of its plan."""

    at: float
    number: int
    process: int
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        told = "".join(f" {name}={value}" for name, value in self.arguments.items())
        return f"{self.at:8.3f} process {self.process} #{self.number} {self.what}{told}"


@dataclass(frozen=True)
class Plan:
    """A schedule before it is played; ``without`` are faults that are left out (of which life, at which call).

    ``focus`` names the one thing that is done, if it is not everything. Models are rebuilt at the end if it ``rebuilds`` them.
    """

    seed: int
    start: float
    settings: Mapping[str, str]
    clocks: tuple[Clock, ...]
    weather: Weather
    steps: tuple[Step, ...]
    without: frozenset[tuple[str, int]] = frozenset()
    focus: str = ""
    rebuilds: bool = True

    @property
    def wait(self) -> float:
        return float(self.settings["PERSONALIZER_REWARD_WAIT_TIME"].strip("PTS"))

    @property
    def last(self) -> float:
        return max([step.at for step in self.steps], default=0.0)

    def keeping(self, steps: tuple[Step, ...]) -> "Plan":
        return replace(self, steps=steps)


def whole(seed: int) -> Plan:
    """Draw a schedule of everything that there is."""
    chance = Random(seed)
    length = chance.choice((60.0, 150.0, 300.0))
    wait = chance.choice((5, 20, 60))
    processes = chance.choice((1, 2, 2, 3))
    settings = {
        "PERSONALIZER_KEYS": ",".join(KEYS),
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "PERSONALIZER_REWARD_WAIT_TIME": f"PT{wait}S",
        "PERSONALIZER_REWARD_AGGREGATION": "sum",
        "PERSONALIZER_MODEL_EXPORT_FREQUENCY": chance.choice(("PT1S", "PT60S")),
        "PERSONALIZER_MODEL_POLL_INTERVAL": chance.choice(("PT5S", "PT10S", "PT30S")),
        "PERSONALIZER_INGEST_GRACE": chance.choice(("PT0S", "PT10S", "PT30S")),
        "PERSONALIZER_LOG_SHARDS": chance.choice(("1", "2")),
        "PERSONALIZER_MODELS_KEPT": chance.choice(("1", "2", "20")),
    }
    tick = chance.choice((1e-6, 1e-6, 0.001, 1.0))
    skew = chance.choice((0.0, 0.5, 1.5, 90.0))
    clocks = tuple(Clock(chance.uniform(-skew, skew), chance.uniform(-2e-4, 2e-4), tick) for _ in range(processes))
    start = chance.choice((NOON, NOON, NOON + 59.0, MIDNIGHT - length / 2))
    drawing = Drawing(chance, length, wait, processes)
    beside = Beside(Random(f"{seed} beside"), length, wait, processes)
    steps = tuple(sorted([*drawing.steps(), *beside.steps()]))
    weather = Weather(
        rate=chance.choice((0.0, 0.01, 0.05, 0.15)),
        kinds=tuple(chance.sample(list(Kind), k=chance.choice((1, 3, len(Kind))))),
        usual=chance.choice((0.002, 0.02, 0.3)),
        spread=chance.choice((2.0, 8.0)),
    )
    return Plan(seed, start, settings, clocks, weather, steps)


class Drawing:
    """Draws steps; ``first`` is what their numbers, and rewards, begin behind."""

    first = 0

    def __init__(self, chance: Random, length: float, wait: float, processes: int) -> None:
        self._chance = chance
        self._length = length
        self._wait = wait
        self._processes = processes
        self._number = self._rewards = self.first

    def steps(self) -> Iterator[Step]:
        chance = self._chance
        for number in range(chance.choice((4, 12, 30))):
            yield from self._event(f"e{number}")
        for _ in range(chance.choice((0, 2))):
            yield self._reward("nobody", self._moment())
        for at in self._now_and_then(chance.choice((20.0, 60.0))):
            yield self._step(at, "train")
        for what, times in _OFTEN.items():
            for _ in range(chance.choice(times)):
                yield self._step(self._moment(), what, **self._more(what))
        yield from self._around_a_deletion(chance.choice((0, 0, 0, 1, 2)))
        if self._processes > 1 and chance.random() < 0.1:
            yield from self._stale_writer()
        yield from self._uploads(chance.choice((0, 0, 1, 4)))
        yield from self._other_loop()
        for at in [self._moment()] * chance.choice((0, 0, 0, 0, 2)):
            yield self._step(at + chance.choice((0.0, 10.0)), "import_log")
        for number in range(chance.choice((0, 0, 0, 0, 1))):
            at = self._moment()
            yield self._step(at, "evaluate", id=f"evaluation{number}")
            for _ in range(4):
                yield self._step(at + self._chance.random() * 60.0, "work")
        for _ in range(chance.choice((0, 0, 1, 2))):
            yield self._step(self._moment(), "freeze", seconds=chance.choice((1.0, 12.0, 45.0, 150.0, 400.0)))
        for _ in range(chance.choice((0, 0, 0, 1))):
            yield self._step(self._moment(), "set_clock", seconds=chance.uniform(-120.0, 120.0))

    def _more(self, what: str) -> dict[str, Any]:
        if what == "crash":
            return {"seconds": self._chance.choice((0.1, 5.0, 60.0))}
        if what == "configure":
            return self._chance.choice(({"exploration_percentage": 0.0}, {"exploration_percentage": 0.5}, {"default_reward": 0.5}))
        return {}

    def _around_a_deletion(self, count: int) -> Iterator[Step]:
        """Delete the log, and rank just before and after that in the same process."""
        for number in range(count):
            at, process = self._moment(), self._chance.randrange(self._processes)
            yield self._step(at, "delete_log", process=process)
            for place, later in enumerate((-0.3, 0.2, 0.4, 0.8)):
                yield self._step(max(at + later, 0.0), "rank", process=process, event=f"d{number}-{place}", deferred=False)

    def _stale_writer(self) -> Iterator[Step]:
        """Let a process stand still while the log is deleted, and go on when the old tables are dropped."""
        at, still = self._moment(), self._chance.uniform(140.0, 260.0)
        yield self._step(at, "rank", process=0, event="s", deferred=False)
        yield self._step(at + 0.5, "freeze", process=0, seconds=still)
        yield self._step(at + 1.0, "delete_log", process=1)
        for place in range(3):
            yield self._step(at + 0.5 + still + self._chance.random(), "retain", process=1)
            yield self._step(at + 0.5 + still + self._chance.random(), "rank", process=0, event=f"s{place}", deferred=False)

    def _uploads(self, count: int) -> Iterator[Step]:
        for number in range(count):
            at, events = self._moment(), [f"u{number}-{place}" for place in range(self._chance.choice((1, 3)))]
            yield self._step(at, "upload", events=events, age=self._chance.choice((0.0, 1.0, 40.0)))
            if self._chance.random() < 0.7:
                yield self._reward(events[0], at + self._chance.choice((0.5, self._wait * self._chance.random())), "upload_rewards")

    def _other_loop(self) -> Iterator[Step]:
        """Make a loop and delete it, once or twice, and rank in it all the time."""
        for _ in range(self._chance.choice((0, 0, 0, 1, 2))):
            yield self._step(self._moment(), "make_loop")
            if self._chance.random() < 0.8:
                yield self._step(self._moment(), "delete_loop")
            for number in range(5):
                yield self._step(self._moment(), "rank_other", event=f"o{number}")

    def _event(self, event_id: str) -> Iterator[Step]:
        chance, at = self._chance, self._moment()
        deferred = chance.random() < 0.15
        yield self._step(at, "rank", event=event_id, deferred=deferred)
        if chance.random() < 0.15:
            yield self._step(at + chance.choice((0.0, 0.01, 1.0, 40.0)), "rank", event=event_id, deferred=deferred)
        if deferred and chance.random() < 0.7:
            yield self._step(at + chance.uniform(0.0, 1.3 * self._wait), "activate", event=event_id)
        if chance.random() < 0.75:
            for _ in range(chance.choice((1, 1, 2))):
                yield self._reward(event_id, max(at + chance.choice((-1.0, 0.0, 0.5, self._wait * 1.5 * chance.random())), 0.0))

    def _reward(self, event_id: str, at: float, what: str = "reward", **more: Any) -> Step:
        self._rewards += 1
        return self._step(at, what, event=event_id, value=self._rewards / 1_000, **more)

    def _now_and_then(self, every: float) -> Iterator[float]:
        at = self._chance.random() * every
        while at < self._length:
            yield at
            if self._chance.random() < 0.3:  # two at once
                yield at + self._chance.choice((0.0, 0.05))
            at += every

    def _moment(self) -> float:
        """Draw a time; often the same as others have."""
        at = self._chance.random() * self._length
        return at if self._chance.random() < 0.6 else at // 10 * 10

    def _step(self, at: float, what: str, *, process: int | None = None, **arguments: Any) -> Step:
        self._number += 1
        return Step(at, self._number, self._chance.randrange(self._processes) if process is None else process, what, arguments)


class Beside(Drawing):
    """Draws what is done beside the rest, in a part of the schedules, by a chance of its own."""

    first = 500
    slotted: tuple[int, ...] = (3, 8)
    clients_at_once: tuple[int, ...] = (1, 3, 5)
    unheard: tuple[int, ...] = (2, 5)

    def steps(self) -> Iterator[Step]:
        kinds = (self._slots, self._clients, self._mirrored, self._schedules, self._policies, self._holdout, self._rivals, self._unanswered)
        for each in kinds:
            if self._chance.random() < 0.15:
                yield from each()

    def _slots(self) -> Iterator[Step]:
        """Rank two slots, at times again, and reward one or both of them."""
        chance = self._chance
        for number in range(chance.choice(self.slotted)):
            event, at = f"m{number}", self._moment()
            for later in (0.0, 1.0)[: chance.choice((1, 1, 2))]:
                yield self._step(at + later, "rank_slots", event=event)
            for slot in ("top", "side"):
                if chance.random() < 0.6:
                    yield self._reward(event, at + chance.choice((0.5, self._wait * 1.2 * chance.random())), "reward_slot", slot=slot)

    def _clients(self) -> Iterator[Step]:
        """Have clients decide, send that later, and at times again, to another process."""
        chance = self._chance
        for number in range(chance.choice(self.clients_at_once)):
            at, events = self._moment(), [f"c{number}-{place}" for place in range(chance.choice((1, 3)))]
            yield self._step(at, "decide", batch=f"c{number}", events=events)
            at += chance.choice((0.5, 5.0, 40.0))
            for later in (0.0, chance.choice((0.0, 0.3, 20.0)))[: chance.choice((1, 2))]:
                yield self._step(at + later, "send", batch=f"c{number}", events=events)
            if chance.random() < 0.5:
                yield self._reward(events[0], at + 0.5, "upload_rewards")

    def _mirrored(self) -> Iterator[Step]:
        yield self._step(self._moment() / 2.0, "configure", log_mirror_enabled=True, log_mirror_sas_uri=CONTAINER)
        for at in self._now_and_then(self._chance.choice((20.0, 60.0))):
            yield self._step(at, "mirror")

    def _schedules(self) -> Iterator[Step]:
        """Make schedules, each at times by two at once, and have their timer and the workers come by."""
        for number in range(self._chance.choice((1, 2))):
            for at in [self._moment()] * self._chance.choice((1, 2)):
                yield self._step(at, "put_schedule", id=f"schedule{number}")
        for at in self._now_and_then(30.0):
            yield self._step(at, "run_schedules")
            yield self._step(at + self._chance.random(), "work")

    def _policies(self) -> Iterator[Step]:
        for _ in range(self._chance.choice((1, 2))):
            yield self._step(self._moment(), "set_policy", arguments=self._chance.choice(POLICIES))

    def _holdout(self) -> Iterator[Step]:
        for share in self._chance.choice(((0.3,), (0.5, 0.0))):
            yield self._step(self._moment(), "configure", holdout_percentage=share)

    def _unanswered(self) -> Iterator[Step]:
        """Have clients send rewards that have an id, and again, since no answer comes to them: to any process, at any later time."""
        chance = self._chance
        for number in range(chance.choice(self.unheard)):
            event, at = f"r{number}", self._moment()
            slot = chance.choice(("", "", "top"))
            yield self._step(at, "rank_slots", event=event) if slot else self._step(at, "rank", event=event, deferred=False)
            for reward in range(chance.choice((1, 2))):
                told = self._reward(
                    event, at + chance.choice((-0.5, 0.5, self._wait * 0.8 * chance.random())), "tell", slot=slot, id=str(reward)
                )
                yield told
                for _ in range(chance.choice((1, 1, 3))):
                    later = told.at + chance.choice((0.0, 0.1, 2.0, 11.0, self._wait * 1.2 * chance.random()))
                    yield self._step(later, "tell", **told.arguments)

    def _rivals(self) -> Iterator[Step]:
        """Change the loop several times at nearly the same moment, each time in any process."""
        for at in [self._moment()] * self._chance.choice((2, 3)):
            what = self._chance.choice(("new_key", "new_key", "configure"))
            yield self._step(at + 2.0 * self._chance.random(), what, **self._more(what))
