"""What is about to be stored is read before, by what will read it: what could not be read again is not written."""

import pytest

from shared.domain.errors import NotWrittenError, UnreadableError
from shared.domain.pairs import checked, readable


def read(text: bytes) -> float:
    try:
        return abs(float(text))
    except ValueError as cause:
        raise UnreadableError("no number") from cause


def write(number: float) -> bytes:
    return str(number).encode()


def test_what_comes_back_as_it_was_meant_is_given():
    assert checked(b"12.5", read=read, write=write, name="here") == b"12.5"
    assert readable(b"-12", read, name="here") == 12


def test_a_whole_number_is_the_same_with_a_point():
    assert checked(b"12", read=read, write=write, name="here") == b"12"


@pytest.mark.parametrize("text", [b"twelve", b"-12"], ids=["unreadable", "another"])
def test_what_would_not_is_refused_and_told(text, caplog):
    with pytest.raises(NotWrittenError, match="here is not written"):
        checked(text, read=read, write=write, name="here")
    assert [each.file for each in caplog.records] == ["here"]


def test_an_error_of_another_kind_is_none_of_the_texts():
    def breaks(_: bytes) -> int:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        readable(b"12", breaks, name="here")
