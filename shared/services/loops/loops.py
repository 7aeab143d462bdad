"""All loops of a deployment: made, changed, listed, deleted, and given new keys."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from shared.domain.clock import Clock
from shared.domain.conditions import ANY, Condition, tag_of
from shared.domain.errors import InvalidRequestError, ResourceNotFoundError
from shared.domain.keys import key_digest, new_key
from shared.domain.loop import DEFAULT_LOOP, MOST_LIVES, LoopRecord, LoopSettings, Remains, Tier, is_loop_name
from shared.domain.ports import LoopStore
from shared.services.loops.configuring import MirrorCheck, configuration_tag, configured, owned
from shared.services.loops.records import Telling, edit
from shared.services.loops.takeover import Wanted, taken_over

MOST_LOOPS: Final = 100
MOST_NAMES: Final = 1_000
"""Of loops that ever were: a deleted one's name stays known."""

_READERS: Final = 16
"""Records read at once."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a PUT left: ``keys`` are the new loop's, and empty when it was there already."""

    record: LoopRecord
    keys: tuple[str, ...] = field(default=(), repr=False)


class Loops:
    """Works on the records; what serves the loops in each process follows them."""

    def __init__(self, store: LoopStore, *, defaults: LoopSettings, clock: Clock, check_mirror: MirrorCheck) -> None:
        self._store = store
        self._defaults = defaults
        self._clock = clock
        self._check_mirror = check_mirror
        self._telling = Telling(defaults, clock)

    async def listed(self) -> Sequence[LoopRecord]:
        """List the loops that are there: the default one, then by name."""
        reading = asyncio.Semaphore(_READERS)

        async def read(name: str) -> LoopRecord:
            async with reading:
                return await self._read(name)

        others = [name for name in await self._store.names() if name != DEFAULT_LOOP]
        found = await asyncio.gather(*map(read, [DEFAULT_LOOP, *others]))
        return [record for record in found if record.is_there]

    async def read(self, name: str) -> LoopRecord:
        """Read the record of a loop that is there; raises `ResourceNotFoundError`."""
        return _there(await self._read(name))

    async def put(self, name: str, tier: Tier | None, changes: Mapping[str, Any], *, only_if: Condition = ANY) -> Kept:
        """Make a loop, or change the tier and settings of one that is there; again the same changes nothing.

        A new one is ``S0`` unless told, and owns all that it is told, also what the app's settings say. Raises `InvalidRequestError`,
        `PreconditionFailedError` and as `shared.services.loops.configuring.configured`.
        """

        def change(record: LoopRecord, keys: tuple[str, str], now: datetime) -> LoopRecord:
            changed = self._put(record, tier, changes, keys, now)
            if changed != record or only_if.is_new:
                only_if.check(self.tag(record) if record.is_there else None, f"the loop {record.name}")
            return changed

        return await self._kept(name, change)

    async def check_new(self, name: str, tier: Tier | None, changes: Mapping[str, Any]) -> None:
        """Raise what `put` would raise of a loop that is not there; nothing is made."""
        check_loop_name(name)
        await self._make_sure_there_is_room(name)
        self._put(await self._read(name), tier, changes, (new_key(), new_key()), self._clock.now())

    def tag(self, record: LoopRecord) -> str:
        """Give the tag of a loop as it is: of this life of it, its tier and its configuration."""
        return tag_of(record.life, record.tier.value, configuration_tag(record.settings(self._defaults)))

    async def take_over(self, name: str, wanted: Wanted, *, again: bool = False) -> Kept:
        """Make a loop by what is known of another service's, in one write; of one that is there, change what its owner has not decided.

        ``again`` takes all of it. Raises as `put` and as `shared.services.loops.takeover.taken_over`.
        """
        return await self._kept(name, lambda record, keys, now: self._taken_over(record, wanted, keys, now, again=again))

    async def _kept(self, name: str, change: Callable[[LoopRecord, tuple[str, str], datetime], LoopRecord]) -> Kept:
        check_loop_name(name)
        await self._make_sure_there_is_room(name)
        keys = (new_key(), new_key())
        now = self._clock.now()
        record = await self._edit(name, lambda record: change(record, keys, now))
        is_new = record.keys == _digests(keys)
        return Kept(record, keys if is_new else ())

    async def delete(self, name: str) -> LoopRecord:
        """End a loop's life; its data are erased later. Raises `ResourceNotFoundError`, and `InvalidRequestError` for the default one."""
        if name == DEFAULT_LOOP:
            raise InvalidRequestError("the default loop cannot be deleted; delete its log and reset its model instead", target="loop")
        now = self._clock.now()
        return await edit(self._store, name, lambda record: _ended(_there(record), now))

    async def regenerate(self, name: str, number: int, *, own_keys: Sequence[str]) -> tuple[LoopRecord, str]:
        """Give the loop a new first or second key in place of the old one, and tell it.

        ``own_keys`` are the digests of the app's own keys, of which the default loop keeps the other one. Raises
        `ResourceNotFoundError`.
        """
        key = new_key()
        return await self._edit(name, lambda record: _with_key(_there(record), number, key, own_keys)), key

    async def regenerate_client_key(self, name: str) -> tuple[LoopRecord, str]:
        """Give the loop a new client key in place of the one there was, and tell it; raises `ResourceNotFoundError`."""
        key = new_key()
        return await self._edit(name, lambda record: replace(_there(record), client_keys=(key_digest(key),))), key

    async def erased(self, name: str, remains: Remains) -> None:
        """Note that nothing of these remains is left."""
        await edit(self._store, name, lambda record: replace(record, remains=tuple(each for each in record.remains if each != remains)))

    async def _edit(self, name: str, change: Callable[[LoopRecord], LoopRecord]) -> LoopRecord:
        return await edit(self._store, name, change, telling=self._telling)

    async def _read(self, name: str) -> LoopRecord:
        stored = await self._store.read(name) if is_loop_name(name) else None
        return LoopRecord(name) if stored is None else stored[0]

    async def _make_sure_there_is_room(self, name: str) -> None:
        names = [each for each in await self._store.names() if each != DEFAULT_LOOP]
        if name == DEFAULT_LOOP or (name in names and (await self._read(name)).is_there):
            return
        if name not in names and len(names) >= MOST_NAMES:
            raise InvalidRequestError(f"there were {MOST_NAMES} loops already: use the name of a deleted one again", target="loop")
        if len(await self.listed()) >= MOST_LOOPS:
            raise InvalidRequestError(f"there are {MOST_LOOPS} loops already: delete one first", target="loop")

    def _put(self, record: LoopRecord, tier: Tier | None, changes: Mapping[str, Any], keys: tuple[str, str], now: datetime) -> LoopRecord:
        if not record.is_there:
            mode = {name: changes[name] for name in changes if name == "learning_mode"}
            born = _born(record, tier or Tier.S0, keys, now).overriding(mode)
            return owned(born, changes, defaults=self._defaults, check_mirror=self._check_mirror, now=now).overriding({"resets": 0})
        return self.changed(record, tier, changes)

    def changed(self, record: LoopRecord, tier: Tier | None, changes: Mapping[str, Any]) -> LoopRecord:
        """Give the record of a loop that is there as `put` would leave it; raises as `put`."""
        if tier is not None and tier is not record.tier:
            record, changes = replace(record, tier=tier), {**tier.preset, **changes}
        return configured(record, changes, defaults=self._defaults, check_mirror=self._check_mirror, now=self._clock.now())

    def _taken_over(self, record: LoopRecord, wanted: Wanted, keys: tuple[str, str], now: datetime, *, again: bool) -> LoopRecord:
        is_new = not record.is_there
        record = _born(record, Tier.S0, keys, now) if is_new else record
        taken = taken_over(record, wanted, again=again, defaults=self._defaults, check_mirror=self._check_mirror, now=now)
        return taken.overriding({"resets": 0}) if is_new else taken


def check_loop_name(name: str) -> None:
    """Raise `InvalidRequestError` for what no loop may be called."""
    if not is_loop_name(name):
        raise InvalidRequestError(
            "the loop's name: must be a lower-case letter and at most 30 letters or digits, and not end in x and four digits",
            target="loop",
        )


def _born(record: LoopRecord, tier: Tier, keys: tuple[str, str], now: datetime) -> LoopRecord:
    if record.life >= MOST_LIVES:
        raise InvalidRequestError(f"the loop {record.name} was made {MOST_LIVES} times already: choose another name", target="loop")
    return LoopRecord(
        record.name,
        overrides=dict(tier.preset),
        tier=tier,
        keys=_digests(keys),
        created_at=now,
        life=record.life + 1,
        remains=record.remains,
    )


def _ended(record: LoopRecord, now: datetime) -> LoopRecord:
    """Leave what tells a caller with a key of the loop that it is gone, and what is still to be erased."""
    return replace(record, overrides={}, deleted_at=now, remains=(*record.remains, Remains(record.place, now)))


def _with_key(record: LoopRecord, number: int, key: str, own_keys: Sequence[str]) -> LoopRecord:
    present = [*(record.keys or own_keys), "", ""][:2]
    present[number - 1] = key_digest(key)
    return replace(record, keys=tuple(present))


def _digests(keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(key_digest, keys))


def _there(record: LoopRecord) -> LoopRecord:
    if not record.is_there:
        raise ResourceNotFoundError(f"there is no loop {record.name[:40]!r}")
    return record
