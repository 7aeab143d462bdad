"""Learned events as columns: what figures are made from, a window at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from shared.domain.events import EQUALLY_LIKELY, Decision, JoinedEvent, LearningMode
from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats
from shared.joining.dsjson import read_situation

Flags = npt.NDArray[np.bool_]
_DIGITS = 12
"""Of probabilities that were mixed and taken apart again: which one is the largest must not hang on the last bit."""
Column = TypeVar("Column", bound=npt.NDArray[Any])


@dataclass(frozen=True, eq=False, slots=True)
class Logged:
    """n learned events, in the order of the log; every column has the shape [n].

    ``seconds`` are those since 1970 at which it was decided, ``chosen`` and ``least`` probabilities: of what was drawn, and of the
    unlikeliest that could be drawn. ``drawn`` and ``highest`` are the policy's own, which a holdout is not mixed into: of what was drawn,
    and of the likeliest action. ``likeliest`` counts the actions that none is likelier than, and
    ``possible`` those that could be drawn; an event ``is_certain`` if one of several had all chances. ``entropy`` is in nats,
    ``baseline`` the probability of the application's own choice, and ``is_baseline`` tells that it was drawn. In Apprentice mode
    something ``is_proposed``, and ``is_imitated`` if it is what was shown.
    """

    seconds: Floats
    rewards: Floats
    chosen: Floats
    drawn: Floats
    highest: Floats
    least: Floats
    likeliest: Integers
    possible: Integers
    entropy: Floats
    baseline: Floats
    is_baseline: Flags
    is_certain: Flags
    is_apprentice: Flags
    is_proposed: Flags
    is_imitated: Flags
    is_slot: Flags
    is_held_out: Flags

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def explored(self) -> Flags:
        """Whether chance chose: the policy drew another action than its likeliest, or several were the likeliest."""
        explored: Flags = (~self.is_best | (self.likeliest > 1)) & ~self.is_held_out
        return explored

    @property
    def is_best(self) -> Flags:
        """Whether no action was likelier to the policy than the one that was shown."""
        found: Flags = self.drawn >= self.highest
        return found


def logged(events: Sequence[JoinedEvent]) -> Logged:
    """Make columns of those of the events that are learned."""
    learned = [event for event in events if event.skip is None]
    decisions = [event.decision for event in learned]
    counts = np.array([len(each.probabilities) for each in decisions], dtype=np.int64)
    starts = np.cumsum(counts) - counts
    chances = np.fromiter(chain.from_iterable([each.probabilities for each in decisions]), np.float64, count=int(counts.sum()))
    chosen = starts + np.array([each.chosen for each in decisions], dtype=np.int64)
    may = chances > 0.0
    possible = _of_each(np.add, may.astype(np.int64), starts)
    is_apprentice = [each.mode is LearningMode.APPRENTICE for each in decisions]
    baseline = _baselines(decisions, may, starts)
    own = _own_chances(decisions, chances, counts, baseline)
    highest = _of_each(np.maximum, own, starts)
    return Logged(
        seconds=np.array([each.decided_at.timestamp() for each in decisions], dtype=np.float64),
        rewards=np.array([event.reward for event in learned], dtype=np.float64),
        chosen=chances[chosen],
        drawn=own[chosen],
        highest=highest,
        least=_of_each(np.minimum, np.where(may, chances, np.inf), starts),
        likeliest=_of_each(np.add, (own >= np.repeat(highest * EQUALLY_LIKELY, counts)).astype(np.int64), starts),
        possible=possible,
        entropy=-_of_each(np.add, chances * np.log(np.where(may, chances, 1.0)), starts),
        baseline=chances[baseline],
        is_baseline=chosen == baseline,
        is_certain=(possible == 1) & (counts > 1),
        is_apprentice=np.array(is_apprentice, dtype=np.bool_),
        is_proposed=np.array([each.proposal is not None for each in decisions], dtype=np.bool_),
        is_imitated=np.array([each.is_imitated for each in decisions], dtype=np.bool_),
        is_slot=np.array([bool(each.slot) for each in decisions], dtype=np.bool_),
        is_held_out=np.array([each.holdout is not None and each.holdout.is_held_out for each in decisions], dtype=np.bool_),
    )


def _own_chances(decisions: Sequence[Decision], chances: Floats, counts: Integers, baseline: Integers) -> Floats:
    """Give the policy's own probabilities, without what a holdout has mixed in; 0 where that is all that there was."""
    if not any(each.holdout for each in decisions):
        return chances
    mixed = np.array([each.holdout.chance if each.holdout else 0.0 for each in decisions], dtype=np.float64)
    own = chances.copy()
    own[baseline] -= mixed
    rest = np.repeat(1.0 - mixed, counts)
    unmixed: Floats = np.where(rest > 0.0, np.round(own / np.where(rest > 0.0, rest, 1.0), _DIGITS), 0.0)
    return np.where(np.repeat(mixed > 0.0, counts), unmixed, chances)


def _of_each(merge: np.ufunc, values: Column, starts: Integers) -> Column:
    """Merge the values of each event."""
    return cast(Column, merge.reduceat(values, starts)) if len(starts) else values


def _baselines(decisions: Sequence[Decision], may: Flags, starts: Integers) -> Integers:
    """Tell where among all chances that of the application's own choice is: an excluded action has none.

    It is the first action that was not excluded, or the one that a slot names, unless that was excluded there.
    """
    first = _of_each(np.minimum, np.where(may, np.arange(len(may)), len(may) - 1), starts)
    for number, each in enumerate(decisions):
        if each.slot:
            situation = read_situation(each.situation)
            ids = [action.id for action in situation.actions]
            named = ids.index(situation.baseline_id) if situation.baseline_id in ids else 0
            if named < len(each.probabilities) and each.probabilities[named] > 0.0:
                first[number] = starts[number] + named
    return first
