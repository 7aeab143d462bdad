"""What the use cases need from the outside world; `shared.storage` provides it."""

from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from shared.domain.events import Decision, EventKey, Observation
from shared.domain.ledger import Opened, Pointer, Provenance, Segment, SegmentHead, Sighting
from shared.domain.loop import LoopSettings


class EventLog(Protocol):
    """The hot log: appends in, segments out. Every method raises `StorageUnavailableError` when storage does not serve it."""

    async def append_decision(self, decision: Decision) -> None:
        """Return once the decision is stored.

        Raises `EventTooLargeError`, before anything is stored, and `BacklogFullError`.
        """
        ...

    async def append_decisions(self, decisions: Sequence[Decision]) -> None:
        """Return once these decisions, at least one, are stored in one row: all or none; raises as `append_decision`."""
        ...

    async def append_observation(self, observation: Observation) -> None:
        """Return once the observation is stored; raises as `append_decision`."""
        ...

    async def append_observations(self, observations: Sequence[Observation]) -> None:
        """Return once these observations, at least one, are stored in one row: all or none; raises as `append_decision`."""
        ...

    async def earliest(self) -> datetime | None:
        """Tell from when on the log may hold something; None when it is empty."""
        ...

    def decision_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        """List the segments sealed in ``[since, until)``, a minute at a time, in sealed order."""
        ...

    def observation_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        """List the segments sealed in ``[since, until)``, a minute at a time, in sealed order."""
        ...

    async def decisions(self, heads: Sequence[SegmentHead]) -> Sequence[Segment[Decision]]:
        """Open these segments; those that do not verify come back without events."""
        ...

    async def observations(self, heads: Sequence[SegmentHead]) -> Sequence[Segment[Observation]]:
        """Open these segments; those that do not verify come back without events."""
        ...

    async def observations_between(self, since: datetime, until: datetime) -> Sequence[Segment[Observation]]:
        """Open all segments sealed in ``[since, until)``, in sealed order."""
        ...

    async def sightings(
        self, since: datetime, until: datetime, keys: AbstractSet[EventKey], *, opened: Opened[Decision] | None = None
    ) -> dict[EventKey, list[Sighting]]:
        """Find all decisions of these events, or of their slots, in segments sealed in ``[since, until)``, and in those of ``opened``.

        What was opened need not be read again; its sightings are given whether or not the log remembers it.
        """
        ...

    async def create_tables(self, day: datetime) -> None:
        """Make room for a day ahead of its first event."""
        ...

    async def drop_tables(self, *, before: datetime) -> int:
        """Forget the days that ended before this time, and tell how many tables went."""
        ...


class ModelStore(Protocol):
    """Where models are published; raises `StorageUnavailableError` as the log does."""

    async def pointer(self) -> tuple[Pointer, str] | None:
        """Read the published pointer and its ETag; None before the first commit.

        Raises `NewerFormatError` or `UnreadableError`.
        """
        ...

    async def artifact(self, version: str) -> bytes:
        """Read a published model, which Rank serves; raises `UnreadableError` when it is not there."""
        ...

    async def state(self, version: str) -> bytes:
        """Read the learner that a model was made of, to go on learning; raises as `artifact`."""
        ...

    async def write_chunk(self, name: str, data: bytes, *, parent: str) -> None:
        """Write a chunk of the cold log under a name made from its content; writing it again changes nothing."""
        ...

    async def write_state(self, version: str, data: bytes) -> None:
        """Write the learner behind a model, before the model: where a model is, its state is too. Again changes nothing."""
        ...

    async def write_artifact(self, version: str, data: bytes, *, provenance: Provenance) -> None:
        """Write a model under a version made from its content and its state's; writing it again changes nothing."""
        ...

    async def commit(self, pointer: Pointer, *, expected: str | None) -> str:
        """Replace the pointer if its ETag is still ``expected`` (None: if there is none yet), and give the new ETag.

        Raises `ConflictError` when another commit came first.
        """
        ...

    def versions(self) -> AsyncIterator[str]:
        """List the models that are kept, oldest first."""
        ...

    def states(self) -> AsyncIterator[str]:
        """List the versions whose state is there; one without a model is left from a run that was stopped."""
        ...

    async def delete(self, version: str) -> None:
        """Delete a model and then its state, whichever is there; doing so again changes nothing."""
        ...

    def lease(self) -> AbstractAsyncContextManager[bool]:
        """Hold the right to train while the context lasts; gives False when another holds it."""
        ...


class ModelFeed(Protocol):
    """The published model as a polling thread reads it: blocking calls that move no bytes when nothing is new.

    Raises `StorageUnavailableError`, `NewerFormatError` or `UnreadableError`.
    """

    def news(self) -> Pointer | None:
        """Give the pointer if it has changed since the last call that returned one; otherwise, and before the first commit, None."""
        ...

    def artifact(self, version: str) -> bytes:
        """Read a published model."""
        ...


class LoopConfiguration(Protocol):
    """The loop's settings: the app's own, overridden by what is stored. Blocking; raises as `ModelFeed`."""

    def read(self) -> LoopSettings:
        """Give the settings in force now."""
        ...
