"""The checklist: what of a loop's settings, counters and events keeps it from learning, or should not be sent to it."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.advice.advice import Advice, Code
from shared.advice.personal import personal_kind
from shared.advice.sample import ACTION_ID, ACTIONS, CONTEXT, EVENT_ID, Feature, Sample
from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.checkpoint import AnewProgress
from shared.domain.events import LearningMode, SkipReason
from shared.domain.ledger import Counters
from shared.domain.loop import LoopSettings
from shared.domain.words import count_of, counted

MOST_OF_A_CODE: Final = 5
"""Features that are told with the same advice."""

PATIENCE: Final = timedelta(minutes=10)
"""How much longer than the export frequency something may wait to be learned."""

ENOUGH: Final = 20
"""Events, from which on their like is worth a word."""

MANY: Final = 50
"""Events, from which on it is no chance any more that a feature was always the same, or never."""

APART: Final = timedelta(seconds=2)
"""By which clocks may differ without a word."""

YOUNG: Final = 200
"""Events, up to which probabilities still say little."""

_SHARE: Final = 0.1
_LARGE_SHARE: Final = 0.5
_NEARLY_ALL: Final = 0.95
_LONG: Final = timedelta(days=1)
_MANY_ACTIONS: Final = 20
_FEW_MOMENTS: Final = 2
"""Moments that a context may well name in all of its events: when something begins, and when it ends."""

_WRAPPERS: Final = (
    ("azure-core for Java before 1.33, around BinaryData", {"content.content"}, {"content"}),
    ("org.json, around a JSONObject", {"map", "empty"}, {"map", "empty"}),
    ("System.Text.Json, around a JsonElement that another library writes", {"ValueKind"}, {"ValueKind"}),
)
"""How features look where a client sends its library's own objects: the members that are there, and those that all features stand in."""

_OF_TIME: Final = ("hour", "day", "date", "time", "week", "month", "season", "year", "morning", "moment")
"""In the name of a feature that may well be the same for a while."""


@dataclass(frozen=True, slots=True)
class LoopView:
    """What a loop has come to; `shared.services.loops.progress.Progress` says what the members are.

    ``latest`` counts what happened in the last day that was dealt with, so that what was put right is not told for ever.
    ``mirror_error`` says why the log cannot be copied to its owner's container ("": it can, or is not to be).
    ``clock_ahead`` is how far the clock of the instance that looks is surely ahead of storage's; less than nothing if it is behind.
    ``known`` is how many events the published model has learned, those ``imported`` included, which no counter has.
    """

    settings: LoopSettings
    counters: Counters
    latest: Counters
    apprentice: ApprenticeMetrics
    pending: int
    rewards: int
    lag: timedelta
    known: int = 0
    imported: int = 0
    anew: AnewProgress | None = None
    clock_ahead: timedelta = timedelta(0)
    mirror_error: str = ""


def advise(loop: LoopView, sample: Sample) -> Sequence[Advice]:
    """Go through the checklist; what comes first is to be looked at first. At most 5 features are named with the same advice."""
    found = [*_of_the_way(loop), *_of_rewards(loop, sample), *_of_choices(loop, sample), *_of_features(sample), *_of_patience(loop)]
    order = list(Code)
    return sorted(found, key=lambda advice: order.index(advice.code))


def _of_the_way(loop: LoopView) -> Iterator[Advice]:
    """Tell what keeps events from being learned."""
    counters, wait = loop.counters, _said(loop.settings.reward_wait)
    processed = counters.processed
    if not processed + loop.pending:
        known = f" The model knows {counted(loop.known, 'event')} of the log that was imported." if loop.known and loop.imported else ""
        yield Advice(Code.NOTHING_RANKED, f"No Rank call has been stored yet. Check the endpoint, and the loop in it.{known}")
    if loop.settings.learning_mode is LearningMode.LOGGING_ONLY:
        yield Advice(Code.LOGGING_ONLY, "The learning mode is LoggingOnly. Rank shows your first action, and nothing is learned.")
    if abs(loop.clock_ahead) > APART:
        side = "ahead of" if loop.clock_ahead > timedelta(0) else "behind"
        yield Advice(
            Code.CLOCK_WRONG,
            f"The clock of the instance that answers is at least {_said(abs(loop.clock_ahead))} {side} storage's. Events are logged by "
            "storage's clock. Set the instance's clock.",
        )
    if loop.pending and not processed and not loop.lag:
        waiting = count_of(loop.pending, "decision", ("waits", "wait"))
        yield Advice(Code.WAITING, f"{waiting} for rewards. A decision is learned {wait} after its Rank call.")
    if loop.lag > loop.settings.model_export_frequency + PATIENCE:
        yield Advice(
            Code.TRAINER_BEHIND,
            f"Decisions could have been learned {_said(loop.lag)} ago. The trainer does not run, or it fails. Its log says why.",
        )
    if loop.anew is not None:
        yield Advice(Code.LEARNING_ANEW, f"The model is learned again because settings have changed: {_how_far(loop.anew)}.")
    if loop.mirror_error:
        yield Advice(Code.MIRROR_FAILING, f"The log is not mirrored: {loop.mirror_error}.")
    latest = loop.latest.processed
    not_activated = loop.latest.skipped.get(SkipReason.NOT_ACTIVATED, 0)
    if latest >= ENOUGH and not_activated > _LARGE_SHARE * latest:
        yield Advice(
            Code.NOT_ACTIVATED,
            f"{_percent(not_activated, latest)} of the latest events were ranked with deferActivation and not activated within {wait}. "
            "They are not learned.",
        )
    duplicates = loop.latest.skipped.get(SkipReason.DUPLICATE, 0)
    if latest >= ENOUGH and duplicates > _SHARE * latest:
        yield Advice(
            Code.DUPLICATES,
            f"{_percent(duplicates, latest)} of the latest Rank calls repeated an event id. Only the first call of each id is learned.",
        )


def _of_rewards(loop: LoopView, sample: Sample) -> Iterator[Advice]:
    settings, latest = loop.settings, loop.latest
    is_without = sample.learned >= ENOUGH and not sample.rewarded
    if is_without or (loop.counters.learned >= ENOUGH and not loop.rewards):
        yield Advice(
            Code.NO_REWARDS,
            f"No reward arrived for the latest events. All were learned with the default reward, {settings.default_reward:g}.",
        )
    elif sample.learned >= MANY and sample.distinct_rewards == 1:
        yield Advice(Code.SAME_REWARDS, f"The latest {sample.learned} events all earned the same. No action can be found to be better.")
    if latest.rewards >= ENOUGH and latest.late_rewards > _SHARE * latest.rewards:
        yield Advice(
            Code.LATE_REWARDS,
            f"{_percent(latest.late_rewards, latest.rewards)} of the latest rewards came after the reward wait time, which is "
            f"{_said(settings.reward_wait)}. They are not learned.",
        )
    if latest.rewards >= ENOUGH and latest.unknown_rewards > _SHARE * latest.rewards:
        yield Advice(
            Code.UNKNOWN_REWARDS,
            f"{_percent(latest.unknown_rewards, latest.rewards)} of the latest rewards named an event id that was not ranked.",
        )


def _of_choices(loop: LoopView, sample: Sample) -> Iterator[Advice]:
    settings, metrics = loop.settings, loop.apprentice
    if settings.learning_mode is LearningMode.APPRENTICE:
        imitated, events = sum(metrics.imitated), len(metrics.imitated)
        how_often = f" The policy would have shown the same action in {_percent(imitated, events)} of the latest events." if events else ""
        yield Advice(Code.APPRENTICE, f"The learning mode is Apprentice. Rank shows your first action.{how_often}")
    if settings.learning_mode is LearningMode.ONLINE and settings.exploration_percentage == 0.0:
        yield Advice(Code.NO_EXPLORATION, "The exploration percentage is 0. An action that is not shown now is never tried again.")
    if sample.events >= ENOUGH and not sample.choices:
        yield Advice(Code.ONE_ACTION, "Each Rank call had a single action. There is nothing to choose.")
    if sample.choices >= MANY and sample.actions >= _NEARLY_ALL * sample.offered:
        yield Advice(
            Code.NEW_ACTIONS,
            "Hardly any action id came twice. Use ids of the things that are shown, not ids made for each call.",
        )
    of_actions = [each for each in sample.features if each.side == ACTIONS and each.name != ACTION_ID]
    if sample.choices >= ENOUGH and sample.actions >= _MANY_ACTIONS and not any(each.shared for each in of_actions):
        yield Advice(
            Code.NOTHING_SHARED,
            "No two actions have a feature in common. So the loop cannot use experience with one action for another. Give them categories.",
        )
    if sample.events >= ENOUGH and not sample.with_context:
        yield Advice(Code.NO_CONTEXT, "Rank was called without contextFeatures. So everybody is shown the same.")


def _of_features(sample: Sample) -> Iterator[Advice]:
    learned = [each for each in sample.features if each.name not in {EVENT_ID, ACTION_ID} and not _is_hidden(each.name)]
    for side in (CONTEXT, ACTIONS):
        yield from _of_wrappers(side, [each.name for each in learned if each.side == side])
    different = [each for each in learned if _is_never_the_same(each)]
    yield from _each(Code.ALWAYS_DIFFERENT, different, "is different each time. Experience with one value is no use for the next.")
    same = [each for each in learned if _is_always_the_same(each, sample)]
    over = f" from {_at(sample.since)} to {_at(sample.until)}" if sample.since and sample.until else ""
    yield from _each(Code.NEVER_DIFFERENT, same, f"was the same in all {sample.events} events looked at{over}. It does not help to choose.")
    for kind in dict.fromkeys(each.personal for each in sample.features if each.personal):
        persons = [each for each in sample.features if each.personal == kind]
        yield from _each(Code.PERSONAL_DATA, persons, f"seems to hold {kind}. It is stored with each event. Leave it out.")


def _of_wrappers(side: str, names: Sequence[str]) -> Iterator[Advice]:
    places = _places(names)
    for library, needed, others in _WRAPPERS:
        found = [place for place, inner in places.items() if _are_inside(inner, needed, others)]
        if found:
            where = "" if "" in found else f" in {_listed([place for place in found if not personal_kind('', place)])}"
            yield Advice(
                Code.WRAPPED_FEATURES,
                f"All features of {side}{where} are inside {sorted(others)[-1]!r}. A client's library sends its own objects so "
                f"({library}). Send the features themselves.",
            )


def _places(names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Give the names of all features, under "", and of those in each namespace, without its name."""
    places: dict[str, list[str]] = {"": [*names]}
    for name in names:
        namespace, dot, inner = name.partition(".")
        if dot:
            places.setdefault(namespace, []).append(inner)
    return places


def _are_inside(names: Sequence[str], needed: Set[str], others: Set[str]) -> bool:
    """Whether there are all members that are needed, and each name stands in one of these."""
    inside = [{name.rsplit(".", depth)[0] for depth in range(name.count(".") + 1)} for name in names]
    return needed <= set().union(*inside) and all(each & others for each in inside)


def _listed(places: Sequence[str]) -> str:
    if not places:
        return "a namespace whose name holds it"
    more = len(places) - MOST_OF_A_CODE
    return ", ".join(map(repr, places[:MOST_OF_A_CODE])) + (f" and {counted(more, 'more namespace')}" if more > 0 else "")


def _of_patience(loop: LoopView) -> Iterator[Advice]:
    if loop.settings.reward_wait > _LONG:
        wait = _said(loop.settings.reward_wait)
        yield Advice(Code.LONG_WAIT, f"The reward wait time is {wait}. Today's events are learned after that time.")
    if 0 < loop.known < YOUNG:
        learned = count_of(loop.known, "event", ("has", "have"))
        yield Advice(Code.FEW_EVENTS, f"{learned} been learned. Before some {YOUNG}, probabilities say little.")


def _each(code: Code, features: Sequence[Feature], what: str) -> Iterator[Advice]:
    for each in features[:MOST_OF_A_CODE]:
        name = "" if personal_kind("", each.name) else each.name
        yield Advice(code, f"{name or 'A feature whose name holds it'}, of {each.side}, {what}", name)
    if len(features) > MOST_OF_A_CODE:
        yield Advice(code, f"The same is true of {counted(len(features) - MOST_OF_A_CODE, 'more feature')}.")


def _is_never_the_same(feature: Feature) -> bool:
    """Whether what is told by one value comes to nothing: hardly any comes twice, or it is a moment of the call, which will not."""
    if feature.seen < MANY or not feature.is_identifier:
        return False
    is_moment = feature.side == CONTEXT and feature.is_moment and feature.distinct > _FEW_MOMENTS
    return is_moment or (feature.distinct >= ENOUGH and feature.again <= (1.0 - _NEARLY_ALL) * feature.seen)


def _is_always_the_same(feature: Feature, sample: Sample) -> bool:
    if sample.events < MANY or feature.distinct > 1 or any(word in feature.name.lower() for word in _OF_TIME):
        return False
    return feature.seen >= (sample.events if feature.side == CONTEXT else sample.described)


def _is_hidden(name: str) -> bool:
    """Whether a feature is not learned from: a part of its name begins with ``_``."""
    return any(part.startswith("_") for part in name.split("."))


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _how_far(anew: AnewProgress) -> str:
    if not anew.chunks:
        return "the trainer's next run starts it"
    left_out = f", and {anew.left_out} could not be read" if anew.left_out else ""
    return f"{_percent(anew.done, anew.chunks)} of the log is done{left_out}. Until the new model is ready, the old one is served"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _said(duration: timedelta) -> str:
    """Say how long in the two largest units.

    >>> _said(timedelta(minutes=10)), _said(timedelta(hours=25, seconds=3)), _said(timedelta(milliseconds=1500))
    ('10 minutes', '1 day 1 hour', '2 seconds')
    """
    seconds = round(duration.total_seconds())
    parts: list[str] = []
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    return " ".join(parts[:2]) or "0 seconds"
