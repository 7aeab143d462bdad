"""What the use cases need from the outside world; `shared.storage` provides it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared.domain.events import Decision, EventKey, Observation
from shared.domain.ledger import LogEpoch, Opened, Pointer, Provenance, Reports, Segment, SegmentHead, Sighting, Sought
from shared.domain.loop import LoopRecord, LoopSettings

if TYPE_CHECKING:  # what Rank never sees
    from shared.domain.attempt import Attempt
    from shared.domain.changes import Change
    from shared.domain.checkpoint import AnewProgress, Checkpoint
    from shared.domain.evaluation import Listed
    from shared.domain.models import SignedModel
    from shared.domain.schedules import Schedule
    from shared.domain.uploads import Refusal


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

    @property
    def epoch(self) -> LogEpoch:
        """What this process knows of the log's deletions."""
        ...

    def follow(self, epoch: LogEpoch) -> None:
        """Write and read this epoch's generation from now on, unless a later one is known; any thread may say so."""
        ...

    async def cut(self) -> datetime:
        """Part what this process has sealed so far from what it will seal from that time on; the former is stored, or has failed."""
        ...

    async def generations(self) -> AbstractSet[int]:
        """List the generations that something is stored of."""
        ...

    async def sweep(self, *, settled_for: timedelta) -> int:
        """Drop the tables of older generations that nobody has written to for this long, and tell how many; again does the rest."""
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

    async def reports(
        self,
        since: datetime,
        until: datetime,
        keys: AbstractSet[EventKey],
        *,
        due: Sequence[SegmentHead] = (),
        counted: AbstractSet[str] = frozenset(),
    ) -> Reports:
        """Find all observations of these events in segments sealed in ``[since, until)``, and all rewards in the segments that are due.

        The rewards that ``counted`` names (`Report.id`) are given among those that are due. Memory is bounded by what is found.
        """
        ...

    async def sightings(
        self, since: datetime, until: datetime, marks: AbstractSet[int], *, opened: Opened[Decision] | None = None
    ) -> dict[int, list[Sighting]]:
        """Find all decisions of the events, or of their slots, with these fingerprints, sealed in ``[since, until)`` or in ``opened``.

        What was opened need not be read again; its sightings are given whether or not the log remembers it.
        """
        ...

    async def search(self, event_id: str, since: datetime, until: datetime, *, limit: int) -> Sought:
        """Find the segments that hold decisions of this event, of all its slots, sealed in ``[since, until)``, without opening any.

        Looks from the end backwards, until so many decisions were gone through.
        """
        ...

    async def create_tables(self, day: datetime) -> None:
        """Make room for a day ahead of its first event."""
        ...

    async def drop_tables(self, *, before: datetime) -> int:
        """Forget the days that ended before this time, and tell how many tables went."""
        ...

    async def drop_all(self) -> int:
        """Forget everything, and tell how many tables went."""
        ...


class JoinedLog(Protocol):
    """The joined log, chunk by chunk; what is from before the log was deleted is not there. Raises as `ModelStore` does."""

    async def models(self) -> Mapping[str, Provenance]:
        """Tell of each model that is kept what it was made of."""
        ...

    async def chain(self) -> Sequence[str]:
        """List the chunks that count, in order; raises `UnreadableError` for one that is missing between others."""
        ...

    async def parent(self, name: str) -> str | None:
        """Tell which chunk was before this one ("": it is the first); None if this one is not there any more."""
        ...

    async def chunk(self, name: str) -> bytes:
        """Read a chunk's lines; raises `UnreadableError` when it is not there or not what its name says."""
        ...

    async def head(self, name: str, *, size: int) -> tuple[Sequence[bytes], str] | None:
        """Read the first whole lines of a chunk, at most so many bytes, and tell which chunk was before it; None if it is not there."""
        ...

    async def drop_chunks(self, *, before: datetime | None) -> int:
        """Delete the chunks of windows that ended before this time (None: none of them), oldest first, and what the log's deletion left."""
        ...

    async def drop_quarantined(self, *, before: datetime | None) -> int:
        """Delete the copies of damaged segments in the same way."""
        ...


class Checkpoints(Protocol):
    """Where the loop's one model that is begun anew is kept meanwhile; raises `StorageUnavailableError` as the log does."""

    async def read(self) -> "tuple[Checkpoint, str] | None":
        """Read the checkpoint and its ETag; None when there is none. Raises `NewerFormatError` or `UnreadableError`."""
        ...

    async def progress(self) -> "AnewProgress | None":
        """Tell how far it is without loading it; None when there is none. Raises as `read`."""
        ...

    async def write(self, checkpoint: "Checkpoint", *, expected: str | None) -> str:
        """Replace the checkpoint if its ETag is still ``expected`` (None: if there is none), and give the new ETag.

        Raises `ConflictError` when it is not.
        """
        ...

    async def delete(self, *, expected: str | None = None) -> None:
        """Delete the checkpoint, if it is there, whatever is in it; where an ETag is given, only if it has that."""
        ...


class Attempts(Protocol):
    """The note of a loop's large windows. Raises `StorageUnavailableError`."""

    async def read(self) -> "tuple[Attempt, str] | None":
        """Read the note and its ETag; None when there is none. Raises `NewerFormatError` or `UnreadableError`."""
        ...

    async def write(self, attempt: "Attempt", *, expected: str | None) -> str:
        """Replace the note if its ETag is still ``expected`` (None: if there is none), and give the new ETag; raises `ConflictError`."""
        ...


class ModelStore(Protocol):
    """Where models are published; raises `StorageUnavailableError` as the log does."""

    @property
    def attempts(self) -> Attempts:
        """The note of large windows."""
        ...

    @property
    def checkpoints(self) -> Checkpoints:
        """Where a model that is begun anew is kept until it is published."""
        ...

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

    async def write_chunk(self, name: str, data: bytes, *, parent: str, learned: int | None = None, events: int | None = None) -> None:
        """Write a chunk of the cold log under a name made from its content; writing it again changes nothing.

        ``events`` is the number of its events, ``learned`` that of those that teach something, None if that is not known.
        """
        ...

    async def figures(self, name: str) -> bytes:
        """Read the live figures that a pointer names; raises as `artifact`."""
        ...

    async def write_figures(self, name: str, data: bytes) -> None:
        """Write the live figures under a name that begins with their commit's number and ends with their content's hash."""
        ...

    def figures_kept(self) -> AsyncIterator[str]:
        """List the names of all figures that are there, oldest first."""
        ...

    async def delete_figures(self, name: str) -> None:
        """Delete figures that no pointer names any more; doing so again changes nothing."""
        ...

    async def breakdown(self, name: str) -> bytes:
        """Read the breakdown that a pointer names; raises as `artifact`."""
        ...

    async def write_breakdown(self, name: str, data: bytes) -> None:
        """Write a breakdown under a name that begins with its commit's number and ends with its content's hash."""
        ...

    def breakdowns_kept(self) -> AsyncIterator[str]:
        """List the names of all breakdowns that are there, oldest first."""
        ...

    async def delete_breakdown(self, name: str) -> None:
        """Delete one that no pointer names any more; doing so again changes nothing."""
        ...

    async def lookback(self, name: str) -> bytes:
        """Read what a trainer has to remember, by the name that a pointer has; raises as `artifact`."""
        ...

    async def write_lookback(self, name: str, data: bytes) -> None:
        """Write what a trainer has to remember under a name that begins with its commit's number and ends with its content's hash."""
        ...

    def lookbacks_kept(self) -> AsyncIterator[str]:
        """List the names of all of these files that are there, oldest first."""
        ...

    async def delete_lookback(self, name: str) -> None:
        """Delete one that no pointer names any more; doing so again changes nothing."""
        ...

    async def write_state(self, version: str, data: bytes) -> None:
        """Write the learner behind a model, before the model: where a model is, its state is too. Again changes nothing."""
        ...

    async def write_artifact(self, version: str, data: bytes, *, provenance: Provenance) -> None:
        """Write a model under a version made from its content and its state's; writing it again changes nothing."""
        ...

    async def commit(self, pointer: Pointer, *, expected: str | None) -> str:
        """Replace the pointer if its ETag is still ``expected`` (None: if there is none yet), and give the new ETag.

        What that made needless may be removed before this returns (`shared.services.models.pruning`). Raises `ConflictError` when another
        commit came first.
        """
        ...

    async def replaced(self) -> Mapping[str, str]:
        """Tell of each model that is there which one was published before it ("": none, or that is not known), oldest first."""
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


class PackedModel(Protocol):
    """A signed model that came packed, and takes memory only when it is asked for; raises `InvalidModelImportFormatError`."""

    @property
    def signer(self) -> bytes:
        """The certificate of its signer (X.509, DER)."""
        ...

    @property
    def signature(self) -> bytes:
        """The signature over the model's bytes."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Give the model's bytes a piece at a time."""
        ...

    def model(self) -> bytes:
        """Give all of them."""
        ...


class ModelSigner(Protocol):
    """The deployment's signature on models; raises `StorageUnavailableError`, and `UnreadableError` for a key that is damaged."""

    async def sign(self, model: bytes) -> "SignedModel":
        """Sign a model: the same bytes every time."""
        ...

    async def verify(self, signed: "SignedModel") -> None:
        """Raise `InvalidModelImportSignatureError` unless a trusted key has signed exactly this model."""
        ...

    async def verify_packed(self, packed: PackedModel) -> None:
        """Do so for one that is packed: of a signer that is not trusted nothing is unpacked, and of others a piece at a time."""
        ...


class Sealer(Protocol):
    """Seals what is given to callers and comes back from them; raises as `ModelSigner`."""

    async def seal(self, text: bytes) -> bytes:
        """Give 32 bytes that only this deployment can make of the text: the same every time, in every process."""
        ...


class RefusedLines(Protocol):
    """Where lines of clients that were refused are kept for a person to look at; raises `StorageUnavailableError`."""

    async def keep(self, refused: "Sequence[Refusal]", at: datetime) -> None:
        """Keep a copy of them, of some if they are many."""
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


class ChangeLog(Protocol):
    """What was changed in a loop; raises `StorageUnavailableError`, and `BusyError` where others write all the time."""

    async def begin(self, change: "Change") -> None:
        """Note a change that is about to be made."""
        ...

    async def settle(self, change: "Change") -> None:
        """Confirm one that is made; raises nothing."""
        ...

    async def withdraw(self, change: "Change") -> None:
        """Take the note of one back that was not made; raises nothing."""
        ...


class LoopStore(Protocol):
    """The records of all loops.

    Raises `StorageUnavailableError`, and for what is stored `NewerFormatError` or `UnreadableError`.
    """

    async def read(self, loop: str) -> tuple[LoopRecord, str] | None:
        """Read a loop's record and its ETag; None when there is none."""
        ...

    async def write(self, record: LoopRecord, *, expected: str | None, change: "Change | None" = None) -> str:
        """Replace the record if its ETag is still ``expected`` (None: if there is none yet), and give the new ETag.

        What ``change`` tells is kept with it: whoever dies at any moment leaves no change that nothing tells of. Raises `ConflictError`
        when another write came first.
        """
        ...

    async def changes(self, record: LoopRecord) -> "Sequence[Change]":
        """Give what was changed in this life of the loop, as far as it is kept, the oldest first."""
        ...

    async def names(self) -> Sequence[str]:
        """List the loops that have a record, deleted ones among them, in alphabetical order."""
        ...


class Usage(Protocol):
    """How many calls of a month were granted to the processes that answer them."""

    async def grant(self, month: str, *, wanted: int, limit: int) -> int:
        """Take up to this many of what is left of the month, in one conditional write; gives how many, 0 when nothing is left."""
        ...


class LoopConfiguration(Protocol):
    """The loop's settings: the app's own, overridden by what is stored. Blocking; raises as `ModelFeed`."""

    def read(self) -> LoopSettings:
        """Give the settings in force now."""
        ...


Analysis = TypeVar("Analysis")


class JobStore(Protocol[Analysis]):
    """Where a loop's analyses of one kind are kept, each under its id; raises `StorageUnavailableError` as the log does."""

    async def read(self, job_id: str) -> tuple[Analysis, str] | None:
        """Read an analysis and its ETag; None when there is none of this id. Raises `NewerFormatError` or `UnreadableError`."""
        ...

    async def create(self, analysis: Analysis) -> None:
        """Store an analysis under its id; raises `ConflictError` when there is another one there."""
        ...

    async def replace(self, analysis: Analysis, *, expected: str) -> str:
        """Store an analysis if its ETag is still ``expected``, and give the new ETag; raises `ConflictError` when it is not."""
        ...

    async def delete(self, job_id: str) -> bool:
        """Delete an analysis, and tell whether there was one."""
        ...

    async def listed(self) -> "Sequence[Listed]":
        """List all, the newest first; an entry that cannot be read is left out."""
        ...


class ScheduleStore(Protocol):
    """Where a loop's schedules of evaluations are kept, each under its id; raises `StorageUnavailableError` as the log does."""

    async def read(self, schedule_id: str) -> "tuple[Schedule, str] | None":
        """Read a schedule and its ETag; None when there is none of this id. Raises `NewerFormatError` or `UnreadableError`."""
        ...

    async def write(self, schedule: "Schedule", *, expected: str | None) -> str:
        """Store a schedule if its ETag is still ``expected`` (None: if there is none), and give the new ETag.

        Raises `ConflictError` when another write came first.
        """
        ...

    async def delete(self, schedule_id: str) -> bool:
        """Delete a schedule, and tell whether there was one."""
        ...

    async def count(self) -> int:
        """Tell how many there are, whether or not they can be read."""
        ...

    async def all(self) -> "Sequence[Schedule]":
        """Read all, the oldest first; one that cannot be read is left out."""
        ...


class WorkFiles(Protocol):
    """What a loop's analyses keep while they run and when they are over; raises `StorageUnavailableError` as the log does."""

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """Read a file and its ETag; None when there is none."""
        ...

    async def replace(self, name: str, data: bytes, *, expected: str | None) -> str:
        """Write a file if its ETag is still ``expected`` (None: if there is none), and give the new ETag.

        Raises `ConflictError` when another write came first.
        """
        ...

    async def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        ...

    async def listed(self, prefix: str = "") -> Mapping[str, datetime]:
        """Tell of all files whose names begin so when each was written last."""
        ...


class JobQueue(Protocol):
    """Work to be done soon, by the function that the queue triggers: each message at least once, in any order."""

    async def send(self, message: bytes, *, after: timedelta = timedelta(0)) -> None:
        """Return once the message is stored; nobody gets it before ``after``, at most seven days, has passed.

        Raises `StorageUnavailableError`, after which the message may be there all the same, and `ValueError` for one over 48 KiB.
        """
        ...
