"""What a commit removes: at every moment there is what is needed, and no more than the documentation says, whatever dies or fails."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.clock import EPOCH
from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.domain.ledger import Pointer
from shared.domain.lookback import Lookback
from shared.services.models.pruning import MOST_AFTER_A_COMMIT, Pruned, Pruner
from tests.builders import T0

BEGINNING = Pointer(sequence=0, version="", published_at=EPOCH, watermark=T0)


class Killed(Exception):  # noqa: N818
    """The process is no more."""


@dataclass
class Disk:
    """A loop's files, and what its owner counts on: ``line`` are the models that were published, oldest first."""

    pointer: Pointer = BEGINNING
    models: dict[str, str] = field(default_factory=dict)
    states: set[str] = field(default_factory=set)
    figures: set[str] = field(default_factory=set)
    lookbacks: set[str] = field(default_factory=set)
    breakdowns: set[str] = field(default_factory=set)
    line: list[str] = field(default_factory=list)
    written: int = 0

    def name(self) -> str:
        """Name a file of the next commit."""
        self.written += 1
        return f"{self.pointer.sequence + 1:08d}-{self.written:x}"


class Store:
    """One process's way to the files: each call is looked at, and may be the last, or fail from then on, before or after it is done."""

    def __init__(self, disk: Disk, look: Callable[[Disk], None]) -> None:
        self.disk, self._look = disk, look
        self.calls: list[str] = []
        self.ends_at: int | None = None
        self.end: type[Exception] = Killed
        self.done_first = False

    def _call(self, name: str, do: Callable[[], object] = lambda: None) -> None:
        self.calls.append(name)
        if not self.has_ended or self.done_first:
            do()
            self._look(self.disk)
        if self.has_ended:
            self.done_first = False
            raise self.end("at this call")

    @property
    def has_ended(self) -> bool:
        return self.ends_at is not None and len(self.calls) > self.ends_at

    async def pointer(self) -> tuple[Pointer, str]:
        self._call("read pointer")
        return self.disk.pointer, ""

    async def write(self, version: str, figures: str, lookback: str, breakdown: str) -> None:
        disk = self.disk
        self._call("write figures", lambda: disk.figures.add(figures))
        self._call("write lookback", lambda: disk.lookbacks.add(lookback))
        self._call("write breakdown", lambda: disk.breakdowns.add(breakdown))
        self._call("write state", lambda: disk.states.add(version))
        self._call("write model", lambda: disk.models.__setitem__(version, disk.pointer.version or disk.pointer.previous))

    async def commit(self, new: Pointer, *, before: Pointer) -> None:
        def do() -> None:
            if self.disk.pointer != before:
                raise ConflictError("another came first")
            self.disk.pointer = new
            if new.version and new.version != before.version:
                self.disk.line.append(new.version)

        self._call("commit", do)

    async def figures_kept(self) -> AsyncIterator[str]:
        self._call("list figures")
        for name in sorted(self.disk.figures):
            yield name

    async def lookbacks_kept(self) -> AsyncIterator[str]:
        self._call("list lookbacks")
        for name in sorted(self.disk.lookbacks):
            yield name

    async def breakdowns_kept(self) -> AsyncIterator[str]:
        self._call("list breakdowns")
        for name in sorted(self.disk.breakdowns):
            yield name

    async def states(self) -> AsyncIterator[str]:
        self._call("list states")
        for version in sorted(self.disk.states):
            yield version

    async def replaced(self) -> dict[str, str]:
        self._call("list models")
        return dict(sorted(self.disk.models.items()))

    async def delete_figures(self, name: str) -> None:
        self._call("delete figures", lambda: self.disk.figures.discard(name))

    async def delete_lookback(self, name: str) -> None:
        self._call("delete lookback", lambda: self.disk.lookbacks.discard(name))

    async def delete_breakdown(self, name: str) -> None:
        self._call("delete breakdown", lambda: self.disk.breakdowns.discard(name))

    async def delete(self, version: str) -> None:
        self._call("delete model", lambda: self.disk.models.pop(version, None))
        self._call("delete state", lambda: self.disk.states.discard(version))


class Process:
    """Commits, one after another, as the trainer and the operations on models do."""

    def __init__(self, disk: Disk, look: Callable[[Disk], None], *, kept: int) -> None:
        self.store = Store(disk, look)
        store: Any = self.store
        self.pruner = Pruner(store, models_kept=kept)

    async def _written(self, before: Pointer) -> Pointer:
        """Write all files of a commit, and give its pointer."""
        version, figures, lookback, breakdown = [self.store.disk.name() for _ in range(4)]
        self.pruner.written.states.add(version)
        self.pruner.written.figures.add(figures)
        self.pruner.written.lookbacks.add(lookback)
        self.pruner.written.breakdowns.add(breakdown)
        await self.store.write(version, figures, lookback, breakdown)
        named = replace(before, figures=figures, lookback=lookback, breakdown=breakdown)
        return replace(named, sequence=before.sequence + 1, version=version, previous="")

    async def learn(self) -> None:
        """Commit a window with a model."""
        before = self.store.disk.pointer
        new = await self._written(before)
        await self.store.commit(new, before=before)
        await self.pruner.after(new)

    async def be_swept_past(self, other: "Process") -> None:
        """Commit a window with a model while another process removes what is needless."""
        before = self.store.disk.pointer
        new = await self._written(before)
        await other.pruner.sweep(before)
        await self.store.commit(new, before=before)
        await self.pruner.after(new)

    async def go_by(self) -> None:
        """Commit a window in which nothing was learned."""
        before = self.store.disk.pointer
        new = replace(before, sequence=before.sequence + 1)
        await self.store.commit(new, before=before)
        await self.pruner.after(new)

    async def delete_model(self) -> None:
        before = self.store.disk.pointer
        new = replace(before, sequence=before.sequence + 1, version="", previous=before.version or before.previous)
        await self.store.commit(new, before=before)
        await self.pruner.after(new)

    async def delete_log(self) -> None:
        before = self.store.disk.pointer
        new = replace(before, sequence=before.sequence + 1, figures="", lookback=Lookback())
        await self.store.commit(new, before=before)
        await self.pruner.after(new)

    async def be_overtaken(self, other: "Process") -> None:
        """Write all of a commit, and find that another was faster."""
        before = self.store.disk.pointer
        new = await self._written(before)
        await other.learn()
        with pytest.raises(ConflictError):
            await self.store.commit(new, before=before)
        await self.pruner.overtaken()


@dataclass
class Law:
    """What holds at every storage call: ``left`` are the writers that did not come to their end since one did, ``writing`` those of now."""

    kept: int
    left: int = 0
    writing: int = 1

    def look(self, disk: Disk) -> None:
        published = disk.line[-max(self.kept, 2) :]
        assert set(published) <= disk.models.keys(), "what was published last is there, and what was before it"
        assert disk.models.keys() <= disk.states, "with its state"
        assert disk.pointer.figures in disk.figures or not disk.pointer.figures
        assert disk.pointer.lookback in disk.lookbacks or isinstance(disk.pointer.lookback, Lookback)
        assert disk.pointer.breakdown in disk.breakdowns or not disk.pointer.breakdown
        most = max(self.kept, 2) + self.writing + self.left
        assert len(disk.models) <= most
        assert len(disk.states) <= most
        assert len(disk.figures) <= 1 + self.writing + self.left
        assert len(disk.lookbacks) <= 1 + self.writing + self.left
        assert len(disk.breakdowns) <= 1 + self.writing + self.left

    def at_rest(self, disk: Disk) -> None:
        """Check what is there when a commit came to its end."""
        assert disk.models.keys() == disk.states
        assert len(disk.states) <= max(self.kept, 2)
        assert disk.figures == {disk.pointer.figures} - {""}
        assert disk.breakdowns == {disk.pointer.breakdown} - {""}
        assert disk.lookbacks == ({disk.pointer.lookback} if isinstance(disk.pointer.lookback, str) else set())


STEPS = ["learn", "learn", "learn", "go by", "delete model", "delete log", "be overtaken", "be swept past"]
ENDS = st.none() | st.tuples(st.integers(0, 15), st.booleans(), st.sampled_from([Killed, StorageUnavailableError]))


async def do(step: str, process: Process, other: Process) -> None:
    if step == "be overtaken":
        await process.be_overtaken(other)
    elif step == "be swept past":
        await process.be_swept_past(other)
    else:
        await getattr(process, step.replace(" ", "_"))()


@settings(max_examples=300, deadline=None)
@given(kept=st.integers(1, 5), script=st.lists(st.tuples(st.sampled_from(STEPS), ENDS), max_size=40))
async def test_whatever_dies_or_fails_at_any_call_what_is_needed_is_there_and_little_more(kept, script):
    disk, law = Disk(), Law(kept)
    process, other = (Process(disk, law.look, kept=kept) for _ in range(2))
    for step, end in script:
        process.store.calls.clear()
        process.store.ends_at, process.store.done_first, process.store.end = end or (None, False, Killed)
        law.writing = 2 if step == "be overtaken" else 1
        try:
            await do(step, process, other)
        except Killed:
            process = Process(disk, law.look, kept=kept)
        except StorageUnavailableError:
            pass
        else:
            if not process.store.has_ended:
                law.left = 0
                law.at_rest(disk)
                continue
        law.left += law.writing
    process.store.ends_at, law.writing = None, 1
    await process.learn()
    law.at_rest(disk)


async def test_hundreds_of_commits_within_an_hour_keep_what_one_does_and_one_process_lists_but_once():
    law = Law(20)
    disk = Disk()
    process = Process(disk, law.look, kept=20)
    for _ in range(720):
        await process.learn()
        law.at_rest(disk)
    assert disk.line[-20:] == sorted(disk.models)
    assert [call for call in process.store.calls if call.startswith("list")] == [
        "list figures",
        "list states",
        "list lookbacks",
        "list breakdowns",
        "list models",
    ]


async def test_who_commits_after_others_looks_at_what_they_left():
    law = Law(3)
    disk = Disk()
    one, other = (Process(disk, law.look, kept=3) for _ in range(2))
    for _ in range(5):
        await one.learn()
        await one.learn()
        await other.learn()
        law.at_rest(disk)
    assert other.store.calls.count("list models") == 5


@pytest.mark.parametrize("end", [StorageUnavailableError, Killed])
async def test_a_removal_that_fails_fails_no_commit_and_is_made_up_for(end, caplog):
    law = Law(2, left=3)
    disk = Disk()
    process = Process(disk, law.look, kept=2)
    for _ in range(3):
        await process.learn()
    committed = process.store.calls.index("commit") + 1
    process.store.calls.clear()
    process.store.ends_at, process.store.end = committed, end
    if end is Killed:
        with pytest.raises(Killed):
            await process.learn()
        process = Process(disk, law.look, kept=2)
    else:
        await process.learn()
        assert "left to the next one" in caplog.text
    assert disk.pointer.sequence == 4
    assert len(disk.states) == 3
    process.store.ends_at = None
    await process.pruner.sweep(disk.pointer)
    law.at_rest(disk)
    assert await process.pruner.sweep(disk.pointer) == Pruned(0, 0)


async def test_what_an_earlier_release_left_goes_commit_by_commit_and_with_retention_at_once():
    disk = Disk(line=[f"{number:08d}-0" for number in range(1, 137)])
    disk.models = dict(zip(disk.line, ["", *disk.line], strict=False))
    disk.states, disk.figures = set(disk.line), set(disk.line)
    disk.pointer = replace(BEGINNING, sequence=136, version=disk.line[-1], figures=disk.line[-1])
    process = Process(disk, lambda _: None, kept=20)
    await process.learn()
    assert len(disk.states) == len(disk.models) == 137 - MOST_AFTER_A_COMMIT
    assert sorted(disk.states) == sorted(disk.line)[MOST_AFTER_A_COMMIT:], "the oldest go first"
    for _ in range(3):
        await process.learn()
    Law(20).at_rest(disk)


async def test_what_is_not_known_to_have_replaced_another_is_kept_by_its_age():
    law = Law(3)
    disk = Disk(pointer=replace(BEGINNING, sequence=5, version="00000005-e"))
    disk.models = dict.fromkeys(["00000001-a", "00000002-b", "00000003-c", "00000004-d", "00000005-e"], "")
    disk.states = set(disk.models)
    process = Process(disk, law.look, kept=3)
    law.left = 2
    await process.pruner.sweep(disk.pointer)
    assert sorted(disk.models) == ["00000003-c", "00000004-d", "00000005-e"]
