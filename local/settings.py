"""Reads what Core Tools would read: `local.settings.json`, `host.json` and ``%SETTING%`` in bindings."""

import json
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.processes import LocalError
from shared.runtime.settings import store_folder
from shared.storage.settings import AccountSettings, FolderSettings, StorageSettings

REPOSITORY = Path(__file__).resolve().parent.parent
"""The folder of this app."""

LOCAL_SETTINGS = "local.settings.json"


class MissingSettingError(LookupError):
    """A binding names a setting that is not set."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What `host.json` says of queues: `extensions.queues`.

    ``retry_after`` is its visibilityTimeout: how long a message that failed is hidden before the next try.
    """

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    retry_after: timedelta = timedelta(0)
    max_polling_interval: timedelta = timedelta(minutes=1)
    is_base64: bool = True


def load_local_settings(folder: Path) -> None:
    """Put the `Values` of `local.settings.json` into the environment; what is already there wins. Raises `LocalError`."""
    for name, value in local_values(folder).items():
        os.environ.setdefault(name, value)


def local_values(folder: Path) -> dict[str, str]:
    """Give the `Values` of `local.settings.json` as Core Tools reads them; raises `LocalError` for what is none. No value is repeated."""
    file = folder / LOCAL_SETTINGS
    content = _read_json(file)
    if content.get("IsEncrypted") is True:
        raise LocalError(f"{file} is encrypted, which only Core Tools can read: run func settings decrypt.")
    values = content.get("Values") or {}
    if not isinstance(values, dict):
        raise LocalError(f"{file}: Values must be an object, with a text for each setting.")
    found = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items() if value is not None}
    for name, value in found.items():
        if isinstance(values[name], dict | list) or "\0" in value:
            raise LocalError(f"{file}: the value of {name!r} must be a text.")
        if not name or set("=\0") & set(name):
            raise LocalError(f"{file}: {name!r} cannot be the name of a setting.")
    return found


def route_prefix(folder: Path) -> str:
    """Return what every route starts with: ``api`` unless `host.json` says otherwise."""
    prefix: str = _read_json(folder / "host.json").get("extensions", {}).get("http", {}).get("routePrefix", "api")
    return prefix


def queue_settings(folder: Path) -> QueueSettings:
    """Read `extensions.queues` of `host.json`; what is not there is as in the Functions host."""
    given: dict[str, Any] = _read_json(folder / "host.json").get("extensions", {}).get("queues", {})
    default = QueueSettings()
    batch_size: int = given.get("batchSize", default.batch_size)
    return QueueSettings(
        batch_size=batch_size,
        new_batch_threshold=given.get("newBatchThreshold", batch_size // 2),
        max_dequeue_count=given.get("maxDequeueCount", default.max_dequeue_count),
        retry_after=_time_span(given["visibilityTimeout"]) if "visibilityTimeout" in given else default.retry_after,
        max_polling_interval=_time_span(given["maxPollingInterval"]) if "maxPollingInterval" in given else default.max_polling_interval,
        is_base64=given.get("messageEncoding", "base64").lower() == "base64",
    )


def _time_span(text: str) -> timedelta:
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))


def storage_settings(name: str) -> StorageSettings:
    """Give the storage that a binding's connection names: a connection string, or the embedded store where the app has one."""
    store = os.environ.get("PERSONALIZER_STORE", "").strip()
    if store:
        return FolderSettings(store_folder(store), make=True)
    text = os.environ.get(name, "").strip()
    if not text:
        raise MissingSettingError(f"{name} connects a binding and must be a connection string here, but is not set")
    return AccountSettings(connection_string=text)


def expand(text: str) -> str:
    """Replace each ``%NAME%`` by that setting.

    >>> os.environ["EXAMPLE_SCHEDULE"] = "0 * * * * *"
    >>> expand("%EXAMPLE_SCHEDULE%")
    '0 * * * * *'
    """
    return re.sub(r"%([^%]+)%", _setting, text)


def _setting(found: re.Match[str]) -> str:
    try:
        return os.environ[found[1]]
    except KeyError:
        raise MissingSettingError(f"{found[0]} is used in a binding, but the setting {found[1]} is not set") from None


def _read_json(path: Path) -> dict[str, Any]:
    """Read an object, {} where there is no file; raises `LocalError`."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:  # the message names the place, and repeats nothing
        raise LocalError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise LocalError(f"{path} must hold a JSON object.")
    return content
