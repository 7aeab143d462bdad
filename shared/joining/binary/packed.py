"""What an event holds, unpacked: as it is, or compressed by Zstandard."""

import io
from typing import IO, TYPE_CHECKING, Final

from shared.domain.errors import UnreadableError

if TYPE_CHECKING:
    from zstandard import ZstdDecompressor

MOST_UNPACKED: Final = 64 * 1024 * 1024
"""A few bytes may unpack to anything."""

_WINDOW: Final = 128 * 1024 * 1024
"""What any level of compression needs: memory for what was unpacked last."""

_AS_IT_IS: Final = 0
_ZSTANDARD: Final = 1


class Unpacking:
    """Unpacks the events of one file, one after another."""

    def __init__(self) -> None:
        self._zstandard: ZstdDecompressor | None = None

    def unpacked(self, data: bytes, encoding: int) -> bytes:
        """Unpack it; raises `UnreadableError` for what is damaged, too long, or packed in another way.

        Raises `ModuleNotFoundError` where the package for it is not installed.
        """
        if encoding == _AS_IT_IS:
            return data
        if encoding != _ZSTANDARD:
            raise UnreadableError(f"an event is compressed in a way that is not known: its number is {encoding}")
        return self._inflated(data)

    def _inflated(self, data: bytes) -> bytes:
        import zstandard

        self._zstandard = self._zstandard or zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        try:
            told = zstandard.frame_content_size(data)
            if told > MOST_UNPACKED:
                raise _too_long()
            return self._zstandard.decompress(data) if told >= 0 else _streamed(self._zstandard.stream_reader(io.BytesIO(data)))
        except (zstandard.ZstdError, MemoryError) as cause:
            raise UnreadableError(f"a compressed event is damaged: {cause}") from cause


def _streamed(reader: IO[bytes]) -> bytes:
    """Unpack what does not tell its length before."""
    with reader:
        found = reader.read(MOST_UNPACKED + 1)
    if len(found) > MOST_UNPACKED:
        raise _too_long()
    return found


def _too_long() -> UnreadableError:
    return UnreadableError(f"a compressed event has more than {MOST_UNPACKED >> 20} MiB")
