"""Gates: what a policy has to show in an evaluation before it may be put to use, and whether it did."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

KEPT: Final = "Kept"
BROKEN: Final = "Broken"
"""The codes of rules in an answer."""


class Looks(StrEnum):
    """How often a gate is asked about the same log: once, at a time that was fixed beforehand, or as often as one likes."""

    ONE = "one"
    MANY = "many"


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules. The policy surely earns more than ``least_lift`` beyond the one that it is ``compared_with``.

    That is the present policy, or what was shown where that was not valued, if no name is given (""). ``least_events`` have to be there, no
    event may stand for more than ``most_weight`` (None: for any number), and by each of the ``estimators`` as well it earns more.
    """

    least_lift: float = 0.0
    least_events: int = 0
    most_weight: float | None = None
    estimators: tuple[str, ...] = ()
    compared_with: str = ""
    looks: Looks = Looks.MANY


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of a gate: its name, what it asks for and what was found, in words, and whether it is kept."""

    rule: str
    asked: str
    found: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a gate says of one policy."""

    policy: str
    checks: Sequence[Check]

    @property
    def is_passed(self) -> bool:
        """Whether all rules are kept."""
        return all(each.is_kept for each in self.checks)

    @property
    def sentence(self) -> str:
        """Say whether it is passed, and if not, why."""
        if self.is_passed:
            return f"The policy {self.policy} passes the gate."
        broken = "; ".join([f"{each.rule}: {each.asked}, but {each.found}" for each in self.checks if not each.is_kept])
        return f"The policy {self.policy} does not pass the gate. {broken}."
