"""Which host processes there are, and what happens when one ends by itself."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from local.__main__ import wanted_processes
from local.hosts import LONGEST_PAUSE, SILENT, STAYED, TRIES, Host, Kind, kinds_behind, read_functions
from local.processes import LocalError


@dataclass
class Process:
    """Stands for a child process: it ends when the test says so."""

    heartbeat: int
    exit_code: int | None = None
    asked: int = 0
    killed: bool = False

    def ask_to_stop(self) -> None:
        self.asked += 1

    def kill(self) -> None:
        self.killed, self.exit_code = True, -9

    def end(self, *, grace: float) -> None:
        self.exit_code = self.exit_code or 0
        os.close(self.heartbeat)

    def beat(self) -> None:
        os.write(self.heartbeat, b".")


@dataclass
class World:
    """A host, the processes that it started, and the time."""

    at: float = 1_000.0
    started: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host = Host("http-1", self.begin, clock=lambda: self.at)  # type: ignore[arg-type]

    def begin(self, heartbeat: int) -> Process:
        self.started.append(Process(os.dup(heartbeat)))
        return self.started[-1]

    @property
    def process(self) -> Process:
        return self.started[-1]

    def look(self, *, kill_if_silent: bool = True) -> None:
        self.host.look(kill_if_silent=kill_if_silent)

    def end_process(self, code: int, *, ready: bool) -> None:
        if ready:
            self.process.beat()
        self.process.exit_code = code
        self.look()

    def pause(self) -> float:
        """Wait until another is started, and tell how long that took."""
        begun, count = self.at, len(self.started)
        while len(self.started) == count:
            self.look()
            self.at += 0.5
        return self.at - begun - 0.5


@pytest.fixture
def world():
    made = World()
    yield made
    made.host.stop(grace=0)


@pytest.mark.parametrize("code", [0, 1, 137, -9, -15])
def test_one_that_ends_by_itself_is_started_again_at_once_however_it_ended(world, code):
    world.end_process(code, ready=True)
    assert world.pause() == 0
    assert not world.host.is_ready
    world.process.beat()
    world.look()
    assert world.host.is_ready


def test_one_that_ends_again_and_again_is_started_after_longer_and_longer_pauses_for_as_long_as_it_takes(world):
    pauses = []
    for _ in range(4 * TRIES):
        world.end_process(-9, ready=True)
        pauses.append(world.pause())
    assert pauses[:5] == [0, 1, 2, 4, 8]
    assert pauses[-1] == LONGEST_PAUSE


def test_one_that_had_run_well_is_started_at_once_whatever_was_before(world):
    for _ in range(5):
        world.end_process(-9, ready=True)
        world.pause()
    world.at += STAYED + 1
    world.end_process(-9, ready=True)
    assert world.pause() == 0


def test_one_that_is_never_ready_ends_the_service_and_says_so(world):
    for _ in range(TRIES - 1):
        world.end_process(3, ready=False)
        world.pause()
    with pytest.raises(LocalError, match=r"The process http-1 ended by itself \(exit code 3\) before it was ready, 5 times"):
        world.end_process(3, ready=False)


def test_one_that_was_ready_in_between_is_tried_anew(world):
    for ready in [*[False] * (TRIES - 1), True, *[False] * (TRIES - 1)]:
        world.end_process(1, ready=ready)
        world.pause()


def test_one_that_is_silent_is_killed_once_it_had_spoken_and_only_where_that_is_asked(world):
    world.at += 10 * SILENT
    world.look()
    assert not world.process.killed  # it starts, which may take long
    world.process.beat()
    world.look()
    world.at += SILENT + 1
    world.look(kill_if_silent=False)
    assert not world.process.killed
    first = world.process
    world.look()
    assert first.killed
    world.pause()
    assert len(world.started) == 2


def test_one_that_speaks_is_left_alone(world):
    for _ in range(10):
        world.process.beat()
        world.at += SILENT / 2
        world.look()
    assert not world.process.killed


def test_one_that_was_asked_to_stop_is_not_started_again(world):
    world.end_process(-9, ready=True)
    world.host.ask_to_stop()
    world.at += 10 * LONGEST_PAUSE
    world.look()
    assert len(world.started) == 1


# --- which there are ---------------------------------------------------------------------------------------------------------


def function(name: str, kind: str, **binding: str) -> dict[str, object]:
    return {"name": name, "config": {"bindings": [{"type": kind, **binding}]}}


def named(functions: Sequence[dict[str, object]], processes: int) -> dict[str, tuple[str, ...]]:
    return {name: kind.options for kind in kinds_behind(functions, processes=processes) for name in kind.names}


def test_each_queue_has_processes_of_its_own_that_take_its_poison_queue_too_and_the_timers_have_one():
    functions = [
        function("status", "httpTrigger"),
        function("analyse_poison", "queueTrigger", queueName="jobs-poison"),
        function("analyse", "queueTrigger", queueName="jobs"),
        function("learn", "queueTrigger", queueName="training"),
        function("train", "timerTrigger"),
        function("sweep", "timerTrigger"),
    ]
    of_jobs = ("--no-http", "--no-timers", "--queues", "--only=analyse", "--only=analyse_poison")
    assert named(functions, 1) == {
        "timers": ("--no-http", "--timers", "--no-queues"),
        "analyse": of_jobs,
        "learn": ("--no-http", "--no-timers", "--queues", "--only=learn"),
    }
    assert named(functions, 2).keys() == {"timers", "analyse-1", "analyse-2", "learn-1", "learn-2"}


def test_an_app_of_http_alone_has_nothing_behind():
    assert named([function("status", "httpTrigger")], 4) == {}


def test_what_is_no_list_of_functions_is_refused():
    assert read_functions(b"[]") == []
    for body in (b"", b"{}", b"nonsense"):
        with pytest.raises(ValueError, match=r"."):
            read_functions(body)


@pytest.mark.parametrize("given", ["0", "65", "-1", "two", "1.5", "9" * 5_000, "٤"])
def test_what_is_no_number_of_processes_is_refused_by_name(monkeypatch, given):
    with pytest.raises(LocalError, match=r"--processes .* must be a number from 1 to 64"):
        wanted_processes(given)
    monkeypatch.setenv("PROCESSES", given)
    with pytest.raises(LocalError, match=r"PROCESSES=.* must be a number from 1 to 64"):
        wanted_processes()


def test_the_option_is_before_the_setting_and_without_both_there_is_one(monkeypatch):
    monkeypatch.delenv("PROCESSES", raising=False)
    assert wanted_processes() == 1
    monkeypatch.setenv("PROCESSES", " 3 ")
    assert (wanted_processes(), wanted_processes("2")) == (3, 2)


def test_the_only_one_of_a_kind_has_no_number():
    assert (Kind("http", (), 1).names, Kind("http", (), 3).names) == (["http"], ["http-1", "http-2", "http-3"])
