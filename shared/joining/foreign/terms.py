"""How a log of others is to be taken, where its lines do not tell."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assumed:
    """With which ``probability``, above 0 and at most 1, each logged action was chosen; None: all that could be chosen had the same.

    Where a probability is given, the others share the rest evenly.
    """

    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What to make of a log.

    Of events of Apprentice mode the model learns what the baseline earned, or, if it ``imitates``, to propose it. What is ``assumed``
    stands in for probabilities that a line does not tell; without it such a line is refused. If it ``is_logging_only``, all events are kept
    and none is learned, and an action without a probability is taken for certain.
    """

    imitates: bool = False
    assumed: Assumed | None = None
    is_logging_only: bool = False
