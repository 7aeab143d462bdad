"""Both formats of event files are read, and what is neither is refused with a reason."""

import gzip
import json
from typing import Any

import numpy as np
import pytest

from examples.datasets import load
from examples.errors import DataError

ROW: dict[str, Any] = {
    "context": {"User": {"name": "Ann", "age": 0.5}},
    "actions": [{"id": "a", "features": {"F": {"topic": "food"}}}, {"id": "b", "features": {"F": {}}}],
    "rewards": [0.25, 0.75],
    "bernoulli": True,
}


def write_npz(path, **changes):
    arrays = {
        "X": np.array([[0.123456, 0.0], [1.0, 0.5], [0.25, 0.0]], np.float32),
        "C": np.array([[3], [1], [2]], np.int32),
        "y": np.array([0, 2, 1], np.int32),
    }
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


def write_jsonl(path, rows):
    with gzip.open(path, "wt") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return path


def test_a_row_of_an_npz_becomes_an_event_with_one_action_a_class(tmp_path):
    programme = load(write_npz(tmp_path / "tiny_drift.npz"), seed=0)
    event = programme.events[0]
    assert event.context == {"U": {"x0": 0.1235, "c0": "v3"}}
    assert [(action.id, action.features) for action in event.actions] == [(f"a{k}", {"A": {"id": f"a{k}"}}) for k in range(3)]
    assert [each.expected for each in programme.events] == [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)]
    assert event.reward_of("a0") == 1.0
    assert programme.fixed_menu


def test_a_line_of_a_jsonl_becomes_an_event_with_clicks_drawn_where_it_says_so(tmp_path):
    sure = {key: value for key, value in ROW.items() if key != "bernoulli"}
    events = load(write_jsonl(tmp_path / "two_drift.jsonl.gz", [ROW, sure]), seed=0).events
    assert events[0].context == ROW["context"]
    assert [action.id for action in events[0].actions] == ["a", "b"]
    assert [action.features for action in events[0].actions] == [{"F": {"topic": "food"}}, {"A": {"id": "b"}}]
    assert events[0].reward_of("b") in {0.0, 1.0}
    assert events[1].reward_of("b") == 0.75


def test_files_are_shuffled_by_the_seed_except_drifting_ones(tmp_path):
    rows = [{**ROW, "context": {"User": {"n": n}}} for n in range(50)]
    order = np.random.default_rng(1000 + 3).permutation(50).tolist()
    numbers = {}
    for name in ("plain.jsonl.gz", "some_drift.jsonl.gz"):
        numbers[name] = [event.context["User"]["n"] for event in load(write_jsonl(tmp_path / name, rows), seed=3).events]
    assert numbers == {"plain.jsonl.gz": order, "some_drift.jsonl.gz": list(range(50))}


def test_a_drifting_file_changes_half_way_if_that_is_played_at_all(tmp_path):
    path = write_jsonl(tmp_path / "some_drift.jsonl.gz", [ROW] * 50)
    assert load(path, seed=0).drift_at == 25
    assert load(path, seed=0, limit=20).drift_at is None
    assert load(write_jsonl(tmp_path / "plain.jsonl.gz", [ROW] * 50), seed=0).drift_at is None


def test_the_customary_number_of_events_is_played(tmp_path):
    many = {"X": np.ones((7000, 1)), "C": np.zeros((7000, 0), int), "y": np.arange(7000) % 2}
    assert len(load(write_npz(tmp_path / "wd_many.npz", **many), seed=0).events) == 3000
    assert len(load(write_npz(tmp_path / "keel_letter.npz", **many), seed=0).events) == 6000
    assert len(load(write_npz(tmp_path / "wd_many.npz", **many), seed=0, limit=10).events) == 10


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"y": None}, "the array y is missing"),
        ({"y": np.array([0, 1])}, r"y \[n\]"),
        ({"y": np.array([0.0, 1.0, 2.0])}, "integers"),
        ({"y": np.array([0, 1, 99])}, "classes"),
        ({"y": np.array([0, 0, 0])}, "classes"),
        ({"y": np.array([-1, 0, 1])}, "classes"),
        ({"X": np.array([[np.nan], [1.0], [1.0]])}, "finite"),
        ({"X": np.array([["a"], ["b"], ["c"]])}, "numbers"),
        ({"X": np.array([[{}], [1], [2]], dtype=object)}, "[Oo]bject"),
        ({"X": np.zeros((0, 1)), "C": np.zeros((0, 1), int), "y": np.zeros(0, int)}, "rows"),
    ],
)
def test_a_malformed_npz_is_refused(tmp_path, changes, reason):
    with pytest.raises(DataError, match=reason):
        load(write_npz(tmp_path / "bad.npz", **changes), seed=0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "line 2"),
        ("[]", "JSON object"),
        ({**ROW, "rewards": [0.5]}, "a reward for each"),
        ({**ROW, "rewards": [0.5, 1.5]}, "between 0 and 1"),
        ({**ROW, "rewards": [0.5, "x"]}, "line 2"),
        ({**ROW, "rewards": None}, "line 2"),
        ({**ROW, "actions": []}, "from 2 to 50"),
        ({**ROW, "actions": [ROW["actions"][0]] * 2}, "different ids"),
        ({**ROW, "context": {"User": 3}}, "namespace"),
        ({**ROW, "context": {"User": {"x": [1]}}}, "neither a text nor a finite number"),
        ({key: value for key, value in ROW.items() if key != "rewards"}, "'rewards' is missing"),
        ('{"context": {"U": {"x": NaN}}, "actions": [], "rewards": []}', "line 2"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(tmp_path, row, reason):
    path = write_jsonl(tmp_path / "bad.jsonl.gz", [ROW, row])
    with pytest.raises(DataError, match=reason) as refused:
        load(path, seed=0)
    assert str(path) in str(refused.value)


def test_missing_empty_foreign_and_broken_files_are_refused(tmp_path):
    for name, content in {
        "missing.npz": None,
        "text.npz": b"hello",
        "text.jsonl.gz": b"hello",
        "rows.csv": b"1,2",
        "none.jsonl.gz": b"",
    }.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            load(tmp_path / name, seed=0)
    whole = write_jsonl(tmp_path / "whole.jsonl.gz", [ROW] * 50).read_bytes()
    for name, content in {"cut.jsonl.gz": whole[:-20], "scrambled.jsonl.gz": whole[:40] + bytes(60) + whole[60:]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            load(tmp_path / name, seed=0)
