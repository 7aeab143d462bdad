"""The container that the joined log is copied to, and how far that has come."""

from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.storage.blob.aio import ContainerClient
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.mirror import MirrorState, MirrorTarget, read_target
from shared.storage import names
from shared.storage.account import StorageAccount
from shared.storage.blobs import BlobFiles
from shared.storage.failures import check_answer, storage_failures

FORMAT = 1
_STATE = TypeAdapter(MirrorState)
_OPTIONS: Final[dict[str, Any]] = {
    "connection_timeout": 3,
    "read_timeout": 10,
    "retry_total": 1,
    "initial_backoff": 0.2,
    "increment_base": 2,
    "random_jitter_range": 0,
    "permit_redirects": False,
    "raw_response_hook": check_answer,
}
"""Little patience, since there is a next run; and no other host is gone to than the one that was checked."""


def check_mirror(uri: str, *, loopback: bool = False) -> None:
    """Raise `InvalidSasUriError` for an address that logs cannot be mirrored to; ``loopback`` accepts an emulator on this machine."""
    read_target(uri, loopback=loopback)


def is_emulated(account: StorageAccount) -> bool:
    """Whether the service's own storage is an emulator on this machine."""
    return (urlsplit(account.blobs.url).hostname or "") in {"127.0.0.1", "localhost", "::1"}


class BlobMirror:
    """Writes to containers of others, and remembers how far: `shared.services.mirroring.Mirror`."""

    def __init__(self, account: StorageAccount, *, loop: str, transport: AsyncHttpTransport[Any, Any] | None = None) -> None:
        self._loop = loop
        self._account = account
        self._files = BlobFiles(account, names.MODELS)
        self._options = _OPTIONS if transport is None else {**_OPTIONS, "transport": transport}

    def target(self, uri: str) -> MirrorTarget:
        """Read an address; raises `InvalidSasUriError`."""
        return read_target(uri, loopback=is_emulated(self._account))

    async def write(self, target: MirrorTarget, name: str, text: bytes) -> None:
        """Write a file; writing it again gives the same one. Raises `StorageUnavailableError`, without the signature in its text."""
        async with storage_failures(f"mirror to {target}"):
            container: ContainerClient = ContainerClient.from_container_url(target.uri, **self._options)
            async with container:
                await container.upload_blob(name, text, overwrite=True)

    async def state(self) -> tuple[MirrorState, str] | None:
        """Read how far it has come, and the ETag; raises `NewerFormatError` or `UnreadableError`."""
        file = await self._files.read(names.mirror_blob(self._loop))
        return None if file is None else (_read_state(file.data), file.etag)

    async def remember(self, state: MirrorState, *, expected: str | None) -> str:
        """Replace the state on condition, and give the new ETag; raises `ConflictError`."""
        text = orjson.dumps({"format": FORMAT, **_STATE.dump_python(state)}, option=orjson.OPT_SORT_KEYS)
        return await self._files.replace(names.mirror_blob(self._loop), text, expected=expected)


def _read_state(text: bytes) -> MirrorState:
    try:
        document = orjson.loads(text)
        found = int(document.pop("format"))
        if found > FORMAT:
            raise NewerFormatError("the state of the mirror", found=found, known=FORMAT)
        return _STATE.validate_python(document)
    except (orjson.JSONDecodeError, ValidationError, LookupError, AttributeError, TypeError, ValueError) as cause:
        raise UnreadableError(f"the state of the mirror cannot be read: {cause}") from cause
