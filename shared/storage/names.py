"""Every name in storage: tables, keys and files, each with its loop in it."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.ledger import SegmentKey
from shared.storage.segments import MAX_BYTES, MAX_EVENTS

MODELS = "personalizer-models"
LOGS = "personalizer-logs"

JOBS = "personalizer-jobs"
"""The queue of jobs; the host moves what failed again and again to the one of this name with ``-poison`` behind it."""

POISONED_JOBS = f"{JOBS}-poison"

TRAINING = "personalizer-training"
"""The queue of requests to train a loop, beside the jobs."""

POISONED_TRAINING = f"{TRAINING}-poison"

LOOPS = "loops/"
"""What the names of all loops' files begin with."""

HOURS_FORMAT = 2
"""Of the kept hours of a log; the first had no marks of observations. An hour in another format is not read, but made anew."""

FORMAT = 2
"""Of a segment: its name and what is under it. Names of format 1 do not tell the size, and its sightings have no checksum."""

_ROW = re.compile(r"(?P<at>[0-9]{16})-(?P<writer>[0-9a-z]+)-(?P<number>[0-9]{6,12})-(?P<format>[1-9][0-9]{0,5})-(?P<rest>.*)", re.DOTALL)
_NUMBER = "(0|[1-9][0-9]{0,9})"
_COUNTS = {1: re.compile(f"{_NUMBER}-{_NUMBER}"), 2: re.compile(f"{_NUMBER}-{_NUMBER}-{_NUMBER}")}
_UNTOLD_BYTES = 16 * 1024
"""What an event is taken for where the name does not tell the size: more than most take, and no row was let grow beyond `MAX_BYTES`."""

_DIGITS = re.compile("[0-9]{0,16}")
_TIME_DIGITS = 16
_PARTITION = re.compile("([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})-[0-9]{2,4}")

_TABLE = re.compile("(?P<loop>[a-z][a-z0-9]*)x(?P<generation>[0-9]{4}|[1-9][0-9]{4,8})(?P<kind>[do])(?P<day>[0-9]{8})")


class Kind(StrEnum):
    """The two hot logs."""

    DECISIONS = "d"
    OBSERVATIONS = "o"


@dataclass(frozen=True, slots=True)
class DayTable:
    """One hot log's table of one UTC day.

    A dropped table's name cannot be used again for a while, so names carry a generation.

    >>> DayTable("default", 1, Kind.DECISIONS, date(2026, 11, 22)).name
    'defaultx0001d20261122'
    """

    loop: str
    generation: int
    kind: Kind
    day: date

    @property
    def name(self) -> str:
        """The table's name: letters and digits only, of which the last x parts the loop from the rest; at most 54 of 63 characters."""
        return f"{self.loop}x{self.generation:04d}{self.kind}{self.day:%Y%m%d}"

    @staticmethod
    def parse(name: str) -> "DayTable | None":
        """Inverse of ``name``; None for a table that is not one of ours.

        >>> DayTable.parse("defaultx0001d20261122").day
        datetime.date(2026, 11, 22)
        """
        match = _TABLE.fullmatch(name)
        if match is None:
            return None
        try:
            day = datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=UTC).date()
        except ValueError:
            return None
        return DayTable(match["loop"], int(match["generation"]), Kind(match["kind"]), day)


def partition(sealed_at: datetime, shard: int) -> str:
    """Name the partition: the minute, sortable, and the shard."""
    return f"{sealed_at:%Y%m%d%H%M}-{shard:02d}"


@lru_cache(maxsize=256)
def partition_time(partition_key: str) -> datetime | None:
    """Give when a partition's minute begins; None for what is no partition's name.

    >>> str(partition_time("202605171200-03")), partition_time("202605171260-03"), partition_time("202605171200")
    ('2026-05-17 12:00:00+00:00', None, None)
    """
    match = _PARTITION.fullmatch(partition_key)
    try:
        return datetime(*map(int, match.groups()), tzinfo=UTC) if match else None  # type: ignore[misc, arg-type]  # five numbers
    except ValueError:
        return None


def minute(partition_key: str) -> str:
    """Give the minute's part of a partition's name."""
    return partition_key[:12]


@dataclass(frozen=True, slots=True)
class RowName:
    """A segment's name: sorted by the time it was sealed, unique by its writer's own count of rows.

    It tells how many events and rewards there are as well, so that they are counted by reading keys alone, and how many bytes the
    events take in memory (`shared.storage.segments.approximate_bytes`), so that no reader opens more than it has room for.

    >>> str(RowName(datetime(2026, 5, 17, tzinfo=UTC), "a1b2", 7, count=3, rewards=2, size=900))
    '1778976000000000-a1b2-000007-2-3-2-900'
    """

    sealed_at: datetime
    writer: str
    number: int
    count: int
    rewards: int
    size: int
    version: int = FORMAT

    def __str__(self) -> str:
        name = f"{row_time(self.sealed_at)}-{self.writer}-{self.number:06d}-{self.version}-{self.count}-{self.rewards}"
        return f"{name}-{self.size}" if self.version > 1 else name

    @staticmethod
    def parse(name: str) -> "RowName":
        """Inverse of ``str``, to the letter; raises `NewerFormatError`, or `UnreadableError` for what is no segment's name.

        >>> RowName.parse("1778976000000000-a1b2-000007-1-3-2").size
        49152
        """
        return _parsed(name)


@lru_cache(maxsize=1024)  # a row's name is looked at when it is listed, placed, opened and counted
def _parsed(name: str) -> RowName:
    match = _ROW.fullmatch(name)
    if match is None:
        raise _no_segment(name)
    found = int(match["format"])
    if found > FORMAT:
        raise NewerFormatError("a segment of the log", found=found, known=FORMAT)
    counts = _COUNTS[found].fullmatch(match["rest"])
    if counts is None:
        raise _no_segment(name)
    count, rewards, *told = map(int, counts.groups())
    if rewards > count or count > MAX_EVENTS:
        raise _no_segment(name)
    size = told[0] if told else min(max(count, 1) * _UNTOLD_BYTES, MAX_BYTES)
    return RowName(from_micros(int(match["at"])), match["writer"], int(match["number"]), count, rewards, size, found)


def _is_segment(name: str) -> bool:
    try:
        RowName.parse(name)
    except UnreadableError:
        return False
    return True


def _no_segment(name: str) -> UnreadableError:
    return UnreadableError(f"a row of the log has the name of no segment: {name!r}")


def floor_time(name: str) -> datetime:
    """Give when a row was sealed, by the place of its name among all names: the last time whose `row_time` is not greater than it.

    So what a window's range of names takes in was sealed in that window, whatever the name is.

    >>> str(floor_time("1778976000000000-a1b2-000007-2-3-2-900")), str(floor_time("1778976x"))
    ('2026-05-17 00:00:00+00:00', '2026-05-17 00:16:39.999999+00:00')
    """
    digits = _DIGITS.match(name)
    told = digits[0] if digits else ""
    if len(told) == _TIME_DIGITS:
        return from_micros(int(told))
    if name[len(told) :] > "9":
        return from_micros(int(told.ljust(_TIME_DIGITS, "9")))
    return from_micros(max(int(told.ljust(_TIME_DIGITS, "0")) - 1, 0))


def row_time(sealed_at: datetime) -> str:
    """Give the sealed time's part of a segment's name: what all names from then on are not smaller than."""
    return f"{to_micros(sealed_at):016d}"


def row_range(name: str) -> tuple[str, str]:
    """Give names between which a row is found: its own, or, where that is no segment's and may hold anything, those of its time."""
    if _is_segment(name):
        return name, name
    at = floor_time(name)
    return row_time(at), row_time(at + timedelta(microseconds=1))


def partitions_between(since: datetime, until: datetime) -> tuple[str, str]:
    """Give the partition names ``[first, last)`` that cover ``[since, until)``."""
    return f"{since:%Y%m%d%H%M}", f"{until + timedelta(minutes=1):%Y%m%d%H%M}"


def pointer_file(loop: str) -> str:
    """Name the pointer."""
    return f"loops/{loop}/pointer.json"


def hours_prefix(loop: str, *, version: int | None = HOURS_FORMAT) -> str:
    """Give what the names of the kept hours of a loop's log begin with; without a version, those of all formats."""
    return f"loops/{loop}/hours/" if version is None else f"loops/{loop}/hours/{version}/"


def attempt_file(loop: str) -> str:
    """Name the note of a large window that is under way."""
    return f"loops/{loop}/window.json"


def checkpoint_file(loop: str) -> str:
    """Name the checkpoint of the model that is retrained."""
    return f"loops/{loop}/anew.bin"


def lease_file(loop: str) -> str:
    """Name the file whose lease is the right to train."""
    return f"loops/{loop}/trainer.lease"


def configuration_file(loop: str) -> str:
    """Name the stored configuration that overrides the app's settings."""
    return f"loops/{loop}/configuration.json"


def changes_file(loop: str) -> str:
    """Name the list of what was changed in a loop."""
    return f"loops/{loop}/changes.json"


def usage_file(loop: str, month: str) -> str:
    """Name the count of a month's Rank calls."""
    return f"{LOOPS}{loop}/usage/{month}.json"


def mirror_file(loop: str) -> str:
    """Name the record of how far the log was mirrored."""
    return f"loops/{loop}/mirror.json"


def model_file(loop: str, version: str) -> str:
    """Name a model."""
    return f"{models_prefix(loop)}{version}.npz"


def models_prefix(loop: str) -> str:
    """Give what all model names of a loop begin with."""
    return f"loops/{loop}/models/"


def state_file(loop: str, version: str) -> str:
    """Name the learner behind a model."""
    return f"{states_prefix(loop)}{version}.npz"


def states_prefix(loop: str) -> str:
    """Give what the names of a loop's learners begin with."""
    return f"loops/{loop}/states/"


def figures_file(loop: str, name: str) -> str:
    """Name a file of live figures."""
    return f"{figures_prefix(loop)}{name}.npz.gz"


def figures_prefix(loop: str) -> str:
    """Give what the names of a loop's files of live figures begin with."""
    return f"loops/{loop}/figures/"


def breakdown_file(loop: str, name: str) -> str:
    """Name a file of what was counted by action and feature."""
    return f"{breakdowns_prefix(loop)}{name}.npz.gz"


def breakdowns_prefix(loop: str) -> str:
    """Give what the names of a loop's files of breakdowns begin with."""
    return f"loops/{loop}/breakdown/"


def lookback_file(loop: str, name: str) -> str:
    """Name a file of what a trainer has to remember."""
    return f"{lookbacks_prefix(loop)}{name}.json.gz"


def lookbacks_prefix(loop: str) -> str:
    """Give what the names of the files begin with that a loop's trainers remember by."""
    return f"loops/{loop}/lookback/"


def chunks_prefix(loop: str) -> str:
    """Give what the names of a loop's chunks of the joined log begin with."""
    return f"loops/{loop}/log/"


def quarantine_prefix(loop: str) -> str:
    """Give what the names of the copies of a loop's damaged segments begin with."""
    return f"loops/{loop}/quarantine/"


def quarantine_file(loop: str, table: str, key: SegmentKey) -> str:
    """Name the copy of a segment that does not verify: by time and hash where its name is no segment's, and may be no file's."""
    name = key.name if _is_segment(key.name) else f"{row_time(key.sealed_at)}-{hashlib.sha256(key.name.encode()).hexdigest()}"
    return f"{quarantine_prefix(loop)}{table}/{key.partition}/{name}"


def refused_file(loop: str, at: datetime, digest: str) -> str:
    """Name a copy of lines that were refused at that time, so that it sorts, and is dropped, among the copies of segments of that time."""
    return f"{quarantine_prefix(loop)}decisions/{row_time(at)}-{digest}"


def loop_prefix(loop: str) -> str:
    """Give what the names of all files of a loop begin with."""
    return f"{LOOPS}{loop}/"


def evaluations_prefix(loop: str) -> str:
    """Give what the names of a loop's evaluations begin with."""
    return f"loops/{loop}/evaluations/"


def importances_prefix(loop: str) -> str:
    """Give what the names of a loop's feature importances begin with."""
    return f"loops/{loop}/importances/"


def log_breakdowns_prefix(loop: str) -> str:
    """Give what the names of a loop's breakdowns from the log begin with."""
    return f"loops/{loop}/breakdowns/"


def schedules_prefix(loop: str) -> str:
    """Give what the names of a loop's schedules of evaluations begin with."""
    return f"loops/{loop}/schedules/"


def work_prefix(loop: str) -> str:
    """Give what the names of the files begin with that a loop's analyses work with."""
    return f"loops/{loop}/analyses/"


def job_file(job_id: str) -> str:
    """Name an analysis by the SHA-256 of its id, which is the caller's text: of one length, and safe in a path."""
    return f"{hashlib.sha256(job_id.encode()).hexdigest()}.json"


def training_notes_file() -> str:
    """Name the note of what the trainer's timer last saw of each loop."""
    return "timers/train.json"


def place_file(timer: str) -> str:
    """Name the note of how far a timer came on its way over all loops."""
    return f"timers/{timer}-place.json"


def signing_file() -> str:
    """Name the deployment's key for signing models, with its certificate."""
    return "signing/signer.pem"


def trusted_prefix() -> str:
    """Give what the names of the certificates begin with whose signatures are trusted beside the deployment's own."""
    return "trusted/"
