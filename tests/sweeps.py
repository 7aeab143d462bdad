"""Which tests of a sweep stand for all of them in `make test`; `make exhaustive` runs the others.

A sweep is one law tried at many places: a fault at each call, each engine, each host. Its mark says how many places stay. They are the
first, the last, and some that are drawn by the names of the tests: so they are the same in every process, and those of another law are
others. If one alone stays, it is the first. All that has the mark in one file is one sweep if the mark says `of_file`. A test that has the
mark `exhaustive` itself has a smaller one beside it with the same law.

A test of both hosts whose cases are many is such a sweep as well: all of them stay in the local host, one in Microsoft's worker.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import pytest


def representatives(names: Sequence[str], *, keep: int) -> set[str]:
    """Choose those that stand for all: the first, the last, and others by chance that their names fix.

    >>> sorted(representatives([f"call {number}" for number in range(9)], keep=4))
    ['call 0', 'call 2', 'call 4', 'call 8']
    >>> sorted(representatives(["a", "b"], keep=3)), representatives(["a", "b"], keep=1)
    (['a', 'b'], {'a'})
    """
    ends = {*names[:1], *names[-1:][: keep - 1]}
    between = sorted(names[1:-1], key=lambda name: blake2b(name.encode()).digest())
    return ends | set(between[: max(keep - len(ends), 0)])


def mark(items: Sequence[pytest.Item]) -> None:
    """Mark those of a sweep that do not stand for it."""
    sweeps: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("exhaustive"):
            continue
        if found := item.get_closest_marker("sweep"):
            sweeps.setdefault(item.nodeid.partition("::" if "of_file" in found.kwargs else "[")[0], []).append(item)
        elif is_in_the_worker(item):
            sweeps.setdefault(item.nodeid.partition("[")[0] + " in the worker", []).append(item)
    for tests in sweeps.values():
        staying = representatives([item.nodeid for item in tests], keep=kept(tests[0]))
        for item in tests:
            if item.nodeid not in staying:
                item.add_marker(pytest.mark.exhaustive)


def is_in_the_worker(item: pytest.Item) -> bool:
    """Whether a test speaks to an app in Microsoft's worker, and to one in the local host as well."""
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("host") == "worker"


def kept(item: pytest.Item) -> int:
    """Read how many tests stand for a sweep."""
    found = item.get_closest_marker("sweep")
    arguments: Mapping[str, int] = found.kwargs if found else {"keep": 1}
    return arguments["keep"]


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is exhaustive, unless the marks that are asked for speak of it, or tests were named one by one.

    Where they do, what takes some places is left out: its twin takes all of them.
    """
    if any("::" in each for each in config.args):
        return
    is_left_out = takes_some if "exhaustive" in config.option.markexpr else is_exhaustive
    left_out = [item for item in items if is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not is_left_out(item)]


def is_exhaustive(item: pytest.Item) -> bool:
    return item.get_closest_marker("exhaustive") is not None


def takes_some(item: pytest.Item) -> bool:
    """Whether a test takes one place of several, as `STRIDES` has it."""
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("stride", 1) != 1


STRIDES = pytest.mark.parametrize("stride", [pytest.param(4, id="some"), pytest.param(1, id="all", marks=pytest.mark.exhaustive)])
"""For a test that tries one place after another by itself: it takes every fourth, and in `make exhaustive` each."""
