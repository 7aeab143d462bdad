"""What a line of others chose: which action, with which probabilities, once or for each slot."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Final

from shared.domain.events import Situation
from shared.joining.foreign.asked import Asked, Slot, told_apart
from shared.joining.foreign.line import Line, Report, refuse

_GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(\d*)", re.IGNORECASE)

_TOLERANCE: Final = 1e-3
"""Others compute in single precision."""
_ROUNDED: Final = 0.02
_DIGITS: Final = 2
"""Others write two digits: a third of all is 0.33."""
_EXACT: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Chances:
    """The probability of each action; ``is_rounded`` if they added up to 1 only nearly, and were divided by their sum."""

    probabilities: tuple[float, ...]
    is_rounded: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, from what and with which probabilities, and what came of it.

    ``baseline`` is the index of the application's own action, and ``original`` the cost that was observed, where another one is told.
    """

    situation: Situation
    chosen: int
    probabilities: tuple[float, ...]
    cost: float
    reports: Sequence[Report] | None
    baseline: int = 0
    original: float | None = None
    is_rounded: bool = False

    def shown(self) -> "Choice":
        """Give what was shown in Apprentice mode, where this is what was proposed: the baseline, for certain, which earned the original."""
        if self.original is None or not 0 <= self.baseline < len(self.probabilities):
            refuse("a line of Apprentice mode without what the baseline earned")
        certain = tuple([float(index == self.baseline) for index in range(len(self.probabilities))])
        return replace(self, chosen=self.baseline, probabilities=certain, cost=self.original)


def one_choice(line: Line, asked: Asked) -> Choice:
    """Give the choice of a line without slots; raises `UnreadableError` where it does not say what was chosen, how, or what came of it."""
    if line.cost is None:
        refuse("_label_cost is missing: nothing says what came of it")
    if asked.slots:
        refuse("there are slots but no _outcomes")
    chosen = _chosen(line, len(asked.actions))
    situation = Situation(asked.context, asked.actions, slot=line.slot, baseline_id=asked.baseline_id if line.slot else "")
    found = _probabilities(line, chosen, len(asked.actions))
    return Choice(situation, chosen, found.probabilities, line.cost, line.reports, original=line.original, is_rounded=found.is_rounded)


def slot_choices(line: Line, asked: Asked) -> Iterator[Choice]:
    """Give a choice for each slot that has an outcome; what the slots before took has no chance there. Raises as `one_choice`."""
    outcomes = line.outcomes or []
    if len(outcomes) > len(asked.slots):
        refuse(f"there are {len(outcomes)} outcomes but {len(asked.slots)} slots")
    ids = _slot_ids(asked.slots, is_event_named=bool(line.event_id))
    if not any(outcome.cost is not None for outcome in outcomes):
        refuse("no slot has a _label_cost: nothing says what came of it")
    for number, (slot_id, slot, outcome) in enumerate(zip(ids, asked.slots, outcomes, strict=False)):
        if outcome.cost is None:
            continue
        numbers = outcome.numbers if isinstance(outcome.numbers, list) else [outcome.numbers]
        chances = outcome.chances if isinstance(outcome.chances, list) else [outcome.chances]
        found = _checked(_spread(numbers, chances, len(asked.actions)), numbers[0])
        baseline = _baseline(line, number, len(asked.actions))
        situation = Situation(
            (*asked.context, *slot.features, {"slot": {"id": slot_id}}),
            asked.actions,
            slot=slot_id,
            baseline_id="" if baseline is None else asked.actions[baseline].id,
        )
        yield Choice(
            situation, numbers[0], found.probabilities, outcome.cost, outcome.reports, baseline or 0, outcome.original, found.is_rounded
        )


def _baseline(line: Line, slot: int, count: int) -> int | None:
    """Find the index of a slot's own action, if it is told."""
    if not line.baselines or slot >= len(line.baselines):
        return None
    if not 0 <= line.baselines[slot] < count:
        refuse(f"_ba names action {line.baselines[slot]} of {count}, counted from 0")
    return line.baselines[slot]


def _slot_ids(slots: Sequence[Slot], *, is_event_named: bool) -> list[str]:
    """Give the slots' ids: one that has none, or one that was made for this event only, is known by its place, from 0.

    Client libraries make a GUID for a slot without an id, later ones with digits behind it; earlier ones name no event but that.
    """
    guids = [_GUID.fullmatch(slot.id) for slot in slots]
    given = ["" if guid and (guid[1] or not is_event_named) else slot.id for slot, guid in zip(slots, guids, strict=True)]
    return told_apart([each or (f"place {place}" if str(place) in given else str(place)) for place, each in enumerate(given)])


def _chosen(line: Line, count: int) -> int:
    """Find the chosen action's index."""
    if not _is_agreed(line):
        refuse(f"_labelIndex is {line.index} and _label_Action {line.action}: they name different actions")
    chosen = named_action(line)
    if chosen is None:
        refuse("neither _labelIndex, _label_Action nor a says which action was chosen")
    if not 0 <= chosen < count:
        refuse(f"action {chosen + 1} of {count} was chosen")
    return chosen


def named_action(line: Line) -> int | None:
    """Give the index of the action that a line names: what is said first of three ways to say it, None if nothing is."""
    if line.index is not None:
        return line.index
    return _by_action(line) if line.action is not None else _first(line)


def _first(line: Line) -> int | None:
    return _places(line.a)[0] if line.a else None


def _by_action(line: Line) -> int | None:
    """Give the index that ``_label_Action`` names: it counts from 1, or as ``a`` does where only so it is the first of it."""
    action, first = line.action, _first(line)
    if action is None:
        return None
    return action if _is_from_0(line.a) and (action == 0 or (action == first and action - 1 != first)) else action - 1


def _is_agreed(line: Line) -> bool:
    """Whether ``_labelIndex`` and ``_label_Action`` name the same action, if both are there."""
    if line.index is None or line.action is None or line.index == line.action - 1:
        return True
    return line.index == _by_action(line) or (_is_from_0(line.a) and line.index == line.action)


def _is_from_0(a: Sequence[int] | None) -> bool:
    """Whether ``a`` counts from 0: it does if it holds one."""
    return a is not None and 0 in a


def _places(a: Sequence[int]) -> list[int]:
    """Give the indices of the actions that ``a`` names."""
    return list(a) if _is_from_0(a) else [number - 1 for number in a]


def _probabilities(line: Line, chosen: int, count: int) -> Chances:
    """Give each action's probability; where only the chosen one's is told, the others share the rest."""
    if line.p is not None:
        numbers = _places(line.a) if line.a is not None else list(range(len(line.p)))
        told = _spread(numbers, line.p, count)
        found = _checked(told, chosen)
        if line.probability is not None and not _agree(line.probability, (told[chosen], found.probabilities[chosen]), line.pdrop or 0.0):
            refuse(f"_label_probability is {line.probability:g}, but p says {told[chosen]:g}")
        return found
    if line.probability is None:
        refuse("neither p nor _label_probability says with which probability the action was chosen")
    rest = (1.0 - line.probability) / (count - 1) if count > 1 else 0.0
    return _checked([line.probability if index == chosen else rest for index in range(count)], chosen)


def _agree(told: float, probabilities: tuple[float, ...], pdrop: float) -> bool:
    """Whether both say the same, as far as one was rounded; the client libraries' joiner multiplies one by the chance that it was kept."""
    if told in probabilities:
        return True
    candidates = *probabilities, *[each * (1.0 - pdrop) for each in probabilities]
    return any(isclose(told, each, rel_tol=_ROUNDED) or told == round(each, _DIGITS) > 0.0 for each in candidates)


def _spread(numbers: Sequence[int], chances: Sequence[float], count: int) -> list[float]:
    """Put probabilities in the order of the actions; those that are not listed had no chance."""
    if not numbers or len(numbers) != len(chances) or len(set(numbers)) < len(numbers) or not all(0 <= each < count for each in numbers):
        refuse("actions and probabilities do not fit each other")
    by_number = dict(zip(numbers, chances, strict=True))
    return [by_number.get(index, 0.0) for index in range(count)]


def _checked(told: Sequence[float], chosen: int) -> Chances:
    """Take probabilities that add up to 1, or nearly so: what was rounded is divided by its sum."""
    whole = sum(told)
    if not all(0.0 <= each <= 1.0 + _ROUNDED for each in told) or not abs(whole - 1.0) <= _ROUNDED + _EXACT:
        refuse("the probabilities do not add up to 1")
    if not told[chosen] > 0.0:
        refuse("the chosen action's probability is 0")
    if abs(whole - 1.0) <= _TOLERANCE:
        return Chances(tuple(told), is_rounded=False)
    return Chances(tuple([each / whole for each in told]), is_rounded=True)
