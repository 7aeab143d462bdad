"""Which features a policy uses, and which namespaces it crosses: named by their first letters, as in Vowpal Wabbit.

What a policy does not say is left to the product, which uses everything and crosses the context with the action.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Final
from zlib import crc32

from shared.domain.errors import InvalidPolicyConfigurationError, UnreadableError

ANY: Final = ":"
"""Stands for every namespace in an interaction."""

ID: Final = "i"
"""The letter of an action's id."""

UNNAMED: Final = "j"
"""The letter of features that are in no namespace."""

MOST_LETTERS: Final = 14
GROUPS: Final = 16
"""Namespaces that are told apart: 0 for all that no interaction names, and the last for the context's constant."""

CONSTANT_GROUP: Final = GROUPS - 1

GROUP_BITS: Final = 2
GROUP_MASK: Final = CONSTANT_GROUP << GROUP_BITS
"""Where in a feature's hash its group stands, when namespaces are told apart."""

_PARTS: Final = 3

Mask = tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class Interactions:
    """``crosses`` are two letters each, or more, `ANY` among them; None crosses everything. ``ignored`` namespaces are not used.

    ``ignored_linear`` ones are used in crosses only. ``mask``, GROUPS rows of GROUPS, tells which group of the context is crossed with
    which group of the action, None where all are.
    """

    crosses: tuple[str, ...] | None = None
    ignored: frozenset[str] = frozenset()
    ignored_linear: frozenset[str] = frozenset()
    mask: Mask | None = field(init=False, repr=False, compare=False)
    fingerprint: int = field(init=False, repr=False, compare=False)
    _groups: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        letters = sorted(({*"".join(self.crosses or ())} | self.ignored_linear) - self.ignored - {ANY})
        if len(letters) > MOST_LETTERS:
            raise InvalidPolicyConfigurationError(f"interactions tell at most {MOST_LETTERS} namespaces apart, not {len(letters)}")
        object.__setattr__(self, "_groups", {letter: number for number, letter in enumerate(letters, 1)})
        object.__setattr__(self, "mask", self._mask() if self.crosses is not None or self.ignored_linear else None)
        object.__setattr__(self, "fingerprint", crc32(text.encode("utf-8", "surrogatepass")) if (text := self.text()) else 0)

    def text(self) -> str:
        """Write them down; "" for everything.

        >>> Interactions(("ab", "b:"), frozenset("xy")).text().split(chr(10))
        ['ab b:', 'xy', '']
        """
        if self.crosses is None and not self.ignored and not self.ignored_linear:
            return ""
        crosses = "-" if self.crosses is None else " ".join(self.crosses)
        return "\n".join((crosses, *("".join(sorted(letters)) for letters in (self.ignored, self.ignored_linear))))

    @staticmethod
    def read(text: str) -> "Interactions":
        """Read what `text` wrote; raises `UnreadableError`."""
        if not text:
            return EVERYTHING
        parts = text.split("\n")
        if len(parts) != _PARTS:
            raise UnreadableError("these are not a policy's interactions")
        try:
            return Interactions(None if parts[0] == "-" else tuple(parts[0].split(" ")), *(frozenset(letters) for letters in parts[1:]))
        except InvalidPolicyConfigurationError as cause:
            raise UnreadableError(f"these are not a policy's interactions: {cause}") from cause

    def group(self, letter: str) -> int:
        """Give the group of namespaces with this first letter."""
        return self._groups.get(letter, 0)

    def leaves_out(self, letter: str, *, of_context: bool) -> bool:
        """Whether namespaces with this first letter say nothing on this side: what is alike for all actions needs a cross."""
        if letter in self.ignored:
            return True
        return of_context and self.crosses is not None and self.mask is not None and not any(self.mask[self.group(letter)])

    def grouped(self, feature: int, group: int) -> int:
        """Mark a feature's hash with its group, if namespaces are told apart."""
        return feature if self.mask is None else feature & ~GROUP_MASK | group << GROUP_BITS

    def _mask(self) -> Mask:
        crossed: set[tuple[int, int]] = set()
        for cross in [ANY * 2] if self.crosses is None else self.crosses:
            for one, other in combinations(cross, 2):  # of three, what two of them say; see docs/concepts/policy-arguments.md
                crossed |= {*product(self._named(one), self._named(other)), *product(self._named(other), self._named(one))}
        linear = set(range(GROUPS)) - {self.group(letter) for letter in self.ignored_linear}
        crossed |= {(CONSTANT_GROUP, group) for group in linear}
        return tuple(tuple((context, action) in crossed for action in range(GROUPS)) for context in range(GROUPS))

    def _named(self, letter: str) -> list[int]:
        if letter == ANY:
            return list(range(CONSTANT_GROUP))
        return [self._groups[letter]] if letter in self._groups else []


EVERYTHING: Final = Interactions()
