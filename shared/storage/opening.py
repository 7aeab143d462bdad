"""Opens storage by what names it; an engine is loaded only if it is used."""

import re
from pathlib import Path

from shared.domain.errors import SettingsError
from shared.storage.ports import Storage
from shared.storage.settings import AccountSettings, FolderSettings, StorageSettings

_CONNECTION = re.compile(r"\s*[A-Za-z]+\s*=.*", re.DOTALL)
_ADDRESS = re.compile(r"https?://[^/?#.]+\.blob\.[^/?#]+")


def open_storage(settings: StorageSettings) -> Storage:
    """Give a storage; raises `SettingsError` when there is no store in a folder where none is to be made."""
    if isinstance(settings, FolderSettings):
        from shared.storage.embedded.folder import is_store
        from shared.storage.embedded.storage import EmbeddedStorage

        if not settings.make and not is_store(settings.path):
            raise SettingsError(f"there is no store in {settings.path}")
        return EmbeddedStorage(settings)
    from shared.storage.azure.storage import AzureStorage

    return AzureStorage(settings)


def named(text: str) -> StorageSettings:
    """Read what names a storage: a connection string, the address of an account's Blob service, or else the path of a folder.

    Raises `SettingsError` for another address, which is the path of no folder.

    >>> named("UseDevelopmentStorage=true"), named("backups/store")
    (AccountSettings(blob_uri='', table_uri='', queue_uri='', managed_identity=False, client_id=None), \
FolderSettings(path=PosixPath('backups/store'), make=False))
    """
    if is_connection_string(text):
        return AccountSettings(connection_string=text)
    if is_address(text):
        blob, table, queue = (text.rstrip("/").replace(".blob.", f".{service}.", 1) for service in ("blob", "table", "queue"))
        return AccountSettings(blob_uri=blob, table_uri=table, queue_uri=queue)
    return FolderSettings(folder_named(text))


def folder_named(text: str) -> Path:
    """Read the path of a store's folder; raises `SettingsError` for anything else, and repeats no secret."""
    if is_connection_string(text):
        raise SettingsError("a folder is needed, and this is a connection string, or begins as one does (a folder's name may: ./NAME=...)")
    if "://" in text:
        raise SettingsError(
            "a folder of this machine or the address of an account's Blob service is needed, and this is another address:"
            " such a one is https://NAME.blob.core.windows.net, without a path or a signature"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as cause:
        raise SettingsError(f"the folder {text} cannot be found: nobody of this machine has that name") from cause


def is_connection_string(text: str) -> bool:
    """Whether a text is made of names and values, as no usual path is."""
    return _CONNECTION.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """Whether a text is the address of an account's Blob service, which is opened as whoever is signed in.

    >>> is_address("https://mine.blob.core.windows.net"), is_address("backups/store")
    (True, False)
    """
    return _ADDRESS.fullmatch(text.rstrip("/")) is not None
