"""From a situation to numbers: hashed features of the context and of each action.

Features follow Azure Personalizer: a string is one feature per value, a number is one feature with that value, a bool or
null is one feature per ``true``, ``false`` or ``null``, an array of numbers is one feature per position, a nested object is
a dotted path, and names that start with ``_`` are ignored. The strings in an array are a set: their position is no part of
the feature. An action's id is a feature too, and the context carries a constant, so that crossing context with action
also gives the effect of an action alone.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt
import orjson

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import Action, Features, JsonValue, Situation
from shared.domain.recent import Recent
from shared.learning.segments import Positions, ranges, starts_of

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint32]

ENCODER_VERSION: Final = 2
"""Changes whenever a situation would be encoded differently: older logs and models then speak another language."""

WIDTH: Final = 256
"""Most entries a side. Beyond it, all but the constant or the id are summed, by hash, into the places that are left."""

NUMERIC: Final = 2
"""The bit of a hash that tells a feature whose value is a number: `shared.learning.measures` puts those to scale."""

LARGEST: Final = 1e9
"""Values are clipped to ± this, so that a cross of two, squared, is a finite float32; below the inverse they count as 0."""

_SMALLEST: Final = 1.0 / LARGEST
END: Final = "\x1f"
"""Ends a namespace, and a name before its value: a character that hardly occurs in either."""

_CACHED_TEXTS: Final = 1 << 15
_LONGEST_CACHED_TEXT: Final = 128
_SHORT: Final = 96
_CACHED_ACTIONS: Final = 1 << 12
_LARGEST_CACHED_ACTION: Final = 1 << 10
_WORDS: Final = {True: "true", False: "false", None: "null"}
_OBJECT: Final = (dict, Mapping)  # dict first: the abstract class is slow to ask


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One side of a situation: hashes and values, equally many. An action's id comes first, and so does a context's constant.

    A row is itself only: it serves as its own key in what a model remembers.
    """

    hashes: tuple[int, ...]
    values: tuple[float, ...]

    def packed(self) -> bytes:
        """Give the hashes (uint32) and then the values (float32), little endian."""
        count = len(self.hashes)
        return struct.pack(f"<{count}I{count}f", *self.hashes, *self.values)


@dataclass(frozen=True, eq=False, slots=True)
class EncodedSituation:
    """What a model scores."""

    context: Row
    actions: tuple[Row, ...]

    def logged(self, chosen: int) -> bytes:
        """Give what the decision log carries: the context and the chosen action.

        Little-endian words of 4 bytes: a header (version in bits 0-7, C in 8-19, A in 20-31), the context's C hashes and
        C values, the action's A hashes and A values.
        """
        context, action = self.context, self.actions[chosen]
        header = struct.pack("<I", ENCODER_VERSION | len(context.hashes) << 8 | len(action.hashes) << 20)
        return b"".join((header, context.packed(), action.packed()))


def encoder_version(encoded: bytes) -> int:
    """Give the version of the encoder that wrote this, 0 if none did.

    >>> encoder_version(b"")
    0
    """
    return encoded[0] if encoded else 0


class Encoder:
    """Encodes situations, remembering texts and actions met lately; may be shared between threads.

    What it remembers is bounded, whatever callers send, and changes nothing in what it gives.
    """

    def __init__(self) -> None:
        self._remembered_hash: Callable[[str], int] = lru_cache(maxsize=_CACHED_TEXTS)(feature_hash)
        self._remembered_actions: Recent[Row] = Recent(size=_CACHED_ACTIONS, longest=_LARGEST_CACHED_ACTION)

    def encode(self, situation: Situation) -> EncodedSituation:
        """Hash the features of a situation, which has at least one action."""
        rows = self._remembered_actions.several([action.text for action in situation.actions])
        if None in rows:
            rows = [row or self._action(action) for row, action in zip(rows, situation.actions, strict=True)]
        return EncodedSituation(self._context(situation.context), tuple(rows))  # type: ignore[arg-type]  # no None is left

    def _context(self, context: Iterable[Features]) -> Row:
        return _row({CONSTANT: 1.0} | self._entries("c", context))

    def _action(self, action: Action) -> Row:
        try:
            text = action.text or orjson.dumps((action.id, action.features))
        except TypeError:  # not from JSON: a Mapping that is no dict, a number beyond 64 bits
            return self._encoded(action)
        row = self._remembered_actions.get(text)
        if row is None:
            row = self._encoded(action)
            self._remembered_actions.put(text, row)
        return row

    def _encoded(self, action: Action) -> Row:
        return _row({self._hash(f"i{END}{action.id}"): 1.0} | self._entries("a", action.features))

    def _entries(self, side: str, objects: Iterable[Features]) -> dict[int, float]:
        entries: dict[int, float] = {}
        for features in objects:
            for name, value in features.items():
                if name.startswith("_"):
                    continue
                if isinstance(value, _OBJECT):
                    self._add_object(entries, f"{side}{name}{END}", value)
                else:
                    self._add(entries, f"{side}{END}{name}", value)
        return entries if len(entries) <= WIDTH - 1 else self._folded(side, entries)

    def _add_object(self, entries: dict[int, float], prefix: str, features: Mapping[str, JsonValue]) -> None:
        remembered = self._remembered_hash
        for name, value in features.items():
            if name.startswith("_"):
                continue
            if type(value) is str and len(value) + len(name) < _SHORT:  # most features are such: spelled out, it takes half the time
                feature = remembered(f"{prefix}{name}{END}{value}")
                entries[feature] = 1.0 if feature not in entries else bounded(entries[feature] + 1.0)
            else:
                self._add(entries, prefix + name, value)

    def _add(self, entries: dict[int, float], path: str, value: JsonValue) -> None:
        if isinstance(value, str):
            _sum_into(entries, self._hash(f"{path}{END}{value}"), 1.0)
        elif value is None or isinstance(value, bool):
            _sum_into(entries, self._hash(f"{path}{END}{_WORDS[value]}"), 1.0)
        elif isinstance(value, (int, float)):
            _sum_into(entries, self._hash(path) | NUMERIC, bounded(value))
        elif isinstance(value, _OBJECT):
            self._add_object(entries, f"{path}.", value)
        else:
            self._add_array(entries, path, value)

    def _add_array(self, entries: dict[int, float], path: str, array: Sequence[JsonValue]) -> None:
        first = self._hash(path)
        for position, value in enumerate(array):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                _sum_into(entries, self._place(first, position), bounded(value))
            elif isinstance(value, str):
                self._add(entries, path, value)
            else:
                self._add(entries, f"{path}.{position}", value)

    def _folded(self, side: str, entries: Mapping[int, float]) -> dict[int, float]:
        folded: dict[int, float] = {}
        for feature, value in entries.items():
            _sum_into(folded, self._hash(f"{(feature >> 2) % (WIDTH - 1)} of {side}"), value)
        return folded

    def _place(self, array: int, position: int) -> int:
        return array * (2 * position + 1) & 0xFFFFFFFF | NUMERIC

    def _hash(self, text: str) -> int:
        return self._remembered_hash(text) if len(text) <= _LONGEST_CACHED_TEXT else feature_hash(text)


def feature_hash(text: str) -> int:
    """Hash to an odd number of 32 bits without the bit `NUMERIC`, the same in every process.

    Odd, so that multiplying by it loses nothing (`shared.learning.model.cells`). Texts that collide can be made on purpose;
    they share weights, and nothing else comes of it.

    >>> feature_hash("colour") == feature_hash("colour"), feature_hash("colour") % 4
    (True, 1)
    """
    mixed = crc32(text.encode("utf-8", "surrogatepass"))
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & 0xFFFFFFFF  # Appleby's MurmurHash3 finaliser
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) & ~NUMERIC | 1


CONSTANT: Final = feature_hash("constant of c")
"""The first entry of every context."""


def bounded(number: float) -> float:
    """Clip to ± `LARGEST`, and to 0 what is nearly so; an int may be beyond any float.

    >>> bounded(-(10**400)), bounded(1e-300), bounded(0.5)
    (-1000000000.0, 0.0, 0.5)
    """
    if _SMALLEST <= abs(number) <= LARGEST:
        return float(number)
    if abs(number) < _SMALLEST:
        return 0.0
    return LARGEST if number > 0 else -LARGEST


def _sum_into(entries: dict[int, float], feature: int, value: float) -> None:
    if feature in entries:
        entries[feature] = bounded(entries[feature] + value)
    elif value:
        entries[feature] = value


def _row(entries: Mapping[int, float]) -> Row:
    return Row(tuple(entries), tuple(entries.values()))


# --- from the log to the learner -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """n events to learn from, in order; the entries of all events stand one after another.

    Event i has the context entries ``context_starts[i]`` up to ``context_starts[i + 1]``, and its chosen action likewise:
    ``*_starts`` have shape [n + 1], ``rewards`` and ``probabilities`` (of the chosen action) shape [n].
    """

    context_hashes: Hashes
    context_values: Floats32
    context_starts: Positions
    action_hashes: Hashes
    action_values: Floats32
    action_starts: Positions
    rewards: Floats
    probabilities: Floats

    def __len__(self) -> int:
        return len(self.rewards)

    def cut(self, first: int, last: int) -> "Batch":
        """Give the events from ``first`` up to ``last``."""
        contexts, actions = self.context_starts[first : last + 1], self.action_starts[first : last + 1]
        of_context, of_action = slice(contexts[0], contexts[-1]), slice(actions[0], actions[-1])
        return Batch(
            self.context_hashes[of_context],
            self.context_values[of_context],
            contexts - contexts[0],
            self.action_hashes[of_action],
            self.action_values[of_action],
            actions - actions[0],
            self.rewards[first:last],
            self.probabilities[first:last],
        )

    def joined(self, later: "Batch") -> "Batch":
        """Give these events and then the later ones."""
        return Batch(
            np.concatenate([self.context_hashes, later.context_hashes]),
            np.concatenate([self.context_values, later.context_values]),
            np.concatenate([self.context_starts, later.context_starts[1:] + self.context_starts[-1]]),
            np.concatenate([self.action_hashes, later.action_hashes]),
            np.concatenate([self.action_values, later.action_values]),
            np.concatenate([self.action_starts, later.action_starts[1:] + self.action_starts[-1]]),
            np.concatenate([self.rewards, later.rewards]),
            np.concatenate([self.probabilities, later.probabilities]),
        )


def no_events() -> Batch:
    """Give a batch of none."""
    hashes, values, starts, numbers = np.zeros(0, np.uint32), np.zeros(0, np.float32), np.zeros(1, np.int64), np.zeros(0)
    return Batch(hashes, values, starts, hashes, values, starts, numbers, numbers)


def to_batch(encoded: Sequence[bytes], *, rewards: Sequence[float], probabilities: Sequence[float]) -> Batch:
    """Read back what `EncodedSituation.logged` wrote, without a step in Python per event.

    Raises `NewerFormatError` if a later release wrote one of them, `UnreadableError` if one is damaged or if a reward or
    probability is not a finite number.
    """
    words, starts = _joined(encoded)
    headers = words[starts[:-1]]
    contexts, actions = (headers >> 8 & 0xFFF).astype(np.int64), (headers >> 20).astype(np.int64)
    wide = (np.minimum(contexts, actions) < 1) | (np.maximum(contexts, actions) > WIDTH)
    _check_headers(headers.astype(np.uint8), fits=~wide & (np.diff(starts) == 1 + 2 * contexts + 2 * actions))
    hashes, values = words.astype(np.uint32, copy=False), words.view("<f4").astype(np.float32, copy=False)
    context_firsts = starts[:-1] + 1
    action_firsts = context_firsts + 2 * contexts
    batch = Batch(
        context_hashes=hashes[ranges(context_firsts, contexts)],
        context_values=values[ranges(context_firsts + contexts, contexts)],
        context_starts=starts_of(contexts),
        action_hashes=hashes[ranges(action_firsts, actions)],
        action_values=values[ranges(action_firsts + actions, actions)],
        action_starts=starts_of(actions),
        rewards=np.array(rewards, dtype=np.float64),
        probabilities=np.array(probabilities, dtype=np.float64),
    )
    _check_numbers(batch)
    return batch


def _joined(encoded: Sequence[bytes]) -> tuple[Hashes, Positions]:
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    damaged = (lengths % 4 != 0) | (lengths == 0)
    if damaged.any():
        raise UnreadableError(f"encoded situation {damaged.argmax()} of {len(encoded)} is {lengths[damaged][0]} bytes long")
    return np.frombuffer(b"".join(encoded), "<u4"), starts_of(lengths // 4)


def _check_headers(versions: npt.NDArray[np.uint8], *, fits: npt.NDArray[np.bool_]) -> None:
    if (versions > ENCODER_VERSION).any():
        raise NewerFormatError("encoded situation", found=int(versions.max()), known=ENCODER_VERSION)
    damaged = (versions != ENCODER_VERSION) | ~fits
    if damaged.any():
        raise UnreadableError(f"encoded situation {damaged.argmax()} of {len(damaged)} is not what its header says")


def _check_numbers(batch: Batch) -> None:
    for values in (batch.context_values, batch.action_values):
        if not (np.abs(values) <= LARGEST).all():  # false for NaN
            raise UnreadableError("an encoded situation holds a value that no encoder writes")
    for numbers in (batch.rewards, batch.probabilities):
        if len(numbers) != len(batch.context_starts) - 1 or not np.isfinite(numbers).all():
            raise UnreadableError("each encoded situation needs a reward and a probability, both finite")
