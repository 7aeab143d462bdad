"""A version of the model: how it is named, written and described, whoever publishes it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import SettingsError, UnreadableError
from shared.domain.ledger import ModelKind, Origin, Pointer, Provenance, Stretch
from shared.domain.loop import LoopSettings, RewardAggregation
from shared.domain.pairs import readable
from shared.domain.ports import EventLog, ModelStore
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.learner import Learner

MOST_STRETCHES: Final = 8
"""How often a model may have been gone back from before its beginning is forgotten: a file's labels have 8 KB in all."""


@dataclass(frozen=True, slots=True)
class Content:
    """A learner as bytes, ready to be written: all of it for the trainer, and what Rank needs; ``learned`` counts its events."""

    state: bytes
    model: bytes
    learned: int

    @staticmethod
    def of(learner: Learner) -> "Content":
        """Write a learner as bytes; raises `NotWrittenError` where Rank could not load them."""
        model = artifact.dump_model(learner)
        readable(model, artifact.load_model, name="a model")
        return Content(artifact.dump_state(learner), model, learner.learned)

    def version(self, sequence: int) -> str:
        """Name it: by the number of its commit, so that names sort, and by what it holds."""
        return f"{sequence:08d}-{self.digest}"

    @property
    def digest(self) -> str:
        """The beginning of the SHA-256 of both parts."""
        return digest(self.state, self.model)


def beginner(loop: LoopSettings) -> Learner:
    """Give the learner that a loop begins with: it knows nothing, and keeps to the interactions of the policy of now."""
    return Learner.cold(parse_arguments(loop.policy.arguments).interactions)


async def beginning(log: EventLog, loop: LoopSettings, *, clock: Clock) -> Pointer:
    """Give what a loop's first commit is made from: nothing is learned, and all that is in the log is still to be."""
    earliest = await log.earliest()
    watermark = earliest or clock.now()
    return Pointer(sequence=0, version="", published_at=EPOCH, watermark=watermark, log=log.epoch, resets=loop.resets)


def digest(*parts: bytes) -> str:
    """Give the first 12 digits of the SHA-256 of these bytes."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()[:12]


async def write_version(store: ModelStore, version: str, content: Content, *, provenance: Provenance) -> None:
    """Write both parts, the state first; nothing points to them yet, and doing so again changes nothing."""
    await store.write_state(version, content.state)
    await store.write_artifact(version, content.model, provenance=provenance)


def line_of(pointer: Pointer, *, at: datetime) -> Origin:
    """Give where the line begins that the model belongs to which is learned next: behind the newest chunk, if it is the first of its line.

    Where a model is there but no beginning of its line is known, an earlier release began it, with the log.
    """
    known = pointer.origin if pointer.origin.at > EPOCH else Origin(at=at)
    return replace(known, chunk=pointer.chunk) if pointer.version == known.version else known


def path_of(version: str, models: Mapping[str, Provenance]) -> tuple[Stretch, ...]:
    """Tell all that a model has learned, in order, beginning with nothing; empty where that is not known, or takes more than is told.

    Models of earlier releases do not tell of what was before their own line. It is looked up in those that are kept.

    >>> trained = Provenance("", EPOCH, EPOCH, "c2", 2, "{}")
    >>> path_of("m3", {"m1": trained, "m3": replace(trained, parent="m1", kind=ModelKind.RESTORED)})
    (Stretch(last='c2', behind='', first='', rewards=''),)
    """
    made_of = models.get(version)
    if made_of is None:
        return ()
    origin, others = made_of.origin, {name: each for name, each in models.items() if name != version}
    match made_of.kind:
        case ModelKind.IMPORTED:
            return ()
        case ModelKind.RESTORED:
            return origin.path or path_of(made_of.parent, others)
        case ModelKind.RETRAINED:
            return (learned_anew(made_of.first, made_of.chunk, made_of.settings),)
        case ModelKind.TRAINED:
            before = origin.path or path_of(origin.version, others)
            return _followed(before, Stretch(made_of.chunk, behind=origin.chunk)) if before or not origin.version else ()


def _followed(path: tuple[Stretch, ...], last: Stretch) -> tuple[Stretch, ...]:
    """Put a stretch behind a path; empty if that is more than is told."""
    before = path[-1] if path else None
    if before is not None and before.last == last.behind and not before.rewards:
        return (*path[:-1], replace(before, last=last.last))
    return (*path, last) if len(path) < MOST_STRETCHES else ()


def learned_anew(first: str, last: str, settings: str) -> Stretch:
    """Give what a model has learned that was begun anew under these settings."""
    try:
        loop = reward_settings(settings)
    except UnreadableError:
        return Stretch(last, first=first, rewards=settings)  # whoever wants to rebuild the model hears of it
    return Stretch(last, first=first, rewards=_text(_rewards(loop)))


def settings_text(loop: LoopSettings) -> str:
    """Write what a model was learned under, as JSON in ASCII; nothing in it is secret.

    >>> settings_text(LoopSettings())[:64]
    '{"apprentice_learning":"Imitate","arguments":"--cb_explore_adf",'
    """
    told = {
        "name": loop.name,
        **_rewards(loop),
        "exploration_percentage": loop.exploration_percentage,
        "learning_mode": loop.learning_mode,
        "apprentice_learning": loop.apprentice_learning,
        "model_export_frequency": loop.model_export_frequency.total_seconds(),
        "model_retrain_days": loop.model_retrain_days,
        "resets": loop.resets,
        "arguments": loop.policy.arguments,
    }
    return _text(told)


def _rewards(loop: LoopSettings) -> dict[str, object]:
    return {
        "reward_wait": loop.reward_wait.total_seconds(),
        "default_reward": loop.default_reward,
        "reward_aggregation": loop.reward_aggregation,
    }


def _text(told: Mapping[str, object]) -> str:
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def reward_settings(text: str) -> LoopSettings:
    """Read back what `settings_text` tells of rewards; the rest is as it is by default. Raises `UnreadableError`."""
    try:
        told = orjson.loads(text)
        return replace(
            LoopSettings(),
            reward_wait=timedelta(seconds=told["reward_wait"]),
            default_reward=float(told["default_reward"]),
            reward_aggregation=RewardAggregation(told["reward_aggregation"]),
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, OverflowError, SettingsError) as cause:
        raise UnreadableError(f"the settings with which a model was learned cannot be read: {cause}") from cause
