"""The same as VowpalWabbit/estimators on random logs, and as plain formulae that nothing here shares code with."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings

from shared.evaluation import estimators, intervals
from shared.evaluation.likelihood import WeightTable
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.shrinking import Candidates, Family, clipped, optimistic, switched
from tests.evaluation.building import logs, random_choices


def theirs(name, choices, *, kind="Estimator", **arguments):
    """Feed a log to one of VowpalWabbit/estimators."""
    estimator = getattr(import_module(f"estimators.bandits.{name}"), kind)(**arguments)
    for mu, r, pi in zip(choices.mu.tolist(), choices.rewards.tolist(), choices.pi.tolist(), strict=True):
        estimator.add_example(mu, r, pi)
    return estimator


def same(interval, bounds, within=1e-9):
    assert [float(interval.lower), float(interval.upper)] == pytest.approx(bounds, rel=0, abs=within)


@settings(max_examples=60, deadline=None)
@given(logs)
def test_ips_snips_and_cressie_read_are_vws(choices):
    moments = Moments.of(choices.rounds)
    assert float(estimators.ips(moments)) == pytest.approx(theirs("ips", choices).get(), abs=1e-9)
    assert float(estimators.snips(moments)) == pytest.approx(theirs("snips", choices).get(), abs=1e-9)
    assert float(estimators.cressie_read(moments)) == pytest.approx(theirs("cressieread", choices).get(), abs=1e-9)
    bounded = theirs("cressieread", choices, wmax=60.0).get()
    assert float(estimators.cressie_read(moments, largest_weight=60.0)) == pytest.approx(bounded, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(logs)
def test_intervals_are_vws(choices):
    moments = Moments.of(choices.rounds)
    if len(choices.chosen) > 1:  # of a single round, theirs can be empty, or no wider than a rounding error
        same(intervals.gaussian(moments), theirs("gaussian", choices, kind="Interval").get())
    if moments.wr <= moments.rounds:  # more successes than trials are no binomial: theirs goes on as if
        same(intervals.clopper_pearson(moments), theirs("clopper_pearson", choices, kind="Interval").get())
    for largest in (np.inf, 60.0) if len(choices.chosen) > 1 else ():
        ours = intervals.cressie_read(moments, largest_weight=largest)
        same(ours, theirs("cressieread", choices, kind="Interval", wmax=largest).get())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("largest", [np.inf, 60.0])
def test_the_likeliest_value_is_vws_but_for_the_table(seed, largest):
    choices = random_choices(seed, n=300)
    ours = float(WeightTable.of(choices.rounds).value(largest_weight=largest))
    assert ours == pytest.approx(theirs("mle", choices, wmax=largest).get(), rel=0, abs=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_the_likeliest_value_of_few_different_weights_is_exactly_vws(seed):
    rng = np.random.default_rng(seed)
    mu = rng.choice([0.1, 0.25, 0.6], 200)
    rounds = Rounds.of(logged=mu, target=(rng.random(200) < 0.4) * 1.0, rewards=rng.random(200))
    estimator = import_module("estimators.bandits.mle").Estimator()
    for w, r in zip(rounds.weights.tolist(), rounds.rewards.tolist(), strict=True):
        estimator.add_example(1.0, r, w)
    assert float(WeightTable.of(rounds).value()) == pytest.approx(estimator.get(), rel=0, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(logs)
def test_estimates_are_the_formulae_of_the_papers(choices):
    n, w, r = len(choices.chosen), choices.pi / choices.mu, choices.rewards
    q = choices.predictions[np.arange(n), choices.chosen]
    v = np.einsum("nk,nk->n", choices.target, choices.predictions)
    moments = Moments.of(choices.rounds)
    assert float(estimators.direct(moments)) == pytest.approx(v.mean(), abs=1e-12)
    assert float(estimators.doubly_robust(moments)) == pytest.approx(np.mean(v + w * (r - q)), abs=1e-9)
    assert float(estimators.self_normalised_doubly_robust(moments)) == pytest.approx(v.mean() + w @ (r - q) / w.sum(), abs=1e-9)
    for shrink, weights in (
        (clipped, np.where(w > 2.5, 2.5, w)),
        (switched, w * (w <= 2.5)),
        (optimistic, 2.5 * w / (w**2 + 2.5)),
    ):
        ours = Candidates.of(choices.rounds, Family(shrink, (2.5,))).value
        assert float(ours) == pytest.approx(np.mean(v + weights * (r - q)), abs=1e-9)
