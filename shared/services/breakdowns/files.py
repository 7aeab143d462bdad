"""A breakdown as bytes, and back."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import orjson
from isal import igzip

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import UnreadableError
from shared.learning import npz
from shared.services.breakdowns.keys import LONGEST
from shared.services.breakdowns.table import DAYS_KEPT, OTHER, Compared, Earned, Keys, Table
from shared.services.breakdowns.window import MOST_ACTIONS, MOST_PAIRS, MOST_VALUES, Breakdown

VERSION: Final = 1
"""A change of the columns, their order or their meaning is another one."""

_LEVEL: Final = 1
_WORD: Final = 4
_LATEST: Final = 1 << 32
_TABLES: Final[Mapping[str, tuple[type[Earned], int]]] = MappingProxyType(
    {"actions": (Earned, MOST_ACTIONS), "values": (Compared, MOST_VALUES), "pairs": (Earned, MOST_PAIRS)}
)
_PARTS: Final = {"texts": "<u4", "keys": "<f8", "range": "<f8", "cells": "<i8", "sums": "<f8"}
_DTYPES: Final = {
    npz.HEADER: "<i8",
    "feature": "<u4",
    **{f"{table}_{part}": dtype for table in _TABLES for part, dtype in _PARTS.items()},
}
_BUCKETS: Final = DAYS_KEPT + 3 * 24
_LARGEST: Final = sum(
    (most + 1) * _BUCKETS * 8 * (2 + len(fields(kind))) + most * (2 * 6 * LONGEST + 100) for kind, most in _TABLES.values()
)
"""Bytes in memory of the most that there can be."""

_Kind = TypeVar("_Kind", bound=Earned)


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """All that is kept: the sums, since when there are some, and since when there are some of the feature."""

    since: datetime
    feature_since: datetime
    breakdown: Breakdown


def dump(kept: Kept) -> bytes:
    """Write them; the same sums give the same bytes."""
    found = kept.breakdown
    header = np.array([VERSION, to_micros(kept.since), to_micros(kept.feature_since)])
    arrays: dict[str, npt.NDArray[Any]] = {npz.HEADER: header, "feature": _words([found.feature])}
    for name, table in (("actions", found.actions), ("values", found.values), ("pairs", found.pairs)):
        arrays |= {f"{name}_{part}": array for part, array in _parts(table)}
    return igzip.compress(npz.write(arrays, _DTYPES), _LEVEL, mtime=0)


def _parts(table: Table[Any]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    keys = table.keys
    yield "texts", _words(keys.texts)
    yield "keys", np.stack([keys.missed, *[each.astype(np.float64) for each in (keys.since, keys.first, keys.last)]])
    yield "range", np.array([table.floor, table.lowest, table.highest])
    yield "cells", np.stack([table.places, table.begins])
    yield "sums", np.stack([getattr(table.sums, each.name) for each in fields(table.sums)])


def load(data: bytes) -> Kept:
    """Inverse of `dump`; raises `NewerFormatError` or `UnreadableError`."""
    try:
        plain = gzip.decompress(data)
    except (zlib.error, EOFError, OSError) as cause:
        raise UnreadableError(f"not a breakdown: {cause}") from cause
    arrays = npz.read(plain, _DTYPES, what="breakdown", version=VERSION, largest=_LARGEST)
    try:
        _, since, feature_since = arrays[npz.HEADER].tolist()
        (feature,) = _texts(arrays["feature"])
        found = Breakdown(
            feature,
            _table(arrays, "actions", Earned, MOST_ACTIONS),
            _table(arrays, "values", Compared, MOST_VALUES),
            _table(arrays, "pairs", Earned, MOST_PAIRS),
        )
        return Kept(from_micros(since), from_micros(feature_since), found)
    except (ValueError, OverflowError, IndexError) as cause:
        raise UnreadableError(f"a breakdown whose parts do not go together: {cause}") from cause


def _table(arrays: Mapping[str, npt.NDArray[Any]], name: str, kind: type[_Kind], most: int) -> Table[_Kind]:
    texts, keys, ends, cells, sums = (arrays[f"{name}_{part}"] for part in _PARTS)
    found = _texts(texts)
    missed, since, first, last = keys.reshape(4, len(found))
    places, begins = cells.reshape(2, -1)
    columns = sums.reshape(len(fields(kind)), len(places))
    codes = places * _LATEST + begins
    sound = (
        len(found) <= most
        and all(one < other for one, other in pairwise(found))
        and np.all((places >= OTHER) & (places < len(found)) & (begins >= 0) & (begins < _LATEST))
        and np.all(np.diff(codes) > 0)
        and np.all(np.abs(keys) < _LATEST)
    )
    if not sound:
        raise ValueError(f"the table of {name}")
    floor, lowest, highest = ends.tolist()
    whole = Keys(tuple(found), missed, *(each.astype(np.int64) for each in (since, first, last)))
    return Table(whole, places, begins, kind(*columns), floor, lowest, highest)


def _words(texts: tuple[str, ...] | list[str]) -> npt.NDArray[np.uint32]:
    """Write texts as JSON, filled up with spaces to whole words."""
    written = orjson.dumps(list(texts))
    return np.frombuffer(written + b" " * (-len(written) % _WORD), "<u4")


def _texts(words: npt.NDArray[Any]) -> list[str]:
    texts = orjson.loads(words.tobytes())
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("no list of texts")
    return texts
