"""A deployment is copied loop by loop: what a loop's pointer names comes first, the pointer after that, and all loops' records last.

**A copy is of one moment of each loop.** Its pointer is read before its files and its rows are listed, and written after they were copied:
so whatever the pointer names is there, and so is all that was acknowledged before, in the log or as rows. What goes meanwhile in the
source, and any table that was there before the pointer was read, may have been needed, and then the loop is copied once more, which is
short. Rewards are read before decisions: none comes without its own.

**It can be stopped anywhere and run again.** A mark in the target says whose copy it is and that it is not whole, from before the first
file until after the last record. The next run compares what is there, writes what is missing or differs, and removes what the source has
not any more.

**Nothing is ever mixed.** A target without a mark has to be empty. One with a mark has to be as copies left it: the mark has the digest of
each file that a service would replace, noted before it is written; and a row that the source has not tells of a service as well.

Leases, and messages of the queue, are not copied: what is asked of the queue is asked again by the service's own timer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from shared.domain.errors import SettingsError, StorageUnavailableError, UnreadableError
from shared.storage import names
from shared.storage.copying.counts import Copied
from shared.storage.copying.files import Listed, Unit, copy_files, put_equal, remove_others
from shared.storage.copying.mark import PREFIX, Checked, Mark, MarkFile, check_whole, digest
from shared.storage.copying.rows import check_rows, copy_table, rewards_first
from shared.storage.pointers import read_pointer
from shared.storage.ports import Content, Storage

ROUNDS: Final = 16
"""How often a loop is copied before it is said that it changes too fast."""

_RECORD: Final = "configuration.json"
_POINTER: Final = "pointer.json"
_LEASE: Final = "trainer.lease"
_BOARD: Final = "/board"
_READ_FIRST: Final = (
    "mirror.json",
    "window.json",
    "usage/",
    _POINTER,
    "schedules/",
    "evaluations/",
    "importances/",
    "breakdowns/",
    "changes.json",
)
"""A loop's files that name others or are replaced while it works, in the order in which they are read; boards come after these.

They are written in the other order: what is ahead of what it goes by could not have come about by itself.
"""

_FIXED: Final = ("log/", "hours/", "quarantine/", "models/", "states/", "figures/", "breakdown/", "lookback/")
"""What has the same content under a name for ever."""


class Copier:
    """Copies one deployment; ``told`` is called now and then, and ``done`` says how far it is.

    ``source_id`` tells the source from all other storages, and ``is_thorough`` has every file compared, whatever was noted before.
    """

    def __init__(
        self,
        source: Storage,
        target: Storage,
        *,
        source_id: str,
        is_thorough: bool = False,
        told: Callable[[Copied], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._target = target
        self._source_id = source_id
        self._is_thorough = is_thorough
        self._told = told
        self.done = Copied()

    async def run(self) -> Copied:
        """Copy everything that is not there, and give what was done.

        Raises `SettingsError` for a target that holds anything else or that a service works with, and for a source that holds nothing;
        `StorageUnavailableError` when one of the two cannot be asked, or the source is no whole copy itself or changes too fast.
        """
        await check_whole(self._source)
        if not await _anything(self._source):
            raise SettingsError("the source holds no deployment: is it the right place")
        file = MarkFile(self._target)
        mark = await file.read()
        await self._check(mark)
        self._mark = Mark(self._source_id, is_whole=False, last={} if mark is None else mark.last)
        self._file = file
        await file.write(self._mark)
        last: dict[str, Mapping[str, Content]] = {}
        await self._beside_loops()
        records = await self._all_places(last)
        await self._put_last(records)
        self.done.all_files += len(records)
        await self._remove_loops(set(last))
        kept = {name: frozenset({digest(content.data)}) for files in (*last.values(), records) for name, content in files.items()}
        await file.write(Mark(self._source_id, is_whole=True, last=kept))
        self.done.behind = self._behind()
        return self.done

    def _behind(self) -> float:
        """Give by how many seconds the target's clock is surely behind the source's: what is stored there then is older than it is."""
        here, there = self._source.time.bounds(), self._target.time.bounds()
        return 0.0 if here is None or there is None else max(here[0] - there[1], 0.0)

    # --- is it the right place -------------------------------------------------------------------------------------------

    async def _check(self, mark: Mark | None) -> None:
        if mark is None:
            if strange := await _anything(self._target):
                raise SettingsError(f"the target holds a deployment already ({strange}): name an empty place")
            return
        if mark.source != self._source_id:
            raise SettingsError(f"the target is a copy of another storage ({mark.source}, and not {self._source_id}): name an empty place")
        models = self._target.files(names.MODELS)
        async for entry in models.listing(names.LOOPS):
            if _comes_last(entry.name):
                content = await models.read(entry.name)
                if content is not None and digest(content.data) not in mark.last.get(entry.name, ()):
                    raise SettingsError(
                        f"a service has worked in the target since it was copied ({entry.name} was changed): nothing was"
                        " changed there; name an empty place"
                    )
        if mark.is_whole:  # else no service has worked there; before the mark says that it is none, which would keep the service off
            await check_rows(self._source, self._target)

    # --- parts -----------------------------------------------------------------------------------------------------------

    async def _beside_loops(self) -> None:
        """Copy what belongs to no loop: the signing key and the trusted certificates."""
        tops = {
            (area, f"{top}/")
            for area in (names.MODELS, names.LOGS)
            for storage in (self._source, self._target)
            for top in await storage.files(area).folders("")
        }
        for area, prefix in sorted(tops - {(area, each) for area in (names.MODELS, names.LOGS) for each in (names.LOOPS, PREFIX)}):
            unit = self._unit(area, prefix)
            here = await self._repeatedly(unit, prefix)
            await remove_others(unit, here, self.done)
            self.done.all_files += len(here)

    async def _repeatedly(self, unit: Unit, what: str) -> Listed:
        for _ in range(ROUNDS):
            here = await self._copy(unit, what.rstrip("/"))
            if here is not None:
                return here
        raise _too_fast(what)

    async def _all_places(self, last: dict[str, Mapping[str, Content]]) -> Mapping[str, Content]:
        """Copy each loop, and those that come meanwhile, and give the records, which name no loop that was not copied."""
        for _ in range(ROUNDS):
            records = await self._last(names.LOOPS, is_record=True)
            new = [place for place in await _places(self._source) if place not in last]
            if not new:
                return records
            for place in new:
                last[place] = await self._place(place)
        raise _too_fast("the list of loops")

    async def _place(self, place: str) -> Mapping[str, Content]:
        """Copy one loop up to one moment, and give the files that came last."""
        models, logs = (self._unit(area, names.loop_prefix(place)) for area in (names.MODELS, names.LOGS))
        for _ in range(ROUNDS):
            needed = {table.name for table in await _tables(self._source, place)}  # what goes after this, the pointer may not know
            last = await self._last(names.loop_prefix(place))
            files = await self._copy(models, f"models/{place}")
            if files is None or not await self._are_still(last) or await self._is_overtaken(place, last, files):
                continue
            chunks = await self._copy(logs, f"logs/{place}")
            tables = None if chunks is None else await self._tables(place)
            if chunks is None or tables is None or not needed <= tables.keys():
                continue
            await self._put_last(last)
            await self._remove_last(place, last)
            await remove_others(models, files, self.done)
            await remove_others(logs, chunks, self.done)
            await self._drop_others(place, [*tables])
            self.done.all_files += len(last) + len(files) + len(chunks)
            self.done.all_rows += sum(tables.values())
            return last
        raise _too_fast(f"the loop {place}")

    async def _copy(self, unit: Unit, label: str) -> Listed | None:
        checked = Checked(self._target.files(names.MODELS), label, is_believed=not self._is_thorough)
        await checked.read()
        return await copy_files(unit, checked, self.done, tell=self._tell)

    async def _are_still(self, last: Mapping[str, Content]) -> bool:
        """Whether the analyses under way have not gone on: their boards and what those tell of have to be of one moment."""
        files = self._source.files(names.MODELS)
        for name, content in last.items():
            if name.endswith(_BOARD):
                now = await files.head(name, size=0)
                if now is None or now.etag != content.etag:
                    return False
        return True

    async def _is_overtaken(self, place: str, last: Mapping[str, Content], files: Listed) -> bool:
        """Whether another commit removed what the pointer names before the files were listed; what is gone for good is copied without."""
        name = names.pointer_file(place)
        if name not in last or _named(place, last[name].data) <= files.keys():
            return False
        now = await self._source.files(names.MODELS).head(name, size=0)
        return now is None or now.etag != last[name].etag

    async def _tables(self, place: str) -> Mapping[str, int] | None:
        """Copy a loop's tables, rewards before decisions, and tell how many rows each has; None if one went meanwhile."""
        copied = {}
        tables = sorted(await _tables(self._source, place), key=lambda each: rewards_first(each.name))
        for table in tables:
            rows = await copy_table(self._source, self._target, table.name, self.done)
            if rows is None:
                return None
            copied[table.name] = rows
            self._tell()
        return copied

    async def _drop_others(self, place: str, kept: Sequence[str]) -> None:
        for table in await _tables(self._target, place):
            if table.name not in kept:
                await self._target.rows.drop(table.name)
                self.done.dropped += 1

    async def _remove_loops(self, kept: set[str]) -> None:
        """Remove the loops that the source has not any more."""
        for place in set(await _places(self._target)) - kept:
            await self._remove_last(place, {})
            for area in (names.MODELS, names.LOGS):
                await remove_others(self._unit(area, names.loop_prefix(place)), {}, self.done)
            await self._drop_others(place, ())

    # --- what comes last -------------------------------------------------------------------------------------------------

    async def _last(self, prefix: str, *, is_record: bool = False) -> Mapping[str, Content]:
        """Read the files that come last, in the order in which they have to be read."""
        files = self._source.files(names.MODELS)
        found = [entry.name async for entry in files.listing(prefix) if _comes_last(entry.name) and _is_record(entry.name) is is_record]
        read = {name: await files.read(name) for name in sorted(found, key=lambda name: (_rank(name), name))}
        return {name: content for name, content in read.items() if content is not None}

    async def _put_last(self, last: Mapping[str, Content]) -> None:
        files = self._target.files(names.MODELS)
        allowed = dict(self._mark.last)
        for name, content in last.items():
            allowed[name] = allowed.get(name, frozenset()) | {digest(content.data)}
        if allowed != self._mark.last:
            self._mark = Mark(self._source_id, is_whole=False, last=allowed)
            await self._file.write(self._mark)
        for name, content in [*last.items()][::-1]:
            await put_equal(files, name, content, await files.read(name), self.done)
        self._tell()

    async def _remove_last(self, place: str, kept: Mapping[str, Content]) -> None:
        """Remove files that came last once and are not there any more; a loop's record stays while the loop has one."""
        files = self._target.files(names.MODELS)
        names_there = [entry.name async for entry in files.listing(names.loop_prefix(place)) if _comes_last(entry.name)]
        for name in names_there:
            if name not in kept and not (_is_record(name) and await self._source.files(names.MODELS).head(name, size=0)):
                await files.delete(name)
                self.done.removed += 1

    # --- inside ----------------------------------------------------------------------------------------------------------

    def _unit(self, area: str, prefix: str) -> Unit:
        return Unit(self._source.files(area), self._target.files(area), prefix, is_left_out=_is_left_out, is_fixed=_is_fixed)

    def _tell(self) -> None:
        self._told(self.done)


async def _anything(storage: Storage) -> str | None:
    """Give the name of anything of a deployment's that a storage holds."""
    for area in (names.MODELS, names.LOGS):
        async for entry in storage.files(area).listing(""):
            return f"{area}/{entry.name}"
    return next((table for table in await storage.rows.tables() if names.DayTable.parse(table)), None)


async def _places(storage: Storage) -> Sequence[str]:
    """List the names that loops' files and tables carry."""
    found = {place for area in (names.MODELS, names.LOGS) for place in await storage.files(area).folders(names.LOOPS)}
    tables = [names.DayTable.parse(table) for table in await storage.rows.tables()]
    return sorted(found | {table.loop for table in tables if table is not None})


async def _tables(storage: Storage, place: str) -> Sequence[names.DayTable]:
    tables = [names.DayTable.parse(table) for table in await storage.rows.tables()]
    return [table for table in tables if table is not None and table.loop == place]


def _inside(name: str) -> str:
    """Give the part of a name behind its loop's.

    >>> _inside("loops/default/usage/202605.json"), _inside("signing/signer.pem")
    ('usage/202605.json', '')
    """
    return name.removeprefix(names.LOOPS).partition("/")[2] if name.startswith(names.LOOPS) else ""


def _named(place: str, text: bytes) -> set[str]:
    """Give the files that a pointer names; none for one that this release cannot read, which is copied as it is."""
    try:
        pointer = read_pointer(text)
    except UnreadableError:
        return set()
    found = {names.model_file(place, pointer.version), names.state_file(place, pointer.version)} if pointer.version else set()
    found |= {names.figures_file(place, pointer.figures)} if pointer.figures else set()
    found |= {names.breakdown_file(place, pointer.breakdown)} if pointer.breakdown else set()
    return found | ({names.lookback_file(place, pointer.lookback)} if isinstance(pointer.lookback, str) else set())


def _comes_last(name: str) -> bool:
    inside = _inside(name)
    return inside == _RECORD or inside.startswith(_READ_FIRST) or (inside.startswith("analyses/") and inside.endswith(_BOARD))


def _rank(name: str) -> int:
    inside = _inside(name)
    return next((rank for rank, each in enumerate(_READ_FIRST) if inside.startswith(each)), len(_READ_FIRST))


def _is_record(name: str) -> bool:
    return _inside(name) == _RECORD


def _is_left_out(name: str) -> bool:
    """Whether a file is none of those that are copied first: it comes last, or is only there to be leased."""
    return _comes_last(name) or _inside(name) == _LEASE


def _is_fixed(name: str) -> bool:
    return _inside(name).startswith(_FIXED)


def _too_fast(what: str) -> StorageUnavailableError:
    return StorageUnavailableError(f"the source changes faster than it can be copied ({what}): run this again, or stop the service before")
