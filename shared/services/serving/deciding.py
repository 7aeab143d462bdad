"""From a situation to the decision that is logged: what both kinds of Rank call share."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.events import Action, Decision, Features, LearningMode, Situation
from shared.joining.dsjson import CommonText, situation_text
from shared.learning.choosing import choose, policy_of
from shared.learning.encoding import CommonRows, EncodedSituation, Encoders
from shared.learning.holdout import later_chance
from shared.services.serving.model_server import Served

Scored = tuple[str, float]
"""An action's id, and what reward the model expects of it."""


@dataclass(frozen=True, slots=True)
class Common:
    """What the situations of one call's slots share, encoded and written once: all actions, and the first ``objects`` of the contexts.

    ``chance`` is that of the event to be held out, as the next slot finds it (None: that is the first one).
    """

    objects: int
    rows: CommonRows
    text: CommonText
    chance: float | None = None

    def after(self, situation: Situation, decision: Decision) -> "Common":
        """Give what the slots share behind this one, where that was decided."""
        if decision.holdout is None:
            return self
        chances, baseline = decision.probabilities, situation.baseline
        return replace(self, chance=later_chance(decision.holdout.chance, chances, baseline=baseline, chosen=decision.chosen))

    def encoded(self, situation: Situation) -> EncodedSituation:
        """Encode one of them."""
        return self.rows.encode(situation.context[self.objects :])

    def written(self, situation: Situation) -> bytes:
        """Write one of them."""
        return self.text.situation(situation, situation.context[self.objects :])


@dataclass(frozen=True, slots=True)
class Estimate:
    """What was computed of a situation together with others: its encoding, and the policy's probabilities (None: they are not needed)."""

    encoded: EncodedSituation
    probabilities: tuple[float, ...] | None


class Decider:
    """Decides by what is served; remembers actions met lately, which changes nothing in what it decides."""

    def __init__(self, encoders: Encoders | None = None) -> None:
        self._encoders = encoders or Encoders()

    def decide(  # noqa: PLR0913 - it is all that a decision is made of
        self,
        situation: Situation,
        served: Served,
        *,
        event_id: str,
        at: datetime,
        deferred: bool,
        common: Common | None = None,
        shown: str | None = None,
        estimate: Estimate | None = None,
    ) -> Decision:
        """Choose an action; the same event id, slot, situation and model give the same choice.

        ``common`` is what the situation shares with others of its call; but for its chance it changes nothing in what is decided.
        ``shown`` is the id of the action that a client has chosen: it is taken if rounding alone may have made a difference. An
        ``estimate`` of `estimates` saves the work.
        """
        known = None
        if estimate is not None:
            encoded, text, known = estimate.encoded, situation_text(situation), estimate.probabilities
        elif common is None:
            encoded, text = self._encoders.of(served.model.interactions).encode(situation), situation_text(situation)
        else:
            encoded, text = common.encoded(situation), common.written(situation)
        chance = None if common is None else common.chance
        place = _place(situation, shown)
        choice = choose(situation, encoded, basis=served, event_id=event_id, chance=chance, shown=place, probabilities=known)
        proposal = choice.proposal
        return Decision(
            event_id=event_id,
            decided_at=at,
            model_version=served.version,
            mode=served.settings.learning_mode,
            probabilities=choice.probabilities,
            chosen=choice.action,
            deferred=deferred,
            situation=text,
            encoded=encoded.logged(proposal.action if proposal is not None and proposal.is_lesson else choice.action),
            slot=situation.slot,
            proposal=proposal,
            holdout=choice.holdout,
        )

    def estimates(self, asked: Sequence[Situation], served: Served) -> list[Estimate]:
        """Compute together what deciding in each of these situations takes: many are some times faster than one by one."""
        encoder = self._encoders.of(served.model.interactions)
        encoded = [encoder.encode(each) for each in asked]
        if served.settings.learning_mode is LearningMode.LOGGING_ONLY:
            return [Estimate(each, None) for each in encoded]
        chances = policy_of(served).probabilities_of_many(encoded, [each.allowed for each in asked])
        return [Estimate(each, known) for each, known in zip(encoded, chances, strict=True)]

    def scores(self, situation: Situation, served: Served, *, common: Common | None = None) -> tuple[float, ...]:
        """Give what reward the model expects of each action, in request order and without exploration; 0 while it knows nothing."""
        if served.model.is_cold:
            return (0.0,) * len(situation.actions)
        encoded = self._encoders.of(served.model.interactions).encode(situation) if common is None else common.encoded(situation)
        return tuple(served.model.scores(encoded).mean.tolist())

    def common(self, context: Sequence[Features], actions: Sequence[Action], served: Served) -> Common:
        """Encode and write what the situations of one call's slots share."""
        rows = self._encoders.of(served.model.interactions).common(context, actions)
        return Common(len(context), rows, CommonText.of(context, actions))


def _place(situation: Situation, shown: str | None) -> int | None:
    if shown is None:
        return None
    return next((place for place, action in enumerate(situation.actions) if action.id == shown), None)


def best_first(situation: Situation, scores: Sequence[float]) -> tuple[Scored, ...]:
    """Give each action's id with its score, the best first; of equal ones, the first in the request."""
    ids = [action.id for action in situation.actions]
    return tuple(sorted(zip(ids, scores, strict=True), key=lambda each: -each[1]))


def new_event_id() -> str:
    """Make an event id: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)
