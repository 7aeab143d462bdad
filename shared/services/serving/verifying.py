"""Whether what clients decided by themselves is what the service would have decided: each decision is made once more."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

from shared.domain.errors import EventTooLargeError, RequestError
from shared.domain.events import Decision, LearningMode, Situation
from shared.domain.recent import Recent
from shared.domain.slots import MultiSlotSituation
from shared.domain.uploads import Claim, Refusal, RefusalCode, Shown
from shared.services.process.sharing import MARK, Shared
from shared.services.serving.deciding import Decider, Estimate
from shared.services.serving.model_server import Served
from shared.services.serving.multislot import MOST_BYTES, check_multi_slot, decide_slots

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How wrong a client's clock may be."""

TOLERANCE: Final = 0.01
"""The part of it by which a probability may differ from the service's: on other processors the last digits of scores differ."""

MOST_DECISIONS: Final = 5_000
"""Of a batch, those of slots one by one: the work on a batch is bounded."""


@dataclass(frozen=True, slots=True)
class Known:
    """An event that was stored lately: what it was, and when."""

    content: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of a batch's claims: ``known`` are the events of the decisions, by the mark of their ids."""

    decisions: Sequence[Decision]
    repeated: int
    refused: Sequence[Refusal]
    known: Mapping[bytes, Known]

    @property
    def stored(self) -> int:
        """How many events the decisions are of."""
        return len(self.known)


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a batch is judged: when it was sent and came, and how old its decisions may be.

    ``bases`` has, by ticket, what was served then, or why a ticket is worth nothing. ``mode`` is what the loop is in now, for what
    was decided without a ticket, and ``remembers`` for how long an event id is known.
    """

    sent_at: datetime
    now: datetime
    oldest: timedelta
    remembers: timedelta
    mode: LearningMode
    bases: Mapping[str, "Served | tuple[RefusalCode, str]"]


class Verifier:
    """Decides once more, for one thread at a time; remembers what was stored lately, to tell what is repeated from what conflicts."""

    def __init__(self, decider: Decider, *, place: str = "", shared: Shared | None = None) -> None:
        """``place`` tells this life of the loop from all others in what they share."""
        self._decider = decider
        self._place = place.encode()
        self._lately: Recent[Known] = (shared or Shared()).decided

    def verify(self, claims: Sequence[Claim], terms: Terms) -> Verified:
        """Sort a batch's claims; raises `EventTooLargeError` for more than is decided at a time."""
        if sum(len(each.shown) for each in claims) > MOST_DECISIONS:
            raise EventTooLargeError(f"these lines have more than {MOST_DECISIONS} slots to decide on: send fewer lines at a time")
        estimates = self._estimates(claims, terms)
        decisions: list[Decision] = []
        refused: list[Refusal] = []
        known: dict[bytes, Known] = {}
        repeated = size = 0
        for claim in claims:
            made = self._decided(claim, terms, estimates.get(claim.line))
            if isinstance(made, Refusal):
                refused.append(made)
                continue
            mark, content = _digest(claim.event_id.encode(), of=self._place), _content(made)
            before = known.get(mark) or self._known(mark, terms)
            if before is None:
                known[mark] = Known(content, terms.now)
                decisions += made
                size += sum(len(each.situation) for each in made)
            elif before.content == content:
                repeated += 1
            else:
                refused.append(Refusal.of(claim, RefusalCode.CONFLICT, "another decision with this event id was stored"))
            if size > MOST_BYTES:
                raise EventTooLargeError("these lines are too large to be logged together: send fewer lines at a time")
        return Verified(decisions, repeated, refused, known)

    def remember(self, known: Mapping[bytes, Known]) -> None:
        """Take note of what is stored now."""
        for mark, each in known.items():
            self._lately.put(mark, each)

    def _known(self, mark: bytes, terms: Terms) -> Known | None:
        before = self._lately.get(mark)
        return before if before is not None and terms.now - before.at <= terms.remembers else None

    def _estimates(self, claims: Sequence[Claim], terms: Terms) -> dict[int, Estimate]:
        """Compute together, by line, what decisions without slots take that were made by the same."""
        found: dict[int, Estimate] = {}
        for ticket, served in terms.bases.items():
            if isinstance(served, Served):
                asked = {each.line: each.asked for each in claims if each.ticket == ticket and isinstance(each.asked, Situation)}
                found.update(zip(asked, self._decider.estimates([*asked.values()], served), strict=True))
        return found

    def _decided(self, claim: Claim, terms: Terms, estimate: Estimate | None) -> Refusal | list[Decision]:
        """Decide once more, if the claim may be; refuse what does not come out the same."""
        age = terms.sent_at - claim.at
        if age > terms.oldest:
            return Refusal.of(claim, RefusalCode.TOO_OLD, f"was decided more than {_minutes(terms.oldest)} minutes before it was sent")
        if age < -CLOCKS_DIFFER:
            return Refusal.of(claim, RefusalCode.IN_THE_FUTURE, f"was decided {_minutes(-age)} minutes after it was sent")
        basis = terms.bases[claim.ticket]
        if not isinstance(basis, Served):
            return Refusal.of(claim, *basis)
        try:
            made = list(self._again(claim, basis, estimate, at=terms.now - max(age, timedelta(0))))
        except RequestError as error:
            return Refusal.of(claim, RefusalCode.INVALID_LINE, str(error))
        difference = _difference(claim, made)
        if difference:
            return Refusal.of(claim, RefusalCode.NOT_REPRODUCED, difference)
        return made if claim.ticket else [replace(each, mode=terms.mode) for each in made]

    def _again(self, claim: Claim, served: Served, estimate: Estimate | None, *, at: datetime) -> Iterator[Decision]:
        asked, event_id, deferred, shown = claim.asked, claim.event_id, claim.deferred, [each.action_id for each in claim.shown]
        if isinstance(asked, MultiSlotSituation):
            check_multi_slot(served.settings)
            yield from decide_slots(self._decider, asked, served, event_id=event_id, at=at, deferred=deferred, shown=shown)
        else:
            yield self._decider.decide(asked, served, event_id=event_id, at=at, deferred=deferred, shown=shown[0], estimate=estimate)


def _difference(claim: Claim, made: Sequence[Decision]) -> str:
    """Say what came out differently; "" if nothing did."""
    ids = [action.id for action in claim.asked.actions]
    for told, decision in zip(claim.shown, made, strict=True):
        if problem := _differs(told, decision, ids):
            return f"slot {decision.slot!r}: {problem}" if decision.slot else problem
    return ""


def _differs(told: Shown, decision: Decision, ids: Sequence[str]) -> str:
    if told.slot != decision.slot:
        return f"stands where {told.slot!r} was filled"
    chosen, probability = ids[decision.chosen], decision.probabilities[decision.chosen]
    if told.action_id != chosen:
        return f"the service chooses {chosen!r} (probability {probability!r})"
    if not abs(told.probability - probability) <= TOLERANCE * probability:
        return f"the probability of {chosen!r} is {probability!r}, not {told.probability!r}"
    return ""


def _content(made: Sequence[Decision]) -> bytes:
    """Tell decisions of one event from others with its id."""
    return _digest(b"".join([part for each in made for part in _parts(each)]))


def _parts(each: Decision) -> tuple[bytes, ...]:
    head = b"%d %d %d %b " % (each.chosen, each.deferred, len(each.situation), each.model_version.encode())
    return head, each.situation, array("d", each.probabilities).tobytes()


def _digest(text: bytes, *, of: bytes = b"") -> bytes:
    return blake2b(text, digest_size=MARK, key=of).digest()


def _minutes(span: timedelta) -> int:
    return round(span / timedelta(minutes=1))
