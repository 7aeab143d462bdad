import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.errors import InvalidPolicyConfigurationError
from shared.learning.arguments import (
    DEFAULT_ARGUMENTS,
    LONGEST,
    MOST_CROSSED,
    MOST_TOKENS,
    OPTIONS,
    Adaptive,
    Bag,
    Cover,
    EpsilonGreedy,
    First,
    Option,
    PolicyArguments,
    RegCB,
    Softmax,
    SquareCB,
    Treatment,
    is_multi_slot,
    parse_arguments,
    without_effect,
)
from shared.learning.interactions import EVERYTHING, Interactions

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [(DOCS / name).read_text("utf-8") for name in ("concepts/policy-arguments.md", "internals/policy-options.md")]
NAMES = [name for option in OPTIONS for name in option.names]
VALUES = [
    "",
    "0",
    "0.5",
    "1",
    "-1",
    "1e999",
    "nan",
    "inf",
    "5",
    "101",
    "::",
    "ab",
    "abc",
    "abcd",
    ":",
    "mtr",
    "squared",
    "all",
    "multiline",
    "identity",
]


def parsed(text: str) -> PolicyArguments:
    return parse_arguments(f"--cb_explore_adf {text}")


def refusal(text: str) -> str:
    with pytest.raises(InvalidPolicyConfigurationError) as caught:
        parse_arguments(text)
    assert caught.value.target == "arguments"
    return str(caught.value)


# --- what Azure's documentation and SDKs send ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["--cb_explore_adf", "--ccb_explore_adf"])
@pytest.mark.parametrize(
    ("rest", "epsilon", "interactions"),
    [
        ("--epsilon 0.2 --power_t 0 -l 0.001 --cb_type mtr -q ::", 0.2, None),
        ("--epsilon 0.20000000298023224 --power_t 0 -l 0.001 --cb_type mtr -q ::", 0.20000000298023224, None),
        ("--epsilon 0.2 --dsjson --cb_type ips -l 0.5 --l1 1E-07 --power_t 0.5", 0.2, None),
        ("--epsilon 0.4 --power_t 0 -l 1e-05 --cb_type ips -q OE -q GS -q OS", 0.4, ("EO", "GS", "OS")),
    ],
)
def test_policies_of_azure_are_epsilon_greedy(kind, rest, epsilon, interactions):
    expected = PolicyArguments(EpsilonGreedy(epsilon), interactions=Interactions(interactions))
    assert parse_arguments(f"{kind} {rest}") == parse_arguments(f" {rest}  {kind}\n") == expected


def test_what_is_not_said_is_left_to_the_product():
    everything_left = PolicyArguments(Adaptive(), 0.0, interactions=EVERYTHING)
    assert parse_arguments(DEFAULT_ARGUMENTS) == PolicyArguments() == everything_left


# --- what Vowpal Wabbit writes into a model ------------------------------------------------------------------------------


MADE_WITH = [
    ("--epsilon 0.125", PolicyArguments(EpsilonGreedy(0.125))),
    ("--squarecb --gamma_scale 10", PolicyArguments(SquareCB(10.0))),
    ("--softmax --lambda 2", PolicyArguments(Softmax(2.0))),
    ("--bag 5 --greedify", PolicyArguments(Bag(5))),
    ("--cover 3 --psi 0.5 --nounif --first_only", PolicyArguments(Cover(3, 0.5))),
    ("--first 10", PolicyArguments(First(10))),
    ("--regcb --cb_min_cost -1 --cb_max_cost 1", PolicyArguments(RegCB(optimistic=False))),
    ("--regcbopt --mellowness 0.25", PolicyArguments(RegCB(optimistic=True, mellowness=0.25))),
    ("--interactions AA AU AABC -q AB AC", PolicyArguments(interactions=Interactions(("AA", "AABC", "AB", "AC", "AU")))),
    ("--ignore D E --ignore_linear F", PolicyArguments(interactions=Interactions(None, frozenset("DE"), frozenset("F")))),
    ("--hash all --hash_seed 7 --chain_hash --link identity --noconstant -b 20 --random_seed 3", PolicyArguments()),
    ("--clip_p 0.1 --cb_type dr --rank_all", PolicyArguments()),
    ("--lambda 5 --psi 3 --gamma_exponent 0.25", PolicyArguments()),
    ("--coin", PolicyArguments()),
    ("--ftrl --ftrl_alpha 0.1", PolicyArguments()),
    ("--freegrad --fepsilon 2", PolicyArguments()),
    ("--pistol", PolicyArguments()),
    ("--svrg", PolicyArguments()),
    ("--adaptive --power_t 0.25 --l1 0.01 --l2 0.001 --initial_t 1", PolicyArguments()),
]


@pytest.mark.parametrize(
    ("kind", "asked", "read"),
    [
        *[(kind, *each) for kind in ("--cb_explore_adf", "--ccb_explore_adf") for each in MADE_WITH],
        ("--cb_explore_adf", "--large_action_space --max_actions 5", PolicyArguments()),  # one slot only
    ],
)
def test_a_models_own_command_line_is_the_policy_that_it_was_made_with(kind, asked, read, tmp_path):
    vowpalwabbit = pytest.importorskip("vowpalwabbit", reason="Vowpal Wabbit is not installed")
    file = tmp_path / "model.vw"
    workspace = vowpalwabbit.Workspace(f"{kind} {asked} --quiet -f {file}")
    told = workspace.get_arguments()
    workspace.finish()
    kept = next(line.decode() for line in re.findall(rb"[ -~]{20,}", file.read_bytes()) if b"--cb_adf" in line)
    assert parse_arguments(told.replace(f"--final_regressor {file}", "")) == parse_arguments(kept) == read
    assert is_multi_slot(kept) == (kind == "--ccb_explore_adf")
    assert {"--csoaa_ldf", "--csoaa_rank"} <= set(without_effect(kept))


@pytest.mark.parametrize(
    "line",  # as older releases wrote it
    [
        "--hash_seed 0 --link identity --cb_adf --cb_explore_adf --cb_type mtr --csoaa_ldf multiline --csoaa_rank --epsilon .2 --lambda -1",
        " --bit_precision 18 --cb_explore_adf --epsilon 0.2 --psi 1.0 --cb_min_cost 0 --cb_max_cost 1 --random_seed 13881481101454338915",
        "--epsilon 0.2 --cb_explore_adf --epsilon 0.200000003 -P 1000 --holdout_off --no_stdin",
    ],
)
def test_what_stands_beside_the_policy_changes_nothing(line):
    assert parse_arguments(line).exploration == EpsilonGreedy(0.2)


# --- exploration ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "exploration"),
    [
        ("--squarecb", SquareCB(100.0, 0.5)),
        ("--squarecb --gamma_scale 10 --gamma_exponent=0.25", SquareCB(10.0, 0.25)),
        ("--softmax", Softmax(1.0)),
        ("--lambda 5 --softmax", Softmax(5.0)),
        ("--bag 5", Bag(5)),
        ("--cover 4", Cover(4, 1.0)),
        ("--cover 4 --psi .01 --nounif", Cover(4, 0.01)),
        ("--first 1000", First(1000)),
        ("--regcb", RegCB(optimistic=False, mellowness=0.1)),
        ("--regcbopt --mellowness 0.001", RegCB(optimistic=True, mellowness=0.001)),
    ],
)
def test_each_algorithm_is_read_with_its_parameters(text, exploration):
    assert parsed(text) == PolicyArguments(exploration)
    assert parsed(f"{text} --epsilon 0.05") == PolicyArguments(exploration, floor=0.05)


ALGORITHMS = ["--squarecb", "--softmax", "--bag 5", "--cover 4", "--first 10", "--regcb", "--regcbopt"]


def test_what_is_refused_is_named_though_an_unknown_option_that_shapes_it_stands_before():
    made = "--bandwidth 1 --binary --cats 4 --cats_pdf 4 --cats_tree 4 --cb_explore_pdf --get_pmf --max_value 2 --min_value 0"
    for text, name in ((made, "--cats"), ("--hidden 3 --nn=3 --cb_explore_adf", "--nn")):
        with pytest.raises(InvalidPolicyConfigurationError, match=f"^{name} is refused"):
            parse_arguments(text)


@pytest.mark.parametrize("second", ALGORITHMS)
@pytest.mark.parametrize("first", ALGORITHMS)
def test_two_algorithms_at_once_are_refused(first, second):
    if first != second:
        assert first.split()[0] in refusal(f"--cb_explore_adf {first} {second}")


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.beside], ids=lambda option: option.names[0])
def test_a_parameter_without_its_algorithm_has_no_effect_and_that_is_told(option):
    for value in ("0.5", "-1", "1e9"):  # what Vowpal Wabbit writes down needs not be what the algorithm could use
        assert parsed(f"--epsilon 0.1 {option.names[0]} {value}") == parsed("--epsilon 0.1")
    assert without_effect(f"--cb_explore_adf {option.names[0]} 0.5") == (option.names[0],)
    assert option.names[0] in refusal(f"--cb_explore_adf {option.names[0]} much")
    for algorithm in option.beside:
        text = f"{algorithm} {2 if algorithm == '--cover' else ''} {option.names[0]} 0.5"
        assert parsed(text) != parsed(text.replace("0.5", "0.25"))
        assert without_effect(f"--cb_explore_adf {text}") == ()
        assert option.names[0] in refusal(f"--cb_explore_adf {text.replace('0.5', '1e9')}")


def test_the_sign_of_a_softmaxs_factor_says_nothing():
    assert parsed("--softmax --lambda -5") == parsed("--softmax --lambda 5")


# --- features ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "interactions"),
    [
        ("-q ab", ("ab",)),
        ("-qba", ("ab",)),
        ("-q::", None),
        ("--quadratic=ab --cubic abc --interactions ca", ("ab", "abc", "ac")),
        ("-q ab -q ba --quadratic ab --interactions ab", ("ab",)),
        ("-q :a -q ab -q bc", (":a", "bc")),
        ("-q :: -q ab -q aa -q :a --cubic abc", None),
        ("--cubic :::", None),
        ("--cubic :aa --cubic aab --cubic abb", (":aa", "abb")),
        ("-q 'é='", ("=é",)),
        (r"--interactions \x61\x62 '\x62\x63' -q \x3a\x61", (":a", "bc")),
        (r'-q "\x41B" -q a\x62', ("AB", "ab")),
    ],
)
def test_interactions_are_sorted_and_none_of_them_is_covered_by_another(text, interactions):
    assert parsed(text).interactions == Interactions(interactions)


letters = st.sampled_from("abc:")
crosses = st.lists(st.one_of(st.text(letters, min_size=2, max_size=2), st.text(letters, min_size=3, max_size=3)), min_size=1, max_size=8)


def made(cross):
    """What an interaction makes out of the namespaces a, b, c and d."""
    heads = "abcd" if cross[0] == ":" else cross[0]
    return {"".join(sorted(head + tail)) for head in heads for tail in (made(cross[1:]) if cross[1:] else [""])}


@given(crosses)
def test_normalised_interactions_make_the_same_and_no_more_of_them_than_needed(given_crosses):
    kept = parsed(" ".join(f"--interactions {cross}" for cross in given_crosses)).interactions.crosses
    if kept is None:
        assert {":"} in map(set, given_crosses)
        return
    assert set().union(*map(made, kept)) == set().union(*map(made, given_crosses))
    assert len(set(kept)) == len(kept) <= len(given_crosses)
    assert not [(one, other) for one in kept for other in kept if one != other and made(one) <= made(other)]


@pytest.mark.parametrize(
    ("text", "interactions"),
    [
        ("--interactions AA AU AAU --epsilon 0.1", ("AA", "AAU", "AU")),
        ("-q AB AC --epsilon 0.1", ("AB", "AC")),
        ("--interactions=AA AU --epsilon 0.1 -qUB BC --cubic ABC", ("AA", "ABC", "AU", "BC", "BU")),
        ("--quadratic AB --quadratic AC AD --epsilon 0.1", ("AB", "AC", "AD")),
        ("--epsilon 0.1 --interactions ABCD ABCDEFGH", ("ABCD", "ABCDEFGH")),
        ("--epsilon 0.1 -q AB -1 --cb_sample", ("-1", "AB")),
        ("--epsilon 0.1 -q AB :: -l 0.5", None),
        ("'--interactions' 'AB' \"AC\" --epsilon 0.1", ("AB", "AC")),
    ],
)
def test_a_list_takes_every_word_up_to_the_next_option(text, interactions):
    assert parsed(text) == PolicyArguments(EpsilonGreedy(0.1), interactions=Interactions(interactions))


def test_ignored_namespaces_take_every_word_too():
    read = parsed("--ignore A B --ignore_linear CD E -q AB")
    assert read.interactions == Interactions(("AB",), ignored=frozenset("AB"), ignored_linear=frozenset("CDE"))


@pytest.mark.parametrize("longer", ["abcd", "dcba", "ab:d", "abcde"])
def test_of_many_namespaces_each_two_are_crossed(longer):
    each_two = {"".join(sorted(pair)) for pair in combinations(longer, 2)}
    assert Interactions((longer,)).mask == Interactions(tuple(sorted(each_two))).mask


@pytest.mark.parametrize(
    "text", ["-q AB A", "-q AB ABC", "--cubic ABC AB", "--interactions AB A", "--ignore A :", "--epsilon 0.1 0.2", "--coin 3"]
)
def test_each_word_of_a_list_is_checked_and_nothing_else_takes_a_second(text):
    assert refusal(f"--cb_explore_adf {text}")


def test_ignored_namespaces_add_up():
    read = parsed("--ignore ab --ignore=bc --ignore_linear x --ignore_linear yz --noconstant")
    assert read == PolicyArguments(interactions=Interactions(ignored=frozenset("abc"), ignored_linear=frozenset("xyz")))


# --- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "--cb_explore_adf"),
        ("--epsilon 0.2", "--cb_explore_adf"),
        ("--cb_explore_adf --epsilon", "--epsilon"),
        ("--cb_explore_adf --epsilon --squarecb", "--epsilon"),
        ("--cb_explore_adf --epsilon 0.1 --epsilon 0.2", "--epsilon"),
        ("--cb_explore_adf --softmax=1", "--softmax"),
        ("--cb_explore_adf --eps 0.1", "--eps"),
        ("--cb_explore_adf word", "'word' is not an option"),
        ("--cb_explore_adf --epsilon 0.1 0.2", "'0.2' is not an option"),
        ("--cb_explore_adf --squarecb -1", "-1"),
        ("--cb_explore_adf -z", "-z"),
        ("--cb_explore_adf -- -", "--"),
        ("--cb_explore_adf ''", "''"),
        ("--cb_explore_adf --cats 4", "--cats"),
        ("--cb_explore_adf -f model", "-f"),
        ("--cb_explore_adf -fmodel", "-f"),
        ("--cb_explore_adf --cb_type super", "--cb_type"),
        ("--cb_explore_adf --loss_function logistic", "--loss_function"),
        ("--cb_explore_adf 'open", "quotes"),
        (r"--cb_explore_adf -q \xe9a", r"\xe9"),
        (r"--cb_explore_adf -q \x00a", r"\x00"),
        ("--cb_explore_adf \\", "backslash"),
        ("\ud800 --cb_explore_adf", "option"),
    ],
)
def test_a_refusal_names_what_is_wrong(text, names):
    assert names in refusal(text)


@pytest.mark.parametrize("value", ["-0.1", "1.01", "nan", "inf", "1e999", "0x1", "1_0", "٠", "0.1f", "''", "1" * 400])
def test_only_a_share_can_be_an_epsilon(value):
    assert "--epsilon" in refusal(f"--cb_explore_adf --epsilon {value}")


@pytest.mark.parametrize("option", ["--bag", "--cover"])
@pytest.mark.parametrize("value", ["0", "101", "-1", "5.0", "1e1", "٣", "9" * 4000])
def test_sizes_are_whole_and_within_their_bounds(option, value):
    assert option in refusal(f"--cb_explore_adf {option} {value}")


@pytest.mark.parametrize(
    "text",
    [
        "-q a",
        "-q abc",
        "--cubic ab",
        "--interactions a",
        "--interactions abcdefghi",
        "-q a|",
        "-q 'a '",
        "-q 'a\x00'",
        "-q '\ud800a'",
        "-q ''",
    ],
)
def test_interactions_have_as_many_namespaces_as_their_option_says(text):
    assert text.split()[0] in refusal(f"--cb_explore_adf {text}")


@pytest.mark.parametrize("text", ["--ignore --softmax", "--ignore :", "--ignore ''", "--ignore_linear a:", "--ignore_linear 'a b'"])
def test_only_named_namespaces_are_ignored(text):
    assert text.split()[0] in refusal(f"--cb_explore_adf {text}")


def test_arguments_are_bounded():
    assert parse_arguments("--cb_explore_adf".ljust(LONGEST)) == PolicyArguments()
    assert str(LONGEST) in refusal("--cb_explore_adf".ljust(LONGEST + 1))
    assert parsed("--sgd " * (MOST_TOKENS - 1)) == PolicyArguments()
    assert str(MOST_TOKENS) in refusal("--cb_explore_adf" + " --sgd" * MOST_TOKENS)


def test_a_refusal_quotes_no_more_than_the_beginning_of_what_was_sent():
    assert len(refusal("--cb_explore_adf --" + "x" * 4000)) < 100


words = st.one_of(
    st.sampled_from([*NAMES, *VALUES]),
    st.builds("{}={}".format, st.sampled_from(NAMES), st.sampled_from(VALUES)),
    st.builds("{}{}".format, st.sampled_from(NAMES), st.sampled_from(VALUES)),
    st.text(max_size=6),
)


@given(st.one_of(st.text(), st.lists(words, max_size=12).map(" ".join), st.lists(words).map("--cb_explore_adf {}".format)))
@example("--cb_explore_adf --=")
@example("=")
def test_whatever_is_sent_is_read_or_refused_by_the_one_error(text):
    try:
        read = parse_arguments(text)
    except InvalidPolicyConfigurationError as error:
        str(error).encode()  # so that it can be sent
    else:
        assert 0.0 <= read.floor <= 1.0
        assert all(2 <= len(cross) <= MOST_CROSSED for cross in read.interactions.crosses or ())
        assert set(without_effect(text)) <= set(NAMES)


# --- the table -----------------------------------------------------------------------------------------------------------


def row(option: Option) -> list[str]:
    beside = f" (only beside {' or '.join(f'`{name}`' for name in option.beside)})" if option.beside else ""
    names = ", ".join(f"`{name}`" for name in option.names)
    return [names, option.value.words if option.value else "", option.treatment, option.reason + beside]


def test_the_two_pages_have_the_table_of_the_module():
    documented = [[cell.strip() for cell in line.strip("|").split(" |")] for line in re.findall(r"^\| `.*$", "".join(PAGES), re.MULTILINE)]
    assert documented == [row(option) for option in OPTIONS]


def test_no_option_is_in_the_table_twice():
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.names[0])
def test_every_option_is_treated_as_the_table_says(option):
    for name in option.names:
        beside = "--cover 2" if "--cover" in option.beside else " ".join(option.beside[:1])
        readings = [outcome(f"{beside} {name} {value}") for value in ("", *VALUES)]
        base = outcome(beside)
        if option.treatment is Treatment.REFUSED:
            assert {reading for reading in readings if isinstance(reading, str)} == {f"{name} is refused: {option.reason}"}
            assert all(isinstance(reading, str) for reading in readings)
        elif option.treatment is Treatment.ACCEPTED:
            assert {reading for reading in readings if not isinstance(reading, str)} == {base}
        else:
            assert {reading for reading in readings if not isinstance(reading, str)} - {base}


def outcome(text: str) -> PolicyArguments | str:
    try:
        return parsed(text)
    except InvalidPolicyConfigurationError as error:
        return str(error)
