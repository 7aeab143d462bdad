"""A learner as bytes and back: an uncompressed ``.npz`` without pickle, checked before use.

Only the cells that were met are stored, so a young loop's artifact is small, and nothing is left to inflate: a file can
not become larger in memory than its crosses allow.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.learning.encoding import ENCODER_VERSION
from shared.learning.learner import Learner, unscaled
from shared.learning.model import CELLS, Model, read_only

FORMAT_VERSION: Final = 1

_HEADER: Final = "header"
"""Format version, encoder version and learned events. In any later format its first number will still be the version."""

_DTYPES: Final = {_HEADER: "<i8", "sums": "<f8", "cells": "<u4", "weights": "<f4", "squares": "<f4", "scales": "<f4"}
_LARGEST: Final = CELLS * 16 + 4096
_WRITTEN_AT: Final = (1980, 1, 1, 0, 0, 0)  # the same learner gives the same bytes
_NPY: Final = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(<[fiu][48])', 'fortran_order': False, 'shape': \((\d{1,9}),\), \} *\n", re.DOTALL
)

_Array = npt.NDArray[Any]


def dump(learner: Learner) -> bytes:
    """Write a learner; the same state gives the same bytes."""
    cells = np.flatnonzero(learner.scales)
    return _zipped(
        {
            _HEADER: np.array([FORMAT_VERSION, ENCODER_VERSION, learner.learned]),
            "sums": np.array([learner.squared_values, learner.squared_errors]),
            "cells": cells,
            "weights": learner.weights[cells],
            "squares": learner.squares[cells],
            "scales": learner.scales[cells],
        }
    )


def load_learner(data: bytes) -> Learner:
    """Read what `dump` wrote, to go on learning exactly where it stood.

    Raises `NewerFormatError` for what a later release wrote and `UnreadableError` for anything else that is not as `dump`
    writes it; `load_model` likewise.
    """
    arrays = _checked(data)
    learner = Learner.cold()
    for name, into in (("weights", learner.weights), ("squares", learner.squares), ("scales", learner.scales)):
        into[arrays["cells"]] = arrays[name]
    learner.learned = int(arrays[_HEADER][2])
    learner.squared_values, learner.squared_errors = arrays["sums"].tolist()
    return learner


def load_model(data: bytes) -> Model:
    """Read only what Rank needs: the same model that the dumped learner would give."""
    arrays = _checked(data)
    weights = np.zeros(CELLS, dtype=np.float32)
    weights[arrays["cells"]] = unscaled(arrays["weights"], arrays["scales"])
    return Model(read_only(weights), learned=int(arrays[_HEADER][2]))


def _zipped(arrays: Mapping[str, _Array]) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = BytesIO()
            np.lib.format.write_array(member, array.astype(_DTYPES[name]), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _WRITTEN_AT)
            info.create_system = 3  # by default it tells on which system it was written
            archive.writestr(info, member.getvalue())
    return written.getvalue()


def _checked(data: bytes) -> dict[str, _Array]:
    if len(data) > _LARGEST:
        raise UnreadableError(f"a model has at most {_LARGEST} bytes, not {len(data)}")
    try:
        arrays = _unzipped(data)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnreadableError(f"not a model: {error}") from error
    _check(arrays)
    return arrays


def _unzipped(data: bytes) -> dict[str, _Array]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data) for member in members):
            raise UnreadableError("a model's members are stored as they are, not compressed")
        header = _array(archive.read(f"{_HEADER}.npy"), _DTYPES[_HEADER])
        _check_versions(header)
        if [member.filename for member in members] != [f"{name}.npy" for name in _DTYPES]:
            raise UnreadableError("a model has other members than these")
        return {name: _array(archive.read(f"{name}.npy"), dtype) for name, dtype in _DTYPES.items()}


def _array(member: bytes, dtype: str) -> _Array:
    head = _NPY.match(member)  # matched, not evaluated as `numpy.load` would
    if head is None or head[1].decode() != dtype:
        raise UnreadableError(f"a model's member is not a plain array of {dtype}")
    array = np.frombuffer(member, dtype, offset=head.end())
    if len(array) != int(head[2]):
        raise UnreadableError("a model's array has another length than it says")
    return array


def _check_versions(header: _Array) -> None:
    if len(header) > 0 and header[0] > FORMAT_VERSION:
        raise NewerFormatError("model", found=int(header[0]), known=FORMAT_VERSION)
    if len(header) != 3 or header[0] != FORMAT_VERSION or header[2] < 0:
        raise UnreadableError("a model's header makes no sense")
    if header[1] > ENCODER_VERSION:
        raise NewerFormatError("model's encoder", found=int(header[1]), known=ENCODER_VERSION)
    if header[1] != ENCODER_VERSION:
        raise UnreadableError(f"the model speaks the language of encoder {header[1]}, this release that of {ENCODER_VERSION}")


def _check(arrays: Mapping[str, _Array]) -> None:
    cells, sums, scales = arrays["cells"], arrays["sums"], arrays["scales"]
    if any(len(arrays[name]) != len(cells) for name in ("weights", "squares", "scales")) or len(sums) != 2:
        raise UnreadableError("a model's arrays do not fit each other")
    if not all(np.isfinite(arrays[name]).all() for name in ("sums", "weights", "squares", "scales")):
        raise UnreadableError("a model holds a number that is not finite")
    if (scales <= 0).any() or (arrays["squares"] < 0).any() or (sums < 0).any():
        raise UnreadableError("a model holds a negative size")
    if len(cells) and (cells[-1] >= CELLS or (np.diff(cells.astype(np.int64)) <= 0).any()):
        raise UnreadableError("a model's cells are not in order")
