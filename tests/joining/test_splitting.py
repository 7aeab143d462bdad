"""Lines out of blocks: however the file was cut and packed, its lines are the same; what is no text says so."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.joining import splitting
from shared.joining.splitting import Line, LineSplitter

PACKED = {
    "plain": lambda text: text,
    "gzip": gzip.compress,
    "gzip in two streams": lambda text: gzip.compress(text[:7]) + gzip.compress(text[7:]) + b"\0" * 5,
    "marked": lambda text: b"\xef\xbb\xbf" + text,
    "marked, and gzip": lambda text: gzip.compress(b"\xef\xbb\xbf" + text),
}


def lines_of(data: bytes, size: int) -> Iterator[Line]:
    splitter = LineSplitter()
    for at in range(0, len(data), size):
        yield from splitter.feed(data[at : at + size])
    yield from splitter.end()


def split(data: bytes, size: int) -> list[Any]:
    return list(lines_of(data, size))


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@given(
    lines=st.lists(st.binary(max_size=9).map(lambda text: text.translate(None, b"\r\n\x1f\xefVU\0\x11\xff")), max_size=8),
    size=st.integers(1, 40),
)
def test_however_it_is_cut_and_packed_the_lines_are_the_same(pack, lines, size):
    text = b"".join(b"%b\n" % line for line in lines)
    assert split(pack(text), size) == lines


def test_the_last_line_need_not_be_ended_and_windows_ends_are_none_of_the_line():
    assert split(b"one\r\ntwo", 4) == [b"one", b"two"]
    assert split(b"", 1) == []
    assert split(b"x", 1) == [b"x"]


@pytest.mark.parametrize("pack", [PACKED["plain"], PACKED["gzip"]])
def test_of_a_line_that_is_too_long_only_enough_is_kept_to_see_that_it_is(monkeypatch, pack):
    monkeypatch.setattr(splitting, "MAX_LINE", 10)
    monkeypatch.setattr(splitting, "_PIECE", 16)
    lines = split(pack(b"short\n" + b"x" * 5_000 + b"\nshort\n"), 7)
    assert [len(line) for line in lines] == [5, 11, 5]


def test_a_small_file_that_holds_a_lot_is_inflated_piece_by_piece():
    splitter = LineSplitter()
    pieces = splitter.feed(gzip.compress(b"a\n" * 4_000_000))
    assert next(pieces) == b"a"
    assert len(splitter._inflate.unconsumed_tail) > 0


@pytest.mark.parametrize("size", [3, 1000])
def test_a_gzip_file_that_is_cut_off_gives_what_is_there_and_says_so(size):
    packed = gzip.compress(b"".join(b"%d\n" % number for number in range(2_000)))
    splitter = LineSplitter()
    cut = packed[: len(packed) // 2]
    lines = [line for at in range(0, len(cut), size) for line in splitter.feed(cut[at : at + size])]
    assert lines[:3] == [b"0", b"1", b"2"]
    with pytest.raises(UnreadableError, match="cut off"):
        list(splitter.end())


def until_damage(data: bytes, size: int) -> list[Any]:
    found: list[Any] = []
    with pytest.raises(UnreadableError, match="damaged"):
        found.extend(lines_of(data, size))
    return found


@pytest.mark.parametrize("size", [100, 1 << 20])
@pytest.mark.parametrize("stored", [False, True], ids=["packed", "stored"])
def test_a_gzip_file_that_is_damaged_gives_what_comes_before_however_small_it_is(size, stored):
    lines = [b'{"x":"%d is a line"}' % (number * 7919 % 10_007) for number in range(2_000)]
    packed = gzip.compress(b"\n".join(lines), 0 if stored else 9)
    for at in (0.3, 0.6, 0.9):
        place = int(len(packed) * at)
        damaged = packed[:place] + bytes(each ^ 0x5A for each in packed[place : place + 200]) + packed[place + 200 :]
        found = until_damage(damaged, size)
        right = sum(one == other for one, other in zip(found, lines, strict=False))
        assert right >= (at - 0.1) * len(lines)
        if size > len(damaged):
            assert len(found) - right <= len(lines) // 100, "what follows the damage is not taken for lines"


def test_a_gzip_file_whose_checksum_is_wrong_gives_its_lines_and_says_so():
    packed = bytearray(gzip.compress(b'"one"\n\n"three"\n'))
    packed[-8] ^= 1
    assert until_damage(bytes(packed), 1 << 20) == [b'"one"', b"", b'"three"']


def test_a_damaged_gzip_file_says_that_it_is():
    with pytest.raises(UnreadableError, match="damaged"):
        split(gzip.compress(b"text\n" * 99) + b"nonsense", 50)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "behind", [b"garbage", b"\x1f\x8b\x08\0", gzip.compress(b"three")[:10]], ids=["no stream", "a beginning", "a head"]
)
def test_what_stands_behind_a_whole_gzip_stream_takes_no_line_from_it(size, behind):
    for text in (b"one\ntwo", b"x"):
        lines = lines_of(gzip.compress(text) + behind, size)
        assert [next(lines) for _ in text.split(b"\n")] == text.split(b"\n")
        with pytest.raises(UnreadableError, match=r"damaged|cut off"):
            next(lines)
