"""The order in which actions are told."""

from collections.abc import Sequence


def chosen_first(probabilities: Sequence[float], chosen: int) -> list[int]:
    """Order action indices: the chosen one, then the others from likely to unlikely, ties as requested.

    >>> chosen_first([0.1, 0.2, 0.7], 1)
    [1, 2, 0]
    """
    others = sorted(range(len(probabilities)), key=probabilities.__getitem__, reverse=True)  # stable in reverse as well
    others.remove(chosen)
    return [chosen, *others]


def laid_out(allowed: Sequence[bool], probabilities: Sequence[float], chosen: int) -> list[int]:
    """Order action indices as an answer does: what is not allowed stays where it was, the others follow `chosen_first`.

    >>> laid_out([False, True, True], [0.0, 0.2, 0.8], 1)
    [0, 1, 2]
    """
    order = iter([index for index in chosen_first(probabilities, chosen) if allowed[index]])
    return [next(order) if may else index for index, may in enumerate(allowed)]
