"""The joined log copied to a container of the loop's owner, chunk by chunk, behind the trainer.

A file's name follows from how many were copied before it. What was copied is remembered after it is there: stopped in between, the
next run writes the same file again.
"""

import asyncio
import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from shared.domain.clock import Clock
from shared.domain.errors import ConflictError, InvalidSasUriError, PersonalizerError, StorageUnavailableError, UnreadableError
from shared.domain.loop import LoopSettings
from shared.domain.mirror import MirrorState, MirrorTarget, expires_at
from shared.domain.ports import JoinedLog, LoopConfiguration, ModelStore
from shared.joining.chunks import ChunkName
from shared.services.log.chains import latest

logger = logging.getLogger(__name__)

CHUNKS_A_RUN = 50
RUN_TIME = timedelta(seconds=20)


class Mirror(Protocol):
    """The owner's container and what is remembered of it; raises as `ModelStore`."""

    def target(self, uri: str) -> MirrorTarget:
        """Read an address; raises `InvalidSasUriError`."""
        ...

    async def write(self, target: MirrorTarget, name: str, text: bytes) -> None:
        """Write a file; writing it again gives the same one."""
        ...

    async def state(self) -> tuple[MirrorState, str] | None:
        """Read how far it has come, and the ETag."""
        ...

    async def remember(self, state: MirrorState, *, expected: str | None) -> str:
        """Replace the state on condition, and give the new ETag; raises `ConflictError`."""
        ...


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a run did: ``waiting`` chunks are left for the next one, and ``error`` says why, if it is not just their number."""

    copied: int = 0
    waiting: int = 0
    error: str = ""


class MirrorHealth(StrEnum):
    """How a mirror is: nothing was copied yet, the last try worked, it failed, or the signature is over."""

    WAITING = "waiting"
    WORKING = "working"
    FAILING = "failing"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """How the mirror is.

    ``error`` ("": none) says why nothing is copied, and ``next_try_at`` when it is tried again (None: with the next run).
    """

    health: MirrorHealth
    succeeded_at: datetime | None = None
    error: str = ""
    next_try_at: datetime | None = None


class Mirroring:
    """Copies one loop's joined log."""

    def __init__(self, joined: JoinedLog, store: ModelStore, mirror: Mirror, configuration: LoopConfiguration, *, clock: Clock) -> None:
        self._joined = joined
        self._store = store
        self._mirror = mirror
        self._configuration = configuration
        self._clock = clock

    async def run(self) -> Mirrored:
        """Copy what was committed since the last run, a bounded number of chunks for a bounded time.

        Raises nothing for a target that fails: that is logged, told, and made up for by the next run.
        """
        try:
            done = await self._run()
        except PersonalizerError as error:
            done = Mirrored(error=str(error))
        if done.error:
            logger.warning("the log was not mirrored: %s", done.error, extra={"copied": done.copied, "waiting": done.waiting})
        elif done.copied:
            logger.info("log mirrored", extra={"copied": done.copied, "waiting": done.waiting})
        return done

    async def report(self, loop: LoopSettings) -> MirrorReport | None:
        """Tell how the mirror of a loop of these settings is, None if it has none; raises as `Mirror.state`."""
        if not loop.log_mirror_enabled or not loop.log_mirror_sas_uri:
            return None
        stored = await self._mirror.state()
        try:
            target = self._mirror.target(loop.log_mirror_sas_uri)
        except InvalidSasUriError as error:
            return MirrorReport(MirrorHealth.FAILING, error=str(error))
        is_of_it = stored is not None and stored[0].target == _digest(target.place)
        state = stored[0].under(_digest(target.uri)) if stored is not None and is_of_it else None
        succeeded_at = state.succeeded_at if state else None
        if ended := _ended(target, self._clock.now()):
            return MirrorReport(MirrorHealth.EXPIRED, succeeded_at, ended)
        if state is None or (not state.error and not state.chunk):
            return MirrorReport(MirrorHealth.WAITING)
        health = MirrorHealth.FAILING if state.error else MirrorHealth.WORKING
        return MirrorReport(health, succeeded_at, state.error, state.rests_until)

    async def _run(self) -> Mirrored:
        loop = await asyncio.to_thread(self._configuration.read)
        stored = await self._store.pointer()
        if not loop.log_mirror_enabled or not loop.log_mirror_sas_uri or stored is None or not stored[0].chunk:
            return Mirrored()
        target = self._mirror.target(loop.log_mirror_sas_uri)
        if ended := _ended(target, self._clock.now()):
            return Mirrored(error=ended)
        state, etag = await self._state(target)
        if state.rests_until is not None and self._clock.now() < state.rests_until:
            return Mirrored()
        copied_last = state.chunk
        names = await latest(self._joined, stored[0].chunk, wanted=lambda name: name != copied_last)
        copied, error = 0, ""
        try:
            async with asyncio.timeout(RUN_TIME.total_seconds()):
                for name in names[:CHUNKS_A_RUN]:
                    copy = state.after(name, f"{ChunkName.parse(name).since:%Y/%m/%d}").worked(self._clock.now())
                    await self._copy(target, name, copy)
                    etag = await self._mirror.remember(copy, expected=etag)
                    state, copied = copy, copied + 1
        except ConflictError:
            return Mirrored(copied, len(names) - copied, "another process is at it")
        except StorageUnavailableError as failure:
            error = str(failure)
        except TimeoutError:
            error = "" if copied else f"not one chunk could be copied in {RUN_TIME.total_seconds():g} seconds"
        if error:
            with suppress(PersonalizerError):  # the next run tries at once, then
                await self._mirror.remember(state.failed(error, self._clock.now()), expected=etag)
        return Mirrored(copied, len(names) - copied, error)

    async def _copy(self, target: MirrorTarget, name: str, state: MirrorState) -> None:
        try:
            text = await self._joined.chunk(name)
        except UnreadableError as damage:  # it will not get better, and what comes after it is not to wait for it
            logger.error("a chunk is left out of the mirror: %s", damage)
            return
        await self._mirror.write(target, state.file, text)

    async def _state(self, target: MirrorTarget) -> tuple[MirrorState, str | None]:
        """Give what is remembered of this container; of another one nothing counts.

        A beginning is remembered before the first file, lest that be written again under another time.
        """
        stored = await self._mirror.state()
        if stored is not None and stored[0].target == _digest(target.place):
            return stored[0].under(_digest(target.uri)), stored[1]
        state = MirrorState(_digest(target.place), self._clock.now(), address=_digest(target.uri))
        return state, await self._mirror.remember(state, expected=stored[1] if stored else None)


def _ended(target: MirrorTarget, now: datetime) -> str:
    """Say that a signature is over, "" if it is not."""
    end = expires_at(target.uri)
    is_over = end is not None and end <= now
    return f"the signature of logMirrorSasUri expired at {end:%Y-%m-%dT%H:%M:%SZ}: make a new one for the same container" if is_over else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
