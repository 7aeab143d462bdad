"""What another service's loop was set to becomes a loop's own, once: what its owner decided here stays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.domain.loop import LearningPolicy, LoopRecord, LoopSettings
from shared.services.loops.configuring import MirrorCheck, configured, with_policy

SAFE: Final = frozenset({"log_retention_days", "log_mirror_enabled", "is_auto_optimization_enabled"})
"""What is set lest an import be lost, whether or not a configuration is taken over: it does not tell that one was."""

_BESIDE: Final = frozenset({"policy", "edited_at", "resets"})
_MODE: Final = "learning_mode"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be taken over: fields of `LoopSettings`, and the policy, if there was one."""

    settings: Mapping[str, Any]
    policy: LearningPolicy | None = None

    @property
    def is_whole(self) -> bool:
        """Whether there was a configuration."""
        return bool(self.settings.keys() - SAFE)


def to_take(record: LoopRecord, wanted: Wanted, *, again: bool = False) -> tuple[Mapping[str, Any], LearningPolicy | None]:
    """Tell what of it the loop's owner has not decided yet: some of the settings, and the policy or None.

    A configuration is taken as a whole or, but for the `SAFE` settings, not at all, lest one come back that the owner has unset.
    """
    if again:
        return wanted.settings, wanted.policy
    preset = record.tier.preset
    own = {name for name, value in record.overrides.items() if name not in _BESIDE and not (name in preset and preset[name] == value)}
    wished = wanted.settings.keys() & SAFE if own - SAFE else wanted.settings.keys()
    settings = {name: value for name, value in wanted.settings.items() if name in wished - own}
    return settings, None if "policy" in record.overrides else wanted.policy


def taken_over(
    record: LoopRecord, wanted: Wanted, *, again: bool, defaults: LoopSettings, check_mirror: MirrorCheck, now: datetime
) -> LoopRecord:
    """Give the record with what `to_take` tells, all of it stored, be it as the app's settings have it: they may change.

    Raises as `configured` and `with_policy`.
    """
    settings, policy = to_take(record, wanted, again=again)
    first = {name: value for name, value in settings.items() if name != _MODE}
    for changes in (first, settings):  # the mode cannot change together with what rewards are
        record = configured(record, changes, defaults=defaults, check_mirror=check_mirror, now=now)
    record = replace(record, overrides={**settings, **record.overrides})
    if policy is None:
        return record
    record = with_policy(record, policy, defaults=defaults, now=now)
    return replace(record, overrides={"policy": policy, **record.overrides})
