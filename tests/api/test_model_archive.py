"""The signed archive: what was written is read, whoever zipped it; nothing else is, and no more memory is taken than is allowed."""

import struct
import time
import tracemalloc
import warnings
import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.api.model_archive import LARGEST, LARGEST_ARCHIVE, MODEL, SIGNATURE, SIGNER, open_archive, read_archive, write_archive
from shared.domain.errors import InvalidModelImportFormatError
from shared.domain.models import SignedModel

SIGNED = SignedModel(b"model" * 1000, b"signer", b"signature")
ARCHIVE = write_archive(SIGNED)
MEMBERS = [(MODEL, SIGNED.model), (SIGNER, SIGNED.signer), (SIGNATURE, SIGNED.signature)]
END = 22


def zipped(*members, method=zipfile.ZIP_STORED, comment=b"") -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            archive.writestr(name, content)
        archive.comment = comment
    return written.getvalue()


def patched(data: bytes, signature: bytes, offset: int, value: bytes, *, which: int = 0) -> bytes:
    """Overwrite a field of the ``which``-th record that begins with this signature."""
    at = -1
    for _ in range(which + 1):
        at = data.index(signature, at + 1)
    return data[: at + offset] + value + data[at + offset + len(value) :]


def central(data: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite a field of the first member's entry in the directory."""
    return patched(data, b"PK\x01\x02", offset, value)


def size_said(data: bytes, size: int) -> bytes:
    said = struct.pack("<L", size)
    return patched(central(data, 24, said), b"PK\x03\x04", 22, said)


def as_zip64(data: bytes) -> bytes:
    """Put the end of a zip64 directory, which says otherwise, before the end that is believed."""
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 2**40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - END, 1)
    return data[:-END] + end64 + locator + data[-END:]


DEFLATED = zipped((MODEL, bytes(1_000_000)), *MEMBERS[1:], method=zipfile.ZIP_DEFLATED)

HOSTILE = {
    "nothing": lambda: b"",
    "no archive": lambda: b"nonsense",
    "an end without a beginning": lambda: ARCHIVE[-END:],
    "truncated": lambda: ARCHIVE[:-1],
    "truncated in the model": lambda: ARCHIVE[:100],
    "its end alone is whole": lambda: ARCHIVE[:100] + ARCHIVE[-END:],
    "something before it": lambda: b"#!/bin/sh\n" + ARCHIVE,
    "something after it": lambda: ARCHIVE + b"\n",
    "a comment": lambda: zipped(*MEMBERS, comment=b"hello"),
    "no members": lambda: zipped(),
    "a member less": lambda: zipped(*MEMBERS[:2]),
    "a member more": lambda: zipped(*MEMBERS, ("more", b"")),
    "many members": lambda: zipped(*[(f"{number}", b"") for number in range(5_000)]),
    "a member twice": lambda: zipped(*MEMBERS[:2], MEMBERS[0]),
    "the model alone, three times": lambda: zipped(*[MEMBERS[0]] * 3),
    "another name": lambda: zipped(("model.npz", b""), *MEMBERS[1:]),
    "another case": lambda: zipped(("Model.vw", SIGNED.model), *MEMBERS[1:]),
    "a path": lambda: zipped(("a/model.vw", SIGNED.model), *MEMBERS[1:]),
    "a path upwards": lambda: zipped(("../model.vw", SIGNED.model), *MEMBERS[1:]),
    "an absolute path": lambda: zipped(("/model.vw", SIGNED.model), *MEMBERS[1:]),
    "a NUL in a name": lambda: ARCHIVE.replace(b"model.vw", b"model\0vw"),
    "a long name": lambda: zipped(("m" * 60_000, b""), *MEMBERS[1:]),
    "a bomb": lambda: zipped((MODEL, bytes(LARGEST_ARCHIVE + 1)), *MEMBERS[1:], method=zipfile.ZIP_DEFLATED),
    "a bomb that says it is small": lambda: size_said(
        zipped((MODEL, bytes(LARGEST_ARCHIVE)), *MEMBERS[1:], method=zipfile.ZIP_DEFLATED), 10
    ),
    "more than it has": lambda: size_said(DEFLATED, 2_000_000),
    "less than it has": lambda: size_said(DEFLATED, 999_999),
    "stored, and more than it has": lambda: size_said(ARCHIVE, 2**31),
    "a large certificate": lambda: zipped(MEMBERS[0], (SIGNER, bytes(LARGEST[SIGNER] + 1)), MEMBERS[2]),
    "a large signature": lambda: zipped(*MEMBERS[:2], (SIGNATURE, bytes(LARGEST[SIGNATURE] + 1))),
    "encrypted": lambda: patched(central(ARCHIVE, 8, b"\x01\x00"), b"PK\x03\x04", 6, b"\x01\x00"),
    "compressed in another way": lambda: zipped(*MEMBERS, method=zipfile.ZIP_LZMA),
    "a method nobody knows": lambda: patched(central(ARCHIVE, 10, b"\x63\x00"), b"PK\x03\x04", 8, b"\x63\x00"),
    "a wrong checksum": lambda: patched(central(ARCHIVE, 16, b"\0\0\0\0"), b"PK\x03\x04", 14, b"\0\0\0\0"),
    "a member that is another": lambda: central(ARCHIVE, 42, struct.pack("<L", ARCHIVE.index(b"PK\x03\x04", 10))),
    "a member beyond the end": lambda: central(ARCHIVE, 42, struct.pack("<L", 2**31)),
    "a count that is wrong": lambda: ARCHIVE[:-END] + patched(ARCHIVE[-END:], b"PK", 10, b"\x04\x00"),
    "a directory that is longer": lambda: ARCHIVE[:-END] + patched(ARCHIVE[-END:], b"PK", 12, struct.pack("<L", 2**31)),
    "a directory elsewhere": lambda: ARCHIVE[:-END] + patched(ARCHIVE[-END:], b"PK", 16, struct.pack("<L", 0)),
    "several parts": lambda: ARCHIVE[:-END] + patched(ARCHIVE[-END:], b"PK", 4, b"\x01\x00"),
    "another directory": lambda: as_zip64(ARCHIVE),
}


def test_what_was_written_is_read_and_written_again_to_the_same_bytes():
    assert read_archive(ARCHIVE) == SIGNED
    assert write_archive(read_archive(ARCHIVE)) == ARCHIVE


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_another_archiver_wrote_is_read_in_whatever_order(method):
    assert read_archive(zipped(*reversed(MEMBERS), method=method)) == SIGNED


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_signed_model_is_refused(name):
    with pytest.raises(InvalidModelImportFormatError):
        read_archive(HOSTILE[name]())


@pytest.mark.parametrize("name", ["a bomb", "a bomb that says it is small", "many members", "a long name", "another directory"])
def test_nothing_is_inflated_or_read_beyond_what_is_allowed(name):
    data = HOSTILE[name]()
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(InvalidModelImportFormatError):
        read_archive(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 + len(data)
    assert time.process_time() - began < 1


def test_what_is_wrong_is_named():
    with pytest.raises(InvalidModelImportFormatError, match=r"5000 members.*model\.vw, signer\.der, sha512_signature\.bin"):
        read_archive(HOSTILE["many members"]())
    with pytest.raises(InvalidModelImportFormatError, match="encrypted") as refused:
        read_archive(HOSTILE["encrypted"]())
    assert refused.value.target == MODEL


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_whatever_is_damaged_nothing_but_the_one_error_is_raised(data):
    damaged = bytearray(DEFLATED if data.draw(st.booleans()) else ARCHIVE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_archive(bytes(damaged))
    except InvalidModelImportFormatError:
        return
    assert all(len(content) <= LARGEST_ARCHIVE for content in (read.model, read.signer, read.signature))


def test_of_an_archive_that_is_only_opened_the_model_is_not_inflated():
    data = zipped((MODEL, bytes(LARGEST_ARCHIVE)), *MEMBERS[1:], method=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    packed = open_archive(data)
    assert (packed.signer, packed.signature) == (SIGNED.signer, SIGNED.signature)
    assert tracemalloc.get_traced_memory()[1] < 200_000 + len(data)
    assert sum(map(len, packed.pieces())) == LARGEST_ARCHIVE
    assert tracemalloc.get_traced_memory()[1] < 6_000_000 + len(data)
    tracemalloc.stop()


def test_a_packed_model_is_damaged_when_it_is_unpacked():
    data = patched(ARCHIVE, b"model" * 3, 0, b"MODEL")
    packed = open_archive(data)
    with pytest.raises(InvalidModelImportFormatError, match="damaged"):
        packed.model()
    with pytest.raises(InvalidModelImportFormatError, match="damaged"):
        list(packed.pieces())


# --- models of others ----------------------------------------------------------------------------------------------------------


def vowpal_wabbit(version: str) -> bytes:
    """The beginning of a model file: the length of the version, the version, and what the learner keeps."""
    text = version.encode() + b"\0"
    return struct.pack("<L", len(text)) + text + b"m" + bytes(200)


@pytest.mark.parametrize("version", ["8.8.1", "8.11.0", "9.10.0-rc1"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_model_of_vowpal_wabbit_is_named_whoever_signed_it_and_whatever_lies_beside_it(version, method):
    model = vowpal_wabbit(version)
    exports = [
        zipped(("model.vw", model), ("signer.der", b"Microsoft's"), ("sha512_signature.bin", bytes(256)), method=method),
        zipped(("model.vw", model), method=method),
        zipped(("export/current", model), ("export/metadata.json", b"{}"), method=method),
        model,
        f"Version {version}\nId \nMin label:-1\n".encode(),
    ]
    for export in exports:
        with pytest.raises(InvalidModelImportFormatError, match=f"Vowpal Wabbit {version.partition('-')[0]}.*import the logs") as refused:
            open_archive(export)
        assert refused.value.target == MODEL


@given(st.binary(max_size=80))
def test_what_only_looks_a_little_like_one_is_refused_for_what_it_is(data):
    with pytest.raises(InvalidModelImportFormatError):
        open_archive(data)


def test_of_an_archive_of_very_many_files_none_is_opened():
    many = zipped(*[(f"{number}.vw", vowpal_wabbit("8.8.1")) for number in range(17)])
    with pytest.raises(InvalidModelImportFormatError, match="17 members"):
        open_archive(many)
