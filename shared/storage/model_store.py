"""Published models with learners, the cold log, live figures and the pointer in files: `shared.domain.ports.ModelStore`."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from shared.domain.errors import UnreadableError
from shared.domain.ledger import Pointer, Provenance
from shared.domain.pairs import checked
from shared.storage import names
from shared.storage.attempts import FileAttempts
from shared.storage.checkpoints import FileCheckpoints
from shared.storage.files import Files
from shared.storage.lease import lease
from shared.storage.pointers import read_pointer, write_pointer
from shared.storage.ports import Storage
from shared.storage.provenance import replaced, write_provenance


class FileModelStore:
    """Models, states, chunks, figures, breakdowns and pointer of one loop."""

    def __init__(self, storage: Storage, *, loop: str) -> None:
        self._loop = loop
        self._models = Files(storage, names.MODELS)
        self._logs = Files(storage, names.LOGS)
        self._checkpoints = FileCheckpoints(storage, loop=loop)
        self._attempts = FileAttempts(storage, loop=loop)

    @property
    def attempts(self) -> FileAttempts:
        """The note of large windows."""
        return self._attempts

    @property
    def checkpoints(self) -> FileCheckpoints:
        """Where a model that is begun anew is kept until it is published."""
        return self._checkpoints

    async def pointer(self) -> tuple[Pointer, str] | None:
        """Read the published pointer and its ETag."""
        file = await self._models.read(names.pointer_file(self._loop))
        return None if file is None else (read_pointer(file.data), file.etag)

    async def artifact(self, version: str) -> bytes:
        """Read a published model."""
        return await self._present(names.model_file(self._loop, version), f"model {version}")

    async def state(self, version: str) -> bytes:
        """Read the learner behind a model."""
        return await self._present(names.state_file(self._loop, version), f"the learner's state behind model {version}")

    async def _present(self, name: str, what: str) -> bytes:
        file = await self._models.read(name)
        if file is None:
            raise UnreadableError(f"{what} is not there")
        return file.data

    async def write_chunk(self, name: str, data: bytes, *, parent: str, learned: int | None = None, events: int | None = None) -> None:
        """Write a chunk of the cold log; its metadata name the chunk before it, and count its events and those that teach something."""
        counts = {"learned": learned, "events": events}
        counted = {name: str(count) for name, count in counts.items() if count is not None}
        await self._logs.write_once(f"loops/{self._loop}/log/{name}", data, metadata={"format": "1", "parent": parent, **counted})

    async def figures(self, name: str) -> bytes:
        """Read live figures."""
        return await self._present(names.figures_file(self._loop, name), f"the file of figures {name}")

    async def write_figures(self, name: str, data: bytes) -> None:
        """Write live figures."""
        await self._models.write_once(names.figures_file(self._loop, name), data, metadata={"format": "1"})

    async def figures_kept(self) -> AsyncIterator[str]:
        """List the names of all figures that are there."""
        prefix = names.figures_prefix(self._loop)
        async for file in self._models.listing(prefix):
            yield str(file.name).removeprefix(prefix).removesuffix(".npz.gz")

    async def delete_figures(self, name: str) -> None:
        """Delete figures that no pointer names any more."""
        await self._models.delete(names.figures_file(self._loop, name))

    async def breakdown(self, name: str) -> bytes:
        """Read a breakdown."""
        return await self._present(names.breakdown_file(self._loop, name), f"the breakdown {name}")

    async def write_breakdown(self, name: str, data: bytes) -> None:
        """Write a breakdown."""
        await self._models.write_once(names.breakdown_file(self._loop, name), data, metadata={"format": "1"})

    async def breakdowns_kept(self) -> AsyncIterator[str]:
        """List the names of all breakdowns that are there."""
        prefix = names.breakdowns_prefix(self._loop)
        async for file in self._models.listing(prefix):
            yield str(file.name).removeprefix(prefix).removesuffix(".npz.gz")

    async def delete_breakdown(self, name: str) -> None:
        """Delete a breakdown that no pointer names any more."""
        await self._models.delete(names.breakdown_file(self._loop, name))

    async def lookback(self, name: str) -> bytes:
        """Read what a trainer has to remember."""
        return await self._present(names.lookback_file(self._loop, name), f"the file {name} of what a trainer has to remember")

    async def write_lookback(self, name: str, data: bytes) -> None:
        """Write what a trainer has to remember."""
        await self._models.write_once(names.lookback_file(self._loop, name), data, metadata={"format": "1"})

    async def lookbacks_kept(self) -> AsyncIterator[str]:
        """List the names of all that is there of what trainers remember."""
        prefix = names.lookbacks_prefix(self._loop)
        async for file in self._models.listing(prefix):
            yield str(file.name).removeprefix(prefix).removesuffix(".json.gz")

    async def delete_lookback(self, name: str) -> None:
        """Delete what no pointer names any more."""
        await self._models.delete(names.lookback_file(self._loop, name))

    async def write_state(self, version: str, data: bytes) -> None:
        """Write the learner behind a model."""
        await self._models.write_once(names.state_file(self._loop, version), data, metadata={"format": "1"})

    async def write_artifact(self, version: str, data: bytes, *, provenance: Provenance) -> None:
        """Write a model; its metadata tell what it was made of."""
        await self._models.write_once(names.model_file(self._loop, version), data, metadata=write_provenance(provenance))

    async def commit(self, pointer: Pointer, *, expected: str | None) -> str:
        """Replace the pointer on condition."""
        name = names.pointer_file(self._loop)
        text = checked(write_pointer(pointer), read=read_pointer, write=write_pointer, name=name)
        return await self._models.replace(name, text, expected=expected)

    def lease(self) -> AbstractAsyncContextManager[bool]:
        """Hold the right to train."""
        return lease(self._models, names.lease_file(self._loop))

    async def replaced(self) -> dict[str, str]:
        """Tell of each model that is there which one was published before it, whatever else of what it was made of cannot be read."""
        prefix = names.models_prefix(self._loop)
        return {_version(file.name, prefix): replaced(file.metadata) async for file in self._models.listing(prefix)}

    async def states(self) -> AsyncIterator[str]:
        """List the versions whose state is there."""
        prefix = names.states_prefix(self._loop)
        async for file in self._models.listing(prefix):
            yield _version(file.name, prefix)

    async def delete(self, version: str) -> None:
        """Delete a model that is no longer kept and then its state: at no time is there a model without one."""
        await self._models.delete(names.model_file(self._loop, version))
        await self._models.delete(names.state_file(self._loop, version))


def _version(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).removesuffix(".npz")
