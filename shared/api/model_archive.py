"""The signed model as a file: a zip archive of the model, its signer's certificate and the signature."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from shared.domain.errors import InvalidModelImportFormatError
from shared.domain.models import SignedModel

MODEL: Final = "model.vw"
SIGNER: Final = "signer.der"
SIGNATURE: Final = "sha512_signature.bin"

LARGEST_ARCHIVE: Final = 64 * 1024 * 1024
LARGEST: Final = {MODEL: LARGEST_ARCHIVE, SIGNER: 16 * 1024, SIGNATURE: 1024}
"""The members, in the order in which they are written, and how many bytes each may have."""

_WRITTEN_AT: Final = (1980, 1, 1, 0, 0, 0)  # the same model and key give the same file
_END: Final = struct.Struct("<4s4H2LH")  # the end of the central directory: APPNOTE.TXT, 4.3.16
_LARGEST_DIRECTORY: Final = len(LARGEST) * 256
_PIECE: Final = 1024 * 1024
_MOST_MEMBERS: Final = 16
_LONGEST_NAME: Final = 512
_VOWPAL_WABBIT: Final = re.compile(rb"(?:[\x04-\x20]\0\0\0|Version )(\d{1,3}\.\d{1,3}\.\d{1,3})[\w.-]{0,16}[\0\r\n]")
"""How a model of Vowpal Wabbit begins: the length of the version in four bytes, then the version with a zero; or as text."""
_LONGEST_BEGINNING: Final = 64
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
)
"""What reading an archive raises that is none."""


def write_archive(signed: SignedModel) -> bytes:
    """Write a signed model; the same one gives the same bytes."""
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in zip(LARGEST, (signed.model, signed.signer, signed.signature), strict=True):
            info = zipfile.ZipInfo(name, _WRITTEN_AT)
            info.create_system = 3  # by default it tells on which system it was written
            archive.writestr(info, content)
    return written.getvalue()


def read_archive(data: bytes) -> SignedModel:
    """Read what `write_archive` wrote, or another archiver of the same members; inflates no more than is allowed.

    Raises `InvalidModelImportFormatError`, which says what is wrong.
    """
    packed = open_archive(data)
    return SignedModel(packed.model(), packed.signer, packed.signature)


@dataclass(frozen=True, slots=True)
class PackedModel:
    """An archive whose model is still packed: `shared.domain.ports.PackedModel`."""

    signer: bytes
    signature: bytes
    _archive: zipfile.ZipFile
    _model: zipfile.ZipInfo

    def pieces(self) -> Iterator[bytes]:
        """Inflate the model, a piece at a time."""
        try:
            yield from _pieces(self._archive, self._model)
        except _DAMAGED as cause:
            raise _invalid(f"the archive is damaged: {cause}") from cause

    def model(self) -> bytes:
        """Inflate the model as a whole."""
        return b"".join(self.pieces())


def open_archive(data: bytes) -> PackedModel:
    """Look into an archive: all is checked that is said of its members, but of the model nothing is inflated; raises as `read_archive`."""
    if not data:
        raise _invalid("the request has no body: send the signed archive with a Content-Length (chunked bodies do not reach every host)")
    _check_maker(data)
    _check_end(data)
    try:
        return _opened(zipfile.ZipFile(BytesIO(data)))
    except _DAMAGED as cause:
        raise _invalid(f"the archive is damaged: {cause}") from cause


def _check_maker(data: bytes) -> None:
    """Refuse a model of Vowpal Wabbit, as Azure Personalizer exported it, by its name, whoever signed it: bare or in an archive."""
    found = _VOWPAL_WABBIT.match(data[:_LONGEST_BEGINNING]) or next(filter(None, map(_VOWPAL_WABBIT.match, _beginnings(data))), None)
    if found is not None:
        raise _invalid(
            f"this is a model of Vowpal Wabbit {found[1].decode()}, as Azure Personalizer exported it, and cannot be used as it is:"
            " its weights belong to another learner; import the logs instead (python -m cli migrate), and this learner learns from them",
            target=MODEL,
        )


def _beginnings(data: bytes) -> list[bytes]:
    """Give the first bytes of each file in an archive of a few files; none of what is no such archive, which is told of later."""
    end = data[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        return []
    _, _, _, _, count, size, _, _ = _END.unpack(end)
    if count > _MOST_MEMBERS or size > count * _LONGEST_NAME:
        return []
    try:
        archive = zipfile.ZipFile(BytesIO(data))
        return [_beginning(archive, member) for member in archive.infolist() if member.compress_type in _METHODS]
    except _DAMAGED:
        return []


def _beginning(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & _ENCRYPTED:
        return b""
    with archive.open(member) as opened:
        return opened.read(_LONGEST_BEGINNING)


def _check_end(data: bytes) -> None:
    """Look at the end of the directory before the directory is read: a long one would take memory out of proportion."""
    end = data[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        raise _invalid("the body is not a zip archive, or only a part of one")
    _, disk, first_disk, here, count, size, offset, comment = _END.unpack(end)
    if (disk, first_disk, comment) != (0, 0, 0) or here != count:
        raise _invalid("the archive has a comment or more than one part")
    if count != len(LARGEST):
        raise _invalid(f"the archive has {count} members; it has to have {len(LARGEST)}: {', '.join(LARGEST)}")
    if size > _LARGEST_DIRECTORY or offset + size + _END.size != len(data):
        raise _invalid("the archive's directory is not in its place, or has a wrong length")


def _opened(archive: zipfile.ZipFile) -> PackedModel:
    members = {info.orig_filename: info for info in archive.infolist()}
    if sorted(members) != sorted(LARGEST) or len(archive.infolist()) != len(LARGEST):
        named = ", ".join(sorted(repr(info.orig_filename[:40]) for info in archive.infolist()))
        raise _invalid(f"the archive's members have to be {', '.join(LARGEST)}, not {named}")
    for name, largest in LARGEST.items():
        _check_member(members[name], largest=largest)
    signer, signature = (b"".join(_pieces(archive, members[name])) for name in (SIGNER, SIGNATURE))
    return PackedModel(signer, signature, archive, members[MODEL])


def _check_member(member: zipfile.ZipInfo, *, largest: int) -> None:
    name = member.orig_filename
    if member.flag_bits & _ENCRYPTED:
        raise _invalid(f"{name}: is encrypted", target=name)
    if member.compress_type not in _METHODS:
        raise _invalid(f"{name}: has to be stored or deflated", target=name)
    if member.file_size > largest:
        raise _invalid(f"{name}: has {member.file_size} bytes; at most {largest} are read", target=name)


def _pieces(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Read a member piece by piece; no more is inflated than it says it has, and a wrong checksum or length tells of it."""
    size = 0
    with archive.open(member) as opened:
        while piece := opened.read(min(_PIECE, member.file_size + 1 - size)):
            size += len(piece)
            yield piece
    if size != member.file_size:
        name = member.orig_filename
        raise _invalid(f"{name}: has {size} bytes, not {member.file_size} as it says", target=name)


def _invalid(message: str, *, target: str | None = None) -> InvalidModelImportFormatError:
    return InvalidModelImportFormatError(message, target=target)
