"""The releases whose storage is kept, and what is known of each."""

import gzip
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from shared.runtime.settings import AppSettings, read_settings
from tests.stores import settings_of

FOLDER: Final = Path(__file__).parent
WHOLE: Final = "whole"
OLDEST: Final = "3ed8ffb"
NEWEST: Final = "78a452a"


@dataclass(frozen=True)
class Release:
    """A folder that `tests.stored.make` wrote."""

    name: str

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def store(self) -> Path:
        """The same content in the embedded store; only kept of a release that changed the format of that engine."""
        return self.folder / "store.tar.xz"

    def known(self) -> dict[str, Any]:
        """Read what somebody has to know who opens the storage: the time, the app's settings, keys, events."""
        found: dict[str, Any] = json.loads((self.folder / "known.json").read_text("utf-8"))
        return found

    @property
    def part(self) -> str:
        """What is told of: the first releases had the whole story alone."""
        return str(self.known().get("part", WHOLE))

    def at(self) -> datetime:
        return datetime.fromisoformat(self.known()["at"])

    def settings(self, place: str) -> AppSettings:
        return read_settings({**settings_of(place), **self.known()["settings"]})

    def read(self, name: str) -> Any:
        """Read what the release said."""
        return json.loads(gzip.decompress((self.folder / f"{name}.json.gz").read_bytes()))

    def write(self, name: str, document: Any) -> None:
        text = json.dumps(document, sort_keys=True).encode()
        (self.folder / f"{name}.json.gz").write_bytes(gzip.compress(text, mtime=0))


def releases(part: str = WHOLE) -> list[Release]:
    """List those whose whole storage is kept, or a part of the story, in the order of their names."""
    found = [Release(path.parent.name) for path in sorted(FOLDER.glob("*/known.json"))]
    return [each for each in found if each.part == part]
