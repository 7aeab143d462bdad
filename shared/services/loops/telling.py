"""What a change of a loop's record comes to, for people who ask later what was changed."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shared.domain.changes import Change, ChangeKind, Member, caller
from shared.domain.loop import MAX_ARGUMENTS, OVERRIDABLE, LoopRecord, LoopSettings

_NAMES: Final[Mapping[str, str]] = {"reward_wait": "rewardWaitTime", "auto_optimization_start": "autoOptimizationStartDate"}
"""Fields whose member is not called like them."""

_UNTOLD: Final = frozenset({"policy", "resets", "edited_at"})
_SECRET: Final = frozenset({"log_mirror_sas_uri"})


def told(before: LoopRecord, after: LoopRecord, *, defaults: LoopSettings, now: datetime) -> Change | None:
    """Tell what was changed; None for what is no decision of an owner, as the note that an earlier life is erased."""
    if after.deleted_at is not None:
        return None
    if after.life != before.life:
        return Change(now, caller(), ChangeKind.LOOP_MADE, tuple(_of_settings(LoopSettings(name=after.name), after.settings(defaults))))
    if keys := [*_of_keys(before, after)]:
        return Change(now, caller(), ChangeKind.KEYS, tuple(keys))
    old, new = before.settings(defaults), after.settings(defaults)
    tier = [Member("tier", before.tier.value, after.tier.value)] if before.tier is not after.tier else []
    policy, settings = [*_of_policy(old, new)], [*_of_settings(old, new)]
    if not (tier or policy or settings):
        return None
    kind = ChangeKind.TIER if tier else ChangeKind.SETTINGS if settings else ChangeKind.POLICY
    return Change(now, caller(), kind, (*tier, *settings, *policy))


def _of_settings(old: LoopSettings, new: LoopSettings) -> Iterator[Member]:
    for name in sorted(OVERRIDABLE - _UNTOLD):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            secret = name in _SECRET
            yield Member(_member(name), None if secret else _text(before), None if secret else _text(after))


def _of_policy(old: LoopSettings, new: LoopSettings) -> Iterator[Member]:
    if old.policy != new.policy:
        yield Member("policy", old.policy.arguments[:MAX_ARGUMENTS], new.policy.arguments[:MAX_ARGUMENTS])


def _of_keys(before: LoopRecord, after: LoopRecord) -> Iterator[Member]:
    """Name the keys that are others now; what they are, and their digests, is nobody's to know."""
    if before.client_keys != after.client_keys:
        yield Member("client key", None, None)
    if before.keys != after.keys:
        old = [*before.keys, "", ""]
        changed = [number for number, key in enumerate(after.keys) if key != old[number]]
        yield from [Member(f"key {number + 1}", None, None) for number in changed]


def _member(name: str) -> str:
    """Call a field as the configuration does.

    >>> _member("default_reward"), _member("reward_wait")
    ('defaultReward', 'rewardWaitTime')
    """
    first, *others = name.split("_")
    return _NAMES.get(name, first + "".join(each.capitalize() for each in others))


def _text(value: Any) -> str | None:
    """Write a value as the configuration has it; durations are ISO 8601.

    >>> _text(timedelta(hours=4, seconds=1)), _text(timedelta(days=28)), _text(timedelta(0)), _text(True), _text(0.5)
    ('PT4H1S', 'P28D', 'PT0S', 'true', '0.5')
    """
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.value if isinstance(value, StrEnum) else None if value is None or value == "" else str(value)


def _duration(length: timedelta) -> str:
    hours, rest = divmod(length.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f"{seconds + length.microseconds / 1e6:g}"
    parts = [(hours, f"{hours}H"), (minutes, f"{minutes}M"), (seconds or length.microseconds, f"{fraction}S")]
    time = "".join(text for amount, text in parts if amount)
    days = f"{length.days}D" if length.days else ""
    return f"P{days}T{time}" if time else f"P{days}" if days else "PT0S"
