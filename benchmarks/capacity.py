"""``python -m benchmarks.capacity``: what a deployment in Azure takes, computed, for so many Rank calls a second in so many loops.

A model on paper: each constant says where it is from. The table stands in docs/concepts/scalability.md, and a test compares the two.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# --- Azure's published limits ------------------------------------------------------------------------------------------------

ACCOUNT: Final = 20_000
"""Requests a second of a storage account, at least, in every region: *Scalability targets for standard storage accounts*."""

PARTITION: Final = 2_000
"""Entities of 1 KiB a second of a partition of a table: *Scalability targets for Table storage*."""

QUEUE: Final = 2_000
"""Messages a second of a queue: *Scalability targets for Queue storage*."""

INSTANCES: Final = 250
"""Instances of 2 GB, one core each, of all apps of a subscription in a region, before the quota is raised: *Flex Consumption plan*."""

# --- measured here, or assumed -----------------------------------------------------------------------------------------------

CALLS: Final = 250
"""Calls a second of an instance of 2 GB: assumed, see the page; ours are .09 to .17 ms of a processor."""

WRITE: Final = 0.01
"""Seconds that a row takes to be written: assumed. What arrives meanwhile shares the next row."""

LEARNED: Final = 8_800
"""Events a second that one trainer catches up with: `python -m benchmarks behind`, windows of 10,000 events."""

TRAINING: Final = 32
"""Storage calls of training a loop once, `BLOB_WRITES` of which write blobs: measured against Azurite (docs/costs.md)."""

BLOB_WRITES: Final = 8
EVERY: Final = 300.0
"""Seconds between two trainings of a loop that has learned much: `PERSONALIZER_MODEL_EXPORT_FREQUENCY`."""

IDLE: Final = 3.8 / 60
"""Storage calls a second that timers make for each loop: measured against Azurite (docs/costs.md)."""

POLL: Final = 10.0
SELDOM: Final = 600.0
"""Seconds between two polls of a loop that is called at least once a minute in a process, and of one that is not."""

ROWS_READ: Final = 1_000
"""Rows that one call reads."""

IN_TABLES: Final = 600 * 3
IN_THE_LOG: Final = 150 * 90
"""Bytes × days of an event: docs/costs.md."""

# --- prices, as in docs/costs.md ---------------------------------------------------------------------------------------------

MONTH: Final = 30 * 86_400
GB_SECOND: Final = 0.000026
EXECUTION: Final = 0.4e-6
ROW: Final = 0.036e-6
BLOB_READ: Final = 0.5e-6
BLOB_WRITE: Final = 5e-6
GB_IN_TABLES: Final = 0.045
GB_IN_BLOBS: Final = 0.018

CASES: Final = (
    (1, 1),
    (10, 1),
    (100, 1),
    (100, 100),
    (1_000, 1),
    (1_000, 100),
    (1_000, 1_000),
    (10_000, 1),
    (10_000, 100),
    (10_000, 1_000),
)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What ``ranks`` calls a second in ``loops`` take, each with a reward and all loops alike.

    >>> one = Capacity(1, 1)
    >>> one.instances, one.shards, one.deployments
    (1, 1, 1)
    """

    ranks: float
    loops: int

    @property
    def instances(self) -> int:
        """Instances that answer calls."""
        return math.ceil(2 * self.ranks / CALLS)

    @property
    def rows_of_a_log(self) -> float:
        """Rows a second of one of a loop's two logs: one for each event, or as many as its instances can write one after another."""
        return min(self.ranks / self.loops, self.instances / WRITE)

    @property
    def shards(self) -> int:
        """Partitions that a minute of a loop's log has to be spread over."""
        return math.ceil(self.rows_of_a_log / PARTITION)

    @property
    def polls(self) -> float:
        """Conditional reads a second of all HTTP instances."""
        calls_a_minute = 60 * 2 * self.ranks / self.loops / self.instances
        return self.instances * self.loops * 2 / (POLL if calls_a_minute >= 1 else SELDOM)

    @property
    def trainings(self) -> float:
        """Trainings a second; a loop that has less than one event in that time is trained as often as it has one."""
        return self.loops * min(1 / EVERY, self.ranks / self.loops)

    @property
    def rows(self) -> float:
        """Rows a second that are written."""
        return 2 * self.loops * self.rows_of_a_log

    @property
    def operations(self) -> float:
        """Storage calls a second."""
        return self.rows * (1 + 1 / ROWS_READ) + self.polls + self.trainings * TRAINING + self.loops * IDLE

    @property
    def trainers(self) -> float:
        """Instances that train, on an average: a training takes a second at least."""
        return max(self.ranks / LEARNED, self.trainings * 1.0)

    @property
    def shares(self) -> Mapping[str, float]:
        """How much of each limit is used, by its name; a part above 1 is too much for one deployment."""
        return {
            "instances of the region's quota": (self.instances + self.trainers) / INSTANCES,
            "operations of the account": self.operations / ACCOUNT,
            "the trainer of a loop": self.ranks / self.loops / LEARNED,
            "messages of the queue": 2 * self.trainings / QUEUE,
        }

    @property
    def breaks_first(self) -> str:
        """The limit that is nearest."""
        return max(self.shares, key=lambda name: self.shares[name])

    @property
    def deployments(self) -> int:
        """Deployments, each with an account of its own, that keep below the account's limit, and loops that keep below a trainer's."""
        return max(math.ceil(self.shares["operations of the account"]), math.ceil(self.shares["the trainer of a loop"]))

    @property
    def dollars(self) -> float:
        """What a month of this costs, all instances paid all the time on demand, without telemetry."""
        time = (self.instances + self.trainers) * 2 * MONTH * GB_SECOND
        calls = 2 * self.ranks * MONTH * EXECUTION
        tables = self.rows * (1 + 1 / ROWS_READ) * MONTH * ROW + self.ranks * 86_400 * IN_TABLES / 1e9 * GB_IN_TABLES
        reads = self.polls + self.trainings * (TRAINING - BLOB_WRITES) + self.loops * IDLE
        blobs = reads * MONTH * BLOB_READ + self.trainings * BLOB_WRITES * MONTH * BLOB_WRITE
        return time + calls + tables + blobs + self.ranks * 86_400 * IN_THE_LOG / 1e9 * GB_IN_BLOBS


def table(cases: Sequence[tuple[float, int]] = CASES) -> str:
    """Give the table, in Markdown."""
    lines = [
        "| Rank calls a second | loops | HTTP instances | training instances | `PERSONALIZER_LOG_SHARDS` | storage calls a second"
        " | deployments | dollars a month | nearest limit, and how much of it |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in (Capacity(*case) for case in cases):
        share = each.shares[each.breaks_first]
        shown = f"{share:.0%}" if share >= 0.01 else "< 1%"
        lines.append(
            f"| {each.ranks:,} | {each.loops:,} | {each.instances} | {_few(each.trainers)} | {each.shards} | {_few(each.operations)}"
            f" | {each.deployments} | {_few(each.dollars)} | {each.breaks_first}, {shown} |"
        )
    return "\n".join(lines)


def _few(number: float) -> str:
    """Give two digits that count.

    >>> _few(0.0123), _few(1.26), _few(12_345)
    ('.012', '1.3', '12,000')
    """
    digits = 1 - math.floor(math.log10(number)) if number else 0
    rounded = round(number, digits)
    return f"{rounded:,.{max(digits, 0)}f}".removeprefix("0") if rounded < 1 else f"{rounded:,.{max(digits, 0)}f}"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
