"""Logged situations encoded for a lane: actions and pieces of contexts that were met lately are neither read nor encoded again."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from shared.domain.events import Features, JoinedEvent
from shared.domain.recent import Recent
from shared.joining.dsjson import SituationTexts, read_action, read_piece, read_texts
from shared.learning.encoding import EncodedSituation, Encoder, Row
from shared.services.analysis.features import Feature

_REMEMBERED: Final = 1 << 12
_LONGEST: Final = 1 << 10
"""Actions, and pieces of contexts, in each of two generations, and the bytes of one's text."""


class Logged(NamedTuple):
    """An event, and its situation taken apart, unless it is skipped; ``size`` is how many bytes the situation had."""

    event: JoinedEvent
    texts: SituationTexts | None
    size: int

    @staticmethod
    def of(event: JoinedEvent) -> "Logged":
        """Take the situation apart; raises `UnreadableError`."""
        situation = event.decision.situation
        return Logged(event, None if event.skip is not None else read_texts(situation), len(situation))


class Known(NamedTuple):
    """An action's id, and what it was encoded to."""

    id: str
    row: Row


class Asked(NamedTuple):
    """A logged situation, encoded; ``baseline_id`` is as in `Situation`."""

    encoded: EncodedSituation
    known: tuple[Known, ...]
    baseline_id: str

    @property
    def ids(self) -> tuple[str, ...]:
        """Those of its actions, in order."""
        return tuple([each.id for each in self.known])


class LoggedEncoder:
    """Encodes logged situations for these interactions, leaving out a feature if one is given; what it remembers is bounded."""

    def __init__(self, encoder: Encoder, without: Feature | None = None) -> None:
        self._encoder = encoder
        self._without = without
        self._known: Recent[Known] = Recent(size=_REMEMBERED, longest=_LONGEST)
        self._pieces: Recent[Mapping[int, float]] = Recent(size=_REMEMBERED, longest=_LONGEST)

    def read(self, text: bytes) -> Asked:
        """Encode a situation from its text; raises `UnreadableError`."""
        return self.encode(read_texts(text))

    def encode(self, texts: SituationTexts) -> Asked:
        """Encode a situation that was taken apart; raises `UnreadableError`."""
        known = tuple([each or self._met(text) for each, text in zip(self._known.several(texts.actions), texts.actions, strict=True)])
        found = zip(self._pieces.several(texts.context), texts.context, strict=True)
        pieces = [self._piece(text) if each is None else each for each, text in found]
        rows = [each.row for each in known]
        encoded = self._encoder.with_pieces(pieces, rows)
        return Asked(encoded or self._encoder.with_rows(map(self._used, texts.context), rows), known, texts.baseline_id)

    def _piece(self, text: bytes) -> Mapping[int, float]:
        piece = self._pieces.get(text)
        if piece is None:
            piece = self._encoder.piece(self._used(text))
            self._pieces.put(text, piece)
        return piece

    def _used(self, text: bytes) -> Features:
        features = read_piece(text)
        return features if self._without is None else self._without.left_out_of([features])[0]

    def _met(self, text: bytes) -> Known:
        known = self._known.get(text)
        if known is None:
            action = read_action(text)
            known = Known(action.id, self._encoder.row(action if self._without is None else self._without.left_out_of_action(action)))
            self._known.put(text, known)
        return known
