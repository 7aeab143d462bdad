"""The container that the joined log is copied to, and how far that has come."""

from collections.abc import Awaitable, Callable

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.mirror import MirrorState, MirrorTarget, read_target
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

FORMAT = 1
_STATE = TypeAdapter(MirrorState)
Write = Callable[[MirrorTarget, str, bytes], Awaitable[None]]


def check_mirror(uri: str, *, loopback: bool = False) -> None:
    """Raise `InvalidSasUriError` for an address that logs cannot be mirrored to; ``loopback`` accepts an emulator on this machine."""
    read_target(uri, loopback=loopback)


async def write_to_container(target: MirrorTarget, name: str, text: bytes) -> None:
    """Write a file to a mirror; what that takes is loaded when it is first done, as few deployments have one."""
    from shared.storage.azure.containers import mirror_to

    await mirror_to(target, name, text)


class ContainerMirror:
    """Writes to containers of others, and remembers how far: `shared.services.log.mirroring.Mirror`."""

    def __init__(self, storage: Storage, *, loop: str, write: Write = write_to_container) -> None:
        self._loop = loop
        self._is_emulator = storage.is_emulator
        self._files = Files(storage, names.MODELS)
        self._write = write

    def target(self, uri: str) -> MirrorTarget:
        """Read an address; raises `InvalidSasUriError`."""
        return read_target(uri, loopback=self._is_emulator)

    async def write(self, target: MirrorTarget, name: str, text: bytes) -> None:
        """Write a file; writing it again gives the same one. Raises `StorageUnavailableError`, without the signature in its text."""
        await self._write(target, name, text)

    async def state(self) -> tuple[MirrorState, str] | None:
        """Read how far it has come, and the ETag; raises `NewerFormatError` or `UnreadableError`."""
        file = await self._files.read(names.mirror_file(self._loop))
        return None if file is None else (_read_state(file.data), file.etag)

    async def remember(self, state: MirrorState, *, expected: str | None) -> str:
        """Replace the state on condition, and give the new ETag; raises `ConflictError`."""
        text = orjson.dumps({"format": FORMAT, **_STATE.dump_python(state)}, option=orjson.OPT_SORT_KEYS)
        return await self._files.replace(names.mirror_file(self._loop), text, expected=expected)


def _read_state(text: bytes) -> MirrorState:
    try:
        document = orjson.loads(text)
        found = int(document.pop("format"))
        if found > FORMAT:
            raise NewerFormatError("the state of the mirror", found=found, known=FORMAT)
        return _STATE.validate_python(document)
    except (orjson.JSONDecodeError, ValidationError, LookupError, AttributeError, TypeError, ValueError) as cause:
        raise UnreadableError(f"the state of the mirror cannot be read: {cause}") from cause
