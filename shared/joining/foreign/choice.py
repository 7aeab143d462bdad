"""What a line of others chose: which action, with which probabilities, once or for each slot."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Final

from shared.domain.events import Situation
from shared.joining.foreign.asked import Asked, Slot, told_apart
from shared.joining.foreign.line import Line, Report, refuse
from shared.joining.foreign.terms import Terms

_GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(\d*)", re.IGNORECASE)

_TOLERANCE: Final = 1e-3
"""Others compute in single precision."""
_ROUNDED: Final = 0.02
_DIGITS: Final = 2
"""Others write two digits: a third of all is 0.33."""
_EXACT: Final = 1e-9

LEAST_CHANCE: Final = 1e-12
"""Of an action that was drawn. Evaluations divide by it: powers of the quotient still are numbers."""

_ROUNDED_NOTE: Final = "probabilities that were rounded are divided by their sum"
_ASSUMED: Final = "there are no probabilities: they are assumed as asked for"
_CERTAIN: Final = "there are no probabilities: the chosen action is taken as certain"


@dataclass(frozen=True, slots=True)
class Chances:
    """The probability of each action, and what is to be said of how they came about, if anything."""

    probabilities: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, from what and with which probabilities, and what came of it.

    ``baseline`` is the index of the application's own action, and ``original`` the cost that was observed, where another one is told.
    ``note`` is that of `Chances`.
    """

    situation: Situation
    chosen: int
    probabilities: tuple[float, ...]
    cost: float
    reports: Sequence[Report] | None
    baseline: int = 0
    original: float | None = None
    note: str = ""

    def shown(self) -> "Choice":
        """Give what was shown in Apprentice mode, where this is what was proposed: the baseline, for certain, which earned the original."""
        if self.original is None or not 0 <= self.baseline < len(self.probabilities):
            refuse("a line of Apprentice mode without the baseline's reward")
        certain = tuple([float(index == self.baseline) for index in range(len(self.probabilities))])
        return replace(self, chosen=self.baseline, probabilities=certain, cost=self.original)


def one_choice(line: Line, asked: Asked, terms: Terms) -> Choice:
    """Give the choice of a line without slots; raises `UnreadableError` where it does not say what was chosen, how, or what came of it."""
    if line.cost is None:
        refuse("_label_cost is missing, so the reward is not known")
    if asked.slots:
        refuse("there are slots but no _outcomes")
    chosen = _chosen(line, len(asked.actions))
    situation = Situation(asked.context, asked.actions, slot=line.slot, baseline_id=asked.baseline_id if line.slot else "")
    found = _probabilities(line, chosen, len(asked.actions), terms)
    return Choice(situation, chosen, found.probabilities, line.cost, line.reports, original=line.original, note=found.note)


def slot_choices(line: Line, asked: Asked, terms: Terms) -> Iterator[Choice]:
    """Give a choice for each slot that has an outcome; what the slots before took has no chance there. Raises as `one_choice`."""
    outcomes = line.outcomes or []
    if len(outcomes) > len(asked.slots):
        refuse(f"there are {len(outcomes)} outcomes but {len(asked.slots)} slots")
    ids = _slot_ids(asked.slots, is_event_named=bool(line.event_id))
    if not any(outcome.cost is not None for outcome in outcomes):
        refuse("no slot has a _label_cost, so no reward is known")
    taken: set[int] = set()
    for number, (slot_id, slot, outcome) in enumerate(zip(ids, asked.slots, outcomes, strict=False)):
        numbers = outcome.numbers if isinstance(outcome.numbers, list) else [outcome.numbers]
        left = [each for each in range(len(asked.actions)) if each not in taken]
        taken.update(numbers[:1])
        if outcome.cost is None:
            continue
        chances = outcome.chances if isinstance(outcome.chances, list) else [outcome.chances]
        if not numbers:
            refuse("_a does not say which action was chosen for a slot that has a _label_cost")
        if chances:
            found = _checked(_told(numbers, chances, numbers[0], left, len(asked.actions)), numbers[0])
        else:
            found = _assumed(numbers if len(numbers) > 1 else left, numbers[0], len(asked.actions), terms)
        baseline = _baseline(line, number, len(asked.actions))
        situation = Situation(
            (*asked.context, *slot.features, {"slot": {"id": slot_id}}),
            asked.actions,
            slot=slot_id,
            baseline_id="" if baseline is None else asked.actions[baseline].id,
        )
        yield Choice(
            situation,
            numbers[0],
            found.probabilities,
            outcome.cost,
            outcome.reports,
            baseline or 0,
            outcome.original,
            found.note,
        )


def _baseline(line: Line, slot: int, count: int) -> int | None:
    """Find the index of a slot's own action, if it is told: a negative one is none."""
    if not line.baselines or slot >= len(line.baselines) or line.baselines[slot] < 0:
        return None
    if line.baselines[slot] >= count:
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


def _probabilities(line: Line, chosen: int, count: int, terms: Terms) -> Chances:
    """Give each action's probability; where only the chosen one's is told, the others share the rest."""
    if line.p:
        numbers = _places(line.a) if line.a is not None else list(range(len(line.p)))
        told = _told(numbers, line.p, chosen, range(count), count)
        found = _checked(told, chosen)
        if line.probability is not None and not _agree(line.probability, (told[chosen], found.probabilities[chosen]), line.pdrop or 0.0):
            refuse(f"_label_probability is {line.probability:g}, but p says {told[chosen]:g}")
        return found
    if not line.probability:  # the client libraries' joiner writes 0 where there are none
        listed = _places(line.a or ())
        return _assumed(listed if len(listed) > 1 else range(count), chosen, count, terms)
    rest = (1.0 - line.probability) / (count - 1) if count > 1 else 0.0
    return _checked([line.probability if index == chosen else rest for index in range(count)], chosen)


def _assumed(possible: Sequence[int], chosen: int, count: int, terms: Terms) -> Chances:
    """Give what is assumed of probabilities that are not told: of the ``possible`` actions one was chosen."""
    if terms.assumed is None and not terms.is_logging_only:
        refuse(
            "the probability of the chosen action is missing (p, _label_probability, _p):"
            " import such a log with --probability uniform, --probability VALUE or --mode LoggingOnly"
        )
    if chosen not in possible:
        refuse("actions and choice do not fit each other: the chosen action is not listed, or a slot before has taken it")
    if terms.assumed is None or len(possible) == 1:
        probabilities = [float(index == chosen) for index in range(count)]
    else:
        told = 1.0 / len(possible) if terms.assumed.probability is None else terms.assumed.probability
        rest = (1.0 - told) / (len(possible) - 1)
        probabilities = _spread(possible, [told if index == chosen else rest for index in possible], count)
    return replace(_checked(probabilities, chosen), note=_CERTAIN if terms.assumed is None else _ASSUMED)


def _agree(told: float, probabilities: tuple[float, ...], pdrop: float) -> bool:
    """Whether both say the same, as far as one was rounded; the client libraries' joiner multiplies one by the chance that it was kept."""
    if told in probabilities:
        return True
    candidates = *probabilities, *[each * (1.0 - pdrop) for each in probabilities]
    return any(isclose(told, each, rel_tol=_ROUNDED) or told == round(each, _DIGITS) > 0.0 for each in candidates)


def _told(numbers: Sequence[int], chances: Sequence[float], chosen: int, possible: Sequence[int], count: int) -> list[float]:
    """Give each action's probability; where only the chosen one is listed, the others that are possible share the rest."""
    if list(numbers) != [chosen] or len(chances) != 1 or chosen not in possible or len(possible) == 1 or not 0.0 < chances[0] < 1.0:
        return _spread(numbers, chances, count)
    rest = (1.0 - chances[0]) / (len(possible) - 1)
    return _spread(possible, [chances[0] if index == chosen else rest for index in possible], count)


def _spread(numbers: Sequence[int], chances: Sequence[float], count: int) -> list[float]:
    """Put probabilities in the order of the actions; those that are not listed had no chance."""
    if not numbers or len(numbers) != len(chances):
        refuse(f"actions and probabilities do not fit each other: there are {len(numbers)} and {len(chances)}")
    if len(set(numbers)) < len(numbers):
        refuse("actions and probabilities do not fit each other: an action is named twice")
    if strange := [each for each in numbers if not 0 <= each < count]:
        refuse(f"actions and probabilities do not fit each other: action {strange[0] + 1} of {count} has one")
    by_number = dict(zip(numbers, chances, strict=True))
    return [by_number.get(index, 0.0) for index in range(count)]


def _checked(told: Sequence[float], chosen: int) -> Chances:
    """Take probabilities that add up to 1, or nearly so: what was rounded is divided by its sum."""
    whole = sum(told)
    if not all(0.0 <= each <= 1.0 + _ROUNDED for each in told) or not abs(whole - 1.0) <= _ROUNDED + _EXACT:
        refuse("the probabilities do not add up to 1")
    if not told[chosen] >= LEAST_CHANCE:
        refuse(f"the chosen action's probability is {told[chosen]:g}: it was drawn, so it is at least {LEAST_CHANCE:g}")
    if abs(whole - 1.0) <= _TOLERANCE:
        return Chances(tuple(told))
    return Chances(tuple([each / whole for each in told]), _ROUNDED_NOTE)
