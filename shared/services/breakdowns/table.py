"""Sums by key and time, of bounded size: the most frequent keys have sums of their own, all others together those of `OTHER`.

Which keys these are follows SpaceSaving (Metwally, Agrawal & El Abbadi 2005), a window at a time: a new key is taken to have had as many
events before as any that is not kept can have had at most (``floor``), and those of most events stay. What goes adds its sums to `OTHER`,
so all sums always add up. With room for K keys and N events, ``floor`` is at most N / K: what had more is surely kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Generic, Self, TypeVar

import numpy as np

from shared.domain.clock import EPOCH
from shared.evaluation.buckets import ranged
from shared.evaluation.rounds import Integers
from shared.evaluation.sums import Floats, Largest, Summed, Sums

OTHER: Final = -1
"""The place of what has no sums of its own."""

HOUR, DAY = 60, 1440
DAYS_KEPT: Final = 90
HOURS_KEPT: Final = 1
"""For how many days before that of the watermark there are buckets at all, and buckets of hours."""

_LATER: Final = 1 << 32
"""More minutes than any bucket begins after 1970."""


@dataclass(frozen=True, eq=False, slots=True)
class Earned(Sums):
    """Events, and over them rewards and their squares; of each cell, [C]."""

    events: Summed
    rewards: Summed
    squares: Summed


@dataclass(frozen=True, eq=False, slots=True)
class Compared(Earned):
    """The same with what the baseline would have earned: sums over the ``known`` events, which tell of it, by their weights w.

    ``bound`` is the largest weight that could have come about.
    """

    known: Summed
    w: Summed
    ww: Summed
    wr: Summed
    wwr: Summed
    wwrr: Summed
    bound: Largest


Kind = TypeVar("Kind", bound=Earned)


@dataclass(frozen=True, eq=False, slots=True)
class Keys:
    """The keys that are kept, in the order of their texts, each with what is known of it, [K].

    Up to ``missed`` of its events came before it was taken in, at ``since`` (minutes since 1970), and are among the others. ``first``
    and ``last`` are the minutes of the first and the last event since.
    """

    texts: tuple[str, ...]
    missed: Floats
    since: Integers
    first: Integers
    last: Integers

    def __len__(self) -> int:
        return len(self.texts)

    def taken(self, places: Integers) -> "Keys":
        """Give some of them."""
        texts = tuple([self.texts[place] for place in places.tolist()])
        return Keys(texts, self.missed[places], self.since[places], self.first[places], self.last[places])


@dataclass(frozen=True, eq=False, slots=True)
class Table(Generic[Kind]):
    """Cells in the order of their places and times: ``places`` among the keys, or `OTHER`, and ``begins`` in minutes since 1970, [C].

    No key that is not kept has had more events than ``floor``. ``lowest`` and ``highest`` are the ends of the range of all rewards, which
    includes 0.
    """

    keys: Keys
    places: Integers
    begins: Integers
    sums: Kind
    floor: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0

    @staticmethod
    def of(texts: Sequence[str | None], minutes: Integers, rewards: Floats, sums: "Kind") -> "Table[Kind]":
        """Make one of single events, [n], by hours; None is the key of those that cannot be told apart."""
        some = sorted({text for text in texts if text is not None})
        numbers = {text: place for place, text in enumerate(some)}
        places = np.array([OTHER if text is None else numbers[text] for text in texts], dtype=np.int64)
        first, last = np.full(len(some), np.iinfo(np.int64).max), np.full(len(some), np.iinfo(np.int64).min)
        named = places >= 0
        np.minimum.at(first, places[named], minutes[named])
        np.maximum.at(last, places[named], minutes[named])
        keys = Keys(tuple(some), np.zeros(len(some)), first // HOUR * HOUR, first, last)
        ends = float(min(rewards.min(initial=0.0), 0.0)), float(max(rewards.max(initial=0.0), 0.0))
        return Table(keys, places, minutes // HOUR * HOUR, sums, 0.0, *ends)._gathered()

    @property
    def is_empty(self) -> bool:
        """Whether there is no event in it."""
        return not len(self.places)

    @property
    def events(self) -> Floats:
        """Count the events of each key, [K]."""
        return self._by_key(self.sums.events)

    def plus(self, window: Self, *, most: int) -> "Table[Kind]":
        """Add the events of a window, and keep so many keys."""
        texts = sorted({*self.keys.texts, *window.keys.texts})
        numbers = {text: place for place, text in enumerate(texts)}
        mine, theirs = (np.array([numbers[text] for text in each.keys.texts], dtype=np.int64) for each in (self, window))
        keys = _merged(self.keys, mine, window.keys, theirs, tuple(texts), missed=self.floor)
        places = np.concatenate([_moved(self.places, mine), _moved(window.places, theirs)])
        begins = np.concatenate([self.begins, window.begins])
        sums = type(self.sums)(
            **{
                name: np.concatenate([getattr(self.sums, name), getattr(window.sums, name)])
                for name in type(self.sums).__dataclass_fields__
            }
        )
        ends = min(self.lowest, window.lowest), max(self.highest, window.highest)
        is_new = np.ones(len(texts), dtype=np.bool_)
        is_new[mine] = False
        return Table(keys, places, begins, sums, self.floor, *ends)._gathered()._cut(is_new, most)

    def folded(self, until: datetime, *, hours_kept: int = HOURS_KEPT) -> "Table[Kind]":
        """Put the hours of earlier days together, and let go of what is too old; again, or at an earlier time, changes nothing."""
        today = int((until - EPOCH).total_seconds()) // 60 // DAY
        kept = self.begins >= (today - DAYS_KEPT) * DAY
        begins = np.where(self.begins < (today - hours_kept) * DAY, self.begins // DAY * DAY, self.begins)
        younger = replace(self, places=self.places[kept], begins=begins[kept], sums=self.sums.taken(kept))._gathered()
        left = younger._by_key(younger.sums.events) > 0.0
        others = float(younger.sums.events[younger.places == OTHER].sum())  # an event of what is not kept is among these
        return replace(younger._only(np.flatnonzero(left)), floor=min(younger.floor, others))

    def coarser(self, minutes: int) -> "Table[Kind]":
        """Put together the cells of each so many minutes, counted from 1970."""
        return replace(self, begins=self.begins // minutes * minutes)._gathered()

    def _by_key(self, column: Floats) -> Floats:
        named = self.places >= 0
        return np.bincount(self.places[named], weights=column[named], minlength=len(self.keys)).astype(np.float64)

    def _cut(self, is_new: np.ndarray, most: int) -> "Table[Kind]":
        if len(self.keys) <= most:
            return self
        possible = self.events + self.keys.missed
        order = np.lexsort((np.arange(len(self.keys)), is_new, -possible))  # those that are in stay where all else is equal
        floor = max(self.floor, float(possible[order[most:]].max()))
        return replace(self._only(np.sort(order[:most])), floor=floor)

    def _only(self, kept: Integers) -> "Table[Kind]":
        """Keep these keys, in order, and add all that the others had to `OTHER`."""
        if len(kept) == len(self.keys):
            return self
        at = np.full(len(self.keys) + 1, OTHER, dtype=np.int64)  # the last one is that of `OTHER` itself
        at[kept] = np.arange(len(kept))
        return replace(self, keys=self.keys.taken(kept), places=at[self.places])._gathered()

    def _gathered(self) -> "Table[Kind]":
        """Put the cells in order, and those of one place and time together."""
        codes = self.places * _LATER + self.begins
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        firsts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1)) if len(codes) else codes
        sums = ranged(self.sums.taken(order), firsts, np.append(firsts[1:], len(codes)))
        chosen = order[firsts]
        return replace(self, places=self.places[chosen], begins=self.begins[chosen], sums=sums)


def _moved(places: Integers, to: Integers) -> Integers:
    """Give the places among other keys."""
    moved: Integers = np.append(to, OTHER)[places]
    return moved


def _merged(one: Keys, at: Integers, other: Keys, at_other: Integers, texts: tuple[str, ...], *, missed: float) -> Keys:
    """Put keys together; those of the other that the one has not may have ``missed`` so many events."""
    size = len(texts)
    since, first = np.full(size, np.iinfo(np.int64).max), np.full(size, np.iinfo(np.int64).max)
    last, before = np.full(size, np.iinfo(np.int64).min), np.full(size, missed)
    for keys, places in ((other, at_other), (one, at)):
        since[places] = keys.since  # of a key that was there already it stays
        first[places] = np.minimum(first[places], keys.first)
        last[places] = np.maximum(last[places], keys.last)
    before[at] = one.missed
    return Keys(texts, before, since, first, last)


def nothing(kind: type[Kind]) -> Table[Kind]:
    """Give the table without events."""
    none = np.zeros(0, dtype=np.int64)
    return Table(Keys((), np.zeros(0), none, none, none), none, none, kind(**{name: np.zeros(0) for name in kind.__dataclass_fields__}))
