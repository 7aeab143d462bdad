"""A bounded memory of what was met lately."""

from collections.abc import Iterable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by exact text, in two generations: when the young one is full, the old one is forgotten.

    At most ``2 * size`` texts of at most ``longest`` bytes; longer ones are not remembered. Safe to share between threads.
    """

    def __init__(self, *, size: int, longest: int) -> None:
        self._size = size
        self._longest = longest
        self._young: dict[bytes, Value] = {}
        self._old: dict[bytes, Value] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def resize(self, size: int) -> None:
        """Remember at most twice so many texts from now on; what is more is forgotten at once."""
        self._size = size
        if max(len(self._young), len(self._old)) > size:
            self._young, self._old = {}, {}

    def get(self, text: bytes) -> Value | None:
        """Give what was put under this text lately."""
        value = self._young.get(text)
        if value is None:
            value = self._old.get(text)
            if value is not None:
                self.put(text, value)
        return value

    def several(self, texts: Iterable[bytes]) -> list[Value | None]:
        """Give what was put under each text lately, as far as that takes no more than a look at each."""
        return list(map(self._young.get, texts))

    def put(self, text: bytes, value: Value) -> None:
        """Remember a value."""
        if len(text) > self._longest:
            return
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[bytes(memoryview(text))] = value  # a writer of JSON leaves its room for more behind the text: thousands of bytes
