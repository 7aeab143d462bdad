"""What learns: an ensemble of second-order regressions, a block of events at a time.

Its members (`shared.learning.shared_ridge`, `shared.learning.local_ridge` and `shared.learning.joint_ridge`, each steady and recent) are
averaged so that their average predicted the latest events best, before they learned from them (`shared.learning.averaging`). Where the
recent ones have become better than all that is steady, the world has changed: the steady ones begin anew as what the recent ones know.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from shared.learning.averaging import Losses
from shared.learning.crosses import Crosses, counted, crossed
from shared.learning.encoding import Batch, Floats, Floats32, Hashes, no_events
from shared.learning.event_waves import EventWaves
from shared.learning.fourier import gaussians
from shared.learning.interactions import EVERYTHING, Interactions
from shared.learning.joint_ridge import JointRidge
from shared.learning.local_ridge import LocalRidge, arms_of
from shared.learning.measures import Measures, Samples
from shared.learning.model import Mixture, Model, Parts
from shared.learning.segments import starts_of
from shared.learning.shared_ridge import DRAWS, FORGETTING, SharedRidge

WINDOW: Final = 4096
"""Events that are kept to fit the shared part on, unless they have too many crosses."""

WINDOW_CROSSES: Final = 1 << 20

_LARGEST_BLOCK: Final = 4096
_SMALLEST_BLOCK: Final = 10
_BLOCK_CROSSES: Final = 1 << 19
_GROWTH: Final = 0.2
"""A block is at most this part of all that was learned: a young learner looks at its errors often, a window of whatever size."""

_LARGEST_REWARD: Final = 1e6

_REMEMBERED: Final = round(1.0 / (1.0 - FORGETTING))
"""Events that the window keeps where the world has changed: as many as recent members remember."""

_LASTING: Final = 1000
"""Events that steady members have to remember before they are held against recent ones."""

KEPT_FROM: Final = 100
"""Events that have to teach by their rewards before a learner no longer learns to imitate, which would have it forget them."""

_OF_JOINT: Final = 0x3C6EF372


@dataclass(eq=False, slots=True)
class Learner:
    """The only thing that changes: everybody else gets a copy of what it learned.

    ``begun`` is the number of the event with which the steady members' memory begins. ``rewarded`` counts the events that taught by what
    they earned, up to `KEPT_FROM`.
    """

    learned: int = 0
    begun: int = 0
    rewarded: int = 0
    samples: Samples = field(default_factory=Samples)
    window: Batch = field(default_factory=no_events)
    shared: SharedRidge = field(default_factory=SharedRidge)
    local: LocalRidge = field(default_factory=LocalRidge)
    joint: JointRidge = field(default_factory=JointRidge)
    losses: Losses = field(default_factory=Losses)
    measures: Measures = field(default_factory=Measures.none)
    interactions: Interactions = EVERYTHING
    _crosses: Crosses | None = None  # of the window, as the measures are now

    @staticmethod
    def cold(interactions: Interactions = EVERYTHING) -> "Learner":
        """Give a learner that knows nothing; it learns what was encoded for these interactions."""
        return Learner(interactions=interactions)

    def learn(self, batch: Batch) -> None:
        """Learn from the events in their order; rewards count up to ± a million.

        The same events in the same batches give the same learner; cut otherwise, nearly the same.
        """
        self.rewarded = min(self.rewarded + len(batch) - batch.imitated, KEPT_FROM)
        crosses = starts_of(counted(batch))
        first = 0
        while first < len(batch):
            most = min(max(_SMALLEST_BLOCK, int(_GROWTH * self.learned)), _LARGEST_BLOCK)
            fitting = int(np.searchsorted(crosses, crosses[first] + _BLOCK_CROSSES, side="right")) - 1 - first
            last = min(first + max(min(most, fitting), 1), len(batch))
            self._learn_block(batch.cut(first, last))
            first = last

    def model(self) -> Model:
        """Give what Rank needs of it, ready to score."""
        mixture = Mixture(*self.losses.shares().tolist())
        parts = Parts(self.shared, self.local, self.joint)
        of_members = Model.of(parts, self.measures, mixture, learned=self.learned - self.begun, deviation=self.losses.deviation())
        return replace(of_members, learned=self.learned, interactions=self.interactions)

    def _learn_block(self, block: Batch) -> None:
        rewards = np.clip(block.rewards, -_LARGEST_REWARD, _LARGEST_REWARD)
        crosses = crossed(block, self.measures, self.interactions)
        waves = EventWaves.of(block, self.measures)
        shared = self.shared.predict(crosses)
        own = self.local.predict(waves.own, arms_of(block), shared)
        self.losses.add(np.column_stack([shared, own, self.joint.predict(waves.joint)]), rewards, block.counts)
        if self.learned - self.begun >= _LASTING and self.losses.show_change():
            self._begin_anew()

        changed = self.samples.observe(block.context_hashes, block.context_values)
        changed |= self.samples.observe(block.action_hashes, block.action_values)
        if changed:
            self.measures = self.samples.measures()
            crosses = crossed(block, self.measures, self.interactions)
        self.shared.meet(crosses)
        self.learned += len(block)
        of_window = self._slide(block, crosses, anew=changed)
        self._learn_waves(block, None if changed else waves)
        targets = np.clip(self.window.rewards, -_LARGEST_REWARD, _LARGEST_REWARD)
        noise = self._noise(len(self.window)) if self.shared.is_open else None
        self.shared.solve(of_window, targets, noise, self.window.counts, new=len(block))

    def _begin_anew(self) -> None:
        """Have the steady members know no more than the recent ones."""
        kept = min(len(self.window), _REMEMBERED)
        self.begun = self.learned - kept
        self.window = self.window.cut(len(self.window) - kept, len(self.window))
        self._crosses = None
        self.losses.begin_anew()
        self.shared.begin_anew()
        self.local.begin_anew(last=self.learned)
        self.joint.begin_anew()

    def _slide(self, block: Batch, crosses: Crosses, *, anew: bool) -> Crosses:
        """Move the window to end with the block; gives its crosses."""
        before = crossed(self.window, self.measures, self.interactions) if anew or self._crosses is None else self._crosses
        window, crosses = self.window.joined(block), before.joined(crosses)
        leaving = max(len(window) - WINDOW, int(np.searchsorted(crosses.starts, crosses.starts[-1] - WINDOW_CROSSES)), 0)
        if leaving:
            self.shared.settle(crosses.cut(0, leaving), None if window.counts is None else window.counts[:leaving])
        self.window, self._crosses = window.cut(leaving, len(window)), crosses.cut(leaving, len(crosses))
        return self._crosses

    def _learn_waves(self, block: Batch, waves: EventWaves | None) -> None:
        """Add the block to the parts on waves.

        Without its ``waves``, since numbers are measured otherwise now: all events anew, if they are still there.
        """
        if waves is None and len(self.window) == self.learned:
            self.local, self.joint, block = LocalRidge(), JointRidge(), self.window
        own, joint = waves or EventWaves.of(block, self.measures)
        self.local.learn(*self._for_local(block, own), last=self.learned)
        joint, rewards = self._weighted(block, joint)
        self.joint.learn(joint, np.column_stack([rewards, self._noise(len(block), of=_OF_JOINT)]), learned=self.learned)

    def remember_window(self) -> None:
        """Take the window as the latest events of the actions' own parts: a state of an earlier release tells of no others."""
        self.local.remember(*self._for_local(self.window, EventWaves.of(self.window, self.measures).own), last=self.learned)

    def _for_local(self, block: Batch, own: Floats32) -> tuple[Floats32, Hashes, Floats]:
        """Give waves, actions and targets of the latest events."""
        own, rewards = self._weighted(block, own)
        return own, arms_of(block), np.column_stack([rewards, self._noise(len(block))])

    @staticmethod
    def _weighted(block: Batch, waves: Floats32) -> tuple[Floats32, Floats]:
        """Give waves and rewards of events, times the root of how many each stands for."""
        rewards = np.clip(block.rewards, -_LARGEST_REWARD, _LARGEST_REWARD)
        if block.counts is None:
            return waves, rewards
        roots = np.sqrt(block.counts)
        return waves * roots.astype(np.float32)[:, None], rewards * roots

    def _noise(self, events: int, *, of: int = 0) -> Floats:
        """Give the latest events' noise, [n, DRAWS]: an event keeps its own, another one for each kind of part."""
        numbers = np.arange(self.learned - events, self.learned, dtype=np.int64).astype(np.uint32)
        return gaussians(numbers * np.uint32(0x9E3779B9) ^ np.uint32(of), DRAWS).astype(np.float64)
