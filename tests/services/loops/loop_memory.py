"""Records of loops in memory, which can be changed by another at a moment of the test's choice."""

from collections.abc import Callable, Sequence

from shared.domain.changes import Change
from shared.domain.errors import ConflictError
from shared.domain.loop import LoopRecord


class MemoryLoops:
    """`shared.domain.ports.LoopStore`; ``before_write`` runs once before the next write."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[LoopRecord, int]] = {}
        self.writes = 0
        self.told: list[Change] = []
        self.before_write: list[Callable[[], None]] = []

    def __getitem__(self, name: str) -> LoopRecord:
        return self.records[name][0]

    async def read(self, loop: str) -> tuple[LoopRecord, str] | None:
        found = self.records.get(loop)
        return None if found is None else (found[0], str(found[1]))

    async def write(self, record: LoopRecord, *, expected: str | None, change: Change | None = None) -> str:
        if self.before_write:
            self.before_write.pop()()
        present = self.records.get(record.name)
        if expected != (None if present is None else str(present[1])):
            raise ConflictError("another was first")
        self.writes += 1
        self.records[record.name] = (record, self.writes)
        self.told += [change] if change else []
        return str(self.writes)

    async def changes(self, record: LoopRecord) -> Sequence[Change]:
        return self.told

    async def names(self) -> Sequence[str]:
        return sorted(self.records)
