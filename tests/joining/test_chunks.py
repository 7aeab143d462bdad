"""Chunks: their names, and the chain that says which of them count."""

import subprocess
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import from_micros
from shared.domain.errors import UnreadableError
from shared.joining.chunks import ChunkName, chain, compressed, decompressed
from tests.builders import T0


def chunk(number: int, *, generation: int = 1, digest: str = "0a") -> str:
    since = T0 + timedelta(hours=number)
    return str(ChunkName(generation, since, since + timedelta(hours=1), digest))


def parents(*numbers: int) -> dict[str, str]:
    return {chunk(number): chunk(number - 1) if number else "" for number in numbers}


@given(st.integers(1, 99_999), st.integers(0, 10**16), st.integers(0, 10**16), st.text("0123456789abcdef", min_size=1, max_size=64))
def test_a_chunks_name_comes_back_as_it_was(generation, since, until, digest):
    name = ChunkName(generation, from_micros(since), from_micros(until), digest)
    assert ChunkName.parse(str(name)) == name


@pytest.mark.parametrize("name", ["", "2026/05/17/1-2.json.gz", "2026/05/17/x-2-ab.json.gz", "../2026/05/17/1-2-ab.json.gz", "g1/1-2-ab"])
def test_what_is_no_chunks_name_is_unreadable(name):
    assert not ChunkName.is_one(name)
    with pytest.raises(UnreadableError, match="not the name of a chunk"):
        ChunkName.parse(name)


def test_the_chain_goes_from_the_first_to_the_newest_and_leaves_out_what_no_commit_names():
    lost = {chunk(1, digest="ff"): chunk(0)}
    assert chain(chunk(3), {**parents(0, 1, 2, 3), **lost}) == [chunk(0), chunk(1), chunk(2), chunk(3)]


def test_without_a_newest_chunk_there_is_no_chain():
    assert chain("", parents(0)) == []


@pytest.mark.parametrize("kept", [[2, 3], [3], []])
def test_where_retention_has_left_off_the_log_begins(kept):
    assert chain(chunk(3), parents(*kept)) == [chunk(number) for number in kept]


def test_behind_the_deletion_of_a_log_nothing_is_missing():
    newest = chunk(5, generation=2)
    assert chain(newest, {newest: chunk(4)}) == [newest]


@pytest.mark.parametrize("lost", [1, 2])
def test_a_chunk_that_is_missing_before_older_ones_is_named(lost):
    present = parents(*[number for number in range(4) if number != lost])
    with pytest.raises(UnreadableError, match=chunk(lost)):
        chain(chunk(3), present)


def test_a_chain_that_comes_back_to_itself_is_an_error():
    with pytest.raises(UnreadableError):
        chain(chunk(1), {chunk(0): chunk(1), chunk(1): chunk(0)})


def test_a_chunk_tells_which_one_it_comes_after_and_its_lines_are_the_same(tmp_path):
    text = b"a line\n" * 9
    first, later = compressed(text), compressed(text, after=chunk(1))
    assert chunk(1).encode() + b"\0" in later
    assert first != later != compressed(text, after=chunk(2))
    assert decompressed(first) == decompressed(later) == text
    (tmp_path / "chunk.gz").write_bytes(later)
    assert subprocess.run(["gzip", "-dc", tmp_path / "chunk.gz"], capture_output=True, check=True).stdout == text
