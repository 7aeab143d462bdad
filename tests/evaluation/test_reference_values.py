"""Values that were computed elsewhere, by VowpalWabbit/estimators and zr-obp, and again by hand."""

import numpy as np
import pytest

from shared.evaluation import estimators, intervals
from shared.evaluation.likelihood import WeightTable
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.shrinking import Candidates, Family, clipped, optimistic, switched
from tests.evaluation.building import A1000, OBP_6, random_choices


def exactly(value, *, within=1e-9):
    return pytest.approx(value, rel=0, abs=within)


def ends(interval):
    return float(interval.lower), float(interval.upper)


def with_limit(rounds, shrink, limit, *, predicts=True):
    return float(Candidates.of(rounds, Family(shrink, (limit,), predicts)).value)


def test_the_point_estimates_of_a_thousand_rounds():
    moments = Moments.of(A1000)
    assert float(estimators.ips(moments)) == exactly(0.2)
    assert float(estimators.snips(moments)) == exactly(0.2)
    assert float(estimators.cressie_read(moments)) == exactly(0.199468673898605)
    assert float(WeightTable.of(A1000).value()) == exactly(0.2, within=1e-6)


def test_the_intervals_of_a_thousand_rounds():
    moments = Moments.of(A1000)
    assert ends(intervals.gaussian(moments)) == exactly((0.187597896751248, 0.212402103248756))
    assert ends(intervals.clopper_pearson(moments)) == exactly((0.169318956757937, 0.233545581434088))
    assert ends(intervals.cressie_read(moments)) == exactly((0.189328827214167, 0.242684691143330))
    assert ends(intervals.cressie_read(moments, largest_weight=20.0)) == exactly((0.195135349248541, 0.246811705768035))


def test_the_estimates_of_six_rounds_with_predictions():
    moments = Moments.of(OBP_6)
    assert float(estimators.ips(moments)) == exactly(1.0 + 11 / 15)
    assert float(estimators.snips(moments)) == exactly(0.701912260967379)
    assert float(estimators.direct(moments)) == exactly(0.353333333333333)
    assert float(estimators.doubly_robust(moments)) == exactly(0.942222222222222)
    assert float(estimators.self_normalised_doubly_robust(moments)) == exactly(0.591803524559430)


def test_the_shrunk_estimates_of_six_rounds_with_predictions():
    assert with_limit(OBP_6, clipped, 2.0, predicts=False) == exactly(0.9)
    assert with_limit(OBP_6, clipped, 2.0) == exactly(0.536666666666667)
    assert with_limit(OBP_6, switched, 2.5) == exactly(0.403333333333333)
    assert with_limit(OBP_6, optimistic, 1.0) == exactly(0.369589513462447)
    assert with_limit(OBP_6, optimistic, 10.0) == exactly(0.459319532319152)


def test_what_obp_gives_on_a_random_log():
    """Computed by obp 0.4.1, which needs too much (torch, scikit-learn, pandas) to be installed for this."""
    rounds = random_choices(2024).rounds
    moments = Moments.of(rounds)
    assert float(estimators.ips(moments)) == exactly(0.31903984713443967)
    assert float(estimators.snips(moments)) == exactly(0.48006103787746723)
    assert float(estimators.direct(moments)) == exactly(0.500907954702383)
    assert float(estimators.doubly_robust(moments)) == exactly(0.4869669094872837)
    assert float(estimators.self_normalised_doubly_robust(moments)) == exactly(0.4799307861914006)
    assert with_limit(rounds, switched, 2.0) == exactly(0.4800411543209565)
    assert with_limit(rounds, optimistic, 3.0) == exactly(0.4895958464590283)


def test_six_rounds_are_the_same_from_all_actions_probabilities():
    pi = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2], [0.1, 0.7, 0.2], [0.25, 0.25, 0.5]])
    q = np.array([[0.5, 0.2, 0.4], [0.3, 0.1, 0.6], [0.2, 0.2, 0.7], [0.4, 0.3, 0.3], [0.6, 0.5, 0.1], [0.2, 0.2, 0.6]])
    chosen, mu = np.array([0, 1, 2, 0, 1, 2]), np.zeros((6, 3))
    mu[np.arange(6), chosen] = [0.5, 0.3, 0.2, 0.8, 0.1, 0.25]
    rounds = Rounds.of_choices(chosen=chosen, logged=mu, target=pi, rewards=[1, 0, 1, 0, 1, 0.5], predictions=q)
    np.testing.assert_allclose(rounds.values, OBP_6.values, rtol=0, atol=1e-15)
    np.testing.assert_allclose(rounds.unsupported, 1.0 - pi[np.arange(6), chosen], rtol=0, atol=1e-15)
