"""Where a deployment's storage is; nothing here loads an engine."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Where the account is and how to get in: by connection string, or by the addresses of its services and an identity.

    ``client_id`` picks a user-assigned managed identity; without one, and with ``managed_identity`` false, the identity is
    whatever the environment offers (a developer's login, a workload identity).
    """

    connection_string: str = field(default="", repr=False)
    blob_uri: str = ""
    table_uri: str = ""
    queue_uri: str = ""
    managed_identity: bool = False
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """The folder of an embedded store; one that is not there is made only if ``make`` says so."""

    path: Path
    make: bool = False


StorageSettings = AccountSettings | FolderSettings
