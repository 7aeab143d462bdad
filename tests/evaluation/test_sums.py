"""Sums do not care about shards: neither how a log was cut, nor in which order the parts came."""

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.evaluation.importance import Loss
from shared.evaluation.likelihood import WeightTable
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.shrinking import FAMILIES, Candidates
from tests.evaluation.building import logs, random_choices


def loss(rounds):
    half = Rounds(0.5 * rounds.weights, rounds.rewards, rounds.predicted, rounds.expected, rounds.unsupported)
    return Loss.of(rounds, half)


SUMS: dict[str, Any] = {
    "moments": Moments.of,
    "weight table": WeightTable.of,
    "loss": loss,
    **{name: partial(Candidates.of, family=family) for name, family in FAMILIES.items()},
}


def assert_same(one, other):
    for name, values in one.plain().items():
        np.testing.assert_allclose(values, other.plain()[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", SUMS)
@settings(max_examples=40, deadline=None)
@given(logs, st.data())
def test_shards_merge_in_any_order_however_the_log_was_cut(name, choices, data):
    rounds, n = choices.rounds, len(choices.chosen)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    shards = [rounds.cut(slice(first, last)) for first, last in zip([0, *cuts], [*cuts, n], strict=True)]
    merged, *others = data.draw(st.permutations([SUMS[name](shard) for shard in shards]))
    for each in others:
        merged = merged + each
    assert_same(merged, SUMS[name](rounds))


@pytest.mark.parametrize("name", SUMS)
@given(choices=logs)
def test_sums_are_plain_numbers_and_back(name, choices):
    sums = SUMS[name](choices.rounds)
    text = json.dumps(sums.plain(), allow_nan=False)
    assert type(sums).of_plain(json.loads(text)).plain() == sums.plain()


@pytest.mark.parametrize("name", SUMS)
def test_several_policies_are_summed_as_each_alone(name):
    rounds = [random_choices(seed, n=40).rounds for seed in range(3)]
    columns = ("weights", "rewards", "predicted", "expected", "unsupported")
    stacked = SUMS[name](Rounds(*(np.stack([getattr(each, column) for each in rounds]) for column in columns)))
    for number, each in enumerate(rounds):
        assert_same(stacked.taken(number), SUMS[name](each))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain.pop("w"), "consist of"),
        (lambda plain: plain.update(more=1.0), "consist of"),
        (lambda plain: plain.update(w="many"), "w is not made of numbers"),
        (lambda plain: plain.update(w=[[1.0], [1.0, 2.0]]), "w is not made of numbers"),
        (lambda plain: plain.update(w=float("inf")), "w holds a number that is not finite"),
        (lambda plain: plain.update(w=None), "w holds a number that is not finite"),
        (lambda plain: plain.update(w=[1.0, 2.0]), "have the same shape"),
    ],
)
def test_damaged_sums_are_refused_by_name(change, said):
    plain = Moments.of(random_choices(1).rounds).plain()
    change(plain)
    with pytest.raises(UnreadableError, match=said):
        Moments.of_plain(plain)


def test_what_are_no_sums_is_refused():
    with pytest.raises(UnreadableError, match="consist of"):
        Moments.of_plain([1.0])  # type: ignore[arg-type]


def test_sums_of_different_policies_do_not_merge():
    one, several = Moments.of(random_choices(1).rounds), Moments.of(Rounds.of(logged=0.5, target=[[0.5], [0.5]], rewards=1.0))
    with pytest.raises(UnreadableError, match="do not merge"):
        _ = one + several


def test_sums_of_different_kinds_cannot_be_added():
    rounds = random_choices(1).rounds
    moments: Any = Moments.of(rounds)
    with pytest.raises(TypeError):
        _ = moments + WeightTable.of(rounds)
