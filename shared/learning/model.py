"""What Rank scores with: one weight for each cross of a context feature with an action feature, an action's own waves, and joint waves.

All members of the learner's ensemble are linear in these, so their average is one model of the same shape.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from shared.learning import joint_ridge
from shared.learning.bends import Places
from shared.learning.encoding import EncodedSituation, Floats32, Hashes
from shared.learning.interactions import EVERYTHING, Interactions
from shared.learning.joint_ridge import JointRidge
from shared.learning.local_ridge import SIZE, LocalRidge, prior_draws
from shared.learning.measures import Measures
from shared.learning.scorer import Scorer, Scores, Weights
from shared.learning.shared_ridge import DRAWS, FORGETTING, SharedRidge

_LEAST_SHARE: Final = 0.02
"""A kind of part with less of a share has nothing to say about what is uncertain."""

_SHARED: Final = 0
_LOCAL: Final = 1
_JOINT: Final = 2
"""The places of the kinds in `Mixture.kinds`."""


class Mixture(NamedTuple):
    """The shares of the learner's members in their average."""

    steady: float
    recent: float
    local: float
    recent_local: float
    joint: float
    recent_joint: float

    @property
    def kinds(self) -> tuple[float, float, float]:
        """Give what the shared part, the actions' own and the joint one have, each with its recent member."""
        return self.steady + self.recent, self.local + self.recent_local, self.joint + self.recent_joint

    def remembered(self, learned: int) -> float:
        """Give how many events the average remembers: recent members forget."""
        forgetful = self.recent + self.recent_local + self.recent_joint
        return learned - forgetful * max(learned - 1.0 / (1.0 - FORGETTING), 0.0)


MEMBERS: Final = len(Mixture._fields)


class Parts(NamedTuple):
    """What the members of an ensemble have learned."""

    shared: SharedRidge
    local: LocalRidge
    joint: JointRidge


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """A published model; nothing in it changes but what it remembers of features met lately. May be shared between threads.

    ``cells`` (uint32 [n], ascending) are the crosses that were met, ``weights`` (float32 [n, 1 or 1 + DRAWS]) their weights and
    perhaps draws; ``ridge`` scales the draws of the others. ``deviation`` is that of rewards around predictions, and ``remembered``
    how many of the ``learned`` events still count. ``arms`` (uint32 [a]) are ids' hashes with weights of their own,
    ``arm_weights`` (float32 [a + 1, 1 or 1 + DRAWS, SIZE]), which count for ``share`` of the score; the last row is for all others.
    ``joint_weights`` (float32 [1 or 1 + DRAWS, joint_ridge.SIZE]) are those of the joint waves, which count for ``joint_share``. One
    kind of part alone has draws: the shared one, the arms or the joint one. It scores what was encoded for its ``interactions``.
    """

    learned: int
    remembered: float
    deviation: float
    share: float
    ridge: float
    cells: Hashes
    weights: Floats32
    arms: Hashes
    arm_weights: Floats32
    joint_share: float
    joint_weights: Floats32
    measures: Measures
    interactions: Interactions = EVERYTHING
    _prepared: list[Scorer | None] = field(default_factory=lambda: [None], init=False, repr=False)

    @staticmethod
    def cold() -> "Model":
        """Give a model that knows nothing."""
        return Model(0, 0.0, 0.5, 0.0, 1.0, *_no_weights(), *_no_arms(), 0.0, no_joint(), Measures.none())

    @staticmethod
    def of(parts: Parts, measures: Measures, mixture: Mixture, *, learned: int, deviation: float) -> "Model":
        """Average the members of an ensemble; draws are those of the kind with the largest share that has any, or else the joint one's."""
        shared, local, joint = parts
        of_shared, of_local, of_joint = mixture.kinds
        asked = _asked(mixture, shared_has_draws=shared.is_open)
        met = np.flatnonzero(shared.met)
        steady, recent, *draws = shared.columns(met, draws=asked == _SHARED)
        both = mixture.steady * steady.astype(np.float64) + mixture.recent * recent.astype(np.float64)
        mean = both / of_shared if of_shared else steady
        arms = _arms(local, mixture, draws=asked is _LOCAL) if of_local else _no_arms()
        return Model(
            learned,
            mixture.remembered(learned),
            deviation,
            of_local,
            shared.precision,
            met.astype(np.uint32),
            np.column_stack([mean.astype(np.float32), *draws]),
            *arms,
            of_joint,
            _joint(joint, mixture, draws=asked is _JOINT) if of_joint or asked is _JOINT else no_joint(),
            measures,
        )

    @property
    def is_cold(self) -> bool:
        """Whether it has yet to learn from a first event."""
        return self.learned == 0

    @property
    def is_prepared(self) -> bool:
        """Whether what scoring takes is laid out."""
        return self._prepared[0] is not None

    def scores(self, encoded: EncodedSituation) -> Scores:
        """Estimate the reward of each action, and how far off the estimate may be."""
        scorer = self._prepared[0] or self.prepare()
        return scorer.scores(encoded)

    def scores_of_many(self, situations: Sequence[EncodedSituation]) -> Iterator[tuple[Places, Scores]]:
        """Give the same of each of many situations, faster: those with as many actions together, and where each of them stands.

        Places are [n], the estimates [n, K] and their draws [n, K, M], for n of the situations with K actions.
        """
        scorer = self._prepared[0] or self.prepare()
        return scorer.scores_of_many(situations)

    def prepare(self) -> Scorer:
        """Lay out what scoring takes, so that no request has to wait for it; who only writes a model does without."""
        scorer = self._prepared[0] = Scorer(Weights(*[getattr(self, name) for name in Weights._fields]))
        return scorer

    def let_go(self) -> None:
        """Give up what scoring took, until it is asked for scores again; any thread may say so."""
        self._prepared[0] = None


def _asked(mixture: Mixture, *, shared_has_draws: bool) -> int:
    """Say which kind's draws are taken. Nobody else explores where the shared part, too wide for draws, has all the shares."""
    of_shared, of_local, of_joint = mixture.kinds
    shares = [of_shared if shared_has_draws else 0.0, of_local, of_joint]
    largest = max(shares)
    return shares.index(largest) if largest >= _LEAST_SHARE else _JOINT


def _joint(joint: JointRidge, mixture: Mixture, *, draws: bool) -> Floats32:
    steady, recent = joint.solved()
    surer = steady if mixture.joint >= mixture.recent_joint else recent
    weights = np.zeros((1 + DRAWS if draws else 1, joint_ridge.SIZE), dtype=np.float32)
    weights[0] = mixture.joint * steady[:, 0] + mixture.recent_joint * recent[:, 0]
    weights[1:] = surer[:, 1 : len(weights)].T
    return weights


def no_joint() -> Floats32:
    """Give the weights of a joint part that has no share, and no draws."""
    return np.zeros((1, joint_ridge.SIZE), np.float32)


def _arms(local: LocalRidge, mixture: Mixture, *, draws: bool) -> tuple[Hashes, Floats32]:
    channels = 1 + DRAWS if draws else 1
    weights = np.zeros((len(local.arms) + 1, channels, SIZE), dtype=np.float32)
    for number, arm in enumerate(local.arms.values()):
        surer = arm.steady.weights if mixture.local >= mixture.recent_local else arm.recent
        weights[number, 1:] = surer[:, 1:channels].T
        weights[number, 0] = mixture.local * arm.steady.weights[:, 0] + mixture.recent_local * arm.recent[:, 0]
    weights[-1, 1:] = prior_draws().T[: channels - 1]
    return np.array(list(local.arms), dtype=np.uint32), weights


def _no_weights() -> tuple[Hashes, Floats32]:
    return np.zeros(0, np.uint32), np.zeros((0, 1), np.float32)


def _no_arms() -> tuple[Hashes, Floats32]:
    return np.zeros(0, np.uint32), np.zeros((1, 1, SIZE), np.float32)
