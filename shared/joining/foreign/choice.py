"""What a line of others chose: which action, with which probabilities, once or for each slot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Final

from shared.domain.events import Situation
from shared.joining.foreign.asked import Asked
from shared.joining.foreign.line import MAX_ID_LENGTH, Line, Report, refuse

_TOLERANCE: Final = 1e-3
"""Others compute in single precision."""


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
    return Choice(situation, chosen, _probabilities(line, chosen, len(asked.actions)), line.cost, line.reports, original=line.original)


def slot_choices(line: Line, asked: Asked) -> Iterator[Choice]:
    """Give a choice for each slot that has an outcome; what the slots before took has no chance there. Raises as `one_choice`."""
    outcomes = line.outcomes or []
    if len(outcomes) > len(asked.slots):
        refuse(f"there are {len(outcomes)} outcomes but {len(asked.slots)} slots")
    ids = [slot.id or str(number) for number, slot in enumerate(asked.slots[: len(outcomes)])]
    if len(set(ids)) < len(ids) or any(len(each) > MAX_ID_LENGTH for each in ids):
        refuse(f"the ids of slots must differ, and have at most {MAX_ID_LENGTH} characters")
    if not any(outcome.cost is not None for outcome in outcomes):
        refuse("no slot has a _label_cost: nothing says what came of it")
    for number, (slot_id, slot, outcome) in enumerate(zip(ids, asked.slots, outcomes, strict=False)):
        if outcome.cost is None:
            continue
        numbers = outcome.numbers if isinstance(outcome.numbers, list) else [outcome.numbers]
        chances = outcome.chances if isinstance(outcome.chances, list) else [outcome.chances]
        probabilities = _checked(_spread(numbers, chances, len(asked.actions)), numbers[0])
        baseline = _baseline(line, number, len(asked.actions))
        situation = Situation(
            (*asked.context, *slot.features, {"slot": {"id": slot_id}}),
            asked.actions,
            slot=slot_id,
            baseline_id="" if baseline is None else asked.actions[baseline].id,
        )
        yield Choice(situation, numbers[0], probabilities, outcome.cost, outcome.reports, baseline or 0, outcome.original)


def _baseline(line: Line, slot: int, count: int) -> int | None:
    """Find the index of a slot's own action, if it is told."""
    if not line.baselines or slot >= len(line.baselines):
        return None
    if not 0 <= line.baselines[slot] < count:
        refuse(f"_ba names action {line.baselines[slot]} of {count}, counted from 0")
    return line.baselines[slot]


def _chosen(line: Line, count: int) -> int:
    """Find the chosen action's index: what is said first of three ways to say it."""
    if line.index is not None and line.action is not None and line.index != line.action - 1:
        refuse(f"_labelIndex is {line.index} and _label_Action {line.action}: they name different actions")
    said = [line.index, None if line.action is None else line.action - 1, line.a[0] - 1 if line.a else None]
    chosen = next((each for each in said if each is not None), None)
    if chosen is None:
        refuse("neither _labelIndex, _label_Action nor a says which action was chosen")
    if not 0 <= chosen < count:
        refuse(f"action {chosen + 1} of {count} was chosen")
    return chosen


def _probabilities(line: Line, chosen: int, count: int) -> tuple[float, ...]:
    """Give each action's probability; where only the chosen one's is told, the others share the rest."""
    if line.p is not None:
        numbers = [number - 1 for number in line.a] if line.a is not None else list(range(len(line.p)))
        probabilities = _checked(_spread(numbers, line.p, count), chosen)
        if line.probability is not None and not _agree(line.probability, probabilities[chosen], line.pdrop or 0.0):
            refuse(f"_label_probability is {line.probability:g}, but p says {probabilities[chosen]:g}")
        return probabilities
    if line.probability is None:
        refuse("neither p nor _label_probability says with which probability the action was chosen")
    rest = (1.0 - line.probability) / (count - 1) if count > 1 else 0.0
    return _checked([line.probability if index == chosen else rest for index in range(count)], chosen)


def _agree(told: float, probability: float, pdrop: float) -> bool:
    """Whether both say the same; the client libraries' joiner multiplies one by the chance that the event was kept."""
    return any(isclose(told, each, rel_tol=_TOLERANCE) for each in (probability, probability * (1.0 - pdrop)))


def _spread(numbers: Sequence[int], chances: Sequence[float], count: int) -> list[float]:
    """Put probabilities in the order of the actions; those that are not listed had no chance."""
    if not numbers or len(numbers) != len(chances) or len(set(numbers)) < len(numbers) or not all(0 <= each < count for each in numbers):
        refuse("actions and probabilities do not fit each other")
    by_number = dict(zip(numbers, chances, strict=True))
    return [by_number.get(index, 0.0) for index in range(count)]


def _checked(probabilities: Sequence[float], chosen: int) -> tuple[float, ...]:
    if not all(0.0 <= each <= 1.0 + _TOLERANCE for each in probabilities) or abs(sum(probabilities) - 1.0) > _TOLERANCE:
        refuse("the probabilities do not add up to 1")
    if not probabilities[chosen] > 0.0:
        refuse("the chosen action's probability is 0")
    return tuple(probabilities)
