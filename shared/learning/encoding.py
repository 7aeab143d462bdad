"""From a situation to numbers: hashed features of the context and of each action.

Features follow Azure Personalizer: a string is one feature per value, a number is one feature with that value, a bool or
null is one feature per ``true``, ``false`` or ``null``, an array of numbers is one feature per position, a nested object is
a dotted path, and names that start with ``_`` are ignored. The strings in an array are a set: their position is no part of
the feature. An action's id is a feature too, and the context carries a constant, so that crossing context with action
also gives the effect of an action alone.
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import Action, Features, JsonValue, Situation
from shared.domain.recent import Recent
from shared.learning.interactions import EVERYTHING, GROUP_MASK, GROUPS, ID, UNNAMED, Interactions
from shared.learning.segments import Positions, ranges, starts_of

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint32]

ENCODER_VERSION: Final = 3
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

_CACHED_TEXTS: Final = 1 << 15  # in each of two generations, some 330 bytes each
_LONGEST_CACHED_TEXT: Final = 128
_CACHED_ACTIONS: Final = 1 << 13  # likewise, some 1.5 kB each
_LARGEST_CACHED_ACTION: Final = 1 << 10
_WORDS: Final = {True: "true", False: "false", None: "null"}
_OBJECT: Final = (dict, Mapping)  # dict first: the abstract class is slow to ask
_PLAIN: Final = frozenset({str, int, float, bool, list, type(None)})  # what is surely no object: quicker to ask
_HEADER_WORDS: Final = 2
_LETTERS: Final = 1 << 10
"""First letters of namespaces of which is remembered whether they are left out."""

_ENCODERS: Final = 32

_Key = str | tuple[str, ...]


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


class EncodedSituation(NamedTuple):
    """What a model scores; ``fingerprint`` is that of the interactions it was encoded for."""

    context: Row
    actions: tuple[Row, ...]
    fingerprint: int = 0

    def logged(self, chosen: int) -> bytes:
        """Give what the decision log carries: the context and the chosen action.

        Little-endian words of 4 bytes: a header (version in bits 0-7, C in 8-19, A in 20-31), the fingerprint of the
        interactions, the context's C hashes and C values, the action's A hashes and A values.
        """
        context, action = self.context, self.actions[chosen]
        header = struct.pack("<II", ENCODER_VERSION | len(context.hashes) << 8 | len(action.hashes) << 20, self.fingerprint)
        return b"".join((header, context.packed(), action.packed()))


def encoder_version(encoded: bytes) -> int:
    """Give the version of the encoder that wrote this, 0 if none did.

    >>> encoder_version(b"")
    0
    """
    return encoded[0] if encoded else 0


def is_encoded_for(encoded: bytes, interactions: Interactions) -> bool:
    """Whether an encoder of this version wrote this, for these interactions."""
    return encoder_version(encoded) == ENCODER_VERSION and encoded[4:8] == interactions.fingerprint.to_bytes(4, "little")


@dataclass(frozen=True, eq=False, slots=True)
class CommonRows:
    """What several situations share, hashed once: the entries of their contexts' first objects, and their actions."""

    encoder: "Encoder"
    context: dict[int, float]
    actions: tuple[Row, ...]

    def encode(self, more: Iterable[Features]) -> EncodedSituation:
        """Give what the encoder gives of a situation whose context has ``more`` objects after those that are shared."""
        return self.encoder.following(self, more)


class Encoder:
    """Encodes situations, remembering texts and actions met lately; may be shared between threads.

    What it remembers is bounded, whatever callers send, and changes nothing in what it gives. ``interactions`` say what is left
    out, and mark features with the group of their namespace where namespaces are told apart.
    """

    def __init__(self, interactions: Interactions = EVERYTHING) -> None:
        self.interactions = interactions
        self._uses_all = interactions == EVERYTHING
        self._most = _CACHED_TEXTS
        self._young: dict[_Key, int] = {}
        self._old: dict[_Key, int] = {}
        self._remembered_actions: Recent[Row] = Recent(size=_CACHED_ACTIONS, longest=_LARGEST_CACHED_ACTION)
        self._places: dict[str, list[int]] = {}
        self._left_out: dict[str, dict[str, bool]] = {"c": {}, "a": {}}

    def share(self, encoders: int) -> None:
        """Remember, from now on, no more than is left to each of so many encoders."""
        self._most = _CACHED_TEXTS // encoders
        if max(len(self._young), len(self._old)) > self._most:
            self._young, self._old = {}, {}
        self._remembered_actions.resize(_CACHED_ACTIONS // encoders)

    def encode(self, situation: Situation) -> EncodedSituation:
        """Hash the features of a situation, which has at least one action."""
        return EncodedSituation(
            self._row(CONSTANT, "c", situation.context), self._actions(situation.actions), self.interactions.fingerprint
        )

    def with_rows(self, context: Iterable[Features], actions: Sequence[Row]) -> EncodedSituation:
        """Give what `encode` gives of a situation with this context, whose actions it encoded before (`row`)."""
        return EncodedSituation(self._row(CONSTANT, "c", context), tuple(actions), self.interactions.fingerprint)

    def piece(self, features: Features) -> dict[int, float]:
        """Hash some features of a context by themselves: `with_pieces` puts them together."""
        return self._added({}, "c", (features,))

    def with_pieces(self, pieces: Sequence[Mapping[int, float]], actions: Sequence[Row]) -> EncodedSituation | None:
        """Give what `with_rows` gives of a context of these pieces; None if two have the same entry: its sum depends on the order."""
        entries = {CONSTANT: 1.0}
        for each in pieces:
            entries.update(each)
        if len(entries) != 1 + sum(map(len, pieces)):
            return None
        return EncodedSituation(self._folded_row("c", CONSTANT, entries), tuple(actions), self.interactions.fingerprint)

    def row(self, action: Action) -> Row:
        """Hash the features of an action; nothing of it is remembered."""
        return self._encoded(action)

    def common(self, context: Iterable[Features], actions: Sequence[Action]) -> "CommonRows":
        """Hash what several situations share: their actions, and the first objects of their contexts."""
        return CommonRows(self, self._added({CONSTANT: 1.0}, "c", context), self._actions(actions))

    def following(self, common: "CommonRows", more: Iterable[Features]) -> EncodedSituation:
        """Give what `encode` gives of a situation whose context has ``more`` objects after those that are shared."""
        entries = self._added(common.context.copy(), "c", more)
        return EncodedSituation(self._folded_row("c", CONSTANT, entries), common.actions, self.interactions.fingerprint)

    def _actions(self, actions: Sequence[Action]) -> tuple[Row, ...]:
        rows = self._remembered_actions.several([action.text for action in actions])
        if None in rows:
            rows = [row or self._action(action) for row, action in zip(rows, actions, strict=True)]
        return tuple(rows)  # type: ignore[arg-type]  # no None is left

    def _action(self, action: Action) -> Row:
        try:
            text = action.text or json.dumps((action.id, action.features)).encode()
        except (TypeError, ValueError, RecursionError):  # not from JSON: a Mapping that is no dict
            return self._encoded(action)
        row = self._remembered_actions.get(text)
        if row is None:
            row = self._encoded(action)
            self._remembered_actions.put(text, row)
        return row

    def _encoded(self, action: Action) -> Row:
        first = NO_ID if ID in self.interactions.ignored else self._hash(f"{ID}{END}{action.id}")
        return self._row(first, "a", action.features)

    def _row(self, first: int, side: str, objects: Iterable[Features]) -> Row:
        return self._folded_row(side, first, self._added({first: 1.0}, side, objects))

    def _added(self, entries: dict[int, float], side: str, objects: Iterable[Features]) -> dict[int, float]:
        for features in objects:
            if self._uses_all:
                self._add_namespaces(entries, side, features)
            else:
                self._add_namespaces(entries, side, self._used(side, features))
        return entries

    def _folded_row(self, side: str, first: int, entries: dict[int, float]) -> Row:
        if len(entries) > WIDTH:
            entries = self._folded(side, first, entries)
        return Row(tuple(entries), tuple(entries.values()))

    def _used(self, side: str, features: Features) -> Features:
        """Leave out the namespaces that say nothing here."""
        known, used = self._left_out[side], {}
        for name, value in features.items():
            letter = name[:1] if type(value) not in _PLAIN and isinstance(value, _OBJECT) and name else UNNAMED
            is_left_out = known.get(letter)
            if is_left_out is None:
                is_left_out = self.interactions.leaves_out(letter, of_context=side == "c")
                if len(known) < _LETTERS:
                    known[letter] = is_left_out
            if not is_left_out:
                used[name] = value
        return used

    def _add_namespaces(self, entries: dict[int, float], side: str, features: Features) -> None:
        bare: dict[str, JsonValue] = {}
        for name, value in features.items():
            if type(value) not in _PLAIN and isinstance(value, _OBJECT):
                if not name.startswith("_"):
                    self._add_object(entries, f"{side}{name}{END}", value)
            else:
                bare[name] = value
        if bare:
            self._add_object(entries, f"{side}{END}", bare)

    def _add_object(self, entries: dict[int, float], prefix: str, features: Mapping[str, JsonValue]) -> None:
        known = self._young.get
        for name, value in features.items():
            if name.startswith("_"):
                continue
            kind = type(value)
            if kind is str:
                feature = known((prefix, name, value)) or self._feature((prefix, name, value))  # type: ignore[arg-type]  # it is a text
                worth = 1.0
            elif kind is float or kind is int:
                feature = (known((prefix, name)) or self._feature((prefix, name))) | NUMERIC
                worth = bounded(value)  # type: ignore[arg-type]  # it is a number
                if not worth:
                    continue
            elif kind is bool:
                word = _WORDS[value]  # type: ignore[index]  # it is a bool
                feature = known((prefix, name, word)) or self._feature((prefix, name, word))
                worth = 1.0
            else:
                self._add(entries, prefix + name, value)
                continue
            entries[feature] = worth if feature not in entries else bounded(entries[feature] + worth)

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
            kind = type(value)
            if kind is float or kind is int:
                worth = bounded(value)  # type: ignore[arg-type]  # it is a number
                if worth:
                    feature = self._place(first, position)
                    entries[feature] = worth if feature not in entries else bounded(entries[feature] + worth)
            elif isinstance(value, str):
                self._add(entries, path, value)
            else:
                self._add(entries, f"{path}.{position}", value)

    def _folded(self, side: str, first: int, entries: Mapping[int, float]) -> dict[int, float]:
        """Sum all but the first entry into the places that are left, each group into its own."""
        places, is_grouped = self._places.get(side) or self._placed(side), self.interactions.mask is not None
        folded = {first: 1.0}
        for feature, value in entries.items():
            if feature != first:
                place = places[(feature >> 6) % len(places)]
                _sum_into(folded, place & ~GROUP_MASK | feature & GROUP_MASK if is_grouped else place, value)
        return folded

    def _placed(self, side: str) -> list[int]:
        """Give the places that what is too much is summed into, by number."""
        count = (WIDTH - 1) // (1 if self.interactions.mask is None else GROUPS)
        self._places[side] = [self._fresh(f"{number} of {side}") for number in range(count)]
        return self._places[side]

    def _place(self, array: int, position: int) -> int:
        return array * (2 * position + 1) & 0xFFFFFFFF & ~GROUP_MASK | array & GROUP_MASK | NUMERIC

    def _hash(self, text: str) -> int:
        return self._young.get(text) or self._feature(text)

    def _feature(self, key: _Key) -> int:
        """Hash a text, or namespace, name and perhaps value that make one, and remember it unless it is long."""
        feature = self._old.get(key)
        if feature is None:
            text = key if isinstance(key, str) else key[0] + END.join(key[1:])
            feature = self._fresh(text)
            if len(text) > _LONGEST_CACHED_TEXT:
                return feature
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = feature
        return feature

    def _fresh(self, text: str) -> int:
        feature = feature_hash(text)
        return feature if self.interactions.mask is None else self.interactions.grouped(feature, self.interactions.group(_letter(text)))


def _letter(text: str) -> str:
    """Give the first letter of the namespace of a feature's text."""
    side, namespace = text[:1], text[1:].partition(END)[0]
    return ID if side == ID else namespace[:1] or UNNAMED


class Encoders:
    """An encoder for each of the interactions met lately, for all loops of a process: most have the same.

    What they remember together does not grow with their number.
    """

    def __init__(self) -> None:
        self._of: dict[Interactions, Encoder] = {}
        self._last: Encoder | None = None

    def of(self, interactions: Interactions) -> Encoder:
        """Give the encoder for these interactions, with what it remembers."""
        last = self._last
        if last is not None and last.interactions is interactions:  # most calls ask for the same, whose hash takes time
            return last
        self._last = encoder = self._of.get(interactions) or self._new(interactions)
        return encoder

    def _new(self, interactions: Interactions) -> Encoder:
        of = dict(list(self._of.items())[1 - _ENCODERS :])
        of[interactions] = encoder = Encoder(interactions)
        for each in of.values():
            each.share(len(of))
        self._of = of  # another thread goes on with what it has
        return encoder


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


CONSTANT: Final = feature_hash("constant of c") | GROUP_MASK
"""The first entry of every context, marked as a group of its own."""

NO_ID: Final = feature_hash("no id") & ~GROUP_MASK
"""The first entry of an action whose id is ignored."""


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


# --- from the log to the learner -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """n events to learn from, in order; the entries of all events stand one after another.

    Event i has the context entries ``context_starts[i]`` up to ``context_starts[i + 1]``, and its chosen action likewise:
    ``*_starts`` have shape [n + 1], ``rewards`` and ``probabilities`` (of the chosen action) shape [n], and so have ``counts``: how many
    events each stands for (None: for one, all of them). Of the events that are given to a learner, ``imitated`` teach to choose as the
    application does, and the others by what they earned; a part of them does not tell.
    """

    context_hashes: Hashes
    context_values: Floats32
    context_starts: Positions
    action_hashes: Hashes
    action_values: Floats32
    action_starts: Positions
    rewards: Floats
    probabilities: Floats
    counts: Floats | None = None
    imitated: int = 0

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
            None if self.counts is None else _unless_ones(self.counts[first:last]),
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
            _joined_counts(self, later),
        )


def _unless_ones(counts: Floats) -> Floats | None:
    """Give counts, or None if all of them are 1."""
    return None if (counts == 1.0).all() else counts


def _joined_counts(earlier: Batch, later: Batch) -> Floats | None:
    if earlier.counts is None and later.counts is None:
        return None
    return np.concatenate([np.ones(len(each)) if each.counts is None else each.counts for each in (earlier, later)])


def no_events() -> Batch:
    """Give a batch of none."""
    hashes, values, starts, numbers = np.zeros(0, np.uint32), np.zeros(0, np.float32), np.zeros(1, np.int64), np.zeros(0)
    return Batch(hashes, values, starts, hashes, values, starts, numbers, numbers)


def to_batch(
    encoded: Sequence[bytes], *, rewards: Sequence[float], probabilities: Sequence[float], counts: Sequence[float] | None = None
) -> Batch:
    """Read back what `EncodedSituation.logged` wrote, without a step in Python per event.

    Raises `NewerFormatError` if a later release wrote one of them, `UnreadableError` if one is damaged or if a reward, a
    probability or a count is not a finite number.
    """
    words, starts = _joined(encoded)
    headers = words[starts[:-1]]
    contexts, actions = (headers >> 8 & 0xFFF).astype(np.int64), (headers >> 20).astype(np.int64)
    wide = (np.minimum(contexts, actions) < 1) | (np.maximum(contexts, actions) > WIDTH)
    _check_headers(headers.astype(np.uint8), fits=~wide & (np.diff(starts) == _HEADER_WORDS + 2 * contexts + 2 * actions))
    hashes, values = words.astype(np.uint32, copy=False), words.view("<f4").astype(np.float32, copy=False)
    context_firsts = starts[:-1] + _HEADER_WORDS
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
        counts=None if counts is None else np.array(counts, dtype=np.float64),
    )
    _check_numbers(batch)
    return batch if batch.counts is None else replace(batch, counts=_unless_ones(batch.counts))


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
    for numbers in (batch.rewards, batch.probabilities, batch.counts):
        if numbers is not None and (len(numbers) != len(batch.context_starts) - 1 or not np.isfinite(numbers).all()):
            raise UnreadableError("each encoded situation needs a reward and a probability, both finite")
