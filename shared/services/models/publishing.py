"""A version of the model: how it is named, written and described, whoever publishes it."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson

from shared.domain.clock import EPOCH, Clock
from shared.domain.errors import SettingsError, UnreadableError
from shared.domain.ledger import Pointer, Provenance
from shared.domain.loop import LoopSettings, RewardAggregation
from shared.domain.ports import EventLog, ModelStore
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.learner import Learner


@dataclass(frozen=True, slots=True)
class Content:
    """A learner as bytes, ready to be written: all of it for the trainer, and what Rank needs; ``learned`` counts its events."""

    state: bytes
    model: bytes
    learned: int

    @staticmethod
    def of(learner: Learner) -> "Content":
        """Write a learner as bytes."""
        return Content(artifact.dump_state(learner), artifact.dump_model(learner), learner.learned)

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


def settings_text(loop: LoopSettings) -> str:
    """Write what a model was learned under, as JSON in ASCII; nothing in it is secret.

    >>> settings_text(LoopSettings())[:64]
    '{"apprentice_learning":"Imitate","arguments":"--cb_explore_adf",'
    """
    told = {
        "name": loop.name,
        "reward_wait": loop.reward_wait.total_seconds(),
        "default_reward": loop.default_reward,
        "reward_aggregation": loop.reward_aggregation,
        "exploration_percentage": loop.exploration_percentage,
        "learning_mode": loop.learning_mode,
        "apprentice_learning": loop.apprentice_learning,
        "model_export_frequency": loop.model_export_frequency.total_seconds(),
        "model_retrain_days": loop.model_retrain_days,
        "resets": loop.resets,
        "arguments": loop.policy.arguments,
    }
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
