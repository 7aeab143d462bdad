import time
import tracemalloc
import zipfile
from contextlib import suppress
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.learning.artifact import (
    FORMAT_VERSION,
    SINGLE,
    STATE_VERSION,
    dump_model,
    dump_state,
    is_earlier,
    load_learner,
    load_model,
)
from shared.learning.crosses import CELLS
from shared.learning.encoding import ENCODER_VERSION
from shared.learning.learner import KEPT_FROM, Learner
from shared.learning.local_ridge import ARMS, Arm
from tests.learning.building import (
    arrays_of,
    as_without_rewarded,
    batch_of,
    encoded,
    learned_from,
    many_crosses,
    random_batch,
    with_arrays,
)
from tests.sweeps import STRIDES


def learned(*batches):
    learner = Learner.cold()
    for batch in batches:
        learner.learn(batch)
    return learner


LEARNERS = {
    "cold": Learner.cold(),
    "open": learned(random_batch(1, 60)),
    "summed": learned(random_batch(1, 200), batch_of([encoded({}, [{}] * 6).logged(5)] * 3, [0.0, 1.0, 0.5])),  # or not: of few events
    "closed": learned(many_crosses(2, 150)),
}
EVERY_LEARNER = pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS.keys())
MODEL, STATE = dump_model(LEARNERS["open"]), dump_state(LEARNERS["summed"])
FORMATS = {"model": (load_model, MODEL), "state": (load_learner, STATE)}
VERSIONS = {load_model: FORMAT_VERSION, load_learner: STATE_VERSION}
BOTH = pytest.mark.parametrize(("load", "good"), FORMATS.values(), ids=FORMATS.keys())


def parts(model):
    """All that a model is made of."""
    measures = model.measures
    weights = (model.cells, model.weights, model.arms, model.arm_weights, model.joint_weights)
    arrays = (*weights, measures.hashes, measures.sizes, measures.edges)
    shares = (model.share, model.joint_share)
    return [model.learned, model.remembered, model.deviation, model.ridge, *shares, *(each.tolist() for each in arrays)]


# --- there and back ---


@EVERY_LEARNER
def test_what_was_dumped_is_loaded_to_the_last_bit(learner):
    returned = load_learner(dump_state(learner))
    assert dump_state(returned) == dump_state(learner)
    assert dump_model(returned) == dump_model(learner)


@EVERY_LEARNER
def test_a_loaded_learner_goes_on_as_if_it_had_never_been_away(learner):
    stayed, returned = load_learner(dump_state(learner)), load_learner(dump_state(load_learner(dump_state(learner))))
    for each in (stayed, returned):
        each.learn(random_batch(3, 30))
    assert dump_state(returned) == dump_state(stayed)


@EVERY_LEARNER
def test_the_loaded_model_is_the_learners_own(learner):
    loaded, own = load_model(dump_model(learner)), learner.model()
    assert parts(loaded) == parts(own)
    assert loaded.is_cold == (learner.learned == 0)
    asked = encoded({"user": {"n0": 1.5, "n9": 1}, "u": {"names": ["u1"], "age": 33}}, [{}, {"v": {"kind": "k1"}}, {"v": {"price": 10.0}}])
    for one, other in zip(loaded.scores(asked), own.scores(asked), strict=True):
        assert one.tolist() == other.tolist()


@BOTH
def test_numpy_reads_it_too(load, good):
    again = load(with_arrays(good))
    assert parts(again) == parts(load_model(MODEL)) if load is load_model else dump_state(again) == STATE


def test_a_model_is_small_beside_its_state():
    assert len(dump_model(Learner.cold())) < 5_000
    assert len(dump_state(Learner.cold())) < 10_000
    assert len(MODEL) < 20_000
    assert len(STATE) < 1_100_000


@pytest.mark.slow
def test_what_can_not_grow_any_more_is_bounded_and_read():
    rng, full = np.random.default_rng(1), Learner.cold()
    full.shared.met[:] = True
    full.shared.weights[:, :2] = rng.normal(size=(CELLS, 2))
    full.local.arms = {2 * number + 1: Arm(seen=number) for number in range(ARMS)}
    full.learned = 10**9
    model, state = dump_model(full), dump_state(full)
    assert len(model) < 2.4e6
    assert len(state) < 20e6
    assert parts(load_model(model)) == parts(full.model())
    assert dump_state(load_learner(state)) == state


def test_a_model_is_not_a_state_nor_the_other_way_round():
    for load, data in ((load_model, STATE), (load_learner, MODEL)):
        with pytest.raises(UnreadableError):
            load(data)


# --- what is neither ---


NOT_FINITE = [
    (kind, name, bad)
    for kind, (_, good) in FORMATS.items()
    for name, array in arrays_of(good).items()
    if array.dtype.kind == "f" and len(array)
    for bad in (np.nan, np.inf, -np.inf)
]


@pytest.mark.parametrize(("kind", "name", "bad"), NOT_FINITE)
@pytest.mark.sweep(keep=20)
def test_a_number_that_is_none_is_refused(kind, name, bad):
    load, good = FORMATS[kind]
    array = arrays_of(good)[name].copy()
    array[len(array) // 2] = bad
    with pytest.raises(UnreadableError):
        load(with_arrays(good, **{name: array}))


OTHERWISE = {
    "one less": lambda array: array[:-1],
    "one more": lambda array: np.append(array, array[:1]),
    "none": lambda array: array[:0],
    "two-dimensional": lambda array: array.reshape(-1, 1),
    "another type": lambda array: np.ones(len(array), "<f2"),
    "big endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "objects": lambda array: array.astype(object),
    "not there": lambda array: None,
}
MEMBERS = [(kind, name) for kind, (_, good) in FORMATS.items() for name, array in arrays_of(good).items() if len(array)]


@pytest.mark.parametrize("change", OTHERWISE.values(), ids=OTHERWISE.keys())
@pytest.mark.parametrize(("kind", "name"), MEMBERS)
@pytest.mark.sweep(keep=60)
def test_an_array_that_is_not_as_it_is_written_is_refused(kind, name, change):
    load, good = FORMATS[kind]
    with pytest.raises(UnreadableError):
        load(with_arrays(good, **{name: change(arrays_of(good)[name])}))


@BOTH
@pytest.mark.parametrize("replaced", [{"extra": np.zeros(3)}, {"cells": None, "weights": None}, {"header": np.array([], np.int64)}])
def test_other_members_are_refused(load, good, replaced):
    with pytest.raises(UnreadableError):
        load(with_arrays(good, **replaced))


def negative(array):
    return (-1 - array.astype(np.int64)).astype(array.dtype) if array.dtype.kind == "i" else -1 - array


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("model", "cells", lambda array: array[::-1].copy()),
        ("model", "cells", lambda array: array + np.uint32(CELLS)),
        ("model", "cells", lambda array: 0 * array),
        ("model", "mixture", negative),
        ("model", "mixture", lambda array: array + 1e12),
        ("model", "mixture", lambda array: 0 * array),
        ("model", "header", negative),
        ("model", "header", lambda array: 0 * array),
        ("model", "measured", lambda array: array[::-1].copy()),
        ("model", "sizes", lambda array: 0 * array),
        ("model", "sizes", negative),
        ("model", "quantiles", negative),
        ("model", "quantiles", lambda array: array - 7),
        ("model", "edges", lambda array: 0 * array),
        ("model", "edges", lambda array: array[::-1].copy()),
        ("state", "header", negative),
        ("state", "counts", negative),
        ("state", "counts", lambda array: 0 * array),
        ("state", "values", lambda array: array + 1e10),
        ("state", "sampled", lambda array: 0 * array),
        ("state", "contexts", negative),
        ("state", "actions", lambda array: 0 * array),
        ("state", "context_values", lambda array: array + np.float32(1e10)),
        ("state", "cells", lambda array: array[::-1].copy()),
        ("state", "cells", lambda array: array + np.uint32(CELLS)),
        ("state", "settled", lambda array: array - 1),
        ("state", "arms", lambda array: 0 * array),
        ("state", "header", lambda array: np.concatenate([array[:2], array[2:3] + 10**16, array[3:]])),
        ("state", "sums", negative),
        ("state", "sums", lambda array: array * 1e30),
        ("state", "seen", negative),
        ("state", "seen", lambda array: array + 10**9),
        ("state", "weights", lambda array: array + np.float32(1e13)),
        ("state", "anchors", lambda array: array - np.float32(1e13)),
        ("state", "grams", lambda array: array + 1e25),
        ("state", "moments", lambda array: array - 1e25),
        ("state", "arm_weights", lambda array: array + 1e13),
        ("state", "products", lambda array: array[1:]),
        ("state", "products", lambda array: array + 1e3),
        ("state", "promised", negative),
        ("state", "promised", lambda array: array[1:]),
        ("state", "missed", lambda array: array * np.nan),
        ("state", "missed", lambda array: array[1:]),
        ("state", "begun", negative),
        ("state", "begun", lambda array: array + 10**9),
        ("state", "summed", lambda array: array + 10**9),
        ("state", "summed", lambda array: 0 * array),
        ("state", "rows", negative),
        ("state", "rows", lambda array: array[::-1] * 64),
        ("state", "row_numbers", lambda array: array + 10**9),
        ("state", "row_waves", lambda array: array + np.float32(1e25)),
        ("state", "row_targets", lambda array: array - 1e25),
        ("state", "latest", lambda array: array + 2),
        ("state", "latest_numbers", lambda array: array[::-1]),
        ("state", "latest_numbers", lambda array: array + 10**9),
        ("state", "latest_waves", lambda array: array + np.float32(1e25)),
        ("state", "latest_waves", lambda array: array[1:]),
        ("state", "latest_targets", lambda array: array - 1e25),
    ],
)
def test_what_no_learner_would_have_written_is_refused(kind, name, change):
    load, good = FORMATS[kind]
    with pytest.raises(UnreadableError):
        load(with_arrays(good, **{name: change(arrays_of(good)[name])}))


@pytest.mark.parametrize("kind", FORMATS)
@given(seed=st.integers(0, 2**32), data=st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_numbers_the_arrays_hold_nothing_but_the_one_error_is_raised(kind, seed, data):
    """One array of any bits, as long as it was or not; what is loaded then is a wrong model, but one of the right shape."""
    load, good = FORMATS[kind]
    name = data.draw(st.sampled_from(sorted(arrays_of(good))))
    array, rng = arrays_of(good)[name], np.random.default_rng(seed)
    length = len(array) if seed % 4 else int(rng.integers(0, 2 * len(array) + 2))
    bits = rng.integers(0, 256, length * array.itemsize, dtype=np.uint8).view(array.dtype)
    small = rng.integers(0, 4, length).astype(array.dtype)
    with suppress(UnreadableError, NewerFormatError):
        load(with_arrays(good, **{name: small if seed % 3 else bits}))


@BOTH
@pytest.mark.parametrize("ahead", [1, 95])
def test_a_later_releases_format_asks_for_an_upgrade_whatever_else_it_has(load, good, ahead):
    later = np.array([VERSIONS[load] + ahead, 7, 7])
    for replaced in ({"header": later}, {"header": later, "cells": None, "extra": np.zeros((2, 2))}):
        with pytest.raises(NewerFormatError, match="upgrade"):
            load(with_arrays(good, **replaced))


@BOTH
def test_a_later_encoder_asks_for_an_upgrade_and_an_earlier_one_is_refused(load, good):
    header = arrays_of(good)["header"]
    assert header[:2].tolist() == [VERSIONS[load], ENCODER_VERSION]
    for version, error in ((ENCODER_VERSION + 1, NewerFormatError), (ENCODER_VERSION - 1, UnreadableError)):
        with pytest.raises(error):
            load(with_arrays(good, header=np.concatenate([header[:1], [version], header[2:]])))


@EVERY_LEARNER
def test_a_state_that_does_not_count_rewards_is_read_as_if_there_were_none_and_all_else_is_as_it_was(learner):
    earlier = as_without_rewarded(dump_state(learner))
    read = load_learner(earlier)
    assert is_earlier(earlier)
    assert not is_earlier(dump_state(learner))
    assert read.rewarded == 0
    assert dump_state(replace(read, rewarded=learner.rewarded)) == dump_state(learner)


def test_rewards_are_counted_up_to_as_many_as_matter_and_lessons_to_imitate_are_not():
    learner = Learner.cold()
    learner.learn(replace(random_batch(1, 60), imitated=50))
    assert learner.rewarded == 10
    learner.learn(random_batch(2, 60))
    assert learner.rewarded == 70
    learner.learn(random_batch(3, 60))
    assert load_learner(dump_state(learner)).rewarded == learner.rewarded == KEPT_FROM


@pytest.mark.parametrize("rewarded", [[], [-1], [KEPT_FROM + 1], [61], [1, 1]])
def test_a_number_of_rewards_that_cannot_be_is_refused(rewarded):
    learner = learned(random_batch(1, 60))
    with pytest.raises(UnreadableError):
        load_learner(with_arrays(dump_state(learner), rewarded=np.array(rewarded, dtype=np.int64)))


def as_single(learner):
    """Write it as releases did that summed all events of actions, twice, and knew no products of errors."""
    learner.local.begin_anew(last=learner.learned)  # now each action has sums
    state = dump_state(learner)
    arrays = arrays_of(state)
    newer = ("products", "promised", "missed", "begun", "summed", "rows", "row_waves", "row_targets", "row_numbers", "rewarded")
    newest = [name for name in arrays if name.startswith("latest")]
    twice = {name: np.tile(arrays[name], 2) for name in ("grams", "moments")}
    header = np.concatenate([[SINGLE], arrays["header"][1:]])
    return with_arrays(state, header=header, **twice, **dict.fromkeys([*newer, *newest]))


def test_the_events_of_a_state_that_had_only_sums_are_those_of_its_window():
    learner = learned(random_batch(1, 200))
    read = load_learner(as_single(learner))
    ours, known = learner.local, read.local
    assert known.latest_of.tolist() == ours.latest_of.tolist()
    assert known.latest.numbers.tolist() == ours.latest.numbers.tolist()
    np.testing.assert_allclose(known.latest.waves, ours.latest.waves, atol=1e-5)
    np.testing.assert_allclose(known.latest.targets, ours.latest.targets)


def test_a_state_that_knows_only_single_members_trusts_the_best_of_them_until_it_has_seen_more():
    learner = learned(random_batch(1, 200))
    read = load_learner(as_single(learner))
    shares = read.losses.shares().tolist()
    assert shares.count(0.0) == len(shares) - 1
    read.learn(random_batch(7, 500))
    assert load_learner(dump_state(read)).losses.products.tolist() == read.losses.products.tolist()


@BOTH
def test_an_earlier_format_is_refused(load, good):
    with pytest.raises(UnreadableError):
        load(with_arrays(good, header=np.array([1, 1, 5])))


@BOTH
@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", MODEL[::-1], b"\0" * 1_000_000])
def test_what_is_no_archive_is_refused(load, good, data):
    with pytest.raises(UnreadableError):
        load(data)


@BOTH
def test_what_is_larger_than_any_can_be_is_refused_unread(load, good):
    with pytest.raises(UnreadableError, match="at most"):
        load(good + bytes(200_000_000))


@BOTH
def test_a_zip_bomb_is_refused_before_it_inflates(load, good):
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in arrays_of(good):
            archive.writestr(f"{name}.npy", bytes(8_000_000))
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(UnreadableError, match="not compressed"):
        load(written.getvalue())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert time.process_time() - began < 1


@BOTH
def test_an_honest_but_compressed_file_is_refused_too(load, good):
    with pytest.raises(UnreadableError, match="not compressed"):
        load(with_arrays(good, save=np.savez_compressed))


# --- damage ---


def same(kind, data):
    """Whether it is loaded as what it was before it was damaged; what is refused, is."""
    try:
        return parts(load_model(data)) == parts(load_model(MODEL)) if kind == "model" else dump_state(load_learner(data)) == STATE
    except UnreadableError:
        return None


@pytest.mark.parametrize("kind", FORMATS)
@given(share=st.floats(0, 1, exclude_max=True))
@settings(deadline=None, max_examples=60)
def test_a_truncated_file_is_refused(kind, share):
    good = FORMATS[kind][1]
    assert same(kind, good[: int(share * len(good))]) is None


@pytest.mark.slow
@STRIDES
def test_every_byte_of_a_model_is_refused_when_damaged_or_is_beside_the_model(stride):
    rng, places = np.random.default_rng(1), range(0, len(MODEL), stride)
    outcomes = [same("model", MODEL[:at] + bytes([MODEL[at] ^ int(rng.integers(1, 256))]) + MODEL[at + 1 :]) for at in places]
    assert False not in outcomes
    assert outcomes.count(None) > 0.6 * len(places)


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_in_many_places_is_refused_or_beside_what_counts(kind):
    rng, good = np.random.default_rng(2), FORMATS[kind][1]
    near_the_end = rng.random(200) < 0.5  # where the directory is
    places = np.where(near_the_end, len(good) - 1 - rng.integers(0, 1500, 200), rng.integers(0, len(good), 200))
    outcomes = []
    for count in (1, 3):
        for _ in range(100):
            damaged = bytearray(good)
            for place in rng.choice(places, count).tolist():
                damaged[place] ^= int(rng.integers(1, 256))
            outcomes.append(same(kind, bytes(damaged)))
    assert False not in outcomes
    assert outcomes.count(None) > 100


def test_a_learner_of_one_event_is_written_and_read():
    learner = learned_from([encoded({}).logged(0)], [1.0])
    assert dump_state(load_learner(dump_state(learner))) == dump_state(learner)
    assert parts(load_model(dump_model(learner))) == parts(learner.model())
