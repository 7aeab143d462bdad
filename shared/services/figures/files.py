"""The live figures as bytes, and back."""

import gzip
import zlib
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import numpy as np
from isal import igzip

from shared.domain.clock import EPOCH, from_micros, to_micros
from shared.domain.errors import UnreadableError
from shared.evaluation.moments import Moments
from shared.learning import npz
from shared.services.figures.timeline import POLICIES, Activity, Timeline
from shared.services.figures.trial import Trial

VERSION: Final = 2
"""A change of the columns, their order or their meaning is another one."""

_WITHOUT_TRIAL: Final = 1
"""Of figures without an experiment, which earlier releases read."""

MOST_BUCKETS: Final = 10_000
"""Many more than there can be: what has more is damaged."""

_LEVEL: Final = 1
_EARLIER: Final = {npz.HEADER: "<i8", "begins": "<i8", "activity": "<f8", "moments": "<f8"}
_DTYPES: Final = {**_EARLIER, "trial": "<f8"}
_COLUMNS: Final = 1 + len(fields(Activity)) + len(POLICIES) * len(fields(Moments)) + len(fields(Trial))
_LARGEST: Final = 8 * MOST_BUCKETS * _COLUMNS + 10_000


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """All that is kept: the figures, and since when they have been."""

    since: datetime
    timeline: Timeline


def dump(kept: Kept) -> bytes:
    """Write them; the same figures give the same bytes."""
    timeline = kept.timeline
    version, dtypes = (VERSION, _DTYPES) if timeline.trial.events.any() else (_WITHOUT_TRIAL, _EARLIER)
    arrays = {
        npz.HEADER: np.array([version, to_micros(kept.since)]),
        "begins": timeline.begins,
        "activity": np.stack([getattr(timeline.activity, each.name) for each in fields(Activity)]),
        "moments": np.stack([getattr(timeline.moments, each.name) for each in fields(Moments)]),
        "trial": np.stack([getattr(timeline.trial, each.name) for each in fields(Trial)]),
    }
    return igzip.compress(npz.write(arrays, dtypes), _LEVEL, mtime=0)


def load(data: bytes) -> Kept:
    """Inverse of `dump`; raises `NewerFormatError` or `UnreadableError`."""
    try:
        plain = gzip.decompress(data)
    except (zlib.error, EOFError, OSError) as cause:
        raise UnreadableError(f"not a file of figures: {cause}") from cause
    is_earlier = npz.version_of(plain) == _WITHOUT_TRIAL
    version, dtypes = (_WITHOUT_TRIAL, _EARLIER) if is_earlier else (VERSION, _DTYPES)
    arrays = npz.read(plain, dtypes, what="file of figures", version=version, largest=_LARGEST)
    header, begins = arrays[npz.HEADER], arrays["begins"]
    arrays.setdefault("trial", np.zeros(len(fields(Trial)) * len(begins)))
    shapes = {
        "activity": (len(fields(Activity)), len(begins)),
        "moments": (len(fields(Moments)), len(POLICIES), len(begins)),
        "trial": (len(fields(Trial)), len(begins)),
    }
    sound = all(len(arrays[name]) == np.prod(shape) for name, shape in shapes.items())
    if not sound or len(header) != 2 or np.any(np.diff(begins) <= 0) or not 0 <= header[1] <= _latest():
        raise UnreadableError("a file of figures whose parts do not fit together")
    activity, moments, trial = (arrays[name].reshape(shape) for name, shape in shapes.items())
    return Kept(from_micros(int(header[1])), Timeline(begins, Activity(*activity), Moments(*moments), Trial(*trial)))


def _latest() -> int:
    return to_micros(datetime.max.replace(tzinfo=EPOCH.tzinfo))
