"""A multi-slot Rank call: several choices from the same actions, made one after another."""

from dataclasses import dataclass, field
from typing import NoReturn

from shared.domain.errors import InvalidRankRequestError
from shared.domain.events import Action, Features, Situation


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to fill; ``baseline`` is the id of the action that the application itself would show there."""

    id: str
    baseline: str
    features: tuple[Features, ...] = ()
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MultiSlotSituation:
    """Context, actions and slots of one multi-slot Rank call.

    Raises `InvalidRankRequestError`, naming the field, where slots and actions do not go together: the baselines have to be
    one way to fill all slots. How long an id may be, how many actions there may be and what features may hold is checked before.
    ``left_out`` are places of the request where a feature without a name was left out.
    """

    context: tuple[Features, ...]
    actions: tuple[Action, ...]
    slots: tuple[Slot, ...]
    left_out: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        ids = {action.id for action in self.actions}
        if len(ids) < len(self.actions):
            _refuse("actions", "the ids of actions must differ")
        if not self.slots:
            _refuse("slots", "there must be at least one slot")
        if len(self.slots) > len(self.actions):
            _refuse("slots", f"{len(self.actions)} actions cannot fill {len(self.slots)} slots")
        names: set[str] = set()
        baselines: set[str] = set()
        for number, slot in enumerate(self.slots):
            if not slot.id or slot.id in names:
                _refuse(f"slots[{number}].id", "a slot needs an id that no other slot has")
            if slot.baseline not in ids or slot.baseline in slot.excluded or slot.baseline in baselines:
                _refuse(f"slots[{number}].baselineAction", "must be an action that is not excluded there and is no other slot's baseline")
            if not slot.excluded <= ids:
                _refuse(f"slots[{number}].excludedActions", "must be ids of actions")
            names.add(slot.id)
            baselines.add(slot.baseline)


class Filling:
    """The slots of one call being filled, in order: no action is taken twice, and no slot is left without one.

    Exclusions may leave a later slot few actions, so one is kept for each slot that has exclusions, at first its baseline. What
    is kept may be taken by another slot as long as something else can be kept instead. Slots without exclusions need no care:
    there are at least as many actions as slots.
    """

    def __init__(self, asked: MultiSlotSituation) -> None:
        self._asked = asked
        kept = {slot.baseline: slot for slot in asked.slots if slot.excluded}
        self._left = {action.id: kept.get(action.id) for action in asked.actions}
        self._taken: set[str] = set()
        self._ways: dict[str, str] = {}

    def situation(self, slot: Slot) -> Situation:
        """Give what is to be chosen from for the next slot; its features and its id are part of the context there."""
        self._left = {each: keeper if keeper and keeper.id != slot.id else None for each, keeper in self._left.items()}
        self._ways = self._other_ways()
        needed = [each for each, keeper in self._left.items() if keeper is not None and keeper.id not in self._ways]
        return Situation(
            context=(*self._asked.context, *slot.features, {"slot": {"id": slot.id}}),
            actions=self._asked.actions,
            excluded=slot.excluded.union(self._taken, needed),
            slot=slot.id,
            baseline_id=slot.baseline,
        )

    def take(self, action_id: str) -> None:
        """Fill the slot whose situation was asked for last."""
        self._taken.add(action_id)
        keeper = self._left.pop(action_id)
        while keeper is not None:  # along the chain of slots that each move to what the next one has kept
            other = self._ways[keeper.id]
            self._left[other], keeper = keeper, self._left[other]

    def _other_ways(self) -> dict[str, str]:
        """Find, for each slot that an action is kept for, another action that could be kept instead, if there is one."""
        ways: dict[str, str] = {}
        kept = [(each, keeper) for each, keeper in self._left.items() if keeper is not None]
        open_ids = [each for each, keeper in self._left.items() if keeper is None]
        for open_id in open_ids if kept else ():
            for each, keeper in kept:
                if keeper.id not in ways and open_id not in keeper.excluded:
                    ways[keeper.id] = open_id
                    open_ids.append(each)  # what this slot kept can be had as well, and is looked at in turn
        return ways


def _refuse(where: str, what: str) -> NoReturn:
    raise InvalidRankRequestError(f"{where}: {what}", target=where)
