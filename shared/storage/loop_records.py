"""A loop's record as JSON text.

``{"format": 2, "settings": {...}, "keys": [...], ...}``: ``settings`` has any of `LoopSettings`' fields but the name, durations in
ISO 8601, and every member but the format may be missing. Format 1 was the settings alone, beside the format. Format 3 has ``client_keys``;
a record without them is written as format 2, which earlier releases read. Format 4 has a ``breakdown_feature`` among its settings, and
format 5 a ``holdout_percentage``; only a record with one is written so. A policy that ``is_apps`` follows the app's arguments; earlier
releases do not know that member, and keep the arguments that stand beside it.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import NewerFormatError, SettingsError, UnreadableError
from shared.domain.loop import OVERRIDABLE, LoopRecord, LoopSettings

FORMAT = 5
_IS_APPS = "is_apps"
_WITHOUT_HOLDOUT = 4
_WITHOUT_FEATURE = 3
_WITHOUT_CLIENT_KEYS = 2
_SETTINGS = TypeAdapter(LoopSettings)
_RECORD = TypeAdapter(LoopRecord)
_TIME: TypeAdapter[datetime | None] = TypeAdapter(datetime | None)
_BESIDE_SETTINGS = {field.name for field in fields(LoopRecord)} - {"name", "overrides", "has_apps_policy"}


def write_record(record: LoopRecord) -> bytes:
    """Write a record; equal records give equal bytes."""
    settings = _SETTINGS.dump_python(replace(record, has_apps_policy=False).settings(LoopSettings()), mode="json")
    beside = _RECORD.dump_python(replace(record, overrides={}), mode="json", include=_BESIDE_SETTINGS)
    if not record.client_keys:
        del beside["client_keys"]
    if record.has_apps_policy:
        settings["policy"][_IS_APPS] = True
    document = {"format": _format_of(record), "settings": {name: settings[name] for name in record.overrides}, **beside}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _format_of(record: LoopRecord) -> int:
    """Give the earliest format that has all that is in the record."""
    if "holdout_percentage" in record.overrides:
        return FORMAT
    if "breakdown_feature" in record.overrides:
        return _WITHOUT_HOLDOUT
    return _WITHOUT_FEATURE if record.client_keys else _WITHOUT_CLIENT_KEYS


def read_record(name: str, text: bytes) -> LoopRecord:
    """Read the record of the loop of this name; raises `NewerFormatError` or `UnreadableError`."""
    try:
        document = orjson.loads(text)
        found = int(document.pop("format"))
        if found > FORMAT:
            raise NewerFormatError("the stored configuration", found=found, known=FORMAT)
        settings = document if found == 1 else document.pop("settings", {})
        beside = {} if found == 1 else _known(document, _BESIDE_SETTINGS)
        overrides = _overrides(_known(settings, OVERRIDABLE))
        has_apps_policy = "policy" in settings and bool(settings["policy"].get(_IS_APPS))
        return replace(_RECORD.validate_python({"name": name, **beside}), overrides=overrides, has_apps_policy=has_apps_policy)
    except (orjson.JSONDecodeError, ValidationError, SettingsError, LookupError, AttributeError, TypeError, ValueError) as cause:
        raise UnreadableError(f"the stored configuration cannot be read: {cause}") from cause


def _overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    checked = _SETTINGS.validate_python(settings)
    return {name: getattr(checked, name) for name in settings}


def _known(members: Mapping[str, Any], names: set[str] | frozenset[str]) -> Mapping[str, Any]:
    if unknown := members.keys() - names:
        raise UnreadableError(f"the stored configuration has unknown fields: {', '.join(sorted(unknown))}")
    return members


def keys_in(text: bytes, member: str = "keys") -> tuple[str, ...]:
    """Give the digests of the keys in a record that need not be readable otherwise; none if there are none to be found.

    ``member`` is ``keys`` or ``client_keys``.

    >>> keys_in(b'{"format": 99, "keys": ["", "ab"]}'), keys_in(b"nonsense"), keys_in(b'{"keys": [1]}'), keys_in(b'{"keys": "ab"}')
    (('', 'ab'), (), (), ())
    """
    try:
        keys = orjson.loads(text)[member]
        return tuple(keys) if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else ()
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ()


def _members(text: bytes) -> set[str]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return set()
    return set(document) if isinstance(document, dict) else set()


def salvaged(known: LoopRecord, text: bytes) -> LoopRecord:
    """Give what is known of a loop with the keys of its record, and its end, which need not be readable otherwise.

    A client key that is not in the record any more is none.

    >>> salvaged(LoopRecord("news", keys=("old",)), b'{"format": 99, "keys": ["", "ab"], "deleted_at": null}').keys
    ('', 'ab')
    """
    client_keys = keys_in(text, "client_keys") if _members(text) & {"keys", "client_keys"} else known.client_keys
    found = replace(known, keys=keys_in(text) or known.keys, client_keys=client_keys)
    try:
        ended = _TIME.validate_python(orjson.loads(text)["deleted_at"])
    except (orjson.JSONDecodeError, ValidationError, LookupError, TypeError):
        return found
    return replace(found, deleted_at=ended)
