"""What a running analysis keeps: the board, where all of it is planned and its progress noted, and how each lane stands.

Each is one file that is replaced on condition, so a step counts once, however often its message comes and wherever a worker dies.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from shared.domain.clock import EPOCH, to_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.evaluation import PRESENT, Job, JobKind
from shared.evaluation.intervals import Range
from shared.evaluation.series import MINUTES
from shared.joining.chunks import compressed, decompressed
from shared.learning import artifact
from shared.learning.interactions import Interactions
from shared.learning.learner import Learner
from shared.services.analysis.counting_lane import AnyLane, CountingLane
from shared.services.analysis.features import Feature
from shared.services.analysis.lane import Contender, Counts, Lane, Lineup, SlotSums
from shared.services.analysis.results import Found

FORMAT: Final = 1

WITH_PAIRS: Final = 2
"""The format of sums since they compare policies round by round; those of format 1 are read as well."""

_LENGTH: Final = 8
"""Bytes that tell how long a lane's sums are, which stand before its learner."""

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Message:
    """What the queue carries: which step of which lane is to be done. Step 0 plans the job; others count from 1 in each stage."""

    loop: str
    kind: JobKind
    job_id: str
    run: str
    stage: int = 0
    lane: int = 0
    step: int = 0

    def written(self) -> bytes:
        """Write it as JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def read(text: bytes) -> "Message":
        """Inverse of `written`; raises `UnreadableError`."""
        return _read(text, Message, "a message of the queue")


def run_of(kind: JobKind, job: Job) -> str:
    """Name a job's run: another job, later on, of the same id has another one.

    >>> run_of(JobKind.EVALUATION, Job("e1", "", EPOCH, EPOCH, EPOCH))
    '5c644c4aba55c05bf5cf629ebd370e2e'
    """
    return hashlib.sha256(f"{kind}\0{job.id}\0{to_micros(job.created_at)}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


# --- the board ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LanePlan:
    """Whom a lane compares, and on which features it learns; ``begins`` names the lane whose learner it goes on with ("": from nothing).

    ``without``, ``values_kept``, ``counts_by`` and ``beside_present`` are as in `shared.services.analysis.lane.Lineup`.
    """

    contenders: tuple[Contender, ...]
    interactions: str
    begins: str = ""
    without: Feature | None = None
    values_kept: int = 0
    counts_by: str = ""
    beside_present: bool = False

    @property
    def has_present(self) -> bool:
        """Whether it values the loop's present policy."""
        return any(each.name == PRESENT for each in self.contenders)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a lane is: steps done, and chunks of its stage done or left out."""

    step: int = 0
    chunks: int = 0
    is_over: bool = False
    at: datetime = EPOCH


@dataclass(frozen=True, slots=True)
class Stage:
    """Lanes that go side by side over the chunks ``[first, last)``, of which rounds decided in ``[since, until)`` are scored."""

    first: int
    last: int
    since: datetime
    until: datetime
    lanes: tuple[LanePlan, ...]
    progress: tuple[Progress, ...]

    @staticmethod
    def of(lanes: tuple[LanePlan, ...], *, first: int, last: int, since: datetime, until: datetime) -> "Stage":
        """Give a stage that is yet to begin."""
        return Stage(first, last, since, until, lanes, (Progress(),) * len(lanes))

    @property
    def is_over(self) -> bool:
        """Whether all lanes are."""
        return all(each.is_over for each in self.progress)

    @property
    def telling(self) -> int | None:
        """The lane that values the present policy, if others are to be told of it."""
        tells = [place for place, lane in enumerate(self.lanes) if lane.has_present]
        return tells[0] if tells and any(lane.beside_present for lane in self.lanes) else None


@dataclass(frozen=True, slots=True)
class Board:
    """The plan of a run, fixed when it began, and its progress: later commits and settings make no difference.

    ``settings`` are the loop's at that time (JSON text), of which the rewards' are in force for all rounds; ``missing_from`` tells from
    when on decisions had not been joined yet. ``features`` are the most frequent ones, where some were looked for. ``begun`` is when it was
    planned, after it had waited its turn; earlier releases did not say.
    """

    chunks: tuple[str, ...]
    settings: str
    exploration_percentage: float
    stages: tuple[Stage, ...]
    minutes: int = MINUTES
    missing_from: datetime | None = None
    features: tuple[Feature, ...] = ()
    begun: datetime = EPOCH
    format: int = FORMAT

    @property
    def stage(self) -> Stage:
        """The stage that is under way, or was the last."""
        return self.stages[-1]

    def lineup(self, stage: int, lane: int) -> Lineup:
        """Give what a lane compares."""
        planned = self.stages[stage]
        return Lineup(
            planned.lanes[lane].contenders,
            Interactions.read(planned.lanes[lane].interactions),
            exploration_percentage=self.exploration_percentage,
            since=planned.since,
            until=planned.until,
            minutes=self.minutes,
            without=planned.lanes[lane].without,
            values_kept=planned.lanes[lane].values_kept,
            counts_by=planned.lanes[lane].counts_by,
            beside_present=planned.lanes[lane].beside_present,
        )

    def after(self, stage: int, lane: int, progress: Progress) -> "Board":
        """Note a lane's progress; one that is noted already, or more, stays."""
        known = self.stages[stage]
        if known.progress[lane].step >= progress.step:
            return self
        changed = replace(known, progress=_with(known.progress, lane, progress))
        return replace(self, stages=_with(self.stages, stage, changed))

    def told(self) -> str:
        """Tell in words how far the run is."""
        planned = [(stage.last - stage.first) * len(stage.lanes) for stage in self.stages]
        done = sum([progress.chunks for stage in self.stages for progress in stage.progress])
        lanes = len(self.stage.lanes)
        which = f"stage {len(self.stages)}, " if len(self.stages) > 1 else ""
        return f"{which}{done} of {sum(planned)} chunks of the log done, in {lanes} lane{'s' * (lanes > 1)}"

    def written(self) -> bytes:
        """Write it as JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def read(text: bytes) -> "Board":
        """Inverse of `written`; raises `UnreadableError`, or `NewerFormatError`."""
        return _read(text, Board, "the plan of an analysis")


def _with(items: tuple[Read, ...], place: int, item: Read) -> tuple[Read, ...]:
    return (*items[:place], item, *items[place + 1 :])


def lane_file(stage: int, lane: int) -> str:
    """Name the file of a lane."""
    return f"lane-{stage}-{lane}"


# --- a lane on its way -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Header:
    """``present`` is the length of what earlier releases kept behind the learner: one of the present policy, for this lane alone."""

    step: int
    chunks: int
    is_over: bool
    left_out: tuple[str, ...]
    counts: Counts
    sums: dict[str, dict[str, Any]]
    rewards: tuple[float, float]
    attempt: str
    values: tuple[float, ...] = ()
    present: int = 0
    format: int = WITH_PAIRS


@dataclass(frozen=True, slots=True)
class Standing:
    """How a lane stands after so many steps: what it has summed, and its learner's state, or what it counts, as bytes.

    ``left_out`` names chunks that could not be used. ``attempt`` tells apart workers that did the same step, of whom one is first.
    """

    step: int = 0
    chunks: int = 0
    is_over: bool = False
    left_out: tuple[str, ...] = ()
    counts: Counts = field(default_factory=Counts)
    sums: Mapping[str, SlotSums] = field(default_factory=dict)
    rewards: Range = field(default_factory=Range)
    state: bytes = b""
    attempt: str = ""
    values: tuple[float, ...] = ()

    @staticmethod
    def of(lane: AnyLane, *, step: int, chunks: int, is_over: bool, left_out: tuple[str, ...]) -> "Standing":
        """Note how a lane stands."""
        state = lane.state()
        counts = replace(lane.counts)
        values = tuple(lane.values.tolist())
        attempt = secrets.token_hex(8)
        return Standing(step, chunks, is_over, left_out, counts, dict(lane.sums), lane.range, state, attempt, values)

    def lane(self, lineup: Lineup) -> AnyLane:
        """Put the lane back on its way; raises `UnreadableError`, or `NewerFormatError`."""
        if lineup.counts_by:
            return CountingLane.of(lineup, replace(self.counts), self.state)
        learner = artifact.load_learner(self.state) if self.state else Learner.cold(lineup.interactions)
        return Lane(lineup, learner, dict(self.sums), replace(self.counts), np.array(self.values, dtype=np.float64))

    def found(self, contenders: tuple[Contender, ...]) -> Found:
        """Give what came of it."""
        return Found(contenders, self.sums, self.rewards, self.values, self.counts, b"" if contenders else self.state)

    def written(self) -> bytes:
        """Write it: sums, compressed, then the learner."""
        sums = {slot: each.plain() for slot, each in self.sums.items()}
        rewards = (self.rewards.lowest, self.rewards.highest)
        header = _Header(
            self.step,
            self.chunks,
            self.is_over,
            self.left_out,
            self.counts,
            sums,
            rewards,
            self.attempt,
            self.values,
        )
        text = compressed(msgspec.json.encode(header))
        return b"".join((len(text).to_bytes(_LENGTH, "little"), text, self.state))

    @staticmethod
    def read(data: bytes) -> "Standing":
        """Inverse of `written`; raises `UnreadableError`, or `NewerFormatError`."""
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        header = _read(decompressed(data[_LENGTH:end]), _Header, "a lane of an analysis", known=WITH_PAIRS)
        return Standing(
            header.step,
            header.chunks,
            header.is_over,
            header.left_out,
            header.counts,
            {slot: SlotSums.of_plain(each) for slot, each in header.sums.items()},
            Range(*header.rewards),
            data[end : len(data) - header.present],
            header.attempt,
            header.values,
        )


# --- what is left at the end -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    contenders: tuple[Contender, ...]
    sums: dict[str, dict[str, Any]]
    rewards: tuple[float, float]
    counted: bytes = b""


@dataclass(frozen=True, slots=True)
class _Report:
    lanes: tuple[_Kept, ...]
    format: int = WITH_PAIRS


def write_found(found: tuple[Found, ...]) -> bytes:
    """Write what all lanes came to, without their learners."""
    kept = [
        _Kept(
            each.contenders,
            {slot: sums.plain() for slot, sums in each.sums.items()},
            (each.rewards.lowest, each.rewards.highest),
            each.counted,
        )
        for each in found
    ]
    return compressed(msgspec.json.encode(_Report(tuple(kept))))


def read_found(data: bytes) -> tuple[Found, ...]:
    """Inverse of `write_found`; raises `UnreadableError`, or `NewerFormatError`."""
    report = _read(decompressed(data), _Report, "the sums of an analysis", known=WITH_PAIRS)
    return tuple(
        [
            Found(
                each.contenders,
                {slot: SlotSums.of_plain(sums) for slot, sums in each.sums.items()},
                Range(*each.rewards),
                counted=each.counted,
            )
            for each in report.lanes
        ]
    )


def _read(text: bytes, kind: type[Read], what: str, *, known: int = FORMAT) -> Read:
    try:
        found = msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError) as cause:
        raise UnreadableError(f"{what} cannot be read: {cause}") from cause
    version = getattr(found, "format", known)
    if version > known:
        raise NewerFormatError(what, found=version, known=known)
    return found
