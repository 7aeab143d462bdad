"""How `make test` spreads the tests over its processes: what shares expensive fixtures stays together, what takes long begins first."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zlib import crc32

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

PARTS: Final = 3
"""So many processes have a browser open at a time, each for its part of the files."""

Nodes: TypeAlias = list[pytest.Item | pytest.Collector]

_IN_A_BROWSER = re.compile(r"tests/browser/(?!test_demo\.py)")  # the demo's file alone takes as long as a part
_OF_ITS_OWN = re.compile(  # each test takes up to a minute, and shares nothing dear
    r"tests/simulation/test_(planted|simulation)\.py|tests/benchmarks/test_benchmarks\.py::test_benchmarks_|tests/client/.*_are_verified_at_length"
)
_OF_A_HOST = re.compile(r"::.*[\[-](local|worker)[\]-]")


def unit_of(test: str) -> str:
    """Name what one process runs in one go: the tests of a file, and of one host where they run in both; files share a browser.

    >>> unit_of("tests/http/test_rank.py::test_an_answer[worker-a body]")
    'tests/http/test_rank.py in worker'
    >>> unit_of("tests/domain/test_slots.py::test_slots[a body]")
    'tests/domain/test_slots.py'
    >>> unit_of("tests/browser/test_changes.py::test_a_change")
    'tests/browser, part 0'
    >>> unit_of("tests/simulation/test_planted.py::test_a_fault[own-clock]")
    'tests/simulation/test_planted.py::test_a_fault[own-clock]'
    """
    if _OF_ITS_OWN.match(test):
        return test
    file, _, _ = test.partition("::")
    if _IN_A_BROWSER.match(test):
        return f"tests/browser, part {crc32(file.encode()) % PARTS}"
    host = _OF_A_HOST.search(test)
    return f"{file} in {host[1]}" if host else file


def in_order(tests: Sequence[str], *, long: Sequence[str] = ()) -> list[str]:
    """Put units with a test that is marked as long first, and then those of one host after the other, whose apps start once a process.

    >>> in_order(["a.py::one", "b.py::one[worker]", "b.py::one[local]", "c.py::one", "c.py::two"], long=["c.py::two"])
    ['c.py::one', 'c.py::two', 'b.py::one[worker]', 'b.py::one[local]', 'a.py::one']
    """
    first = {unit_of(each) for each in long}
    hosts = ("worker", "local")

    def rank(test: str) -> tuple[bool, int]:
        host = _OF_A_HOST.search(test)
        return unit_of(test) not in first and not _IN_A_BROWSER.match(test), hosts.index(host[1]) if host else len(hosts)

    return sorted(tests, key=rank)


class Units(LoadScopeScheduling):  # type: ignore[misc]  # published without types
    """Hands whole units to the processes, in the order of the tests.

    A process begins its last test when it knows what comes after it. So a unit that comes after a long test waits for it, whoever else
    has nothing to do: a process is given its next unit as late as can be, and behind a test that is a unit by itself that is the last one.
    """

    def __init__(self, config: pytest.Config, log: "Producer") -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _reschedule(self, node: "WorkerController") -> None:
        if not self.workqueue or len(self._left_to(node)) <= 1:
            super()._reschedule(node)

    def _assign_work_unit(self, node: "WorkerController") -> None:
        if any(_OF_ITS_OWN.match(test) for test in self._left_to(node)):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)

    def _left_to(self, node: "WorkerController") -> list[str]:
        """Give what a process has still to do, the test that it is at included."""
        return [test for unit in self.assigned_work[node].values() for test, is_done in unit.items() if not is_done]


class Turns:
    """A plugin: each process reads the rooms of the tests in a turn of its own, so what one of them has compiled, the others find.

    Left alone, all of them compile all files of a fresh checkout at the same moment, which takes longer than to read them.
    """

    def __init__(self, folder: Path, *, process: int, of: int) -> None:
        self._folder = folder
        self._process, self._of = process, of
        self._rooms: dict[str, int] = {}

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Begin in another room than the others."""
        if path != self._folder:
            return None
        folder: _Folder = _Folder.from_parent(parent, path=path)
        folder.turn = self._turn
        return folder

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Have all tests in the order of all processes again."""
        items.sort(key=self._place)

    def _place(self, item: pytest.Item) -> int:
        if not item.path.is_relative_to(self._folder):
            return len(self._rooms)
        return self._rooms[item.path.relative_to(self._folder).parts[0]]

    def _turn(self, rooms: Nodes) -> Nodes:
        self._rooms = {room.path.name: number for number, room in enumerate(rooms)}
        first = len(rooms) * self._process // self._of
        return [*rooms[first:], *rooms[:first]]


class _Folder(pytest.Package):
    turn: Callable[[Nodes], Nodes]

    def collect(self) -> Nodes:
        return self.turn([*super().collect()])


def reorder(items: list[Any]) -> None:
    """Put a process's tests into the order in which all of them are handed out."""
    places = {each: number for number, each in enumerate(in_order([item.nodeid for item in items], long=_long(items)))}
    items.sort(key=lambda item: places[item.nodeid])


def _long(items: Sequence[pytest.Item]) -> list[str]:
    return [item.nodeid for item in items if item.get_closest_marker("long")]
