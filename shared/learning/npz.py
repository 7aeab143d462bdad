"""Arrays as bytes and back: an uncompressed ``.npz`` without pickle, of one-dimensional members with known names and types.

Nothing is left to inflate, so a file can not become larger in memory than it is; the same arrays give the same bytes.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.domain.errors import NewerFormatError, UnreadableError

HEADER: Final = "header"
"""The first member, int64: format version, encoder version, and what else the format says. In any later format its first
number will still be the version."""

_WRITTEN_AT: Final = (1980, 1, 1, 0, 0, 0)  # the same arrays give the same bytes
_NPY: Final = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(<[fiu][48])', 'fortran_order': False, 'shape': \((\d{1,9}),\), \} *\n", re.DOTALL
)

_DAMAGED: Final = (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, NotImplementedError, RuntimeError)

Arrays = Mapping[str, npt.NDArray[Any]]


def write(arrays: Arrays, dtypes: Mapping[str, str]) -> bytes:
    """Write the arrays, flattened, in the order and with the types of ``dtypes``."""
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, dtype in dtypes.items():
            array = np.ascontiguousarray(arrays[name].astype(dtype, copy=False)).reshape(-1)
            head = BytesIO()
            np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
            info = zipfile.ZipInfo(f"{name}.npy", _WRITTEN_AT)
            info.create_system = 3  # by default it tells on which system it was written
            info.external_attr = 0o600 << 16
            info.file_size = len(head.getvalue()) + array.nbytes
            with archive.open(info, "w") as member:  # what may have megabytes is copied once
                member.write(head.getvalue())
                member.write(array.data)
    return written.getvalue()


def read(data: bytes, dtypes: Mapping[str, str], *, what: str, version: int, largest: int) -> dict[str, npt.NDArray[Any]]:
    """Read back what `write` wrote with these types; all numbers are finite.

    Raises `NewerFormatError` if the header tells of a later format, and `UnreadableError` for anything else that `write` would
    not have written; ``what`` is how errors call it.
    """
    if len(data) > largest:
        raise UnreadableError(f"a {what} has at most {largest} bytes, not {len(data)}")
    try:
        arrays = _unzipped(data, dtypes, what=what, version=version)
    except _DAMAGED as error:
        raise UnreadableError(f"not a {what}: {error}") from error
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise UnreadableError(f"a {what} holds a number that is not finite")
    return arrays


def version_of(data: bytes) -> int:
    """Give the format version that the header tells, -1 for what has none that can be read: `read` will say why."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            member = archive.getinfo(f"{HEADER}.npy")
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data):
                return -1
            header = _array(archive.read(member), "<i8")
    except (*_DAMAGED, UnreadableError):
        return -1
    return int(header[0]) if len(header) else -1


def _unzipped(data: bytes, dtypes: Mapping[str, str], *, what: str, version: int) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data) for member in members):
            raise UnreadableError(f"a {what}'s members are stored as they are, not compressed")
        header = _array(archive.read(f"{HEADER}.npy"), dtypes[HEADER])
        if len(header) and header[0] > version:
            raise NewerFormatError(what, found=int(header[0]), known=version)
        if not len(header) or header[0] != version:
            raise UnreadableError(f"a {what}'s header makes no sense")
        if [member.filename for member in members] != [f"{name}.npy" for name in dtypes]:
            raise UnreadableError(f"a {what} has other members than these")
        return {name: _array(archive.read(f"{name}.npy"), dtype) for name, dtype in dtypes.items()}


def _array(member: bytes, dtype: str) -> npt.NDArray[Any]:
    head = _NPY.match(member)  # matched, not evaluated as `numpy.load` would
    if head is None or head[1].decode() != dtype:
        raise UnreadableError(f"a member is not a plain array of {dtype}")
    array = np.frombuffer(member, dtype, offset=head.end())
    if len(array) != int(head[2]):
        raise UnreadableError("a member has another length than it says")
    return array
