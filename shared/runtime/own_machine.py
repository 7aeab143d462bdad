"""What a service that runs on this machine tells those who want to use it: where it is, and by which settings it works.

The file lies in the folder of the service, is readable by its owner only, and stays when the service ends: its storage is still there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from shared.domain.errors import SettingsError

FOLDER_SETTING: Final = "PERSONALIZER_LOCAL_DIR"
FILE: Final = "service.json"
FORMAT: Final = 1

STORAGE_SETTINGS: Final = ("PERSONALIZER_STORE", "PERSONALIZER_STORAGE", "AzureWebJobsStorage")
"""What the names of the settings begin with that say where the data are."""

_LONGEST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class OwnService:
    """The service of this machine.

    ``endpoint`` is where it answers, ``trust`` the certificate of the authority to trust if that speaks HTTPS, ``settings`` are the app's,
    without keys. ``key_files`` are those that hold the key of a loop, by its name; ``admin_key_file`` holds the administrator's.
    """

    endpoint: str
    settings: Mapping[str, str]
    trust: str | None = None
    key_files: Mapping[str, str] = field(default_factory=dict)
    admin_key_file: str | None = None
    format: int = FORMAT

    def key(self, loop: str) -> str:
        """Read the loop's key; empty when it is not kept here."""
        return _first_line(self.key_files.get(loop))

    @property
    def admin_key(self) -> str:
        """The administrator's key; empty when it is not kept here."""
        return _first_line(self.admin_key_file)


def write_own_service(folder: Path, service: OwnService) -> None:
    """Tell of the service; the file appears whole or not at all."""
    unfinished = folder / f"{FILE}.unfinished"
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600, exist_ok=False)
    unfinished.write_bytes(msgspec.json.encode(service))
    unfinished.replace(folder / FILE)


def read_own_service(folder: Path) -> OwnService | None:
    """Read what the service of this folder told; None if none ever did. Raises `SettingsError` for what is not such a file."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            service = msgspec.json.decode(file.read(_LONGEST), type=OwnService)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as cause:
        raise SettingsError(f"{path} cannot be read: {cause}. Delete it; the next start of the service writes it again") from cause
    if service.format > FORMAT:
        raise SettingsError(f"{path} was written by a newer release (format {service.format}; this one reads {FORMAT})")
    return service


def own_folder(environment: Mapping[str, str]) -> Path:
    """Give the folder of the service of this machine: the one that is set, or the one that ``make run`` uses in a clone."""
    given = environment.get(FOLDER_SETTING, "").strip()
    return Path(given) if given else Path(__file__).resolve().parents[2] / ".local"


def with_own_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Give the settings to work with: those of the environment, and where they name no storage, those of the service besides.

    Raises as `read_own_service`, if that is asked.
    """
    if any(name.startswith(STORAGE_SETTINGS) and text.strip() for name, text in environment.items()):
        return environment
    service = read_own_service(own_folder(environment))
    return environment if service is None else {**service.settings, **environment}


def _first_line(path: str | None) -> str:
    try:
        return "" if path is None else Path(path).read_text(encoding="utf-8").strip().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return ""
