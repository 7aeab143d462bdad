"""The loop's present policy on its way over a log, beside policies that learn from other features: they are compared round by round.

It learns as it does in its own lane: after the same events it is the same, to the byte.
"""

from dataclasses import dataclass, field

from shared.domain.events import JoinedEvent
from shared.evaluation.sums import Floats
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Batch, Encoder
from shared.learning.learner import Learner
from shared.learning.policy import Policy
from shared.services.analysis.logged import LoggedEncoder
from shared.services.analysis.scoring import Block
from shared.services.training.lessons import Lessons


@dataclass(slots=True)
class Companion:
    """Its learner; ``layers`` are those of the lane that it goes beside, so that both have room for as many rounds."""

    arguments: str
    exploration_percentage: float
    layers: int
    learner: Learner
    encoder: Encoder = field(init=False, repr=False)
    logged: LoggedEncoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        interactions = parse_arguments(self.arguments).interactions
        if not self.learner.learned:
            self.learner = Learner.cold(interactions)
        self.encoder = Encoder(interactions)
        self.logged = LoggedEncoder(self.encoder)

    def begin(self) -> "Walk":
        """Begin a batch, which is scored by the model of all batches before."""
        policy = Policy(self.learner.model(), self.exploration_percentage, parse_arguments(self.arguments))
        return Walk(self, Block(policy.model, [policy], layers=self.layers), Lessons(self.encoder))


@dataclass(slots=True)
class Walk:
    """A batch that it goes over; its learner learns it when all of it is taken."""

    companion: Companion
    block: Block
    lessons: Lessons

    def take(self, event: JoinedEvent, *, is_scored: bool) -> None:
        """Encode an event, and note what is to be learned of it, and what scored."""
        asked = self.companion.logged.read(event.decision.situation)
        self.lessons.add_encoded(event, asked.encoded.logged(event.decision.learned_action))
        if is_scored:
            self.block.add(event, asked.encoded, baseline=0)

    def chances(self) -> Floats:
        """Give what it would have drawn from in the rounds so far, [n, K], and begin the next ones."""
        self.block.score()
        chances = self.block.chances(0)
        self.block.begin_anew()
        return chances

    def batch(self) -> Batch:
        """Give what there is to learn of the events."""
        return self.lessons.batch()
