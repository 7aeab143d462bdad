"""The joined log copied to a container of the loop's owner, chunk by chunk, behind the trainer.

A file's name follows from how many were copied before it. What was copied is remembered after it is there: stopped in between, the
next run writes the same file again.
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from shared.domain.clock import Clock
from shared.domain.errors import ConflictError, PersonalizerError, StorageUnavailableError, UnreadableError
from shared.domain.mirror import MirrorState, MirrorTarget
from shared.domain.ports import JoinedLog, LoopConfiguration, ModelStore
from shared.joining.chunks import ChunkName
from shared.services.chains import latest

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

    async def _run(self) -> Mirrored:
        loop = await asyncio.to_thread(self._configuration.read)
        stored = await self._store.pointer()
        if not loop.log_mirror_enabled or not loop.log_mirror_sas_uri or stored is None or not stored[0].chunk:
            return Mirrored()
        target = self._mirror.target(loop.log_mirror_sas_uri)
        state, etag = await self._state(target)
        copied_last = state.chunk
        names = await latest(self._joined, stored[0].chunk, wanted=lambda name: name != copied_last)
        copied, error = 0, ""
        try:
            async with asyncio.timeout(RUN_TIME.total_seconds()):
                for name in names[:CHUNKS_A_RUN]:
                    state = state.after(name, f"{ChunkName.parse(name).since:%Y/%m/%d}")
                    await self._copy(target, name, state)
                    etag = await self._mirror.remember(state, expected=etag)
                    copied += 1
        except ConflictError:
            error = "another process is at it"
        except StorageUnavailableError as failure:
            error = str(failure)
        except TimeoutError:
            error = "" if copied else f"not one chunk could be copied in {RUN_TIME.total_seconds():g} seconds"
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
        if stored is not None and stored[0].target == _digest(target):
            return stored
        state = MirrorState(_digest(target), self._clock.now())
        return state, await self._mirror.remember(state, expected=stored[1] if stored else None)


def _digest(target: MirrorTarget) -> str:
    return hashlib.sha256(target.place.encode()).hexdigest()[:32]
