"""A schedule that fails, made short: what can be left out of it without it failing in the same way is left out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.plan import Plan
from tests.simulation.world import Played, play

Part = TypeVar("Part")
MOST_TRIES = 150


def shrunk(failed: Played, *, tries: int = MOST_TRIES) -> Played:
    """Give the shortest schedule that is found in so many tries: with fewer steps, and then with fewer faults."""
    law, left = _law(failed), tries
    best = failed

    def fails(plan: Plan) -> bool:
        nonlocal best, left
        left -= 1
        played = play(plan)
        if law in map(_named, played.broken):
            best = played
            return True
        return False

    _without_parts(failed.plan.steps, lambda steps: fails(replace(best.plan, steps=tuple(steps))), lambda: left > 0)
    faults = [(fault.life, fault.number) for fault in best.faults]
    before = best.plan.without
    _without_parts(faults, lambda kept: fails(replace(best.plan, without=before | (set(faults) - set(kept)))), lambda: left > 0)
    return best


def _law(played: Played) -> str:
    return _named(played.broken[0])


def _named(broken: str) -> str:
    """Give the sentence that was broken, without what is said of the case.

    >>> _named("a reward counts once: 0.01 of e11 counts 2 times")
    'a reward counts once'
    """
    return broken.partition(":")[0]


def _without_parts(parts: Sequence[Part], fails: Callable[[Sequence[Part]], bool], goes_on: Callable[[], bool]) -> None:
    """Leave out ever smaller parts, as long as it fails without them."""
    size = len(parts) // 2
    while size and goes_on():
        at = 0
        while at < len(parts) and goes_on():
            without = [*parts[:at], *parts[at + size :]]
            if fails(without):
                parts = without
            else:
                at += size
        size //= 2
