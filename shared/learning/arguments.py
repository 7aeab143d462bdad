"""A learning policy's arguments, in Vowpal Wabbit's command-line syntax.

`OPTIONS` says what is done with each option; docs/concepts/policy-arguments.md shows the same table.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from math import isfinite
from types import MappingProxyType
from typing import Final

from shared.domain.errors import InvalidPolicyConfigurationError
from shared.learning.interactions import ANY, EVERYTHING, Interactions

LONGEST: Final = 4096
MOST_TOKENS: Final = 256
"""How many characters and how many words arguments may have."""

DEFAULT_ARGUMENTS: Final = "--cb_explore_adf"
"""Names no algorithm and no interactions: all is left to the product."""


# --- what arguments mean ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The product's own exploration, within the loop's percentage: for policies that name no algorithm."""


@dataclass(frozen=True, slots=True)
class EpsilonGreedy:
    """`shared.learning.exploration.epsilon_greedy`.

    ``epsilon`` is what the policy says, None where it says nothing; a loop's percentage takes its place, as in Azure.
    """

    epsilon: float | None = None


@dataclass(frozen=True, slots=True)
class SquareCB:
    """`shared.learning.exploration.squarecb` with γ = ``gamma_scale`` · (events learned) ^ ``gamma_exponent``."""

    gamma_scale: float = 100.0
    gamma_exponent: float = 0.5


@dataclass(frozen=True, slots=True)
class Softmax:
    """`shared.learning.exploration.softmax`."""

    lambda_: float = 1.0


@dataclass(frozen=True, slots=True)
class Bag:
    """`shared.learning.exploration.bag` of ``size`` draws, or of as many as the model has."""

    size: int


@dataclass(frozen=True, slots=True)
class Cover:
    """`shared.learning.exploration.cover` of ``size`` policies: the greedy one, the others from draws."""

    size: int
    psi: float = 1.0


@dataclass(frozen=True, slots=True)
class First:
    """`shared.learning.exploration.first`: uniform until ``events`` are learned."""

    events: int


@dataclass(frozen=True, slots=True)
class RegCB:
    """`shared.learning.exploration.regcb`; the intervals grow with the root of ``mellowness``."""

    optimistic: bool
    mellowness: float = 0.1


Exploration = Adaptive | EpsilonGreedy | SquareCB | Softmax | Bag | Cover | First | RegCB


@dataclass(frozen=True, slots=True)
class PolicyArguments:
    """What a learning policy asks for.

    ``floor`` is the share that all allowed actions get evenly, as by `shared.learning.exploration.with_floor`: ``--epsilon``
    beside another algorithm. In ``interactions`` crosses are sorted, and none of them is covered by another.
    """

    exploration: Exploration = Adaptive()
    floor: float = 0.0
    interactions: Interactions = EVERYTHING


# --- the options -----------------------------------------------------------------------------------------------------


class Treatment(StrEnum):
    """What is done with an option."""

    IMPLEMENTED = "implemented"
    ACCEPTED = "accepted without effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Value:
    """What an option takes, in words, and whether a text is that."""

    words: str
    accepts: Callable[[str], bool]
    many: bool = False


_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,18}", re.ASCII)


def _number(lowest: float, highest: float) -> Value:
    def accepts(text: str) -> bool:
        return _NUMBER.fullmatch(text) is not None and lowest <= float(text) <= highest

    return Value(f"a number from {lowest} to {highest}", accepts)


def _any_number() -> Value:
    return Value("a number", lambda text: _NUMBER.fullmatch(text) is not None and isfinite(float(text)))


def _count(lowest: int, highest: int) -> Value:
    def accepts(text: str) -> bool:
        return _COUNT.fullmatch(text) is not None and lowest <= int(text) <= highest

    return Value(f"a whole number from {lowest} to {highest}", accepts)


def _one_of(*words: str) -> Value:
    return Value(" or ".join(", ".join(words).rsplit(", ", 1)), words.__contains__)


def _letters(words: str, lowest: int, highest: int, *, wild: bool) -> Value:
    def accepts(text: str) -> bool:
        if text.startswith("--"):  # the next option: the value was forgotten
            return False
        return lowest <= len(text) <= highest and all(_is_namespace(letter, wild=wild) for letter in text)

    return Value(words, accepts, many=True)


def _is_namespace(letter: str, *, wild: bool) -> bool:
    return wild if letter == ANY else letter.isprintable() and not letter.isspace() and letter != "|"


@dataclass(frozen=True, slots=True)
class Option:
    """One option under all its names. Without ``value`` it is a flag; ``beside`` it one of these must be given."""

    names: tuple[str, ...]
    value: Value | None
    treatment: Treatment
    reason: str
    beside: tuple[str, ...] = ()


def _implemented(names: str, value: Value | None, reason: str, *, beside: str = "") -> Option:
    return Option(tuple(names.split()), value, Treatment.IMPLEMENTED, reason, tuple(beside.split()))


def _accepted(names: str, value: Value | None, reason: str) -> Option:
    return Option(tuple(names.split()), value, Treatment.ACCEPTED, reason)


def _refused(names: str, reason: str) -> Option:
    return Option(tuple(names.split()), None, Treatment.REFUSED, reason)


OPTIONS: Final = (
    _implemented("--epsilon", _number(0, 1), "epsilon-greedy; beside another algorithm, the share that is spread evenly"),
    _implemented("--squarecb", None, "weighs by the inverse gap"),
    _implemented("--gamma_scale", _number(0, 10**6), "γ of SquareCB after one event: 100 if not given", beside="--squarecb"),
    _implemented("--gamma_exponent", _number(0, 1), "how γ grows with the events: 0.5 if not given", beside="--squarecb"),
    _implemented("--softmax", None, "weighs by the exponential of the score"),
    _implemented("--lambda", _number(0, 10**6), "the score's factor in softmax: 1 if not given", beside="--softmax"),
    _implemented("--bag", _count(1, 100), "vote of so many posterior draws"),
    _implemented("--cover", _count(1, 100), "mixture of so many policies that differ"),
    _implemented("--psi", _number(0, 100), "how much cover is paid for differing: 1 if not given", beside="--cover"),
    _implemented("--first", _count(1, 10**9), "uniform until so many events are learned, then greedy"),
    _implemented("--regcb", None, "uniform over what may be the best"),
    _implemented("--regcbopt", None, "the highest upper bound"),
    _implemented("--mellowness", _number(0, 100), "width of RegCB's intervals: 0.1 if not given", beside="--regcb --regcbopt"),
    _implemented("-q --quadratic", _letters("two namespace letters", 2, 2, wild=True), "crosses of two namespaces; `:` is any"),
    _implemented("--cubic", _letters("three namespace letters", 3, 3, wild=True), "crosses of three namespaces; `:` is any"),
    _implemented(
        "--interactions", _letters("two or three namespace letters", 2, 3, wild=True), "crosses of two or three namespaces; `:` is any"
    ),
    _implemented("--ignore", _letters("namespace letters", 1, LONGEST, wild=False), "these namespaces are not used"),
    _implemented("--ignore_linear", _letters("namespace letters", 1, LONGEST, wild=False), "these are used in interactions only"),
    _accepted("--cb_explore_adf --ccb_explore_adf", None, "one of them is required; which one makes no difference"),
    _accepted("--noconstant", None, "no weight is common to all actions"),
    _accepted("--cb_adf", None, "follows from the above"),
    _accepted("--cb_type", _one_of("mtr", "ips", "dr", "dm", "sm"), "rewards are always regressed"),
    _accepted("-l --learning_rate", _any_number(), "the learner finds its own steps"),
    _accepted("--power_t --initial_t --decay_learning_rate", _any_number(), "they shape the learning rate, which has no effect"),
    _accepted("--adaptive --invariant --normalized --sgd", None, "the optimiser is the product's own"),
    _accepted("--l1 --l2", _any_number(), "regularisation is the product's own"),
    _accepted("--no_bias_regularization", None, "regularisation is the product's own"),
    _accepted("--loss_function", _one_of("squared"), "it is always squared"),
    _accepted("--passes", _count(1, 10**9), "the trainer decides what is replayed"),
    _accepted("-b --bit_precision", _count(1, 61), "the model's size is fixed"),
    _accepted("--hash", _one_of("strings", "all"), "everything is hashed"),
    _accepted("--random_seed", _count(0, 10**9), "chance comes from the event id"),
    _accepted("--cb_sample", None, "Rank always draws"),
    _accepted("--nounif", None, "the floor stays: without it the log could not be evaluated"),
    _accepted("--first_only", None, "ties always go to the first"),
    _accepted("--greedify", None, "the draws are not trained one by one"),
    _accepted("--cb_min_cost --cb_max_cost", _any_number(), "the posterior gives the bounds"),
    _accepted("--json --dsjson --quiet --save_resume --preserve_performance_counters", None, "so it is anyway"),
    _refused("--cats --cats_pdf --cats_tree --cb_explore_pdf --cbzo", "actions are discrete"),
    _refused("--cb --cb_explore --cbify --cbify_ldf --warm_cb", "actions come with each request: use `--cb_explore_adf`"),
    _refused("--slates", "slots are ranked one after another: use `--ccb_explore_adf`"),
    _refused("--rnd --synthcover --graph_feedback --large_action_space --elim", "this kind of exploration is not there"),
    _refused("--bfgs --conjugate_gradient --ftrl --pistol --coin --svrg --nn --ksvm --boosting", "the learner is the product's own"),
    _refused("--automl --cb_dro --baseline --baseline_challenger_cb", "policies are compared by evaluations"),
    _refused("--keep", "name what to leave out by `--ignore`"),
    _refused("--redefine --interact --lrq --lrqfa --autolink --stage_poly --marginal", "these features are not made"),
    _refused("--ngram --skips --affix --spelling --dictionary --feature_limit", "features are used as they are sent"),
    _refused("--leave_duplicate_interactions --permutations", "every cross counts once"),
    _refused("-t --testonly", "use the learning mode"),
    _refused("-d --data -i --initial_regressor -f --final_regressor", "the service reads and writes by itself"),
    _refused("-p --predictions -r --raw_predictions -c --cache --cache_file -k --kill_cache", "the service reads and writes by itself"),
    _refused("--id --daemon --port --audit -a --invert_hash --readable_model", "the service reads and writes by itself"),
)
"""All that is known of Vowpal Wabbit's options; any other is refused as unknown."""

_BY_NAME: Final[Mapping[str, Option]] = MappingProxyType({name: option for option in OPTIONS for name in option.names})
_KINDS: Final = ("--cb_explore_adf", "--ccb_explore_adf")
_CROSSES: Final = ("-q", "--quadratic", "--cubic", "--interactions")


# --- from text to meaning --------------------------------------------------------------------------------------------

_Given = Mapping[str, Sequence[str]]
"""Each option by the name it was given under, with its values; a flag has one, the empty text."""


def parse_arguments(text: str) -> PolicyArguments:
    """Read a learning policy's arguments.

    Raises `InvalidPolicyConfigurationError`, and nothing else, for what is refused, unknown, contradictory or out of range.

    >>> parse_arguments("--cb_explore_adf --epsilon 0.2 -l 0.001 -q ::")  # everything is crossed anyway
    ... # doctest: +NORMALIZE_WHITESPACE
    PolicyArguments(exploration=EpsilonGreedy(epsilon=0.2), floor=0.0,
                    interactions=Interactions(crosses=None, ignored=frozenset(), ignored_linear=frozenset()))
    """
    given = _given(_words(text))
    _check(given)
    return PolicyArguments(
        exploration=_exploration(given),
        floor=_float(given, "--epsilon", 0.0) if _algorithms(given) else 0.0,
        interactions=Interactions(
            _crosses(given),
            ignored=frozenset("".join(given.get("--ignore", ()))),
            ignored_linear=frozenset("".join(given.get("--ignore_linear", ()))),
        ),
    )


def is_multi_slot(text: str) -> bool:
    """Whether a learning policy is one for several slots a call; raises as `parse_arguments`.

    >>> is_multi_slot("--ccb_explore_adf --epsilon 0.2"), is_multi_slot("--cb_explore_adf")
    (True, False)
    """
    return _KINDS[1] in _given(_words(text))


def _words(text: str) -> list[str]:
    if len(text) > LONGEST:
        raise _invalid(f"arguments have at most {LONGEST} characters")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise _invalid("arguments end within quotes or after a backslash") from error
    if len(words) > MOST_TOKENS:
        raise _invalid(f"arguments have at most {MOST_TOKENS} words")
    return words


def _given(words: Sequence[str]) -> _Given:
    given: dict[str, list[str]] = {}
    remaining = iter(words)
    for word in remaining:
        name, attached = _split(word)
        option = _known(name)
        given.setdefault(name, []).append(_value(option, name, attached, remaining))
    return given


def _split(word: str) -> tuple[str, str | None]:
    """Tell the name from a value that is attached to it.

    >>> _split("--epsilon=0.2"), _split("-q::"), _split("--softmax"), _split("-q")
    (('--epsilon', '0.2'), ('-q', '::'), ('--softmax', None), ('-q', None))
    """
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word[:2], word[2:] or None


def _known(name: str) -> Option:
    option = _BY_NAME.get(name)
    if option is None:
        raise _invalid(f"{_shown(name)} is not a known option")
    if option.treatment is Treatment.REFUSED:
        raise _invalid(f"{name} is refused: {option.reason}")
    return option


def _value(option: Option, name: str, attached: str | None, following: Iterator[str]) -> str:
    if option.value is None:
        if attached is not None:
            raise _invalid(f"{name} takes no value")
        return ""
    value = next(following, None) if attached is None else attached
    if value is None or not option.value.accepts(value):
        raise _invalid(f"{name} takes {option.value.words}, not {'nothing' if value is None else _shown(value)}")
    return value


def _check(given: _Given) -> None:
    if not any(kind in given for kind in _KINDS):
        raise _invalid(f"{_KINDS[0]} or {_KINDS[1]} is missing")
    for name, values in given.items():
        _check_once(name, values)
        _check_beside(name, given)
    algorithms = _algorithms(given)
    if len(algorithms) > 1:
        raise _invalid(f"{algorithms[0]} and {algorithms[1]} are two ways to explore: only one can be used")


def _check_once(name: str, values: Sequence[str]) -> None:
    value = _BY_NAME[name].value
    if len(set(values)) > 1 and not (value and value.many):
        raise _invalid(f"{name} is given twice, with different values")


def _check_beside(name: str, given: _Given) -> None:
    beside = _BY_NAME[name].beside
    if beside and not any(other in given for other in beside):
        raise _invalid(f"{name} has a meaning only beside {' or '.join(beside)}")


def _invalid(message: str) -> InvalidPolicyConfigurationError:
    return InvalidPolicyConfigurationError(message, target="arguments")


def _shown(text: str) -> str:
    """Quote what a caller sent, without control characters and not at any length."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


# --- exploration -----------------------------------------------------------------------------------------------------


def _squarecb(given: _Given) -> SquareCB:
    own = SquareCB()
    return SquareCB(_float(given, "--gamma_scale", own.gamma_scale), _float(given, "--gamma_exponent", own.gamma_exponent))


def _regcb(given: _Given) -> RegCB:
    own = RegCB(optimistic="--regcbopt" in given)
    return RegCB(own.optimistic, _float(given, "--mellowness", own.mellowness))


_ALGORITHMS: Final[Mapping[str, Callable[[_Given], Exploration]]] = MappingProxyType(
    {
        "--squarecb": _squarecb,
        "--softmax": lambda given: Softmax(_float(given, "--lambda", Softmax().lambda_)),
        "--bag": lambda given: Bag(int(given["--bag"][0])),
        "--cover": lambda given: Cover(size := int(given["--cover"][0]), _float(given, "--psi", Cover(size).psi)),
        "--first": lambda given: First(int(given["--first"][0])),
        "--regcb": _regcb,
        "--regcbopt": _regcb,
    }
)


def _algorithms(given: _Given) -> list[str]:
    return [name for name in given if name in _ALGORITHMS]


def _exploration(given: _Given) -> Exploration:
    for name in _algorithms(given):
        return _ALGORITHMS[name](given)
    return EpsilonGreedy(float(given["--epsilon"][0])) if "--epsilon" in given else Adaptive()


def _float(given: _Given, name: str, otherwise: float) -> float:
    return float(given[name][0]) if name in given else otherwise


# --- interactions ----------------------------------------------------------------------------------------------------


def _crosses(given: _Given) -> tuple[str, ...] | None:
    """Give what is crossed; None for everything, whether it was said or not."""
    crosses = {"".join(sorted(cross)) for name in _CROSSES for cross in given.get(name, ())}
    if any(set(cross) == {ANY} for cross in crosses):
        return None
    return tuple(sorted(cross for cross in crosses if not _wider(cross) & crosses)) or None


def _wider(cross: str) -> set[str]:
    """Give the interactions that make all that this one makes, and more.

    >>> sorted(_wider("ab")), sorted(_wider("::"))
    (['::', ':a', ':b'], [])
    """
    return {"".join(sorted(letters)) for letters in product(*[(letter, ANY) for letter in cross])} - {cross}
