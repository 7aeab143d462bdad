import numpy as np
import pytest

from shared.learning.crosses import CELLS, Crosses
from shared.learning.encoding import LARGEST
from shared.learning.shared_ridge import DRAWS, FORGETTING, OPEN_CELLS, RECENT, STEADY, SharedRidge, prior_draws
from tests.learning.test_crosses import dense


def crosses_of(rows, *, first=0):
    """Events as lists of features, each by its number, from ``first`` on."""
    sizes = [len(row) for row in rows]
    cells = np.array([first + cell for row in rows for cell in row])
    return Crosses(cells, np.ones(len(cells)), np.concatenate([[0], np.cumsum(sizes)]))


def random_crosses(seed, events, *, size=30, width=6):
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, size, events * width)
    return Crosses(cells, rng.normal(size=len(cells)), np.arange(0, len(cells) + 1, width))


def solved(window, rewards, *, noise=None, ridge=None, times=1):
    ridge = SharedRidge() if ridge is None else ridge
    ridge.meet(window)
    for _ in range(times):
        ridge.solve(window, rewards, np.zeros((len(window), DRAWS)) if noise is None else noise)
    return ridge


def closed_form(matrix, targets, precision, importances=1.0):
    weighted = matrix.T * importances
    return np.linalg.solve(weighted @ matrix + precision * np.eye(matrix.shape[1]), weighted @ targets)


# --- what it converges to ---


@pytest.mark.parametrize("events", [5, 100, 1000])
def test_solved_often_enough_it_is_ridge_regression(events):
    window, rng = random_crosses(1, events), np.random.default_rng(2)
    rewards, present = rng.normal(size=events), np.unique(window.cells)
    ridge = solved(window, rewards, times=30)
    matrix = dense(window, 30)[:, present]
    assert ridge.weights[present, STEADY] == pytest.approx(closed_form(matrix, rewards, ridge.precision), abs=1e-3)
    fading = FORGETTING ** np.arange(events - 1, -1, -1.0)
    assert ridge.weights[present, RECENT] == pytest.approx(closed_form(matrix, rewards, ridge.precision, fading), abs=1e-3)


def test_going_on_from_the_last_answer_a_few_steps_are_enough():
    """As the learner does: one solve a block, here of fifty events."""
    whole, rewards, ridge = random_crosses(3, 1000), np.random.default_rng(4).normal(size=1000), SharedRidge()
    for last in range(50, 1001, 50):
        ridge.meet(whole.cut(last - 50, last))
        ridge.solve(whole.cut(0, last), rewards[:last], np.zeros((last, DRAWS)))
    exact = closed_form(dense(whole, 30), rewards, ridge.precision)
    assert ridge.weights[:30, STEADY] == pytest.approx(exact, abs=0.002)


def test_a_prediction_is_the_sum_over_the_crosses():
    window = random_crosses(5, 40)
    ridge = solved(window, np.random.default_rng(6).normal(size=40))
    np.testing.assert_allclose(ridge.predict(window), dense(window, CELLS)[:, :30] @ ridge.weights[:30, :2], atol=1e-6)


def test_what_no_event_has_is_left_alone():
    window = random_crosses(7, 40)
    ridge = solved(window, np.ones(40))
    assert not ridge.weights[30:].any()
    assert np.flatnonzero(ridge.met).tolist() == np.unique(window.cells).tolist()


def test_the_ridge_grows_with_the_length_of_events():
    assert SharedRidge().precision == pytest.approx(0.1)
    short, long = (solved(crosses_of([list(range(size))] * 10), np.ones(10)).precision for size in (4, 400))
    assert long == pytest.approx(100 * short)


# --- draws ---

COPIES = 256
"""So many times the same small problem side by side, with other noise each: `DRAWS` samples of each are a sample of some size."""

FEATURES, SHOWN = 3, [[0], [0], [0, 1], [0, 1], [1, 2], [0, 2]]


def posterior_sample():
    rng, copies = np.random.default_rng(8), [[FEATURES * copy + each for each in row] for copy in range(COPIES) for row in SHOWN]
    window = crosses_of(copies)
    ridge = solved(window, np.zeros(len(window)), noise=rng.normal(size=(len(window), DRAWS)), times=5)
    sample = ridge.weights[: FEATURES * COPIES, 2:].reshape(COPIES, FEATURES, DRAWS).transpose(0, 2, 1).reshape(-1, FEATURES)
    return sample.astype(np.float64), ridge.precision


def test_draws_have_the_covariance_of_the_posterior():
    sample, precision = posterior_sample()
    matrix = dense(crosses_of(SHOWN), FEATURES)
    expected = np.linalg.inv(matrix.T @ matrix + precision * np.eye(FEATURES))
    assert sample.mean(axis=0) == pytest.approx(np.zeros(FEATURES), abs=4 * np.sqrt(expected.max() / len(sample)))
    assert np.cov(sample.T) == pytest.approx(expected, abs=0.15 * expected.max())


def test_of_what_is_unknown_draws_are_as_wide_as_the_ridge_allows():
    for precision in (0.1, 4.0):
        assert prior_draws(np.arange(4000), precision).std() == pytest.approx(precision**-0.5, rel=0.03)


def test_draws_shrink_as_events_come_in():
    rng, deviations = np.random.default_rng(9), []
    for events in (4, 40, 400):
        window = crosses_of([[cell] for cell in range(100) for _ in range(events)])
        ridge = solved(window, np.ones(len(window)), noise=rng.normal(size=(len(window), DRAWS)), times=3)
        deviations.append(ridge.weights[:100, 2:].std())
    assert deviations == pytest.approx([(events + 0.1) ** -0.5 for events in (4, 40, 400)], rel=0.15)


def test_beyond_so_many_weights_there_are_no_draws():
    noise = np.random.default_rng(10).normal(size=(OPEN_CELLS, DRAWS))
    ridge = solved(crosses_of([[cell] for cell in range(OPEN_CELLS)]), np.ones(OPEN_CELLS), noise=noise)
    assert ridge.is_open
    assert ridge.weights[:OPEN_CELLS, 2:].all()
    solved(crosses_of([[OPEN_CELLS]]), np.ones(1), ridge=ridge)
    assert not ridge.is_open
    assert not ridge.weights[:, 2:].any()
    assert not ridge.anchors[:, 1:].any()


def test_where_there_are_no_draws_no_noise_is_needed():
    window = crosses_of([[cell] for cell in range(OPEN_CELLS + 1)])
    rewards, noise = np.random.default_rng(11).normal(size=(2, len(window)))
    with_noise, without = SharedRidge(), SharedRidge()
    for ridge, given in ((with_noise, np.tile(noise[:, None], DRAWS)), (without, None)):
        ridge.meet(window)
        ridge.solve(window, rewards, given)
        ridge.settle(window)
    for name in ("weights", "anchors", "settled"):
        assert getattr(with_noise, name).tobytes() == getattr(without, name).tobytes()
    assert without.weights.any()


# --- what leaves the window ---


def test_what_was_learned_stays_when_its_events_are_gone():
    """Two hundred times 1 and gone, then twenty times 0: steady goes by the count, recent by what is there."""
    before, after = crosses_of([[5]] * 200), crosses_of([[5], [6]] * 20)
    ridge = solved(before, np.ones(200), times=3)
    ridge.settle(before)
    solved(after, np.zeros(40), ridge=ridge, times=3)
    assert ridge.weights[5, STEADY] == pytest.approx(200 / 220, abs=0.005)
    assert ridge.weights[5, RECENT] == pytest.approx(0.0, abs=0.005)
    assert ridge.predict(crosses_of([[5]]))[0, STEADY] > 0.9


def test_what_does_not_occur_any_more_is_not_forgotten():
    before, after = crosses_of([[5]] * 50), crosses_of([[6]] * 500)
    ridge = solved(before, np.ones(50), times=3)
    kept = ridge.weights[5].copy()
    ridge.settle(before)
    solved(after, np.zeros(500), ridge=ridge)
    assert ridge.weights[5].tolist() == kept.tolist()


def test_settled_draws_stay_as_narrow_as_they_were():
    noise = np.random.default_rng(11).normal(size=(4000, DRAWS))
    before, after = crosses_of([[cell] for cell in range(100) for _ in range(40)]), crosses_of([[cell] for cell in range(100)])
    ridge = solved(before, np.ones(4000), noise=noise, times=3)
    ridge.settle(before)
    solved(after, np.ones(100), noise=noise[:100], ridge=ridge, times=3)
    assert ridge.weights[:100, 2:].std() == pytest.approx(41**-0.5, rel=0.15)


def test_what_is_settled_stays_finite_however_large_its_values_and_however_long_it_goes_on():
    """The largest cross that two sides can make, a thousand times."""
    ridge, largest = SharedRidge(), Crosses(np.array([5]), np.array([LARGEST**2]), np.array([0, 1]))
    for _ in range(1000):
        ridge.settle(largest)
    assert np.isfinite(ridge.settled).all()
