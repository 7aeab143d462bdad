"""Files of one prefix: what the target has not is written there, what it has is compared, byte by byte where no earlier run did."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.errors import ConflictError, SettingsError
from shared.storage.copying.counts import Copied
from shared.storage.copying.mark import Checked
from shared.storage.ports import Content, Entry, FileStore

_AT_ONCE: Final = 16
_BYTES_AT_ONCE: Final = 16 * 1024 * 1024
"""Of files that are copied at the same time; a larger one goes alone, and is held whole."""

Listed = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Unit:
    """The files of one prefix on both sides; ``is_fixed`` tells of which the content never changes under their names."""

    source: FileStore
    target: FileStore
    prefix: str
    is_left_out: Callable[[str], bool]
    is_fixed: Callable[[str], bool]

    async def here(self) -> Listed:
        """List the source's."""
        return await self._listed(self.source)

    async def there(self) -> Listed:
        """List the target's."""
        return await self._listed(self.target)

    async def _listed(self, files: FileStore) -> Listed:
        return {entry.name: entry async for entry in files.listing(self.prefix) if not self.is_left_out(entry.name)}


async def copy_files(unit: Unit, checked: Checked, done: Copied, *, tell: Callable[[], None]) -> Listed | None:
    """Have all files of a unit in the target, and give the source's listing; None if one of it went or changed meanwhile."""
    here, there = await unit.here(), await unit.there()
    equal: set[str] = set()
    is_whole = True
    group: list[Entry] = []
    for entry in here.values():
        if (
            entry.name in there
            and unit.is_fixed(entry.name)
            and _may_be(entry, there[entry.name])
            and checked.has(entry, there[entry.name])
        ):
            equal.add(entry.name)
            continue
        if group and (len(group) == _AT_ONCE or sum(each.size for each in group) + entry.size > _BYTES_AT_ONCE):
            is_whole &= await _copy_group(unit, group, there, equal, done)
            tell()
        group.append(entry)
    is_whole &= await _copy_group(unit, group, there, equal, done)
    fixed = {name for name in equal if unit.is_fixed(name)}
    if fixed:
        now = await unit.there()
        await checked.write({name: (here[name], now[name]) for name in sorted(fixed) if name in now})
    tell()
    return here if is_whole else None


async def _copy_group(unit: Unit, group: list[Entry], there: Listed, equal: set[str], done: Copied) -> bool:
    found = await asyncio.gather(*[_copy_one(unit, entry, there.get(entry.name), done) for entry in group])
    equal.update(entry.name for entry, is_equal in zip(group, found, strict=True) if is_equal)
    group.clear()
    return all(found)


async def _copy_one(unit: Unit, entry: Entry, there: Entry | None, done: Copied) -> bool:
    """Copy a file unless it is there and equal; False if it is not in the source any more, or is not what was listed."""
    content = await unit.source.read(entry.name)
    if content is None or len(content.data) != entry.size:
        return False
    present = await unit.target.read(entry.name) if there is not None else None
    await put_equal(unit.target, entry.name, content, present, done)
    return True


async def put_equal(target: FileStore, name: str, content: Content, present: Content | None, done: Copied) -> None:
    """Write a file unless what is there is equal; raises `SettingsError` when another writes it as well."""
    if present is not None and is_same(content, present):
        return
    try:
        await target.put(name, content.data, expected=None if present is None else present.etag, metadata=content.metadata)
    except ConflictError as cause:
        again = await target.read(name)
        if again is None or not is_same(content, again):  # else an answer of ours was lost
            raise SettingsError(f"the target is written to by another ({name}): stop the service there") from cause
    if present is None:
        done.files += 1
    else:
        done.replaced += 1
    done.bytes += len(content.data)


async def remove_others(unit: Unit, here: Listed, done: Copied) -> None:
    """Remove what the target has and the source has not any more."""
    for name in await unit.there():
        if name not in here:
            await unit.target.delete(name)
            done.removed += 1


def is_same(one: Content, other: Content) -> bool:
    """Whether two files are equal in their bytes and metadata."""
    return one.data == other.data and dict(one.metadata) == dict(other.metadata)


def _may_be(here: Entry, there: Entry) -> bool:
    return here.size == there.size and dict(here.metadata) == dict(there.metadata)
