import time
import tracemalloc
import zipfile
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.learning.artifact import dump, load_learner, load_model
from shared.learning.learner import Learner
from tests.learning.building import random_batch

LEARNER = Learner.cold()
LEARNER.learn(random_batch(1, 200))
GOOD = dump(LEARNER)
MEMBERS = ("header", "sums", "cells", "weights", "squares", "scales")


def arrays_of(data):
    with np.load(BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def with_arrays(save=np.savez, **replaced):
    written = BytesIO()
    arrays = arrays_of(GOOD) | replaced
    save(written, allow_pickle=True, **{name: array for name, array in arrays.items() if array is not None})
    return written.getvalue()


def test_what_was_dumped_is_loaded_to_the_last_bit():
    assert dump(load_learner(GOOD)) == GOOD
    assert dump(load_learner(dump(Learner.cold()))) == dump(Learner.cold())


def test_a_loaded_learner_goes_on_as_if_it_had_never_been_away():
    stayed, returned = load_learner(GOOD), load_learner(dump(load_learner(GOOD)))
    for learner in (stayed, returned):
        learner.learn(random_batch(2, 100))
    assert dump(returned) == dump(stayed)


def test_the_loaded_model_is_the_learners_own():
    loaded, own = load_model(GOOD), load_learner(GOOD).model()
    np.testing.assert_array_equal(loaded.weights, own.weights)
    assert loaded.learned == own.learned == 200
    assert not loaded.weights.flags.writeable
    assert load_model(dump(Learner.cold())).is_cold


def test_numpy_reads_it_too():
    assert tuple(arrays_of(GOOD)) == MEMBERS
    assert arrays_of(with_arrays()).keys() == arrays_of(GOOD).keys()
    assert dump(load_learner(with_arrays())) == GOOD


def test_a_young_loops_artifact_is_small_and_a_full_one_bounded():
    assert len(dump(Learner.cold())) < 4_000
    full = Learner.cold()
    for array in (full.weights, full.squares, full.scales):
        array[:] = np.random.default_rng(1).random(len(array), dtype=np.float32) + np.float32(0.1)
    data = dump(full)
    assert len(data) < 4.3e6
    assert dump(load_learner(data)) == data


# --- what is not a model ---


@pytest.mark.parametrize(
    "replaced",
    [
        {"weights": np.full(3, np.nan, "<f4")},
        dict.fromkeys(MEMBERS),
        {"extra": np.zeros(3)},
        {"scales": None},
        {"sums": np.array([np.inf, 0.0])},
        {"sums": np.zeros(3)},
        {"sums": np.zeros((2, 1))},
        {"sums": np.array([-1.0, 0.0])},
        {"sums": np.zeros(2, dtype=">f8")},
        {"header": np.array([1, 0, 5])},
        {"header": np.array([0, 1, 5])},
        {"header": np.array([1, 1, -5])},
        {"header": np.array([], dtype=np.int64)},
        {"header": np.array(["1", "1", "5"], dtype=object)},
        {"header": np.array([1.0, 1.0, 5.0])},
        {"weights": arrays_of(GOOD)["weights"].astype("<f8")},
        {"weights": arrays_of(GOOD)["weights"][:-1]},
        {"weights": np.where(np.arange(len(arrays_of(GOOD)["weights"])) == 3, np.nan, 0).astype("<f4")},
        {"squares": -arrays_of(GOOD)["squares"]},
        {"scales": 0 * arrays_of(GOOD)["scales"]},
        {"cells": arrays_of(GOOD)["cells"][::-1].copy()},
        {"cells": arrays_of(GOOD)["cells"] + np.uint32(1 << 18)},
        {"cells": 0 * arrays_of(GOOD)["cells"]},
    ],
)
def test_a_file_that_is_not_as_dump_writes_it_is_refused(replaced):
    for load in (load_learner, load_model):
        with pytest.raises(UnreadableError):
            load(with_arrays(**replaced))


@pytest.mark.parametrize("header", [[2, 1, 5], [2], [7, 9, 9, 9], [1, 2, 5]])
def test_a_later_releases_model_asks_for_an_upgrade(header):
    with pytest.raises(NewerFormatError, match="upgrade"):
        load_model(with_arrays(header=np.array(header), extra=np.zeros(1)) if header[0] > 1 else with_arrays(header=np.array(header)))


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", GOOD[::-1], b"\0" * 10_000_000])
def test_what_is_no_archive_is_refused(data):
    with pytest.raises(UnreadableError):
        load_model(data)


def test_a_zip_bomb_is_refused_before_it_inflates():
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in MEMBERS:
            archive.writestr(f"{name}.npy", bytes(32_000_000))
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(UnreadableError, match="not compressed"):
        load_model(written.getvalue())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert time.perf_counter() - began < 1


def test_an_honest_but_compressed_file_is_refused_too():
    with pytest.raises(UnreadableError, match="not compressed"):
        load_model(with_arrays(save=np.savez_compressed))


@given(st.integers(0, len(GOOD) - 1))
@settings(deadline=None, max_examples=100)
def test_a_truncated_file_is_refused(length):
    with pytest.raises(UnreadableError):
        load_learner(GOOD[:length])


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_refused_or_the_damage_is_beside_the_model(seed):
    rng = np.random.default_rng(seed)
    near_the_end = rng.random(150) < 0.5  # where the directory is
    places = np.where(near_the_end, len(GOOD) - 1 - rng.integers(0, 500, 150), rng.integers(0, len(GOOD), 150))
    refused = 0
    for place in places.tolist():
        damaged = bytearray(GOOD)
        damaged[place] ^= int(rng.integers(1, 256))
        try:
            assert dump(load_learner(bytes(damaged))) == GOOD
        except UnreadableError:
            refused += 1
    assert refused > 75
