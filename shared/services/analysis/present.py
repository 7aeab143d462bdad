"""The loop's present policy beside policies that learn from other features: they are compared round by round.

One lane of a stage values the present policy. It tells the others what that would have drawn from, part by part of the log, so that none
of them has to learn what it has learned already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.evaluation.sums import Floats
from shared.learning.segments import Positions, starts_of

PART_EVENTS: Final = 2_000
PART_CHUNKS: Final = 100
"""A part ends with the chunk that reaches either of these, and so does a step: whoever does a step again cuts the same parts."""

FORMAT: Final = 1

_LENGTH: Final = 8
_SIZE: Final = "<u4"
_CHANCE: Final = "<f8"


@dataclass(frozen=True, eq=False, slots=True)
class Chances:
    """What was drawn from in rounds, one after another: ``sizes`` [n] tell how many actions each had, ``flat`` has the chance of each."""

    sizes: Positions
    flat: Floats

    def __len__(self) -> int:
        return len(self.sizes)

    @staticmethod
    def none() -> "Chances":
        """Give those of no rounds."""
        return Chances(np.zeros(0, dtype=np.int64), np.zeros(0))

    @staticmethod
    def of(laid_out: Floats, sizes: Sequence[int]) -> "Chances":
        """Take chances [n, K] of rounds that have so many actions [n].

        >>> Chances.of(np.array([[1.0, 0.0], [0.2, 0.8]]), [1, 2]).flat.tolist()
        [1.0, 0.2, 0.8]
        """
        counts = np.array(sizes, dtype=np.int64)
        return Chances(counts, laid_out[np.arange(laid_out.shape[1]) < counts[:, None]])

    @staticmethod
    def joined(parts: Sequence["Chances"]) -> "Chances":
        """Give those of all parts, one part after another."""
        several = [Chances.none(), *parts]
        return Chances(np.concatenate([each.sizes for each in several]), np.concatenate([each.flat for each in several]))

    def laid_out(self, first: int, sizes: Sequence[int], *, width: int) -> Floats:
        """Give those of the rounds from ``first`` on, which have so many actions [n], as [n, ``width``].

        Raises `UnreadableError` if they are of other rounds.
        """
        counts = np.array(sizes, dtype=np.int64)
        if not np.array_equal(self.sizes[first : first + len(counts)], counts):
            raise UnreadableError("what is told of the present policy is of other rounds")
        begin, given = int(self.sizes[:first].sum()), np.zeros((len(counts), width))
        given[np.arange(width) < counts[:, None]] = self.flat[begin : begin + int(counts.sum())]
        return given


@dataclass(frozen=True, slots=True)
class _Header:
    rounds: tuple[int, ...]
    format: int = FORMAT


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """What is told of some chunks, one after another; None of one that could not be used."""

    chunks: tuple[Chances | None, ...]

    def written(self) -> bytes:
        """Write it: how many rounds each chunk has (-1: it could not be used), then the sizes of all rounds, then their chances."""
        told = Chances.joined([each for each in self.chunks if each is not None])
        header = msgspec.json.encode(_Header(tuple([-1 if each is None else len(each) for each in self.chunks])))
        parts = (len(header).to_bytes(_LENGTH, "little"), header, told.sizes.astype(_SIZE).tobytes(), told.flat.astype(_CHANCE).tobytes())
        return b"".join(parts)

    @staticmethod
    def read(data: bytes) -> "Part":
        """Inverse of `written`; raises `UnreadableError`, or `NewerFormatError`."""
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        try:
            header = msgspec.json.decode(data[_LENGTH:end], type=_Header)
        except (msgspec.MsgspecError, RecursionError) as cause:
            raise UnreadableError(f"what is told of the present policy cannot be read: {cause}") from cause
        if header.format > FORMAT:
            raise NewerFormatError("what is told of the present policy", found=header.format, known=FORMAT)
        told = _read(data[end:], sum(max(count, 0) for count in header.rounds))
        starts, ends = starts_of(np.maximum(np.array(header.rounds, dtype=np.int64), 0)), starts_of(told.sizes)
        return Part(
            tuple(
                [
                    None if count < 0 else Chances(told.sizes[first : first + count], told.flat[ends[first] : ends[first + count]])
                    for count, first in zip(header.rounds, starts.tolist(), strict=False)
                ]
            )
        )


def part_file(stage: int, first: int) -> str:
    """Name the file of the part that begins with this chunk of a stage."""
    return f"present-{stage}-{first}"


def _read(data: bytes, rounds: int) -> Chances:
    try:
        sizes = np.frombuffer(data, dtype=_SIZE, count=rounds).astype(np.int64)
        flat = np.frombuffer(data, dtype=_CHANCE, offset=sizes.size * np.dtype(_SIZE).itemsize).astype(np.float64)
    except ValueError as cause:
        raise UnreadableError("what is told of the present policy is damaged") from cause
    if len(flat) != int(sizes.sum()):
        raise UnreadableError("what is told of the present policy is damaged")
    return Chances(sizes, flat)
