"""What was played, summed up: means over seeds with their standard errors, and differences of paired seeds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import sqrt
from statistics import fmean, stdev

from benchmarks.quality_play import OURS, Played
from benchmarks.vw import CONFIGURATIONS


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds and its standard error, unknown of a single seed."""

    value: float
    error: float | None

    @staticmethod
    def of(values: Sequence[float]) -> "Mean":
        """Take the mean.

        >>> str(Mean.of([0.5, 0.7])), str(Mean.of([0.25]))
        ('.600 ± .100', '.250')
        """
        return Mean(fmean(values), stdev(values) / sqrt(len(values)) if len(values) > 1 else None)

    @property
    def signed(self) -> str:
        """The mean as a difference.

        >>> Mean.of([0.5, 0.7]).signed, Mean.of([-0.25]).signed, Mean.of([0.0, 0.0]).signed
        ('+.600 ± .100', '-.250', '+.000 ± .000')
        """
        return str(self) if self.value < 0 else f"+{self}"

    def __str__(self) -> str:
        return short(self.value) if self.error is None else f"{short(self.value)} ± {short(self.error)}"


class Scores:
    """What was played, asked for by set or world and by player."""

    def __init__(self, played: Iterable[Played]) -> None:
        self._played: dict[tuple[str, str], list[Played]] = defaultdict(list)
        self._fresh: dict[str, list[Played]] = defaultdict(list)
        self._elsewhere: dict[str, list[Played]] = defaultdict(list)
        for each in played:
            self._place(each).append(each)
        names = list(dict.fromkeys(name for name, _ in self._played))
        self.worlds = [name for name in names if self._played[name, OURS][0].is_world]
        self.sets = [name for name in names if name not in self.worlds]

    def _place(self, each: Played) -> list[Played]:
        if each.run.checkout is not None:
            return self._elsewhere[each.name]
        return self._fresh[each.name] if each.run.from_change else self._played[each.name, each.run.player]

    def of(self, name: str, player: str = OURS) -> Mean:
        """Give a player's mean reward on a set, or its share of the best at the end of a world."""
        return Mean.of([each.figure for each in self._played[name, player]])

    def of_fit(self, name: str, player: str = OURS) -> Mean | None:
        """Give a player's share of what a fit earns at the end of a world, where there is a fit."""
        shares = [share for each in self._played[name, player] if (share := each.of_fit) is not None]
        return Mean.of(shares) if shares else None

    def mean(self, names: Sequence[str], player: str = OURS) -> Mean:
        """Give a player's mean over these; its error is over the seeds."""
        return _over_seeds([self._by_seed(self._played[name, player]) for name in names])

    def elsewhere(self, name: str) -> Mean:
        """Give what the other checkout earned."""
        return Mean.of([each.figure for each in self._elsewhere[name]])

    def ahead(self, name: str) -> Mapping[int, float]:
        """Give by how much ours earned more than the other checkout, seed by seed."""
        ours, theirs = self._by_seed(self._played[name, OURS]), self._by_seed(self._elsewhere[name])
        return {seed: figure - theirs[seed] for seed, figure in ours.items()}

    def mean_ahead(self, names: Sequence[str]) -> tuple[Mean, Mean]:
        """Give the mean of the paired differences over these twice: its error is over the seeds, and over these."""
        differences = [self.ahead(name) for name in names]
        return _over_seeds(differences), Mean.of([fmean(each.values()) for each in differences])

    @staticmethod
    def _by_seed(played: Sequence[Played]) -> Mapping[int, float]:
        return {each.run.seed: each.figure for each in played}

    def best(self, name: str) -> tuple[str, Mean]:
        """Give the peer that earned most on this set, as hindsight tells."""
        return max(((player, self.of(name, player)) for player in CONFIGURATIONS), key=lambda pair: pair[1].value)

    def size(self, name: str) -> tuple[int, int]:
        """Give the number of actions and of events."""
        first = self._played[name, OURS][0]
        return first.actions, len(first.scores)

    def rate(self, name: str) -> float:
        """Give ours in events a second, everything included."""
        played = self._played[name, OURS]
        return sum(len(each.scores) for each in played) / sum(each.seconds for each in played)

    def after_change(self) -> Iterator[tuple[str, Mean, Mean]]:
        """Give the last quarter of each set that changes: ours, and of a learner that starts at the change."""
        for name, fresh in self._fresh.items():
            count = min(len(self._played[name, OURS][0].scores) // 4, len(fresh[0].scores))
            ours, theirs = ([float(each.scores[-count:].mean()) for each in which] for which in (self._played[name, OURS], fresh))
            yield name, Mean.of(ours), Mean.of(theirs)


def _over_seeds(figures: Sequence[Mapping[int, float]]) -> Mean:
    """Take the mean over sets of each seed, and then over the seeds."""
    return Mean.of([fmean(each[seed] for each in figures) for seed in figures[0]])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align texts; rows may end early.

    >>> print(columns([("set", "ours"), ("letter", ".42"), ("mean",)]))
    set     ours
    letter  .42
    mean
    """
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def short(value: float) -> str:
    """Write three digits.

    >>> short(0.1234), short(1.0), short(-0.5)
    ('.123', '1.000', '-.500')
    """
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.3f}"
