"""The cold log's text: one dsjson line an event, the format of the Vowpal Wabbit tools.

The situation's JSON text is made once, by Rank, and spliced into the line as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import orjson

from shared.domain.errors import UnreadableError
from shared.domain.events import Action, Features, Holdout, JoinedEvent, Observation, Proposal, Situation
from shared.domain.order import chosen_first


def situation_text(situation: Situation) -> bytes:
    """Write context and actions as dsjson's ``c``: the context stands under ``FromUrl``, and slot and baseline under ``_slot``."""
    return _text(orjson.dumps(situation.context), situation, _actions_text(situation.actions))


@dataclass(frozen=True, slots=True)
class CommonText:
    """What the situations of one call's slots share, written once: the actions, and the first objects of the context."""

    context: bytes
    actions: bytes

    @staticmethod
    def of(context: Sequence[Features], actions: Sequence[Action]) -> "CommonText":
        """Write it."""
        return CommonText(orjson.dumps(context)[1:-1], _actions_text(actions))

    def situation(self, situation: Situation, more: Sequence[Features]) -> bytes:
        """Give what `situation_text` does, where ``more`` of the context follow what is shared."""
        objects = b",".join([each for each in (self.context, orjson.dumps(more)[1:-1]) if each])
        return _text(b"[%b]" % objects, situation, self.actions)


def _text(context: bytes, situation: Situation, actions: bytes) -> bytes:
    slot = b',"_slot":' + orjson.dumps({"id": situation.slot, "baseline": situation.baseline_id}) if situation.slot else b""
    return b'{"FromUrl":' + context + slot + b',"_multi":[' + actions + b"]}"


def _actions_text(actions: Sequence[Action]) -> bytes:
    return b",".join([action.text or action_text(action.id, action.features) for action in actions])


def action_text(action_id: str, features: Sequence[Features]) -> bytes:
    """Write an action: its id under ``i`` and its features under ``j``.

    >>> action_text("a", [{"x": 1}])
    b'{"i":{"id":"a"},"j":[{"x":1}]}'
    """
    return bytes(memoryview(orjson.dumps({"i": {"id": action_id}, "j": features})))  # it may be kept: without the writer's room for more


def read_situation(text: bytes) -> Situation:
    """Inverse of `situation_text`, without exclusions (a probability of 0 tells those).

    Raises `UnreadableError` when the text is not of that shape.
    """
    try:
        document = orjson.loads(text)
        context = _features(document["FromUrl"])
        slot = document.get("_slot", {"id": "", "baseline": ""})
        return Situation(
            context=context,
            actions=tuple(_action(each) for each in document["_multi"]),
            slot=str(slot["id"]),
            baseline_id=str(slot["baseline"]),
        )
    except (orjson.JSONDecodeError, LookupError, TypeError) as cause:
        raise _not_a_situation(cause) from cause


_NO_SLOT = orjson.dumps({"id": "", "baseline": ""})


class _Parts(msgspec.Struct):
    context: msgspec.Raw = msgspec.field(name="FromUrl")
    actions: list[msgspec.Raw] = msgspec.field(name="_multi")
    slot: msgspec.Raw = msgspec.field(name="_slot", default=msgspec.Raw(_NO_SLOT))


_PARTS = msgspec.json.Decoder(_Parts)


@dataclass(frozen=True, slots=True)
class SituationParts:
    """A logged situation with its actions unread: texts, which recur, so that who knows one need not read it (`read_action`)."""

    context: tuple[Features, ...]
    actions: tuple[bytes, ...]
    slot: str = ""
    baseline_id: str = ""


def read_parts(text: bytes) -> SituationParts:
    """Do what `read_situation` does, but for the actions; raises `UnreadableError`."""
    try:
        parts = _PARTS.decode(text)
        slot = orjson.loads(bytes(parts.slot))
        return SituationParts(
            context=_features(orjson.loads(bytes(parts.context))),
            actions=tuple([bytes(each) for each in parts.actions]),
            slot=str(slot["id"]),
            baseline_id=str(slot["baseline"]),
        )
    except (msgspec.MsgspecError, orjson.JSONDecodeError, RecursionError, LookupError, TypeError) as cause:
        raise _not_a_situation(cause) from cause


class _Texts(msgspec.Struct):
    context: list[dict[str, msgspec.Raw]] = msgspec.field(name="FromUrl")
    actions: list[msgspec.Raw] = msgspec.field(name="_multi")
    slot: msgspec.Raw = msgspec.field(name="_slot", default=msgspec.Raw(_NO_SLOT))


_TEXTS = msgspec.json.Decoder(_Texts)


class SituationTexts(NamedTuple):
    """A logged situation in texts that recur: its actions (`read_action`), and the pieces of its context (`read_piece`).

    Of each object of the context, every namespace is a piece, and after them all features that stand in none are another one. An encoder
    takes them in this order.
    """

    context: tuple[bytes, ...]
    actions: tuple[bytes, ...]
    baseline_id: str = ""


def read_texts(text: bytes) -> SituationTexts:
    """Take a situation apart, and read nothing of it but its slot; raises `UnreadableError`."""
    try:
        texts = _TEXTS.decode(text)
        return SituationTexts(
            tuple([piece for features in texts.context for piece in _pieces(features)]),
            tuple([bytes(each) for each in texts.actions]),
            str(orjson.loads(bytes(texts.slot))["baseline"]),
        )
    except (msgspec.MsgspecError, orjson.JSONDecodeError, RecursionError, LookupError, TypeError) as cause:
        raise _not_a_situation(cause) from cause


def _pieces(features: Mapping[str, msgspec.Raw]) -> list[bytes]:
    members = [(orjson.dumps(name), bytes(value)) for name, value in features.items()]
    pieces = [b"{%b:%b}" % member for member in members if member[1][:1] == b"{"]
    bare = b",".join([b"%b:%b" % member for member in members if member[1][:1] != b"{"])
    return [*pieces, b"{%b}" % bare] if bare else pieces


def read_piece(text: bytes) -> Features:
    """Read a piece of a context of `read_texts`; raises `UnreadableError`."""
    try:
        return dict(orjson.loads(text))
    except (orjson.JSONDecodeError, TypeError) as cause:
        raise _not_a_situation(cause) from cause


def read_action(text: bytes) -> Action:
    """Read one action of `read_parts`, or of `read_texts`; raises `UnreadableError`."""
    try:
        return _action(orjson.loads(text))
    except (orjson.JSONDecodeError, LookupError, TypeError) as cause:
        raise _not_a_situation(cause) from cause


def _not_a_situation(cause: Exception) -> UnreadableError:
    return UnreadableError(f"a logged situation cannot be read: {cause}")


def _action(document: Mapping[str, Any]) -> Action:
    return Action(str(document["i"]["id"]), _features(document["j"]))


def _features(objects: Iterable[Features]) -> tuple[Features, ...]:
    return tuple([dict(features) for features in objects])


def lines(events: Iterable[JoinedEvent]) -> bytes:
    """Write events as dsjson, a line each; all are joined at once, lest the situations be copied from text to longer text."""
    return b"".join(chain.from_iterable(map(_parts, events)))


def parts_of_lines(events: Iterable[JoinedEvent], *, size: int = 1 << 20) -> Iterator[bytes]:
    """Write events as dsjson, some lines at a time: no more than ``size`` bytes, or one line."""
    waiting: list[bytes] = []
    length = 0
    for event in events:
        written = _parts(event)
        longer = sum(map(len, written))
        if waiting and length + longer > size:
            yield b"".join(waiting)
            waiting, length = [], 0
        waiting += written
        length += longer
    if waiting:
        yield b"".join(waiting)


def line(event: JoinedEvent) -> bytes:
    """Write one event; ``a`` and ``p`` list the actions with the chosen one first, ``a`` counting from 1."""
    return b"".join(_parts(event))


def _parts(event: JoinedEvent) -> tuple[bytes, ...]:
    decision = event.decision
    order = chosen_first(decision.probabilities, decision.chosen)
    head: dict[str, object] = {
        "_label_cost": 0.0 - event.reward,
        "_label_probability": decision.probabilities[decision.chosen],
        "_label_Action": decision.chosen + 1,
        "_labelIndex": decision.chosen,
        "o": [_observation(observation) for observation in event.observations],
        "Timestamp": decision.decided_at,
        "Version": "1",
        "EventId": decision.event_id,
        "Mode": decision.mode,
        "DeferredAction": decision.deferred,
        "a": [index + 1 for index in order],
        "p": [decision.probabilities[index] for index in order],
        "VWState": {"m": decision.model_version},
        "pdrop": event.pdrop,
    }
    if decision.slot:
        head["Slot"] = decision.slot
    if decision.proposal is not None:
        head["Proposed"] = _proposed(decision.proposal)
    if decision.holdout is not None:
        head["Holdout"] = _held(decision.holdout)
    if event.skip is not None:
        head |= {"_skipLearn": True, "SkipReason": event.skip}
    return orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1], b',"c":', decision.situation, b"}\n"


def _proposed(proposal: Proposal) -> dict[str, object]:
    return {"a": proposal.action + 1, "p": proposal.probability, "lesson": proposal.is_lesson}


def _held(holdout: Holdout) -> dict[str, object]:
    return {"share": holdout.share, "p": holdout.chance, "held": holdout.is_held_out}


def _observation(observation: Observation) -> dict[str, object]:
    if observation.is_activation:
        return {"EventId": observation.event_id, "ts": observation.observed_at, "ActionTaken": True}
    return {"EventId": observation.event_id, "ts": observation.observed_at, "v": observation.reward}
