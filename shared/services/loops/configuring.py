"""A loop's configuration and policy: what may be changed to what, and what a change has for consequences.

The rules are docs/concepts/configuration.md's.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from shared.domain.changes import Change as MadeChange
from shared.domain.changes import newest_first
from shared.domain.clock import Clock
from shared.domain.conditions import ANY, Condition, tag_of
from shared.domain.errors import (
    AutoOptimizationError,
    InvalidConfigurationError,
    InvalidLearningModeChangeError,
    InvalidLogRetentionDaysError,
    InvalidModelRetrainDaysError,
    InvalidRewardWaitTimeError,
    InvalidSasUriError,
    RequestError,
    ResourceNotFoundError,
)
from shared.domain.loop import HOLDOUT_RANGE, LONGEST_EXPORT, LONGEST_WAIT, LearningPolicy, LoopRecord, LoopSettings, is_holdout
from shared.domain.mirror import expires_at
from shared.domain.ports import LoopStore
from shared.learning.arguments import is_multi_slot, parse_arguments
from shared.services.loops.records import Telling, edit
from shared.services.serving.model_server import ModelServer

REWARD_SETTINGS: Final = ("reward_wait", "default_reward", "reward_aggregation")
"""What was learned under another value of these is not what would be learned now.

The learning mode is none of them: what an event teaches was logged with it.
"""

_DAY: Final = timedelta(days=1)
_MOST_DAYS: Final = 2**31 - 1
_OPTIMIZATION: Final = (timedelta(hours=1), timedelta(days=365))

MirrorCheck = Callable[[str], None]
"""Raises `InvalidSasUriError` for an address that logs cannot be mirrored to."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed: fields of `LoopSettings`, and the policy (None: it stays).

    ``unset`` are fields that the loop is to have no value of its own of any more. ``owns_unchanged`` says that a value that is in force
    already becomes the loop's own as well.
    """

    settings: Mapping[str, Any]
    policy: LearningPolicy | None = None
    owns_unchanged: bool = False
    unset: Collection[str] = ()


def configured(
    record: LoopRecord, changes: Mapping[str, Any], *, defaults: LoopSettings, check_mirror: MirrorCheck, now: datetime
) -> LoopRecord:
    """Give the record with these fields of `LoopSettings` changed; those that are as they were stay as they are stored.

    Raises a `RequestError` that names the field whose value, or whose combination with others, cannot be.
    """
    old = record.settings(defaults)
    new = {name: value for name, value in changes.items() if value != getattr(old, name)}
    if not new:
        return record
    _check_ranges(new)
    _check_mode(new)
    changed = record.overriding({**new, "edited_at": now, "resets": old.resets + any(name in new for name in REWARD_SETTINGS)})
    settings = changed.settings(defaults)
    _check_combinations(settings, check_mirror)
    if settings.log_mirror_enabled and new.keys() & {"log_mirror_enabled", "log_mirror_sas_uri"}:
        _check_expiry(settings.log_mirror_sas_uri, now)
    return changed


def owned(
    record: LoopRecord, changes: Mapping[str, Any], *, defaults: LoopSettings, check_mirror: MirrorCheck, now: datetime
) -> LoopRecord:
    """Give the record with all of these fields of `LoopSettings` as the loop's own, also those whose value was in force already.

    The app's settings may change: then these stay. Raises as `configured`.
    """
    changed = configured(record, changes, defaults=defaults, check_mirror=check_mirror, now=now)
    unchanged = {name: value for name, value in changes.items() if name not in changed.overrides}
    return changed.overriding({**unchanged, "edited_at": now}) if unchanged else changed


def unset(record: LoopRecord, names: Collection[str], *, defaults: LoopSettings, check_mirror: MirrorCheck, now: datetime) -> LoopRecord:
    """Give the record without these fields of `LoopSettings` of its own: the app's are in force then, or those of its tier.

    Raises as `configured` for what cannot be together.
    """
    preset = {name: value for name, value in record.tier.preset.items() if record.life and name in names}
    bare = replace(record, overrides={**preset, **{name: value for name, value in record.overrides.items() if name not in names}})
    if bare.overrides == record.overrides:
        return record
    old, new = record.settings(defaults), bare.settings(defaults)
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    _check_mode(changed)
    _check_combinations(new, check_mirror)
    return bare.overriding({"edited_at": now, "resets": old.resets + any(name in changed for name in REWARD_SETTINGS)})


def with_policy(record: LoopRecord, policy: LearningPolicy, *, defaults: LoopSettings, now: datetime) -> LoopRecord:
    """Give the record with this policy; the model stays, unless other features or crosses are used by it than before.

    Raises `InvalidPolicyConfigurationError` or `AutoOptimizationError`.
    """
    parse_arguments(policy.arguments)
    old = record.settings(defaults)
    if policy == old.policy:
        return replace(record, has_apps_policy=False).overriding({"policy": policy}) if record.has_apps_policy else record
    if old.is_auto_optimization_enabled and is_multi_slot(policy.arguments):
        raise AutoOptimizationError(
            "arguments: a policy for several slots (--ccb_explore_adf) needs isAutoOptimizationEnabled to be false first",
            target="arguments",
        )
    changes = {"policy": policy, "edited_at": now}
    if parse_arguments(policy.arguments).interactions != parse_arguments(old.policy.arguments).interactions:
        changes["resets"] = old.resets + 1
    return replace(record, has_apps_policy=False).overriding(changes)


def with_apps_policy(record: LoopRecord, name: str, *, defaults: LoopSettings, now: datetime) -> LoopRecord:
    """Give the record with the app's own arguments, also where they change later, under this name; raises as `with_policy`."""
    return replace(with_policy(record, LearningPolicy(name, defaults.policy.arguments), defaults=defaults, now=now), has_apps_policy=True)


_BESIDE_CONFIGURATION: Final = {"name", "policy", "resets", "edited_at"}


def configuration_tag(settings: LoopSettings) -> str:
    """Give the tag of a configuration, which changes with every value in it, and with nothing else."""
    return tag_of(*(getattr(settings, each.name) for each in fields(settings) if each.name not in _BESIDE_CONFIGURATION))


def policy_tag(policy: LearningPolicy) -> str:
    """Give the tag of a learning policy."""
    return tag_of(policy.name, policy.arguments)


class Configurator:
    """Reads and changes the settings of one loop; what is changed is served by this process at once, by others within a poll."""

    def __init__(self, store: LoopStore, models: ModelServer, *, defaults: LoopSettings, clock: Clock, check_mirror: MirrorCheck) -> None:
        self._store = store
        self._models = models
        self._defaults = defaults
        self._clock = clock
        self._check_mirror = check_mirror

    async def read(self) -> LoopSettings:
        """Give the settings in force, as they are stored now."""
        stored = await self._store.read(self._defaults.name)
        return self._defaults if stored is None else _there(stored[0]).settings(self._defaults)

    async def changes(self, *, most: int) -> Sequence[MadeChange]:
        """Tell what was changed in the loop, the newest first, and at most so much."""
        stored = await self._store.read(self._defaults.name)
        record = LoopRecord(self._defaults.name) if stored is None else _there(stored[0])
        return newest_first(await self._store.changes(record), most=most)

    async def configure(self, changes: Mapping[str, Any], *, only_if: Condition = ANY) -> LoopSettings:
        """Change these fields of `LoopSettings`; raises as `configured`, and `PreconditionFailedError`."""

        def change(record: LoopRecord) -> LoopRecord:
            return configured(record, changes, defaults=self._defaults, check_mirror=self._check_mirror, now=self._clock.now())

        return await self.edit(lambda record: self._only_if(only_if, record, change(record)))

    async def own(self, changes: Mapping[str, Any], *, only_if: Condition = ANY) -> LoopSettings:
        """Change these fields of `LoopSettings`, and keep those that stay as they are as the loop's own too.

        Raises as `owned`, and `PreconditionFailedError`.
        """

        def change(record: LoopRecord) -> LoopRecord:
            return owned(record, changes, defaults=self._defaults, check_mirror=self._check_mirror, now=self._clock.now())

        return await self.edit(lambda record: self._only_if(only_if, record, change(record)))

    async def unset(self, names: Collection[str], *, only_if: Condition = ANY) -> LoopSettings:
        """Go back to the app's own of these fields of `LoopSettings`; raises as `unset`, and `PreconditionFailedError`."""
        return await self.edit(lambda record: self._only_if(only_if, record, self._without(record, names)))

    def _only_if(self, only_if: Condition, record: LoopRecord, changed: LoopRecord) -> LoopRecord:
        """Give the changed record; one that is as it was has no condition, so a call whose answer was lost can be repeated."""
        if changed != record:
            only_if.check(configuration_tag(record.settings(self._defaults)), "the configuration")
        return changed

    def _without(self, record: LoopRecord, names: Collection[str]) -> LoopRecord:
        return unset(record, names, defaults=self._defaults, check_mirror=self._check_mirror, now=self._clock.now())

    def changed(self, record: LoopRecord, change: Change) -> LoopRecord:
        """Give the record as a change would make it; what it unsets is first. Raises as `unset`, `configure`, `own` and `set_policy`."""
        now, make = self._clock.now(), owned if change.owns_unchanged else configured
        bare = self._without(record, change.unset)
        new = make(bare, change.settings, defaults=self._defaults, check_mirror=self._check_mirror, now=now)
        return new if change.policy is None else with_policy(new, change.policy, defaults=self._defaults, now=now)

    async def tried(self, change: Callable[[LoopRecord], LoopRecord]) -> tuple[LoopSettings, LoopSettings]:
        """Give the settings as they are and as a change of the record would make them, and change nothing; raises what that raises."""
        stored = await self._store.read(self._defaults.name)
        record = LoopRecord(self._defaults.name) if stored is None else _there(stored[0])
        return record.settings(self._defaults), change(record).settings(self._defaults)

    async def set_policy(self, policy: LearningPolicy, *, only_if: Condition = ANY) -> LearningPolicy:
        """Explore by this policy from now on; raises as `with_policy`, and `PreconditionFailedError`."""
        return await self._with_policy(partial(with_policy, policy=policy), only_if)

    async def reset_policy(self, *, only_if: Condition = ANY) -> LearningPolicy:
        """Go back to the arguments of the app, under a new random name as Azure gave; raises as `set_policy`.

        If the app's arguments change, the loop's do, as those of a loop whose policy was never set.
        """
        return await self._with_policy(partial(with_apps_policy, name=secrets.token_hex(16)), only_if)

    async def _with_policy(self, make: Callable[..., LoopRecord], only_if: Condition) -> LearningPolicy:
        def change(record: LoopRecord) -> LoopRecord:
            changed = make(record, defaults=self._defaults, now=self._clock.now())
            if changed != record:
                only_if.check(policy_tag(record.settings(self._defaults).policy), "the policy")
            return changed

        return (await self.edit(change)).policy

    async def edit(self, change: Callable[[LoopRecord], LoopRecord]) -> LoopSettings:
        """Change the loop's record as by `shared.services.loops.records.edit`, and serve what came of it."""
        telling = Telling(self._defaults, self._clock)
        record = await edit(self._store, self._defaults.name, lambda record: change(_there(record)), telling=telling)
        await asyncio.to_thread(self._models.refresh)
        return record.settings(self._defaults)


def _there(record: LoopRecord) -> LoopRecord:
    if not record.is_there:
        raise ResourceNotFoundError(f"there is no loop {record.name[:40]!r}")
    return record


# --- rules -----------------------------------------------------------------------------------------------------------

_FIELDS: Final[Mapping[str, str]] = {
    "reward_wait": "rewardWaitTime",
    "default_reward": "defaultReward",
    "reward_aggregation": "rewardAggregation",
}


def _check_mode(changed: Collection[str]) -> None:
    if "learning_mode" in changed and (together := [name for name in REWARD_SETTINGS if name in changed]):
        names = " and ".join(_FIELDS[name] for name in together)
        raise InvalidLearningModeChangeError(
            f"learningMode: cannot be changed together with {names}; make two calls", target="learningMode"
        )


def _check_ranges(new: Mapping[str, Any]) -> None:
    """Refuse values that no other setting could make possible."""
    for name, (field, low, high, words, error) in _RANGES.items():
        if name in new and not low <= new[name] <= high:
            raise error(f"{field}: must be {words}", target=field)
    if not is_holdout(new.get("holdout_percentage", 0.0)):
        raise InvalidConfigurationError(f"holdoutPercentage: must be {HOLDOUT_RANGE}", target="holdoutPercentage")


_RANGES: Final[Mapping[str, tuple[str, Any, Any, str, type[RequestError]]]] = {
    "reward_wait": ("rewardWaitTime", timedelta(seconds=1), LONGEST_WAIT, "from 1 second to 30 days", InvalidRewardWaitTimeError),
    "default_reward": ("defaultReward", -1.0, 1.0, "from -1 to 1", InvalidConfigurationError),
    "exploration_percentage": ("explorationPercentage", 0.0, 1.0, "from 0 to 1", InvalidConfigurationError),
    "model_export_frequency": (
        "modelExportFrequency",
        timedelta(seconds=1),
        LONGEST_EXPORT,
        "from 1 second to 1 day",
        InvalidConfigurationError,
    ),
    "log_retention_days": ("logRetentionDays", -1, _MOST_DAYS, "-1 or a number of days", InvalidLogRetentionDaysError),
    "model_retrain_days": ("modelRetrainDays", 0, _MOST_DAYS, "0 or a number of days", InvalidModelRetrainDaysError),
    "auto_optimization_frequency": ("autoOptimizationFrequency", *_OPTIMIZATION, "from 1 hour to 365 days", InvalidConfigurationError),
}


_OF_THE_CONTRACT: Final = "https://testblob.blob.core.windows.net/container?se=2020-08-13T00%3A00Z&"


def _check_expiry(uri: str, now: datetime) -> None:
    """Refuse a signature that is over already. One that ends later hinders no other change: the mirror's state tells of it.

    The address in the published contract's examples is taken as the contract says, though its signature ended in 2020.
    """
    end = expires_at(uri)
    if end is not None and end <= now and not uri.startswith(_OF_THE_CONTRACT):
        raise InvalidSasUriError(
            f"logMirrorSasUri: the signature expired at {end:%Y-%m-%dT%H:%M:%SZ} (se), so nothing could be written: make a new one,"
            " or set logMirrorEnabled to false",
            target="logMirrorSasUri",
        )


def _check_combinations(settings: LoopSettings, check_mirror: MirrorCheck) -> None:
    """Refuse settings that do not go together."""
    kept, wait = settings.log_retention_days, settings.reward_wait
    fewest = -(-wait // _DAY) + 1
    if kept != -1 and kept < fewest:
        raise InvalidLogRetentionDaysError(
            f"logRetentionDays: must be -1, or at least {fewest}: the days of rewardWaitTime, rounded up, and one more",
            target="logRetentionDays",
        )
    if kept != -1 and settings.model_retrain_days > kept:
        raise InvalidModelRetrainDaysError(
            f"modelRetrainDays: must be at most logRetentionDays, which is {kept}", target="modelRetrainDays"
        )
    if settings.log_mirror_enabled or settings.log_mirror_sas_uri:
        if not settings.log_mirror_sas_uri:
            raise InvalidSasUriError("logMirrorSasUri: is needed while logMirrorEnabled is true", target="logMirrorSasUri")
        check_mirror(settings.log_mirror_sas_uri)
    if settings.is_auto_optimization_enabled and is_multi_slot(settings.policy.arguments):
        raise AutoOptimizationError(
            "isAutoOptimizationEnabled: cannot be true while the policy is one for several slots (--ccb_explore_adf)",
            target="isAutoOptimizationEnabled",
        )
