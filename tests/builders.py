"""Decisions, observations and segments with all that does not matter filled in."""

from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.clock import to_micros
from shared.domain.events import Action, Decision, EventKey, LearningMode, Observation, Proposal, Situation
from shared.domain.identity import fingerprint, id_mark, report_id, report_tag
from shared.domain.ledger import Due, Report, Reports, Segment, SegmentHead, SegmentKey
from shared.joining.dsjson import situation_text
from shared.learning.encoding import Encoder

T0 = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def situation(*ids: str, context: dict | None = None) -> Situation:
    actions = tuple(Action(each, ({"topic": f"of {each}", "length": 0.5},)) for each in ids or ("a", "b"))
    return Situation(context=(context or {"user": {"segment": "s1"}},), actions=actions)


_ENCODER = Encoder()


def decision(
    event_id: str = "e1",
    *,
    at: datetime = T0,
    chosen: int = 0,
    probabilities: tuple[float, ...] = (0.75, 0.25),
    deferred: bool = False,
    mode: LearningMode = LearningMode.ONLINE,
    version: str = "",
    asked: Situation | None = None,
    slot: str = "",
    proposal: Proposal | None = None,
) -> Decision:
    asked = asked or situation(*"abcdefghij"[: len(probabilities)])
    asked = replace(asked, slot=slot, baseline_id=asked.actions[0].id) if slot else asked
    return Decision(
        event_id=event_id,
        decided_at=at,
        model_version=version,
        mode=mode,
        probabilities=probabilities,
        chosen=chosen,
        deferred=deferred,
        situation=situation_text(asked),
        encoded=_ENCODER.encode(asked).logged(proposal.action if proposal and proposal.is_lesson else chosen),
        slot=slot,
        proposal=proposal,
    )


def apprentice(event_id: str = "e1", *, proposed: int = 0, chance: float = 0.5, is_lesson: bool = True, **others) -> Decision:
    """A decision of Apprentice mode: the first of two actions was shown."""
    proposal = Proposal(proposed, chance, is_lesson)
    return decision(event_id, mode=LearningMode.APPRENTICE, probabilities=(1.0, 0.0), proposal=proposal, **others)


def observation(event_id: str = "e1", reward: float | None = 1.0, *, at: datetime = T0, slot: str = "", id: str = "") -> Observation:
    return Observation(event_id, at, reward, slot, id_mark(id))


def segment(events: Sequence, *, sealed_at: datetime | None = None, writer: str = "w") -> Segment:
    times = [event.decided_at if isinstance(event, Decision) else event.observed_at for event in events]
    sealed_at = sealed_at or max(times)
    rewards = sum(isinstance(event, Observation) and not event.is_activation for event in events)
    key = SegmentKey(sealed_at, f"{to_micros(sealed_at):016d}-{writer}-000001", f"{sealed_at:%Y%m%d%H%M}-00")
    return Segment(SegmentHead(key, len(events), rewards), tuple(events))


def reports_of(observations: Sequence[Segment[Observation]], *, due: Set[str], counted: Set[str] = frozenset()) -> Reports:
    """What a log tells of these segments: all observations by their events, and the rewards of those that are due, by their names."""
    of: dict[EventKey, list[Report]] = {}
    to_count: list[Due] = []
    for each in observations:
        key = each.head.key
        for index, event in enumerate(each.events or ()):
            name = report_id(key.sealed_at, report_tag(key.name, index))
            of.setdefault(event.key, []).append(Report(name, key.sealed_at, event))
            if event.reward is not None and (key.name in due or name in counted):
                to_count.append(Due(name, key.sealed_at, event.observed_at, fingerprint(event.key)))
    heads = [each.head for each in observations if each.head.key.name in due]
    lost = sum(each.head.rewards for each in observations if each.events is None and each.head.key.name in due)
    in_order = {key: sorted(found, key=lambda report: (report.observation.observed_at, report.sealed_at)) for key, found in of.items()}
    return Reports(in_order, to_count, sum(head.rewards for head in heads), lost)
