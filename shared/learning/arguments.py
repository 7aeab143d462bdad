"""A learning policy's arguments, in Vowpal Wabbit's command-line syntax.

`OPTIONS` says what is done with each option; docs/concepts/policy-arguments.md and docs/internals/policy-options.md show the same table.
"""

import re
import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from math import isclose, isfinite
from types import MappingProxyType
from typing import Final

from shared.domain.errors import InvalidPolicyConfigurationError
from shared.learning.interactions import ANY, EVERYTHING, Interactions

LONGEST: Final = 4096
MOST_TOKENS: Final = 256
"""How many characters and how many words arguments may have."""

MOST_CROSSED: Final = 8
"""How many namespaces one interaction may have."""

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
    ACCEPTED = "no effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Value:
    """What an option takes, in words, and whether a text is that; ``many``: each word up to the next option is one."""

    words: str
    accepts: Callable[[str], bool]
    many: bool = False


_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,20}", re.ASCII)


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


def _word() -> Value:
    return Value("a word", lambda text: bool(text) and not _is_option(text))


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
    """One option under all its names. Without ``value`` it is a flag; it acts only if one of ``beside`` is given, where there are any."""

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
    _implemented("--epsilon", _number(0, 1), "epsilon-greedy. With another algorithm: the share that all allowed actions get evenly"),
    _implemented("--squarecb", None, "SquareCB: the larger the gap to the best score, the smaller the probability"),
    _implemented("--gamma_scale", _number(0, 10**6), "γ of SquareCB after one event: 100 if it is not given", beside="--squarecb"),
    _implemented(
        "--gamma_exponent", _number(0, 1), "how fast γ grows with the number of events: 0.5 if it is not given", beside="--squarecb"
    ),
    _implemented("--softmax", None, "softmax: the probability grows with the exponential of the score"),
    _implemented(
        "--lambda",
        _number(-(10**6), 10**6),
        "the factor of the score in softmax, without its sign: 1 if it is not given",
        beside="--softmax",
    ),
    _implemented("--bag", _count(1, 100), "this many draws from the posterior, and each votes for its best action"),
    _implemented("--cover", _count(1, 100), "a mixture of this many policies that choose differently"),
    _implemented("--psi", _number(0, 100), "how much `--cover` rewards a different choice: 1 if it is not given", beside="--cover"),
    _implemented(
        "--first", _count(1, 10**9), "all actions are equally likely until this many events are learned; then always the best one"
    ),
    _implemented("--regcb", None, "all actions that may be the best are equally likely"),
    _implemented("--regcbopt", None, "the action with the highest upper bound"),
    _implemented(
        "--mellowness", _number(0, 100), "the width of the intervals of RegCB: 0.1 if it is not given", beside="--regcb --regcbopt"
    ),
    _implemented(
        "-q --quadratic", _letters("two namespace letters", 2, 2, wild=True), "combinations of two namespaces; `:` is any namespace"
    ),
    _implemented("--cubic", _letters("three namespace letters", 3, 3, wild=True), "combinations of three namespaces; `:` is any namespace"),
    _implemented(
        "--interactions",
        _letters(f"two to {MOST_CROSSED} namespace letters", 2, MOST_CROSSED, wild=True),
        "combinations of this many namespaces; `:` is any namespace",
    ),
    _implemented("--ignore", _letters("namespace letters", 1, LONGEST, wild=False), "the model does not use these namespaces"),
    _implemented(
        "--ignore_linear", _letters("namespace letters", 1, LONGEST, wild=False), "the model uses these namespaces in combinations only"
    ),
    _accepted("--cb_explore_adf --ccb_explore_adf", None, "one of the two is required; calls with several slots need `--ccb_explore_adf`"),
    _accepted("--noconstant", None, "there is no constant feature, as it would add the same to every action"),
    _accepted("-C --constant", _any_number(), "there is no constant feature, as it would add the same to every action"),
    _accepted("--cb_adf --csoaa_rank --rank_all --no_predict --cb_force_legacy", None, "`--cb_explore_adf` includes it"),
    _accepted("--csoaa_ldf", _one_of("multiline", "m", "multiline-classifier", "mc"), "`--cb_explore_adf` includes it"),
    _accepted("--link", _one_of("identity"), "a score is always an expected reward"),
    _accepted("--cb_type", _one_of("mtr", "ips", "dr", "dm", "sm"), "the model always learns by regression on the rewards"),
    _accepted("--clip_p", _any_number(), "the model always learns by regression on the rewards"),
    _accepted("-l --learning_rate", _any_number(), "the learner chooses its own step sizes"),
    _accepted("--power_t --initial_t --decay_learning_rate", _any_number(), "they change the learning rate, which has no effect"),
    _accepted(
        "--adaptive --adax --invariant --normalized --sgd --coin --ftrl --pistol --freegrad --restart --project --svrg "
        "--bfgs --conjugate_gradient --hessian_on --OjaNewton",
        None,
        "the product has its own optimiser",
    ),
    _accepted(
        "--ftrl_alpha --ftrl_beta --radius --fepsilon --flipschitz_const --stage_size --mem --termination --sketch_size "
        "--epoch_size --alpha --alpha_inverse --learning_rate_cnt",
        _any_number(),
        "the product has its own optimiser",
    ),
    _accepted("--normalize --random_init", _word(), "the product has its own optimiser"),
    _accepted("--initial_weight", _any_number(), "a new model always begins without any knowledge"),
    _accepted("--random_weights --normal_weights --truncated_normal_weights", None, "a new model always begins without any knowledge"),
    _accepted("--sparse_weights", None, "the size of the model is fixed"),
    _accepted("--l1 --l2 --sparse_l2 --l1_state --l2_state", _any_number(), "the product has its own regularisation"),
    _accepted("--no_bias_regularization", None, "the product has its own regularisation"),
    _accepted("--loss_function", _one_of("squared"), "the loss is always squared"),
    _accepted(
        "--quantile_tau --expectile_q --logistic_min --logistic_max", _any_number(), "they belong to other losses than the squared one"
    ),
    _accepted("--passes", _count(1, 10**9), "the trainer decides which events it learns again"),
    _accepted("--holdout_off --save_per_pass", None, "the trainer decides which events it learns again"),
    _accepted("--holdout_period --holdout_after --early_terminate", _count(0, 10**9), "the trainer decides which events it learns again"),
    _accepted("-b --bit_precision", _count(1, 61), "the size of the model is fixed"),
    _accepted("--hash", _one_of("strings", "all"), "all features are hashed"),
    _accepted("--hash_seed", _count(0, 2**64 - 1), "all features are hashed, in one fixed way"),
    _accepted("--chain_hash --sort_features", None, "all features are hashed, in one fixed way"),
    _accepted("--random_seed", _count(0, 2**64 - 1), "the random choice depends on the event id"),
    _accepted("--cb_sample", None, "Rank always draws the action by its probability"),
    _accepted("--nounif", None, "every allowed action keeps a smallest probability; without it the log could not be evaluated"),
    _accepted("--first_only", None, "of actions with equal scores, the first one always wins"),
    _accepted("--greedify", None, "the draws are not trained separately"),
    _accepted("--cb_min_cost --cb_max_cost --min_prediction --max_prediction", _any_number(), "the bounds come from the posterior"),
    _accepted(
        "--large_action_space --two_pass_svd --las_hint_explicit_simd", None, "a call has at most 50 actions, so all of them are scored"
    ),
    _accepted(
        "--max_actions --spanner_c --thread_pool_size --block_size --action_cache_slack",
        _any_number(),
        "they belong to `--large_action_space`, which has no effect",
    ),
    _accepted(
        "--json --dsjson --quiet --save_resume --preserve_performance_counters --per_model_save_load",
        None,
        "the service works in this way already",
    ),
    _accepted("--predict_only_model", None, "the trainer keeps its state in a file beside the model"),
    _accepted("--ccb_no_slot_index", None, "a slot is identified by its id, not by its position"),
    _accepted(
        "--no_stdin --driver_output_off --strict_parse --all_slots_loss --compressed --no_daemon",
        None,
        "the service prints nothing and reads no files",
    ),
    _accepted(
        "-P --progress --driver_output --log_level --log_output --limit_output", _word(), "the service prints nothing and reads no files"
    ),
    _accepted("--ring_size --example_queue_limit", _count(0, 2**64 - 1), "the service prints nothing and reads no files"),
    _refused("--cats --cats_pdf --cats_tree --cb_explore_pdf --cbzo", "continuous actions are not supported"),
    _refused("--cb --cb_explore --cbify --cbify_ldf --warm_cb", "actions come with each request: use `--cb_explore_adf`"),
    _refused("--slates", "slots are ranked one after another: use `--ccb_explore_adf`"),
    _refused("--rnd --synthcover --graph_feedback --elim --epsilon_decay", "this kind of exploration is not supported"),
    _refused("--nn --ksvm --boosting --bootstrap --emt", "the product has its own learner"),
    _refused("--automl --cb_dro --baseline --baseline_challenger_cb --explore_eval --eval", "use an evaluation to compare policies"),
    _refused("--keep --ignore_features_dsjson_experimental", "use `--ignore` with the namespaces to leave out"),
    _refused("--experimental_full_name_interactions", "use `--interactions` with the first letters of the namespaces"),
    _refused("--redefine --interact --lrq --lrqfa --autolink --stage_poly --marginal", "such features are not supported"),
    _refused("--ngram --skips --affix --spelling --dictionary --feature_limit", "features are used as they are sent"),
    _refused("--leave_duplicate_interactions --permutations", "every combination counts once"),
    _refused("-t --testonly", "use the loop's learning mode"),
    _refused(
        "-d --data -i --initial_regressor -f --final_regressor -p --predictions -r --raw_predictions -c --cache "
        "--cache_file -k --kill_cache --id --daemon --port --audit -a --invert_hash --readable_model --extra_metrics "
        "--feature_mask --examples --initial_pass_length",
        "the service reads and writes its data by itself",
    ),
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


def without_effect(text: str) -> tuple[str, ...]:
    """Name the options that are taken without effect, in the order in which they are given; raises as `parse_arguments`.

    >>> without_effect("--cb_explore_adf --squarecb --coin --lambda 2 --hash_seed 0")
    ('--coin', '--lambda', '--hash_seed')
    """
    given = _given(_words(text))
    return tuple(name for name in given if name not in _KINDS and not _acts(name, given))


def _acts(name: str, given: _Given) -> bool:
    option = _BY_NAME[name]
    return option.treatment is Treatment.IMPLEMENTED and (not option.beside or any(other in given for other in option.beside))


def _words(text: str) -> list[str]:
    if len(text) > LONGEST:
        raise _invalid(f"arguments have at most {LONGEST} characters")
    try:
        words = shlex.split(_CODED.sub(r"\\\\x\1", text))
    except ValueError as error:
        raise _invalid("arguments end within quotes or after a backslash") from error
    if len(words) > MOST_TOKENS:
        raise _invalid(f"arguments have at most {MOST_TOKENS} words")
    return [_CODED.sub(_letter, word) for word in words]


_CODED: Final = re.compile(r"\\+x([0-9a-fA-F]{2})")
"""A character by its number, as Vowpal Wabbit reads the letters of namespaces."""


def _letter(coded: re.Match[str]) -> str:
    letter = chr(int(coded[1], 16))
    if not letter.isascii() or not letter.isprintable():
        raise _invalid(f"\\x{coded[1]} is not a letter of a namespace")
    return letter


def _given(words: Sequence[str]) -> _Given:
    given: dict[str, list[str]] = {}
    _check_kind(words)
    remaining = deque(words)
    while remaining:
        word = remaining.popleft()
        if not word.startswith("-"):
            raise _invalid(f"{_shown(word)} is not an option, and not a value of the option before it")
        name, attached = _split(word)
        given.setdefault(name, []).extend(_values(_known(name), name, attached, remaining))
    for name, values in given.items():
        _check_values(name, values, given)
    return given


def _check_kind(words: Sequence[str]) -> None:
    """Refuse what is refused by its name, also where an unknown option that shapes it stands before: models list them by the alphabet."""
    for name in [_split(word)[0] for word in words if word.startswith("--")]:
        if name in _BY_NAME:
            _known(name)


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


def _values(option: Option, name: str, attached: str | None, following: deque[str]) -> list[str]:
    """Take an option's values from what follows: none, one, or all up to the next option. The first is taken whatever it is."""
    if option.value is None:
        if attached is not None:
            raise _invalid(f"{name} takes no value")
        return [""]
    if attached is None and not following:
        raise _invalid(f"{name} takes {option.value.words}, not nothing")
    values = [following.popleft() if attached is None else attached]
    while option.value.many and following and not _is_option(following[0]):
        values.append(following.popleft())
    return values


def _is_option(word: str) -> bool:
    """Whether Vowpal Wabbit sees an option in a word that stands where a list's next value may.

    >>> _is_option("--softmax"), _is_option("-q"), _is_option("AB"), _is_option("-1"), _is_option("-")
    (True, True, False, False, False)
    """
    return word.startswith("--") or (word.startswith("-") and len(word) > 1 and _NUMBER.fullmatch(word) is None)


def _check_values(name: str, values: Sequence[str], given: _Given) -> None:
    option = _BY_NAME[name]
    if option.value is None:
        return
    taken = option.value if option.treatment is Treatment.ACCEPTED or _acts(name, given) else _any_number()
    for value in values:
        if not taken.accepts(value):
            raise _invalid(f"{name} takes {taken.words}, not {_shown(value)}")


def _check(given: _Given) -> None:
    if not any(kind in given for kind in _KINDS):
        raise _invalid(f"{_KINDS[0]} or {_KINDS[1]} is missing")
    for name, values in given.items():
        _check_once(name, values)
    algorithms = _algorithms(given)
    if len(algorithms) > 1:
        raise _invalid(f"{algorithms[0]} and {algorithms[1]} are two ways to explore: only one can be used")


def _check_once(name: str, values: Sequence[str]) -> None:
    value = _BY_NAME[name].value
    if not (value and value.many) and any(not _same(values[0], other) for other in values[1:]):
        raise _invalid(f"{name} is given twice, with different values")


def _same(one: str, other: str) -> bool:
    """Whether two values are the same: numbers as far as Vowpal Wabbit keeps them, which is 24 bits.

    >>> _same("0.1", "0.100000001490116"), _same("1", "1.0"), _same("0.1", "0.2"), _same("mtr", "dr")
    (True, True, False, False)
    """
    if _NUMBER.fullmatch(one) and _NUMBER.fullmatch(other):
        return isclose(float(one), float(other), rel_tol=2**-23)
    return one == other


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
        "--softmax": lambda given: Softmax(abs(_float(given, "--lambda", Softmax().lambda_))),
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
