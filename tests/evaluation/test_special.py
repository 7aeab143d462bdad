"""Quantiles against scipy's, which is not needed but for this."""

from importlib import import_module

import numpy as np
import pytest

from shared.evaluation.special import beta_cdf, beta_quantile, f_quantile, normal_quantile

PARAMETERS = np.array([0.5, 1.0, 2.5, 17.0, 400.0, 12_345.6, 1e6])
A, B = (each.ravel() for each in np.meshgrid(PARAMETERS, PARAMETERS))


def scipy():
    return import_module("scipy.stats")


@pytest.mark.parametrize("probability", [0.001, 0.025, 0.5, 0.95, 0.975, 0.9999])
def test_quantiles_of_beta_are_scipys(probability):
    wanted = scipy().beta.ppf(probability, A, B)
    np.testing.assert_allclose(beta_quantile(probability, A, B), wanted, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("probability", [0.025, 0.975])
def test_quantiles_of_beta_at_the_very_ends_are_scipys(probability):
    a, b = (each.ravel() for each in np.meshgrid([1e-4, 0.01, 0.3, 1e4], [1e-4, 0.01, 0.3, 1e4]))
    np.testing.assert_allclose(beta_quantile(probability, a, b), scipy().beta.ppf(probability, a, b), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.95, 0.999])
def test_quantiles_of_f_are_scipys(probability):
    degrees = np.array([1.0, 2.0, 7.0, 99.0, 499.0, 501.0, 1000.0, 54_321.0, 1e7])
    np.testing.assert_allclose(f_quantile(probability, degrees), scipy().f.ppf(probability, 1, degrees), rtol=1e-9)


def test_the_beta_distribution_is_scipys():
    x = np.linspace(0.001, 0.999, len(A))
    np.testing.assert_allclose(beta_cdf(x, A, B), scipy().beta.cdf(x, A, B), rtol=1e-9, atol=1e-12)


def test_the_quantile_of_the_normal_distribution_is_scipys():
    assert normal_quantile(0.975) == pytest.approx(scipy().norm.ppf(0.975), abs=1e-12)


@pytest.mark.parametrize("degrees", [7.0, 500.0, 501.0])
def test_a_quantile_is_the_same_alone_again_and_among_others(degrees):
    """One that is asked for alone is remembered; each has its own."""
    among = f_quantile(0.95, np.array([degrees, 3.0, 2_000.0]))[0]
    alone = [f_quantile(0.95, np.full(shape, degrees)) for shape in ((), (1,), (1, 1))]
    assert [each.shape for each in alone] == [(), (1,), (1, 1)]
    assert [float(each.ravel()[0]) for each in alone] == pytest.approx([among] * 3, rel=1e-12)
    assert float(f_quantile(0.9, np.full((), degrees))) < float(f_quantile(0.95, np.full((), degrees)))
    assert float(f_quantile(0.95, np.full((), degrees - 1.0))) > among
