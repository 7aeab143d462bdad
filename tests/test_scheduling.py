"""Nobody waits for a process that is at a long test while there is something to do."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.scheduling import Units

LONG = "tests/simulation/test_planted.py::test_{}"
SHORT = "tests/domain/test_{}.py::test_{}"


class Process:
    """A process as xdist has it: it begins a test when it knows what comes after it, be it nothing."""

    def __init__(self, number: int) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.tests: list[int] = []
        self.shutting_down = False
        self.free_at = 0.0

    def send_runtest_some(self, indices: list[int]) -> None:
        self.tests += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def begins(self) -> bool:
        return len(self.tests) > 1 or bool(self.tests and self.shutting_down)


def ends_of(seconds: Mapping[str, float], *, processes: int) -> dict[str, float]:
    """Play the tests, each of which takes so many seconds; gives when each of them ends."""
    tests = list(seconds)
    configuration = SimpleNamespace(option=SimpleNamespace(), getvalue=lambda _: ["popen"] * processes)
    units = Units(cast("pytest.Config", configuration), cast("Any", SimpleNamespace(loadscopesched=lambda *_: None)))
    nodes: list[Any] = [Process(number) for number in range(processes)]
    for node in nodes:
        units.add_node(node)
    for node in nodes:
        units.add_node_collection(node, tests)
    units.schedule()
    ends: dict[str, float] = {}
    while len(ends) < len(tests):
        node = min((each for each in nodes if each.begins), key=lambda each: each.free_at + seconds[tests[each.tests[0]]])
        done = node.tests.pop(0)
        now = ends[tests[done]] = node.free_at + seconds[tests[done]]
        units.mark_test_complete(node, done)
        for each in nodes:  # one that waited to be told what comes next begins now
            each.free_at = max(each.free_at, now) if each is node or not each.begins else each.free_at
    return ends


def test_behind_a_long_test_that_is_a_unit_by_itself_waits_what_takes_least():
    middle = {SHORT.format(file, 0): 40.0 for file in ("one", "two")}
    files = {SHORT.format(file, 0): 2.0 for file in range(8)}
    ends = ends_of({LONG.format("a"): 100.0, **middle, **files}, processes=2)
    assert max(ends.values()) <= 102.0


def test_no_unit_waits_behind_a_test_in_the_middle_of_another_unit():
    slow = {SHORT.format("slow", 0): 1.0, SHORT.format("slow", 1): 50.0, SHORT.format("slow", 2): 1.0}
    files = {SHORT.format(file, test): 1.0 for file in range(6) for test in range(4)}
    ends = ends_of({**slow, **files}, processes=2)
    assert max(end for test, end in ends.items() if test not in slow) <= 24.0


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_each_test_runs_once_and_a_unit_in_one_process_in_its_order(processes):
    seconds = {SHORT.format(file, test): float(1 + (file * test) % 7) for file in range(12) for test in range(5)}
    ends = ends_of({LONG.format("a"): 9.0, **seconds}, processes=processes)
    assert ends.keys() == {LONG.format("a"), *seconds}
    for file in range(12):
        of_file = [ends[SHORT.format(file, test)] for test in range(5)]
        assert of_file == sorted(of_file)
