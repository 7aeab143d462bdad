import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import Action, JsonValue, Situation
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import (
    CONSTANT,
    ENCODER_VERSION,
    LARGEST,
    NUMERIC,
    WIDTH,
    Encoder,
    Encoders,
    encoder_version,
    feature_hash,
    to_batch,
)
from tests.learning.building import any_features, encoded, entries, random_batch, random_logs, random_model, random_outcomes, situation

REPOSITORY = Path(__file__).parents[2]
MODEL = random_model(2)


def context_of(context):
    return entries(encoded(context).context)


def action_of(encoder, action):
    return entries(encoder.encode(Situation((), (action,))).actions[0])


# --- features ---


def test_a_string_is_one_feature_per_value_and_a_number_one_feature_with_that_value():
    [constant] = context_of({})
    assert len({*context_of({"u": {"city": "Rome"}}), *context_of({"u": {"city": "Oslo"}}), constant}) == 3
    [small], [large] = (set(context_of({"u": {"age": age}})) - {constant} for age in (2, 40))
    assert small[0] == large[0]
    assert (small[1], large[1]) == (2.0, 40.0)


@given(any_features, any_features)
@settings(deadline=None, max_examples=60)
def test_every_hash_is_odd_and_the_constant_and_the_id_stand_first(context, features):
    asked = Encoder().encode(Situation(tuple(context), (Action("tea", tuple(features)),)))
    assert all(name % 2 for row in (asked.context, *asked.actions) for name in row.hashes)
    assert (asked.context.hashes[0], asked.context.values[0]) == (CONSTANT, 1.0)
    assert (asked.actions[0].hashes[0], asked.actions[0].values[0]) == (encoded_id("tea"), 1.0)


def encoded_id(name):
    return Encoder().encode(Situation((), (Action(name, ()),))).actions[0].hashes[0]


def test_an_id_is_a_feature_of_its_own():
    assert encoded_id("tea") == encoded_id("tea") != encoded_id("coffee")
    assert encoded_id("tea") not in [name for name, _ in context_of({"tea": "tea", "i": {"id": "tea"}})]


def test_only_what_is_a_number_carries_the_bit_that_says_so():
    told = {"n": 2.5, "i": -3, "s": "2.5", "t": True, "z": None, "a": [1.5, "x", True], "o": {"n": 7, "s": "7"}}
    numbers = [value for name, value in context_of({"u": told, "bare": 4}) if name & NUMERIC]
    assert sorted(numbers) == [-3, 1.5, 2.5, 4, 7]
    assert not feature_hash("anything") & NUMERIC


def test_bool_and_null_are_words_and_zero_is_no_feature():
    assert context_of({"u": {"new": True}}) == context_of({"u": {"new": "true"}}) != context_of({"u": {"new": 1}})
    assert context_of({"u": {"new": None}}) == context_of({"u": {"new": "null"}})
    assert context_of({"u": {"age": 0}}) == context_of({})


def test_the_numbers_of_an_array_are_one_feature_per_position_and_its_strings_a_set():
    assert len(context_of({"u": {"taste": [1, 2, 3]}})) == 1 + 3
    assert context_of({"u": {"taste": [1, 2]}}) != context_of({"u": {"taste": [2, 1]}})
    assert context_of({"u": {"tags": ["a", "b"]}}) == context_of({"u": {"tags": ["b", "a"]}})


def test_a_nested_object_is_a_dotted_path():
    assert context_of({"u": {"home": {"city": "Rome"}}}) == context_of({"u": {"home.city": "Rome"}})


def test_names_and_namespaces_that_start_with_an_underscore_are_ignored():
    assert context_of({"_u": {"a": 1}, "_b": 2, "u": {"_c": 3, "d": {"_e": 4}}}) == context_of({})


def test_the_same_feature_is_another_one_in_another_namespace_and_on_the_other_side():
    in_user, in_place, bare = (context_of(context) for context in ({"u": {"a": "b"}}, {"p": {"a": "b"}}, {"a": "b"}))
    on_action = action_of(Encoder(), Action("x", ({"u": {"a": "b"}},)))
    assert len({*in_user, *in_place, *bare, *on_action}) == 1 + 3 + 2  # constant and features; id and feature


def test_the_order_of_features_does_not_matter():
    features = {f"n{i}": i / 7 for i in range(20)}
    backwards = dict(reversed(features.items()))
    asked, again = (encoded({"u": each}, [{"v": each}, {"v": each, "w": 1}]) for each in (features, backwards))
    assert entries(asked.context) == entries(again.context)
    assert [entries(row) for row in asked.actions] == [entries(row) for row in again.actions]


# --- the same everywhere ---

PROGRAM = """
from shared.domain.events import Action, JsonValue, Situation
from shared.learning.encoding import Encoder
context = {"user": {"age": 31.5, "city": "Zürich", "new": True, "taste": [0.25, -1], "tags": ["x"]}, "hour": 7}
print(Encoder().encode(Situation((context,), (Action("a", ()), Action("b", ({"price": 2000},))))).logged(1).hex())
"""
GOLDEN = (
    "0308200000000000bdbabff97b804129498e06d26d80dddf1f1d2ed45f578a7c1d5e7509ab79edb90000803f0000fc410000"
    "803f0000803f0000803e000080bf0000803f0000e0401d64a23d57b4382a0000803f0000fa44"
)


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_every_process_encodes_alike(seed):
    environment = os.environ | {"PYTHONHASHSEED": seed}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == GOLDEN  # if this must change, so must ENCODER_VERSION


# --- whatever is sent ---


@given(any_features, st.lists(any_features, min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_any_json_is_encoded_and_read_back_as_rank_saw_it(context, actions):
    asked = Encoder().encode(Situation(tuple(context), tuple(Action(str(i), tuple(f)) for i, f in enumerate(actions))))
    assert max(len(row.hashes) for row in (asked.context, *asked.actions)) <= WIDTH
    logged = [asked.logged(chosen) for chosen in range(len(actions))]
    batch = to_batch(logged, rewards=[0.5] * len(logged), probabilities=[0.1] * len(logged))
    for chosen, action in enumerate(asked.actions):
        one = batch.cut(chosen, chosen + 1)
        assert one.context_hashes.tolist() == list(asked.context.hashes)
        assert one.action_hashes.tolist() == list(action.hashes)
        assert one.context_values.tolist() == np.array(asked.context.values, np.float32).tolist()
        assert one.action_values.tolist() == np.array(action.values, np.float32).tolist()
    scores = MODEL.scores(asked)
    assert np.isfinite(scores.mean).all()
    assert np.isfinite(scores.draws).all()


@pytest.mark.parametrize("number", [10**400, 1e308, float("inf")])
def test_numbers_beyond_reason_are_clipped(number):
    clipped = encoded({"u": {"a": number, "b": -number, "c": [number, number]}}).context
    assert clipped.values[1:] == (LARGEST, -LARGEST, LARGEST, LARGEST)


def test_a_number_too_small_to_square_counts_as_zero():
    assert context_of({"u": {"a": 1e-308}}) == context_of({})


def test_more_features_than_fit_are_folded_by_summing():
    wide = encoded({"u": {"taste": [1] * 5000}}, [{"v": {f"n{i}": 1 for i in range(5000)}}])
    for row in (wide.context, *wide.actions):
        assert WIDTH - 10 < len(row.hashes) <= WIDTH
        assert sum(row.values[1:]) == 5000
    assert wide.context.hashes[0] == CONSTANT
    assert wide.actions[0].hashes[0] == encoded_id("a0")


def test_what_is_nested_deeply_is_encoded():
    deep: JsonValue = 1.5
    for level in range(200):
        deep = {f"level{level}": deep} if level % 2 else [deep]
    [constant] = context_of({})
    [(name, value)] = set(context_of({"u": {"deep": deep}})) - {constant}
    assert value == 1.5
    assert name & NUMERIC


# --- memory of the encoder ---


def test_an_action_met_before_is_encoded_as_if_it_were_new():
    encoder = Encoder()
    values: list[JsonValue] = [True, 1, 1.0, False, 0, [1], [True], "1", 2]
    for value in values * 2:
        action = Action("a", ({"v": {"n": value}},))
        assert action_of(encoder, action) == action_of(Encoder(), action)


def test_what_the_encoder_remembers_is_bounded():
    encoder = Encoder()
    encoder.share(2)
    for i in range(300):
        actions = tuple(Action(f"{i}/{j}", ({"v": {f"n{i}-{j}": f"{k}" for k in range(3)}},)) for j in range(50))
        encoder.encode(Situation(({"u": {"query": f"{i}", "words": [f"{i} {k}" for k in range(100)]}},), actions))
    encoder.encode(Situation(({"u": {"long": "x" * 100_000}},), (Action("large", ({"v": list(range(2, 5000))},)),)))
    assert len(encoder._remembered_actions) <= 2 * 4096
    assert len(encoder._young) + len(encoder._old) <= 1 << 15
    assert max(map(len, map("".join, (*encoder._young, *encoder._old)))) <= 128
    texts = [*encoder._remembered_actions._young, *encoder._remembered_actions._old]
    assert not any(b"large" in text for text in texts)
    assert any(b"299/49" in text for text in texts)


def test_an_action_that_is_remembered_takes_what_its_text_does_and_not_the_room_that_its_writer_had():
    encoder = Encoder()
    actions = [Action(f"a{number}", ({"v": {"kind": f"k{number}"}},)) for number in range(500)]
    encoder.encode(Situation(({},), tuple(actions[:1])))
    tracemalloc.start()
    for action in actions:
        encoder.encode(Situation(({},), (action,)))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 500 * 1_500


def test_the_memory_it_takes_does_not_grow_with_what_is_sent():
    """Two rounds of distinct strings, enough each to fill what it remembers: the second adds next to nothing."""
    encoder, counts = Encoder(), []
    encoder.share(2)
    tracemalloc.start()
    for round_ in range(2):
        for i in range(400):
            words = [f"{round_} {i} {k}" for k in range(100)]
            encoder.encode(Situation(({"u": {"words": words}},), tuple(Action(f"{round_}/{i}/{j}", ()) for j in range(22))))
        counts.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert counts[1] < 1.25 * counts[0] < 40e6


def ignoring(number):
    """Interactions that no other number has."""
    return parse_arguments(f"--cb_explore_adf --ignore {chr(0x4E00 + number)}").interactions


def test_many_encoders_remember_no_more_than_one_in_all(monkeypatch):
    monkeypatch.setattr("shared.learning.encoding._CACHED_TEXTS", 1 << 10)
    monkeypatch.setattr("shared.learning.encoding._CACHED_ACTIONS", 1 << 8)

    def fill(encoders, kinds):
        for number in range(kinds):
            encoder = encoders.of(ignoring(number))
            for i in range(400 // kinds):
                words = [f"{number} {i} {k}" for k in range(10)]
                encoder.encode(Situation(({"z": {"words": words}},), (Action(f"{number}/{i}", ()), Action(f"{number}/{i}/2", ()))))
        return encoders

    def remembered(encoders):
        of = encoders._of.values()
        return sum(len(each._young) + len(each._old) for each in of), sum(len(each._remembered_actions) for each in of)

    for kinds in (1, 5, 16):
        texts, actions = remembered(fill(Encoders(), kinds))
        assert texts <= 1 << 11
        assert actions <= 1 << 9


def test_loops_with_the_same_interactions_share_an_encoder_and_more_kinds_than_there_is_room_for_take_turns():
    encoders = Encoders()
    first = encoders.of(ignoring(0))
    assert encoders.of(ignoring(0)) is first
    for number in range(100):
        encoders.of(ignoring(number))
    assert len(encoders._of) <= 32


# --- the log ---


def test_the_version_stands_first_and_nothing_has_version_0():
    assert encoder_version(encoded({}).logged(0)) == ENCODER_VERSION
    assert encoder_version(b"") == 0


def test_an_empty_batch_is_a_batch():
    assert len(to_batch([], rewards=[], probabilities=[])) == 0


def test_a_later_encoders_log_is_told_from_a_damaged_one():
    good = encoded({"u": {"a": 1}}).logged(0)
    with pytest.raises(NewerFormatError, match=f"version {ENCODER_VERSION + 1}"):
        to_batch([good, bytes([ENCODER_VERSION + 1]) + good[1:]], rewards=[0, 0], probabilities=[1, 1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: b"",
        lambda good: good[:-4],
        lambda good: good[:-1],
        lambda good: good + b"\0\0\0\0",
        lambda good: b"\0" + good[1:],
        lambda good: good[:1] + b"\xff" + good[2:],
        lambda good: good[:1] + b"\0\0\0",
        lambda good: good[:-4] + np.float32("nan").tobytes(),
        lambda good: good[:-4] + np.float32("inf").tobytes(),
    ],
)
def test_damage_is_noticed(damage):
    good = encoded({"u": {"a": 1}}).logged(0)
    with pytest.raises(UnreadableError):
        to_batch([good, damage(good), good], rewards=[0, 0, 0], probabilities=[1, 1, 1])


@pytest.mark.parametrize(("reward", "probability"), [(float("nan"), 0.5), (0.5, float("inf"))])
def test_outcomes_must_be_finite(reward, probability):
    with pytest.raises(UnreadableError):
        to_batch([encoded({}).logged(0)], rewards=[reward], probabilities=[probability])


@given(st.integers(0, 2**32), st.data())
@settings(deadline=None, max_examples=60)
def test_a_flipped_bit_never_raises_anything_else(seed, data):
    logged = random_logs(seed, 5)
    row = data.draw(st.integers(0, 4))
    bit = data.draw(st.integers(0, 8 * len(logged[row]) - 1))
    flipped = bytearray(logged[row])
    flipped[bit // 8] ^= 1 << bit % 8
    logged[row] = bytes(flipped)
    try:
        batch = to_batch(logged, **random_outcomes(seed, 5))
    except UnreadableError:
        return
    assert np.isfinite(batch.context_values).all()


def test_a_batch_is_the_sum_of_its_parts():
    whole = random_batch(3, 20)
    for cut in (0, 7, 20):
        again = whole.cut(0, cut).joined(whole.cut(cut, 20))
        assert again.counts is whole.counts is None
        names = [name for name in whole.__slots__ if name not in ("counts", "imitated")]
        assert [getattr(again, name).tolist() for name in names] == [getattr(whole, name).tolist() for name in names]


def test_a_mapping_that_is_no_dict_is_encoded_too():
    plain, proxied = ({"v": {"n": True}}, MappingProxyType({"v": MappingProxyType({"n": True})}))
    encoder = Encoder()
    assert [action_of(encoder, Action("a", (features,))) for features in (plain, proxied, proxied)] == [
        action_of(Encoder(), Action("a", (plain,)))
    ] * 3
    assert situation(proxied).allowed == (True,)
