"""Reads what Core Tools would read: `local.settings.json`, `host.json` and ``%SETTING%`` in bindings."""

import json
import os
import re
from pathlib import Path
from typing import Any


class MissingSettingError(LookupError):
    """A binding names a setting that is not set."""


def load_local_settings(folder: Path) -> None:
    """Put the `Values` of `local.settings.json` into the environment; what is already there wins."""
    values: dict[str, Any] = _read_json(folder / "local.settings.json").get("Values", {})
    for name, value in values.items():
        os.environ.setdefault(name, str(value))


def route_prefix(folder: Path) -> str:
    """Return what every route starts with: ``api`` unless `host.json` says otherwise."""
    prefix: str = _read_json(folder / "host.json").get("extensions", {}).get("http", {}).get("routePrefix", "api")
    return prefix


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
    if not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text("utf-8-sig"))
    return content
