"""Policies valued on a log by one learner that goes over it: each batch is scored by the model of all before, and then learned.

So neither a policy nor a prediction of rewards has seen its own round, and confidence sequences hold. This is all that an evaluation
computes; it knows no storage and no job. For a log that is at hand:

    lanes = [Lane(lineup) for lineup in lineups(contenders, exploration_percentage=0.2)]
    for events in batches:                      # JoinedEvents in the order of their decisions, some hundreds at a time
        take_together(lanes, events)
    for lane in lanes:
        lane.sums[""].tally.estimates()         # each estimator's value for each of lane.lineup.contenders
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from shared.domain.clock import EPOCH, LATEST
from shared.domain.errors import UnreadableError
from shared.domain.evaluation import BASELINE, ONLINE, PRESENT, RANDOM, PolicySource
from shared.domain.events import Decision, JoinedEvent, LearningMode
from shared.domain.loop import LearningPolicy
from shared.evaluation.intervals import Range
from shared.evaluation.pairs import Drawn, Pairs
from shared.evaluation.rounds import Rounds
from shared.evaluation.series import MINUTES
from shared.evaluation.sums import Floats, Largest, Summed, Sums
from shared.evaluation.tally import Tally
from shared.joining.dsjson import SituationTexts
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoder
from shared.learning.interactions import EVERYTHING, Interactions
from shared.learning.learner import Learner
from shared.learning.policy import Policy
from shared.services.analysis.features import Feature
from shared.services.analysis.logged import Asked, Logged, LoggedEncoder
from shared.services.analysis.present import Chances
from shared.services.analysis.scoring import Block, even
from shared.services.training.lessons import Lessons

MOST_SLOTS: Final = 50
"""Slots that have sums of their own, as many as a call may have, and the first that are met; further ones count in the whole only."""

_FEW: Final = 200
_FEW_BYTES: Final = 1024 * 1024
"""Events, and bytes of their text, that are encoded before they are scored: what is encoded takes some twenty times the text."""

_CERTAIN: Final = 1.0 + 1e-6


# --- who is compared ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy that is compared. The logged one, the baseline and chance follow no arguments."""

    name: str
    source: PolicySource
    arguments: str = ""

    @property
    def is_learned(self) -> bool:
        """Whether it chooses by what was learned, and not by rule or by what is logged."""
        return self.source not in (PolicySource.ONLINE, PolicySource.BASELINE, PolicySource.RANDOM)


@dataclass(frozen=True, slots=True)
class Lineup:
    """What one lane compares: policies that learn from the same features, of rounds decided in ``[since, until)``.

    ``exploration_percentage`` is the loop's, under which the policies would be served, and ``minutes`` the length of the finest buckets.
    ``without`` is a feature that is left out of everything. Where ``values_kept`` are not 0, the first policy's doubly robust value of
    so many rounds is kept, and the lane is over then. A lane that ``counts_by`` a feature compares nobody: it counts events by its values.
    ``beside_present``: another lane values the loop's present policy, which learns from other features, and tells of each round.
    """

    contenders: tuple[Contender, ...]
    interactions: Interactions = EVERYTHING
    exploration_percentage: float = 0.2
    since: datetime = EPOCH
    until: datetime = LATEST
    minutes: int = MINUTES
    without: Feature | None = None
    values_kept: int = 0
    counts_by: str = ""
    beside_present: bool = False

    @property
    def has_present(self) -> bool:
        """Whether the loop's present policy is one of those compared."""
        return any(each.name == PRESENT for each in self.contenders)


def contenders(online: LearningPolicy, custom: Sequence[LearningPolicy], *, has_present: bool = True) -> tuple[Contender, ...]:
    """Give those that every evaluation compares, and the custom ones; the ``online`` policy itself as well, if a loop has it.

    What was shown is another thing: an imported log was shown by others, and even a loop's own by earlier models.
    """
    return (
        Contender(ONLINE, PolicySource.ONLINE, online.arguments),
        Contender(BASELINE, PolicySource.BASELINE),
        Contender(RANDOM, PolicySource.RANDOM),
        *([Contender(PRESENT, PolicySource.CUSTOM, online.arguments)] if has_present else []),
        *[Contender(policy.name, PolicySource.CUSTOM, policy.arguments) for policy in custom],
    )


def lineups(compared: Sequence[Contender], *, exploration_percentage: float, **others: Any) -> list[Lineup]:
    """Part the policies by the features they learn from: those of one lane share a learner. The first lane is the online policy's.

    The others of a lineup are as given. Raises `InvalidPolicyConfigurationError`.
    """
    parts: dict[Interactions, list[Contender]] = {}
    has_present = any(each.name == PRESENT for each in compared)
    own = next((parse_arguments(each.arguments).interactions for each in compared if each.source is PolicySource.ONLINE), EVERYTHING)
    for each in compared:
        parts.setdefault(parse_arguments(each.arguments).interactions if each.is_learned else own, []).append(each)
    return [
        Lineup(
            tuple(part),
            interactions,
            exploration_percentage=exploration_percentage,
            beside_present=has_present and all(each.name != PRESENT for each in part),
            **others,
        )
        for interactions, part in parts.items()
    ]


# --- what is summed ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Coverage(Sums):
    """Of each policy [P]: rounds, those in which only one of several actions could be logged, and the largest weight that could be.

    A weight that could be is that of any action that could be chosen, not only of the one that was.
    """

    rounds: Summed
    forced: Summed
    largest_possible: Largest

    @staticmethod
    def of(logged: Floats, target: Floats, actions: Floats, counts: Floats | None = None) -> "Coverage":
        """Take probabilities [n, K] and [P, n, K], how many actions each round had [n], and perhaps how many rounds it stands for [n]."""
        possible = logged > 0.0
        forced = (possible.sum(axis=1) == 1) & (actions > 1)
        weights = np.divide(target, logged, out=np.zeros(target.shape), where=np.broadcast_to(possible, target.shape))
        policies = target.shape[0]
        if counts is not None:
            weights *= counts[:, None]
        return Coverage(
            np.full(policies, float(len(logged) if counts is None else counts.sum())),
            np.full(policies, float(np.count_nonzero(forced) if counts is None else counts[forced].sum())),
            weights.max(axis=(1, 2), initial=0.0),
        )


@dataclass(frozen=True, eq=False, slots=True)
class SlotSums:
    """All that is kept of a slot's rounds; ``pairs`` compare each policy with those of these names, round by round.

    Earlier releases kept no pairs. Those of a part of the rounds would say nothing of all of them, so they do not merge with none.
    """

    tally: Tally
    coverage: Coverage
    pairs: Mapping[str, Pairs] = field(default_factory=dict)

    def __add__(self, other: "SlotSums") -> "SlotSums":
        pairs = {name: mine + other.pairs[name] for name, mine in self.pairs.items() if name in other.pairs}
        return SlotSums(self.tally + other.tally, self.coverage + other.coverage, pairs)

    def plain(self) -> dict[str, Any]:
        """Give nothing but mappings, lists and finite numbers."""
        pairs = {name: each.plain() for name, each in self.pairs.items()}
        return {"tally": self.tally.plain(), "coverage": self.coverage.plain(), "pairs": pairs}

    @staticmethod
    def of_plain(plain: Mapping[str, Any]) -> "SlotSums":
        """Read back what `plain` gave; raises `UnreadableError` for anything else."""
        if not isinstance(plain, Mapping) or set(plain) | {"pairs"} != {"tally", "coverage", "pairs"}:
            raise UnreadableError("the sums of a slot consist of a tally, its coverage and pairs")
        pairs = plain.get("pairs", {})
        if not isinstance(pairs, Mapping):
            raise UnreadableError("the pairs of a slot are named")
        read = {str(name): Pairs.of_plain(each) for name, each in pairs.items()}
        return SlotSums(Tally.of_plain(plain["tally"]), Coverage.of_plain(plain["coverage"]), read)


# --- the way over the log ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Counts:
    """Events that were met: ``scored`` ones count in the sums, ``learned`` ones taught the learner.

    ``apprentice`` ones of the range are no evidence: the baseline was shown whatever a policy proposed. ``thinned`` ones of those that are
    scored stand for more than themselves.
    """

    events: int = 0
    scored: int = 0
    learned: int = 0
    apprentice: int = 0
    thinned: int = 0


@dataclass(slots=True)
class Lane:
    """A lineup on its way over a log; ``sums`` are by slot, "" all of them together."""

    lineup: Lineup
    learner: Learner = field(default_factory=Learner)
    sums: dict[str, SlotSums] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    values: Floats = field(default_factory=lambda: np.zeros(0))
    _encoder: Encoder = field(init=False, repr=False)
    _logged: LoggedEncoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.learner.learned:
            self.learner = Learner.cold(self.lineup.interactions)
        self._encoder = Encoder(self.lineup.interactions)
        self._logged = LoggedEncoder(self._encoder, self.lineup.without)

    def take(self, events: Iterable[JoinedEvent], present: Chances | None = None) -> Chances | None:
        """Score a batch and learn it, as one window of the trainer's; of its events few at a time are in memory.

        ``present`` is what the present policy would have drawn from in the rounds, where another lane values it: what that gives. Without
        it, nobody is compared with the present policy from now on. Raises `UnreadableError`, and whatever ``events`` do, and then nothing
        of it is scored or learned.
        """
        return self.take_logged(map(Logged.of, events), present)

    def take_logged(self, events: Iterable[Logged], present: Chances | None = None) -> Chances | None:
        """Do as `take`, with events whose situations are taken apart already."""
        way = _Way(dict(self.sums), self.values, Lessons(self._encoder, rewarded=self.learner.rewarded), present)
        block = self._block()
        for few in _pieces(events):
            way.events += len(few)
            for event, texts, _ in few:
                if texts is not None:
                    self._take(event, texts, block, way)
            block.score()
        self._sum_up(block, way)
        batch = way.lessons.batch()
        self.sums, self.values = way.sums, way.values
        if len(batch):
            self.learner.learn(batch)
        self.counts.events += way.events
        self.counts.scored += way.scored
        self.counts.apprentice += way.apprentice
        self.counts.thinned += way.thinned
        self.counts.learned += len(batch)
        return Chances.joined(way.told) if self.lineup.has_present else None

    def _block(self) -> Block:
        model, compared = self.learner.model(), self.lineup.contenders
        learned = [parse_arguments(each.arguments) for each in compared if each.is_learned]
        policies = [Policy(model, self.lineup.exploration_percentage, each) for each in learned]
        return Block(model, policies, layers=_layers(self.lineup))

    def _take(self, event: JoinedEvent, texts: SituationTexts, block: Block, way: "_Way") -> None:
        """Encode an event, and note what is to be learned of it, and what scored."""
        decision = event.decision
        asked = self._logged.encode(texts)
        if len(asked.known) != len(decision.probabilities):
            raise UnreadableError("a logged situation has not as many actions as probabilities")
        way.lessons.add_encoded(event, asked.encoded.logged)
        is_scored = self._is_scored(event)
        if is_scored and not block.has_room_for(len(asked.known)):
            self._sum_up(block, way)
        if not is_scored:
            way.apprentice += self._is_apprentice(event)
            return
        way.thinned += event.weight > 1.0
        block.add(event, asked.encoded, baseline=_baseline(asked, decision))

    def _is_scored(self, event: JoinedEvent) -> bool:
        """Tell whether others can be valued by it: it was decided by chance, within the range."""
        decision = event.decision
        by_chance = decision.mode is LearningMode.ONLINE and decision.proposal is None
        possible = 0.0 < decision.probabilities[decision.chosen] <= _CERTAIN
        return by_chance and possible and self.lineup.since <= decision.decided_at < self.lineup.until

    def _is_apprentice(self, event: JoinedEvent) -> bool:
        decision = event.decision
        return decision.mode is LearningMode.APPRENTICE and self.lineup.since <= decision.decided_at < self.lineup.until

    def _sum_up(self, block: Block, way: "_Way") -> None:
        """Add what a block's rounds come to, and begin it anew."""
        if not len(block):
            return
        block.score()
        beside = None if way.present is None else way.present.laid_out(way.scored, block.sizes, width=block.logged.shape[1])
        drawn = _drawn(block, self.lineup, self.range, beside)
        if self.lineup.has_present and not self.lineup.values_kept:
            way.told.append(Chances.of(drawn.others[PRESENT], block.sizes))
        if self.lineup.values_kept:
            rounds = drawn.rounds()
            way.values = np.concatenate([way.values, rounds.counted(rounds.values)[0]])[: self.lineup.values_kept]
        for slot, rows in _by_slot(block.slots, way.sums):
            part = drawn.cut(rows)
            mine = SlotSums(part.tally(self.lineup.minutes), part.coverage(), part.pairs())
            way.sums[slot] = way.sums[slot] + mine if slot in way.sums else mine
        way.scored += len(block)
        block.begin_anew()

    def state(self) -> bytes:
        """Write all that is to be kept beside the sums: the learner."""
        return artifact.dump_state(self.learner)

    @property
    def has_enough(self) -> bool:
        """Whether there is no need to go on."""
        return 0 < self.lineup.values_kept <= len(self.values)

    @property
    def range(self) -> Range:
        """The range of rewards that predictions keep to: 0 to 1, and what was met beyond."""
        return Range(self.learner.losses.lowest, self.learner.losses.highest)


def take_together(lanes: Sequence[Lane], events: Sequence[JoinedEvent]) -> None:
    """Take all lanes over a batch, first the one that values the present policy, of which it tells the others."""
    told = [lane.take(events) for lane in lanes if lane.lineup.has_present]
    for lane in lanes:
        if not lane.lineup.has_present:
            lane.take(events, told[0] if told and lane.lineup.beside_present else None)


def _layers(lineup: Lineup) -> int:
    return 1 + 2 * len(lineup.contenders)


def _pieces(events: Iterable[Logged]) -> Iterator[list[Logged]]:
    """Give events some at a time, as they are read; fewer of large ones."""
    few: list[Logged] = []
    size = 0
    for each in events:
        few.append(each)
        size += each.size
        if len(few) >= _FEW or size >= _FEW_BYTES:
            yield few
            few, size = [], 0
    yield few


@dataclass(slots=True)
class _Way:
    """What a lane has come to on its way over a batch: nothing of it counts before the batch's end."""

    sums: dict[str, SlotSums]
    values: Floats
    lessons: Lessons
    present: Chances | None
    told: list[Chances] = field(default_factory=list)
    events: int = 0
    scored: int = 0
    apprentice: int = 0
    thinned: int = 0


def _by_slot(slots: Sequence[str], sums: Mapping[str, SlotSums]) -> Iterator[tuple[str, list[int]]]:
    """Give the rows of all rounds together (""), and of each slot that has, or gets, sums of its own."""
    yield "", list(range(len(slots)))
    rows: dict[str, list[int]] = {}
    for row, slot in enumerate(slots):
        if slot:
            rows.setdefault(slot, []).append(row)
    known = [slot for slot in sums if slot]
    new = [slot for slot in rows if slot not in known][: max(MOST_SLOTS - len(known), 0)]
    for slot, its in rows.items():
        if slot in known or slot in new:
            yield slot, its


def _baseline(asked: Asked, decision: Decision) -> int:
    """Find the slot's own action if it could be chosen, or else the first that could: an excluded one has no probability."""
    if not asked.baseline_id and decision.probabilities[0] > 0.0:
        return 0
    possible = [index for index, probability in enumerate(decision.probabilities) if probability > 0.0]
    named = [index for index in possible if asked.ids[index] == asked.baseline_id] if asked.baseline_id else []
    return (named or possible or [0])[0]


@dataclass(frozen=True, eq=False, slots=True)
class _Drawn:
    """Rounds as arrays: ``logged`` [n, K], ``target`` and ``predictions`` [P, n, K], ``actions`` tells how many a round had [n].

    ``counts`` [n] tell how many rounds each stands for; None: for one, all of them. Each policy is compared with the
    ``others`` [n, K], and ``expected`` [n, K] are what the model predicts.
    """

    chosen: Any
    rewards: Floats
    minutes: Any
    actions: Any
    logged: Floats
    target: Floats
    predictions: Floats
    counts: Floats | None
    others: Mapping[str, Floats]
    expected: Floats

    def cut(self, rows: Sequence[int]) -> "_Drawn":
        return _Drawn(
            self.chosen[rows],
            self.rewards[rows],
            self.minutes[rows],
            self.actions[rows],
            self.logged[rows],
            self.target[:, rows],
            self.predictions[:, rows],
            None if self.counts is None else self.counts[rows],
            {name: each[rows] for name, each in self.others.items()},
            self.expected[rows],
        )

    def rounds(self) -> Rounds:
        rounds = Rounds.of_choices(
            chosen=self.chosen, logged=self.logged, target=self.target, rewards=self.rewards, predictions=self.predictions
        )
        return rounds if self.counts is None else replace(rounds, counts=self.counts)

    def tally(self, minutes: int) -> Tally:
        tally = Tally.of(self.rounds(), self.minutes)
        return tally if minutes == MINUTES else replace(tally, series=tally.series.coarser(minutes))

    def coverage(self) -> Coverage:
        return Coverage.of(self.logged, self.target, self.actions, self.counts)

    def pairs(self) -> dict[str, Pairs]:
        drawn = Drawn(self.chosen, self.logged, self.rewards, self.expected, self.counts)
        return {name: Pairs.of(drawn, self.target, each) for name, each in self.others.items()}


def _drawn(block: Block, lineup: Lineup, within: Range, beside: Floats | None) -> _Drawn:
    logged = block.logged
    target = np.zeros((len(lineup.contenders), *logged.shape))
    learned = 0
    for number, each in enumerate(lineup.contenders):
        match each.source:
            case PolicySource.ONLINE:
                target[number] = logged
            case PolicySource.BASELINE:
                target[number, np.arange(len(block)), block.baselines] = 1.0
            case PolicySource.RANDOM:
                target[number] = even(logged)
            case _:
                target[number] = block.chances(learned)
                learned += 1
    expected = np.clip(block.predictions, within.lowest, within.highest)
    predicted = np.repeat(expected[None], len(lineup.contenders), axis=0)
    predicted[[each.source is PolicySource.ONLINE for each in lineup.contenders]] = 0.0  # what was earned is known: nothing to put right
    return _Drawn(
        chosen=np.array(block.chosen),
        rewards=np.array(block.rewards),
        minutes=np.array(block.minutes),
        actions=np.array(block.sizes),
        logged=logged,
        target=target,
        predictions=predicted,
        counts=None if set(block.counts) == {1.0} else np.array(block.counts),
        others=_others(block, lineup, target, beside),
        expected=expected,
    )


def _others(block: Block, lineup: Lineup, target: Floats, beside: Floats | None) -> dict[str, Floats]:
    """Give those whom each policy is compared with: what was shown, the baseline, and the present policy where there is one."""
    if lineup.values_kept:
        return {}
    others = {ONLINE: block.logged, BASELINE: np.zeros(block.logged.shape)}
    others[BASELINE][np.arange(len(block)), block.baselines] = 1.0
    present = next((number for number, each in enumerate(lineup.contenders) if each.name == PRESENT), None)
    if present is not None:
        others[PRESENT] = target[present]
    elif beside is not None:
        others[PRESENT] = beside
    return others
