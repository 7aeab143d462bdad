"""A tally is all of an evaluation that has to be kept, of any number of policies."""

import json

import numpy as np
import pytest

from shared.domain.errors import UnreadableError
from shared.evaluation.moments import Moments
from shared.evaluation.rounds import Rounds
from shared.evaluation.shrinking import FAMILIES
from shared.evaluation.tally import DEFAULT, Tally, closed_forms, default_interval
from tests.evaluation.building import played, random_choices, world

COLUMNS = ("weights", "rewards", "predicted", "expected", "unsupported")


def policies(*seeds, n=90):
    rounds = [random_choices(seed, n=n).rounds for seed in seeds]
    return Rounds(*(np.stack([getattr(each, column) for each in rounds]) for column in COLUMNS))


def test_merged_shards_estimate_as_the_whole_log_does():
    rounds, minutes = policies(1, 2, 3), np.arange(90) * 3
    shards = [Tally.of(rounds.cut(slice(first, first + 30)), minutes[first : first + 30]) for first in (60, 0, 30)]
    merged = Tally.of_plain(json.loads(json.dumps((shards[0] + shards[1] + shards[2]).plain(), allow_nan=False)))
    for name, values in Tally.of(rounds, minutes).estimates(largest_weight=60.0).items():
        np.testing.assert_allclose(merged.estimates(largest_weight=60.0)[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_every_policy_is_estimated_as_it_would_be_alone():
    minutes = np.zeros(90, dtype=np.int64)
    together = Tally.of(policies(1, 2), minutes).estimates()
    assert set(together) >= {DEFAULT, "ips", "snips", "dm", "dr", "sndr", "mle", "cressie_read", *FAMILIES}
    for number, seed in enumerate((1, 2)):
        for name, value in Tally.of(random_choices(seed, n=90).rounds, minutes).estimates().items():
            assert float(together[name][number]) == pytest.approx(float(value), abs=1e-9), name


def test_buckets_are_estimated_as_a_whole_is():
    series = Tally.of(policies(1, 2), np.arange(90)).series
    for name, values in closed_forms(series.moments).items():
        assert values.shape == (2, 18), name
        last = closed_forms(series.expanding().moments)[name][:, -1]
        np.testing.assert_allclose(last, closed_forms(series.total)[name], rtol=1e-9, err_msg=name)


def test_the_default_interval_holds_the_truth_and_the_estimate():
    chosen = world()
    moments = Moments.of(played(chosen, logs=600, rounds=1500, seed=9))
    interval = default_interval(moments, largest_weight=chosen.largest_weight)
    assert interval.covers(chosen.truth).mean() >= 0.93
    assert interval.covers(closed_forms(moments)[DEFAULT]).all()


def test_a_tally_of_a_day_and_ten_policies_is_bounded_whatever_the_rounds():
    rounds, minutes = policies(*range(10), n=3000), np.arange(3000) % 1440
    size = len(json.dumps(Tally.of(rounds, minutes).plain()))
    doubled = Rounds(*(np.concatenate([getattr(rounds, column)] * 2, axis=-1) for column in COLUMNS))
    assert len(json.dumps(Tally.of(doubled, np.tile(minutes, 2)).plain())) < 1.1 * size < 4e6


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("table"),
        lambda plain: plain["candidates"].pop("dr_os"),
        lambda plain: plain.update(candidates=[]),
        lambda plain: plain["candidates"].update(dr_os=plain["table"]),
        lambda plain: plain.update(table=Tally.of(policies(1), np.zeros(90, dtype=np.int64)).plain()["table"]),
    ],
)
def test_a_damaged_tally_is_refused(change):
    plain = Tally.of(policies(1, 2), np.zeros(90, dtype=np.int64)).plain()
    change(plain)
    with pytest.raises(UnreadableError):
        Tally.of_plain(plain)
