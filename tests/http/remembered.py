"""A client that remembers all that was acknowledged to it, and knows from the documentation alone what the service has to say of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import mean, median
from typing import Any, Final

EARLY: Final = timedelta(minutes=2)
"""How long before its event a reward may come (docs/concepts/rewards.md)."""
KNOWN: Final = timedelta(hours=1)
"""How long after its wait an event is still known: until then it is a duplicate if it is ranked again, and its rewards are late."""

AGGREGATIONS: Final[Mapping[str, Any]] = {
    "earliest": lambda values: values[0],
    "sum": sum,
    "average": mean,
    "median": median,
    "min": min,
    "max": max,
}


@dataclass(eq=False)
class Shown:
    """A decision that was acknowledged, for one slot where there are several."""

    event: str
    at: datetime
    action: str
    deferred: bool
    modes: frozenset[str]
    probability: float | None = None
    slot: str | None = None
    fate: str = "pending"
    reason: str | None = None
    reward: float | None = None
    is_default: bool | None = None
    taken: "Sequence[Told]" = ()
    counts_first: bool = False
    """Whether the earliest of its rewards alone was counted."""


@dataclass(eq=False)
class Told:
    """A reward that was acknowledged, or an activation, which has no value. ``verdict`` is what it is counted as."""

    event: str
    at: datetime
    value: float | None
    slot: str | None = None
    verdict: str = ""


@dataclass
class Rules:
    """What of a loop's configuration says what becomes of its events."""

    wait: timedelta
    default: float
    aggregation: str


@dataclass
class Remembered:
    """All that was acknowledged of one life of a loop."""

    began: datetime
    shown: list[Shown] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    until: datetime | None = None
    """Up to when it is dealt with."""
    counted: Counter[str] = field(default_factory=Counter)
    """Of what is dealt with, since the loop was made: fates, reasons and rewards."""

    def dealt_with(self, until: datetime, rules: Rules) -> None:
        """Tell what became of all that was stored before this time."""
        before = self.until or datetime.min.replace(tzinfo=until.tzinfo)
        for each in [each for each in self.shown if each.fate == "pending" and each.at < until]:
            self._deal_with(each, rules)
        for told in self.told:
            if told.value is None or told.at >= until:
                continue
            if not told.verdict:
                self.counted["rewards"] += 1
            if not told.verdict or (told.verdict != "in time" and told.at >= before - EARLY):
                self._judge(told, rules)
        self.until = max(before, until)

    def forget(self, cut: datetime) -> None:
        """Forget all that was logged: it was deleted."""
        self.counted["logDeleted"] += sum(each.fate == "pending" for each in self.shown)
        self.counted["rewards"] += sum(each.value is not None and not each.verdict for each in self.told)
        self.shown, self.told = [], []
        self.until = max(self.until or cut, cut)

    def _deal_with(self, shown: Shown, rules: Rules) -> None:
        mine = [each for each in self._of(shown) if shown.at - EARLY <= each.at <= shown.at + rules.wait]
        shown.taken = [each for each in mine if each.value is not None]
        values = [each.value for each in shown.taken]
        shown.is_default, shown.counts_first = not values, rules.aggregation == "earliest"
        shown.reward = AGGREGATIONS[rules.aggregation](values) if values else rules.default
        shown.reason = self._reason(shown, mine, rules)
        shown.fate = "skipped" if shown.reason else "learned"
        shown.is_default = shown.is_default and shown.fate == "learned"
        self.counted[shown.reason or "learned"] += 1

    def _reason(self, shown: Shown, mine: Iterable[Told], rules: Rules) -> str | None:
        if any(each.at >= shown.at - rules.wait - KNOWN for each in self._before(shown)):
            return "duplicate"
        if shown.modes == {"LoggingOnly"}:
            return "loggingOnly"
        if shown.deferred and not any(each.value is None for each in mine):
            return "notActivated"
        return None

    def _of(self, shown: Shown) -> list[Told]:
        return [each for each in self.told if each.event == shown.event and (each.value is None or each.slot == shown.slot)]

    def _before(self, shown: Shown) -> list[Shown]:
        return [each for each in self.shown if (each.event, each.slot) == (shown.event, shown.slot) and each.at < shown.at]

    def _judge(self, told: Told, rules: Rules) -> None:
        """Count a reward, or count it anew: as in time for what was learned of its event, as too late, or as nobody's."""
        of_event = [each for each in self.shown if (each.event, each.slot) == (told.event, told.slot)]
        known = [each for each in of_event if each.at - EARLY <= told.at <= each.at + rules.wait + KNOWN]
        in_time = [each for each in known if told.at <= each.at + rules.wait]
        verdict = "in time" if any(self._is_first(each, rules) for each in in_time) else "late" if known else "unknown"
        if told.verdict:
            self.counted[told.verdict] -= 1
        told.verdict = verdict
        self.counted[verdict] += 1

    def _is_first(self, shown: Shown, rules: Rules) -> bool:
        return not any(each.at >= shown.at - rules.wait - KNOWN for each in self._before(shown))

    # --- what the service has to say -----------------------------------------------------------------------------------------

    def counters(self) -> dict[str, Any]:
        """Give the counters of the status."""
        pending = sum(each.fate == "pending" for each in self.shown)
        skipped = {name: self.counted[name] for name in SKIPPED if self.counted[name]}
        return {
            "ranked": pending + self.counted["learned"] + sum(skipped.values()),
            "learned": self.counted["learned"],
            "skipped": skipped,
            "pending": pending,
            "rewards": self.counted["rewards"] + sum(each.value is not None and not each.verdict for each in self.told),
            "lateRewards": self.counted["late"],
            "unknownRewards": self.counted["unknown"],
            "stragglers": 0,
            "forgottenRewards": 0,
            "repeatedRewards": 0,
        }

    def events(self) -> list[str]:
        """Give the ids of all that was shown, each once."""
        return list(dict.fromkeys(each.event for each in self.shown))

    def decisions(self, event: str) -> list[dict[str, Any]]:
        """Give the decisions of an event's receipt: what is known of each before rewards are looked at."""
        return [_receipt(each) for each in sorted(self.shown, key=lambda each: each.at) if each.event == event]

    def outcomes(self, event: str, rules: Rules) -> list[list[tuple[datetime, float, str]]]:
        """Tell, for each decision of an event, what became of the rewards that were sent for it."""
        shown = sorted([each for each in self.shown if each.event == event], key=lambda each: each.at)
        return [
            [self._outcome(told, each, rules) for told in self._of(each) if told.at >= each.at - EARLY and told.value is not None]
            for each in shown
        ]

    def _outcome(self, told: Told, shown: Shown, rules: Rules) -> tuple[datetime, float, str]:
        value = told.value or 0.0
        if shown.fate == "pending":
            return told.at, value, "late" if told.at > shown.at + rules.wait else "pending"
        if told not in shown.taken:
            return told.at, value, "late"
        is_counted = shown.fate == "learned" and (told is shown.taken[0] or not shown.counts_first)
        return told.at, value, "counted" if is_counted else "unused"

    def learned(self) -> Counter[str]:
        """Count the learned events of the log as it is, by their action."""
        return Counter(each.action for each in self.shown if each.fate == "learned")


SKIPPED: Final = ("duplicate", "notActivated", "loggingOnly", "quarantined", "logDeleted")


def _receipt(shown: Shown) -> dict[str, Any]:
    found: dict[str, Any] = {
        "slotId": shown.slot,
        "rewardActionId": shown.action,
        "deferActivation": shown.deferred,
        "fate": shown.fate,
        "reason": shown.reason,
    }
    if shown.fate == "learned":
        found |= {"reward": shown.reward, "defaultRewardUsed": shown.is_default}
    return {name: value for name, value in found.items() if value is not None}
