"""Files of events with the reward of every action: `NAME.npz` (rows with a right class) and `NAME.jsonl.gz` (one event a line).

A file whose name contains `drift` keeps its order: its tastes change half-way. Any other is shuffled with
`default_rng(1000 + seed)`. By default the first 3,000 events are played, 6,000 of `letter` and of the simulators (`sim_…`).
"""

import gzip
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from examples.errors import DataError
from examples.events import Action, Event, Programme

MOST_ACTIONS = 50


def load(path: Path, *, seed: int, limit: int | None = None) -> Programme:
    """Read the run that `path` describes, at most `limit` events; `DataError` says what is wrong with the file."""
    reader = {".npz": _read_npz, ".gz": _read_jsonl}.get(path.suffix)
    if reader is None:
        raise DataError(f"{path}: the name must end in .npz or .jsonl.gz")
    rng = np.random.default_rng(1000 + seed)
    name = path.name.split(".")[0]
    try:
        everything = reader(path)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: {error}") from error
    drifts = "drift" in name
    order = np.arange(len(everything)) if drifts else rng.permutation(len(everything))
    count = min(limit or _customary(name), len(everything))
    events = [_with_chance(everything[i], rng) for i in order[:count]]
    half = len(everything) // 2
    return Programme(name=name, events=events, drift_at=half if drifts and half < count else None)


def _customary(name: str) -> int:
    return 6000 if name.endswith("letter") or name.startswith("sim_") else 3000


def _with_chance(event: Event, rng: np.random.Generator) -> Event:
    if event.chance is None:
        return event
    return Event(context=event.context, actions=event.actions, expected=event.expected, chance=float(rng.random()))


def _read_npz(path: Path) -> list[Event]:
    if path.is_file() and not zipfile.is_zipfile(path):
        raise ValueError("this is not an .npz archive")
    with np.load(path, allow_pickle=False) as arrays:
        missing = {"X", "C", "y"} - set(arrays)
        if missing:
            raise ValueError(f"the array {min(missing)} is missing")
        numerics, categories, classes = arrays["X"], arrays["C"], arrays["y"]
    _check_arrays(numerics, categories, classes)
    menu = tuple(Action(id=f"a{k}", features={"A": {"id": f"a{k}"}}) for k in range(int(classes.max()) + 1))
    return [
        Event(
            context={"U": _row_features(numbers, names)},
            actions=menu,
            expected=tuple(float(k == right) for k in range(len(menu))),
        )
        for numbers, names, right in zip(numerics.tolist(), categories.tolist(), classes.tolist(), strict=True)
    ]


def _check_arrays(numerics: Any, categories: Any, classes: Any) -> None:
    if not all(isinstance(array, np.ndarray) for array in (numerics, categories, classes)):
        raise ValueError("X, C and y must be arrays")
    if (numerics.ndim, categories.ndim, classes.ndim) != (2, 2, 1) or not len(numerics) == len(categories) == len(classes):
        raise ValueError("X must be [n, p], C [n, q] and y [n]")
    if numerics.dtype.kind not in "fiu" or categories.dtype.kind not in "iu" or classes.dtype.kind not in "iu":
        raise ValueError("X must hold numbers, C and y integers")
    if not len(classes) or not np.isfinite(numerics).all():
        raise ValueError("there must be rows, and every number in X must be finite")
    if classes.min() < 0 or not 2 <= classes.max() + 1 <= MOST_ACTIONS:
        raise ValueError(f"y must number from 2 to {MOST_ACTIONS} classes from 0")


def _row_features(numbers: list[float], names: list[int]) -> dict[str, str | float]:
    rounded = {f"x{j}": round(number, 4) for j, number in enumerate(numbers)}
    return {key: number for key, number in rounded.items() if number} | {f"c{j}": f"v{name}" for j, name in enumerate(names)}


def _read_jsonl(path: Path) -> list[Event]:
    events = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                events.append(_to_event(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(f"line {number}: {_in_words(error)}") from error
    if not events:
        raise ValueError("there are no events in it")
    return events


def _in_words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _to_event(row: Any) -> Event:
    if not isinstance(row, dict):
        raise TypeError("an event is a JSON object")
    actions = tuple(_to_action(str(action["id"]), _namespaces(action["features"])) for action in row["actions"])
    expected = tuple(float(reward) for reward in row["rewards"])
    if not 2 <= len(actions) <= MOST_ACTIONS or len(actions) != len(expected) or len({action.id for action in actions}) < len(actions):
        raise ValueError(f"there must be from 2 to {MOST_ACTIONS} actions with different ids, and a reward for each")
    if not all(0.0 <= reward <= 1.0 for reward in expected):
        raise ValueError("rewards must be between 0 and 1")
    return Event(context=_namespaces(row["context"]), actions=actions, expected=expected, chance=0.0 if row.get("bernoulli") else None)


def _to_action(name: str, features: Mapping[str, Mapping[str, str | float]]) -> Action:
    if not any(features.values()):
        features = {"A": {"id": name}}  # the service wants at least one feature an action
    return Action(id=name, features=features)


def _namespaces(value: Any) -> Mapping[str, Mapping[str, str | float]]:
    if not isinstance(value, dict) or not all(isinstance(features, dict) for features in value.values()):
        raise TypeError("features must be {namespace: {feature: value}}")
    for feature in (feature for features in value.values() for feature in features.values()):
        if not isinstance(feature, str | int | float) or (isinstance(feature, float) and not math.isfinite(feature)):
            raise ValueError(f"{feature!r} is neither a text nor a finite number")
    return value
