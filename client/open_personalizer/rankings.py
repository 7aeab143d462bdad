"""The answers of rank calls."""

from dataclasses import dataclass, field
from typing import NamedTuple

from shared.domain.events import Situation
from shared.domain.order import laid_out


class Ranked(NamedTuple):
    """An action and the probability that it was drawn with."""

    id: str
    probability: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """What to show (``reward_action_id``), and the id to report its reward under.

    ``index`` is the place of that action in the request, and ``probabilities`` are in the order of the request. If it is not
    ``is_logged``, there was no room to keep it, and nothing is learned from it: a reward for it is ignored.
    """

    event_id: str
    reward_action_id: str
    index: int
    probabilities: tuple[float, ...]
    model_version: str
    is_logged: bool
    _situation: Situation = field(repr=False)

    @property
    def ranking(self) -> list[Ranked]:
        """All actions, as the service orders them: excluded ones stay where they were, the others follow the chosen one."""
        places = laid_out(self._situation.allowed, self.probabilities, self.index)
        return [Ranked(self._situation.actions[place].id, self.probabilities[place]) for place in places]

    @property
    def probability(self) -> float:
        """The probability of the action that is shown."""
        return self.probabilities[self.index]


@dataclass(frozen=True, slots=True)
class FilledSlot:
    """A slot and the action to show there, with the probability that it was drawn with."""

    id: str
    reward_action_id: str
    probability: float


@dataclass(frozen=True, slots=True)
class SlotsRanking:
    """What to show in each slot, in the order of the request; the rest is as in `Ranking`."""

    event_id: str
    slots: tuple[FilledSlot, ...]
    model_version: str
    is_logged: bool
