"""A schedule is played with small models and plain files of arrays: the service's own cost time, and decide nothing here."""

import gc
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final

import numpy as np

from shared.domain import loop
from shared.domain.loop import LoopRecord, LoopSettings
from shared.evaluation import special
from shared.learning import arguments, crosses, fourier, npz, sizes
from shared.storage import clocks, loop_records, pointers, signing_keys

_LENGTH: Final = 8
_KEPT: Final = 256


def make_cheap() -> None:
    """Have models of few weights, which take a hundredth of the time, plain files of arrays, and no count of their bytes, and intervals
    that are not searched for. What is read again and again is read once.

    Others take these when they are imported. Nothing is collected while a schedule is played.
    """
    crosses.CELLS_BITS, crosses.CELLS = 8, 1 << 8  # type: ignore[misc]  # they are final for everyone else
    fourier.WAVES = 4  # type: ignore[misc]  # likewise
    npz.write, npz.read, npz.version_of = _write, _read, _version_of  # without checks
    sizes.bytes_in = lambda *things: 1_000
    special.beta_quantile = lambda probability, a, b: a / (a + b)  # intervals are searched for; the mean is as good
    clocks._seconds = lru_cache(maxsize=64)(clocks._seconds)
    signing_keys._made = lambda now, made=signing_keys._made: _key(made)  # type: ignore[misc]  # all sign by one key
    pointers.read_pointer = lru_cache(maxsize=64)(pointers.read_pointer)
    loop_records.read_record = lru_cache(maxsize=64)(loop_records.read_record)
    arguments.parse_arguments = lru_cache(maxsize=64)(arguments.parse_arguments)
    loop.LoopRecord.settings = _settings_once(loop.LoopRecord.settings)  # type: ignore[assignment, method-assign]
    signing_keys._read = cache(signing_keys._read)
    gc.disable()


def _settings_once(settings: Callable[[LoopRecord, LoopSettings], LoopSettings]) -> Callable[[LoopRecord, LoopSettings], LoopSettings]:
    """Keep what a record and the app's settings come to, as long as both are those."""
    kept: dict[tuple[int, int], tuple[LoopRecord, LoopSettings, LoopSettings]] = {}

    def once(record: LoopRecord, defaults: LoopSettings) -> LoopSettings:
        found = kept.get((id(record), id(defaults)))
        if found is None:
            if len(kept) == _KEPT:
                kept.clear()
            found = kept[id(record), id(defaults)] = (record, defaults, settings(record, defaults))
        return found[2]

    return once


@cache
def _key(made: Callable[[datetime], bytes]) -> bytes:
    return made(datetime(2026, 1, 1, tzinfo=UTC))


def _write(arrays: npz.Arrays, dtypes: Mapping[str, str]) -> bytes:
    flat = [np.ascontiguousarray(arrays[name].astype(dtype, copy=False)).reshape(-1) for name, dtype in dtypes.items()]
    head = json.dumps([[*each, len(array)] for each, array in zip(dtypes.items(), flat, strict=True)]).encode()
    return b"".join([len(head).to_bytes(_LENGTH, "little"), head, *[array.tobytes() for array in flat]])


def _read(data: bytes, dtypes: Mapping[str, str], **told: Any) -> dict[str, Any]:
    head, at = _head(data)
    found = {}
    for name, dtype, length in head:
        found[name] = np.frombuffer(data, dtype, length, at)
        at += found[name].nbytes
    return found


def _version_of(data: bytes) -> int:
    return int(np.frombuffer(data, "<i8", 1, _head(data)[1])[0])


def _head(data: bytes) -> tuple[list[tuple[str, str, int]], int]:
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    return json.loads(data[_LENGTH:end]), end
