"""Better policies, searched by successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943) on the first half of the log.

Candidates differ from the loop's own policy in how they explore, or in which features they use. They all begin; after an eighth of the
log, a quarter and a half, those that would have earned least in the last part are dropped. The best are then valued on the second half,
which none of them was chosen on, beside all other policies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from math import ceil
from typing import Final

from shared.domain.errors import InvalidPolicyConfigurationError
from shared.domain.evaluation import PolicySource
from shared.domain.events import JoinedEvent
from shared.domain.loop import LearningPolicy
from shared.joining.dsjson import read_situation
from shared.learning.arguments import PolicyArguments, is_multi_slot, parse_arguments
from shared.learning.interactions import ID, UNNAMED, Interactions
from shared.services.analysis.lane import Contender
from shared.services.analysis.results import Found, Part, parts

FRACTIONS: Final = (0.125, 0.25, 0.5)
"""Where the search looks: at these parts of the log's chunks. The last is where it ends."""

KEPT: Final = 0.5
"""How many candidates go on, of those of each kind."""

FEWEST: Final = 2
"""Candidates of each kind that go on in any case; and how many winners of each there are at most."""

HYPER: Final = "Hyper"
INTERACTIONS: Final = "Inter-len"
"""What the winners are called, with a number: those that explore otherwise, and those that use other features."""

EXPLORATIONS: Final = (
    "",
    "--epsilon 0.1",
    "--squarecb --gamma_scale 10 --epsilon 0.02",
    "--squarecb --gamma_scale 1000 --epsilon 0.02",
    "--softmax --lambda 4 --epsilon 0.02",
    "--softmax --lambda 16 --epsilon 0.02",
    "--bag 5 --epsilon 0.02",
    "--cover 5 --psi 0.1 --epsilon 0.02",
    "--regcb --epsilon 0.02",
)
"""Ways to explore that are tried: the product's own, ε-greedy with the loop's percentage, and others, each of which leaves every action
some probability: what is found must not make the log useless for the next search."""

_MOST_LETTERS: Final = 6
_SAMPLED: Final = 200


@dataclass(frozen=True, slots=True)
class Letters:
    """Namespaces that occur in the log, by their first letters: on the context's side and on the actions'."""

    context: tuple[str, ...]
    actions: tuple[str, ...]

    @staticmethod
    def of(events: Iterable[JoinedEvent]) -> "Letters":
        """Find them, the most frequent first."""
        context: dict[str, int] = {}
        actions: dict[str, int] = {}
        for number, event in enumerate(events):
            if number == _SAMPLED:
                break
            situation = read_situation(event.decision.situation)
            _count(context, [letter for features in situation.context for letter in _letters(features)])
            _count(actions, [letter for action in situation.actions for features in action.features for letter in _letters(features)])
        return Letters(_frequent(context), _frequent(actions))


def candidates(online: LearningPolicy, letters: Letters) -> tuple[Contender, ...]:
    """Give the policies that are tried, named by their arguments: the loop's own features explored otherwise, and other features."""
    own = parse_arguments(online.arguments)
    kind = "--ccb_explore_adf" if is_multi_slot(online.arguments) else "--cb_explore_adf"
    explored = [_joined(kind, exploration, _written(own.interactions)) for exploration in EXPLORATIONS]
    others = [_joined(kind, _own_exploration(online), text) for text in _features(letters)]
    found: dict[PolicyArguments, str] = {own: ""}
    for text in (*explored, *others):
        try:
            found.setdefault(parse_arguments(text), text)
        except InvalidPolicyConfigurationError:  # letters that cannot stand in arguments
            continue
    return tuple([Contender(text, PolicySource.OFFLINE_EXPERIMENTATION, text) for text in found.values() if text])


def bounds(chunks: int) -> tuple[int, ...]:
    """Give the chunks up to which each stage goes, the last one to the end; only that if there are too few to search.

    >>> bounds(80), bounds(3), bounds(1)
    ((10, 20, 40, 80), (1, 2, 3), (1,))
    """
    found = dict.fromkeys([ceil(chunks * fraction) for fraction in FRACTIONS])
    return (*[each for each in found if each < chunks], chunks)


def surviving(tried: Sequence[Contender], found: Sequence[Found], own: Interactions) -> tuple[Contender, ...]:
    """Give the candidates that go on, the best first: of each kind the better half."""
    return tuple([each for kind in _by_kind(tried, found, own) for each in kind[: max(ceil(KEPT * len(kind)), FEWEST)]])


def winners(tried: Sequence[Contender], found: Sequence[Found], own: Interactions, *, taken: Iterable[str]) -> tuple[Contender, ...]:
    """Give the best of each kind, under the names that they are known by from now on: none that is ``taken``."""
    named: list[Contender] = []
    for name, kind in zip((HYPER, INTERACTIONS), _by_kind(tried, found, own), strict=True):
        free = (f"{name}{number}" for number in count(1) if f"{name}{number}" not in {*taken})
        named += [replace(each, name=next(free)) for each in kind[:FEWEST]]
    return tuple(named)


def _by_kind(tried: Sequence[Contender], found: Sequence[Found], own: Interactions) -> tuple[list[Contender], list[Contender]]:
    """Part those that learn from the loop's own features from the others, each by what they would have earned, the best first."""
    earned = {part.contender.name: _earned(part) for part in parts(found) if not part.slot}
    ranked = sorted([each for each in tried if each.name in earned], key=lambda each: -earned[each.name])
    is_own = {each.name: parse_arguments(each.arguments).interactions == own for each in ranked}
    return [each for each in ranked if is_own[each.name]], [each for each in ranked if not is_own[each.name]]


def _earned(part: Part) -> float:
    return part.estimate().expected_reward


# --- which features ----------------------------------------------------------------------------------------------------


def _features(letters: Letters) -> list[str]:
    """Give other features to learn from: all, all but one namespace, and one cross by itself."""
    every = dict.fromkeys((*letters.context, *letters.actions, ID))
    without = [f"--ignore {letter}" for letter in every]
    crossed = [f"--interactions {one}{other}" for one, other in product(letters.context[:2], letters.actions[:2])]
    return ["", *without, *crossed]


def _letters(features: object) -> list[str]:
    if not isinstance(features, dict):
        return []
    return [name[:1] if isinstance(value, dict) and name else UNNAMED for name, value in features.items() if not name.startswith("_")]


def _count(counted: dict[str, int], letters: Iterable[str]) -> None:
    for letter in letters:
        counted[letter] = counted.get(letter, 0) + 1


def _frequent(counted: dict[str, int]) -> tuple[str, ...]:
    return tuple(sorted(counted, key=lambda letter: (-counted[letter], letter))[:_MOST_LETTERS])


# --- arguments ---------------------------------------------------------------------------------------------------------


def _joined(*texts: str) -> str:
    return " ".join([text for text in texts if text])


def _written(interactions: Interactions) -> str:
    """Write interactions as arguments.

    >>> _written(Interactions(("ab",), frozenset("yx")))
    '--interactions ab --ignore xy'
    """
    crosses = [f"--interactions {cross}" for cross in interactions.crosses or ()]
    ignored = [f"--ignore {''.join(sorted(interactions.ignored))}"] if interactions.ignored else []
    linear = [f"--ignore_linear {''.join(sorted(interactions.ignored_linear))}"] if interactions.ignored_linear else []
    return _joined(*crosses, *ignored, *linear)


def _own_exploration(online: LearningPolicy) -> str:
    """Give the way the loop's own policy explores, if it is one of those that are tried; else the product's own."""
    own = parse_arguments(online.arguments)
    tried = {text: parse_arguments(_joined("--cb_explore_adf", text)) for text in EXPLORATIONS}
    return next((text for text, each in tried.items() if (each.exploration, each.floor) == (own.exploration, own.floor)), "")
