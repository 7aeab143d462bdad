"""Logged situations encoded for a lane: actions recur, and one that was met lately is neither read nor encoded again."""

from typing import Final, NamedTuple

from shared.domain.recent import Recent
from shared.joining.dsjson import read_action, read_parts
from shared.learning.encoding import EncodedSituation, Encoder, Row
from shared.services.analysis.features import Feature

_REMEMBERED: Final = 1 << 12
_LONGEST: Final = 1 << 10
"""Actions, in each of two generations, and the bytes of one's text."""


class Known(NamedTuple):
    """An action's id, and what it was encoded to."""

    id: str
    row: Row


class Asked(NamedTuple):
    """A logged situation, encoded; ``ids`` are those of its actions, in order, and ``baseline_id`` as in `Situation`."""

    encoded: EncodedSituation
    ids: tuple[str, ...]
    baseline_id: str


class LoggedEncoder:
    """Encodes logged situations for these interactions, leaving out a feature if one is given; what it remembers is bounded."""

    def __init__(self, encoder: Encoder, without: Feature | None = None) -> None:
        self._encoder = encoder
        self._without = without
        self._known: Recent[Known] = Recent(size=_REMEMBERED, longest=_LONGEST)

    def read(self, text: bytes) -> Asked:
        """Encode a situation from its text; raises `UnreadableError`."""
        parts = read_parts(text)
        known = [each or self._met(action) for each, action in zip(self._known.several(parts.actions), parts.actions, strict=True)]
        context = parts.context if self._without is None else self._without.left_out_of(parts.context)
        encoded = self._encoder.with_rows(context, [row for _, row in known])
        return Asked(encoded, tuple([name for name, _ in known]), parts.baseline_id)

    def _met(self, text: bytes) -> Known:
        known = self._known.get(text)
        if known is None:
            action = read_action(text)
            known = Known(action.id, self._encoder.row(action if self._without is None else self._without.left_out_of_action(action)))
            self._known.put(text, known)
        return known
