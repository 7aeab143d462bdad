"""A learner as bytes and back, in two: the model that Rank loads, and the state with which a trainer goes on.

Both are checked before they are used. Only the weights that were met are stored, so a young loop's are small.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.events import LARGEST_WEIGHT
from shared.learning import joint_ridge, npz
from shared.learning.arguments import LONGEST
from shared.learning.averaging import Losses
from shared.learning.crosses import CELLS
from shared.learning.encoding import ENCODER_VERSION, LARGEST, WIDTH, Batch, Floats, Hashes
from shared.learning.interactions import Interactions
from shared.learning.joint_ridge import JointRidge
from shared.learning.learner import KEPT_FROM, WINDOW, WINDOW_CROSSES, Learner
from shared.learning.local_ridge import ARMS, ROWS, SIZE, Arm, LocalRidge
from shared.learning.measures import EDGES, MOST, SAMPLE, Measures, Samples
from shared.learning.model import MEMBERS, Model, no_joint
from shared.learning.segments import Positions, starts_of
from shared.learning.shared_ridge import DRAWS, LATEST, SharedRidge
from shared.learning.sums import Rows, Sums

FORMAT_VERSION: Final = 4
STATE_VERSION: Final = 6
"""The formats of models and of states that are written."""

BEFORE_REWARDED: Final = 5
"""The format of states that do not know how many events taught by their rewards: they are read as if none had."""

SINGLE: Final = 4
"""The format of states that know how well each member predicts, and not how well some do together; actions have nothing but sums in it."""

BEFORE_JOINT: Final = 3
"""The format of releases without a joint part; what they wrote is read as what has learned nothing of it yet."""

_Arrays = Mapping[str, npt.NDArray[Any]]

_MODEL: Final = {
    npz.HEADER: "<i8",  # versions, learned, columns of weights, columns of arm_weights
    "mixture": "<f8",  # events remembered, deviation, share, ridge, share of the joint part
    "cells": "<u4",
    "weights": "<f4",
    "arms": "<u4",
    "arm_weights": "<f4",
    "joint_weights": "<f4",
    "measured": "<u4",
    "sizes": "<f8",
    "quantiles": "<i4",  # how many each measured feature has
    "edges": "<f8",
    "interactions": "<u4",  # the text's code points
}
_STATE: Final = {
    npz.HEADER: "<i8",  # versions, learned, columns of weights, columns of anchors, events that the shared ridge met
    "sums": "<f8",  # squared errors of the members, discounted events, lowest and highest reward, squares
    "sampled": "<u4",
    "counts": "<i4",
    "values": "<f8",
    "context_hashes": "<u4",
    "context_values": "<f4",
    "contexts": "<i4",
    "action_hashes": "<u4",
    "action_values": "<f4",
    "actions": "<i4",
    "rewards": "<f8",
    "cells": "<u4",
    "weights": "<f4",
    "anchors": "<f4",
    "settled": "<f4",
    "arms": "<u4",
    "seen": "<i8",
    "grams": "<f8",  # the upper triangles, where there are sums
    "moments": "<f8",
    "arm_weights": "<f8",  # the steady arms' and then the recent ones'
    "summed": "<i8",  # 1 where there are sums, else 0
    "rows": "<i4",  # how many events of each arm are in no sum yet
    "row_waves": "<f4",
    "row_targets": "<f8",
    "row_numbers": "<i8",
    "latest": "<u4",  # which action each of the arms' latest events is of
    "latest_waves": "<f4",
    "latest_targets": "<f8",
    "latest_numbers": "<i8",
    "joint_grams": "<f8",  # the joint part's, steady and recent, in the same way
    "joint_moments": "<f8",
    "joint_weights": "<f8",
    "joint_waiting": "<i8",  # how many events came since those weights were solved
    "interactions": "<u4",
    "products": "<f8",  # of each two members' errors: the upper triangle without the diagonal, which is among the sums
    "promised": "<f8",  # by each member: the sum of the squares of its predictions
    "missed": "<f8",  # and of their products with what they were too much by
    "begun": "<i8",  # with which event the steady members begin
    "counts_of_events": "<f8",  # for how many each event of the window stands; none where that is one for all
    "rewarded": "<i8",  # how many events taught by their rewards, up to `KEPT_FROM`
}
_CODE_POINTS: Final = 0x110000
_TRIANGLE: Final = np.triu_indices(SIZE)
_JOINT_TRIANGLE: Final = np.triu_indices(joint_ridge.SIZE)
_PAIRS: Final = np.triu_indices(MEMBERS, 1)
_PLACES: Final = np.ravel_multi_index(_TRIANGLE, (SIZE, SIZE))
_JOINT_PLACES: Final = np.ravel_multi_index(_JOINT_TRIANGLE, (joint_ridge.SIZE, joint_ridge.SIZE))
_SINCE_REWARDED: Final = ("rewarded",)
_SINCE_SINGLE: Final = (
    *("products", "promised", "missed", "begun", "summed", "rows", "row_waves", "row_targets", "row_numbers"),
    *("latest", "latest_waves", "latest_targets", "latest_numbers"),
    *_SINCE_REWARDED,
)
_SINCE_JOINT: Final = ("joint_weights", "joint_grams", "joint_moments", "joint_waiting", "counts_of_events")
_UNHEARD: Final = 10.0
"""Squared errors that a part which has everything to learn is behind the worst: forgotten within some thousand events."""

_ROUNDING: Final = 1e-9
_LARGEST_COUNT: Final = 10**15
_LARGEST_WEIGHT: Final = 1e12
_LARGEST_SUM: Final = 1e24
"""Beyond what rewards of a million and features of `LARGEST` come to; what is learned from more would overflow."""
_LARGEST_MODEL: Final = CELLS * (8 + 4 * DRAWS) + 4 * (ARMS * SIZE + joint_ridge.SIZE) * (2 + DRAWS) + 100 * MOST + (1 << 16)
_LARGEST_STATE: Final = (
    (CELLS * 4 * (5 + 2 * DRAWS) + 16 * ARMS * (len(_TRIANGLE[0]) + 2 * SIZE * (1 + DRAWS)) + 8 * MOST * (SAMPLE + 2))
    + LATEST * (4 * SIZE + 8 * (1 + DRAWS) + 12)
    + 16 * (len(_JOINT_TRIANGLE[0]) + 2 * joint_ridge.SIZE * (1 + DRAWS))
    + WINDOW * (4 * WIDTH * 4 + 28)
)


def dump_model(learner: Learner) -> bytes:
    """Write what Rank needs; the same state gives the same bytes."""
    model = learner.model()
    counts = np.isfinite(model.measures.edges).sum(axis=1)
    return npz.write(
        {
            npz.HEADER: np.array([FORMAT_VERSION, ENCODER_VERSION, model.learned, model.weights.shape[1], model.arm_weights.shape[1]]),
            "mixture": np.array([model.remembered, model.deviation, model.share, model.ridge, model.joint_share]),
            "cells": model.cells,
            "weights": model.weights,
            "arms": model.arms,
            "arm_weights": model.arm_weights,
            "joint_weights": model.joint_weights,
            "measured": model.measures.hashes,
            "sizes": model.measures.sizes,
            "quantiles": counts,
            "edges": model.measures.edges[np.isfinite(model.measures.edges)],
            "interactions": _code_points(model.interactions),
        },
        _MODEL,
    )


def load_model(data: bytes) -> Model:
    """Read what `dump_model` wrote: the same model that the dumped learner would give, prepared to score.

    Raises `NewerFormatError` for what a later release wrote and `UnreadableError` for anything else that is not as
    `dump_model` writes it; `load_learner` likewise.
    """
    arrays = _read(data, _MODEL, what="model", newest=FORMAT_VERSION, largest=_LARGEST_MODEL)
    _, learned, columns, arm_columns = _header(arrays, 5)
    _require({columns, arm_columns} <= {1, 1 + DRAWS})
    if arrays[npz.HEADER][0] == BEFORE_JOINT:
        arrays |= {"mixture": np.append(arrays["mixture"], 0.0), "joint_weights": no_joint().ravel()}
    _require(len(arrays["mixture"]) == 5 and len(arrays["joint_weights"]) in (joint_ridge.SIZE, (1 + DRAWS) * joint_ridge.SIZE))
    _check_cells(arrays["cells"], arrays["weights"], columns)
    _require(len(arrays["arms"]) <= ARMS and len(arrays["arm_weights"]) == (len(arrays["arms"]) + 1) * arm_columns * SIZE)
    remembered, deviation, share, ridge, joint_share = arrays["mixture"].tolist()
    _require(0.0 <= remembered <= learned and deviation >= 0.0 and ridge > 0.0)
    _require(0.0 <= share <= 1.0 and 0.0 <= joint_share <= 1.0 and share + joint_share <= 1.0 + _ROUNDING)
    model = Model(
        learned,
        remembered,
        deviation,
        share,
        ridge,
        arrays["cells"],
        arrays["weights"].reshape(-1, columns),
        arrays["arms"],
        arrays["arm_weights"].reshape(-1, arm_columns, SIZE),
        joint_share,
        arrays["joint_weights"].reshape(-1, joint_ridge.SIZE),
        _measures(arrays),
        _interactions(arrays),
    )
    model.prepare()
    return model


def dump_state(learner: Learner) -> bytes:
    """Write what a trainer needs to go on exactly where this learner stands; the same state gives the same bytes."""
    shared, losses, window, arms = learner.shared, learner.losses, learner.window, learner.local.arms
    met = np.flatnonzero(shared.met)
    columns = 2 + DRAWS if shared.is_open else 2
    samples = learner.samples.values
    sums, latest = [arm.steady for arm in arms.values() if arm.is_summed], learner.local.latest
    joint = (learner.joint.steady, learner.joint.recent) if learner.learned else ()  # a cold learner's is not worth its half megabyte
    return npz.write(
        {
            npz.HEADER: np.array([STATE_VERSION, ENCODER_VERSION, learner.learned, columns, columns - 1, shared.learned]),
            "sums": np.array([*losses.squared, losses.events, losses.lowest, losses.highest, shared.squares]),
            "sampled": np.array(list(samples), dtype=np.uint32),
            "counts": np.array([len(sample) for sample in samples.values()]),
            "values": np.array([value for sample in samples.values() for value in sample]),
            "context_hashes": window.context_hashes,
            "context_values": window.context_values,
            "contexts": np.diff(window.context_starts),
            "action_hashes": window.action_hashes,
            "action_values": window.action_values,
            "actions": np.diff(window.action_starts),
            "rewards": window.rewards,
            "cells": met,
            "weights": np.column_stack(shared.columns(met, draws=shared.is_open)),
            "anchors": np.column_stack([column.take(met) for column in shared.anchors.T[: columns - 1]]),
            "settled": shared.settled[met],
            "arms": np.array(list(arms), dtype=np.uint32),
            "seen": np.array([arm.seen for arm in arms.values()]),
            "arm_weights": _joined([arm.steady.weights for arm in arms.values()] + [arm.recent for arm in arms.values()]),
            "summed": np.array([arm.is_summed for arm in arms.values()]),
            "grams": _joined([each.gram.take(_PLACES) for each in sums]),
            "moments": _joined([each.moments for each in sums]),
            "rows": np.array([len(arm.rows) for arm in arms.values()]),
            "row_waves": _joined([arm.rows.waves for arm in arms.values()]),
            "row_targets": _joined([arm.rows.targets for arm in arms.values()]),
            "row_numbers": _joined([arm.rows.numbers for arm in arms.values()]),
            "latest": learner.local.latest_of,
            "latest_waves": latest.waves,
            "latest_targets": latest.targets,
            "latest_numbers": latest.numbers,
            "joint_grams": _joined([each.gram.take(_JOINT_PLACES) for each in joint]),
            "joint_moments": _joined([each.moments for each in joint]),
            "joint_weights": _joined([each.weights for each in joint]),
            "joint_waiting": np.array([learner.joint.waiting]),
            "interactions": _code_points(learner.interactions),
            "products": losses.products[_PAIRS],
            "promised": losses.promised,
            "missed": losses.missed,
            "begun": np.array([learner.begun]),
            "counts_of_events": np.zeros(0) if window.counts is None else window.counts,
            "rewarded": np.array([learner.rewarded]),
        },
        _STATE,
    )


def load_learner(data: bytes) -> Learner:
    """Read what `dump_state` wrote, to go on learning exactly where it stood."""
    arrays = _read(data, _STATE, what="state", newest=STATE_VERSION, largest=_LARGEST_STATE)
    _, learned, columns, anchor_columns, met = _header(arrays, 6)
    if arrays[npz.HEADER][0] == BEFORE_JOINT:
        arrays |= _without_joint(arrays["sums"], is_cold=not learned)
    if arrays[npz.HEADER][0] <= SINGLE:
        arrays |= _without_products(arrays["sums"]) | _without_rows(arrays)
    if arrays[npz.HEADER][0] <= BEFORE_REWARDED:
        arrays |= {"rewarded": np.zeros(1, dtype=np.int64)}
    _require(columns in (2, 2 + DRAWS) and anchor_columns == columns - 1 and len(arrays["sums"]) == MEMBERS + 4)
    sums = arrays["sums"].tolist()
    _check_sums(arrays, learned=learned, met=met)
    samples = _samples(arrays)
    learner = Learner(
        learned=learned,
        begun=_begun(arrays),
        rewarded=_rewarded(arrays),
        samples=samples,
        window=_window(arrays),
        shared=_shared(arrays, columns, squares=sums[-1], learned=met),
        local=_local(arrays),
        joint=_joint(arrays),
        losses=_losses(arrays),
        measures=samples.measures(),
        interactions=_interactions(arrays),
    )
    if arrays[npz.HEADER][0] <= SINGLE:
        learner.remember_window()
    return learner


def is_earlier(data: bytes) -> bool:
    """Tell whether an earlier release wrote this state."""
    return npz.version_of(data) in (BEFORE_JOINT, SINGLE, BEFORE_REWARDED)


def _check_sums(arrays: _Arrays, *, learned: int, met: int) -> None:
    """Demand what is true of every learner's numbers and keeps what is learned next finite."""
    *squared, events, lowest, highest, squares = arrays["sums"].tolist()
    _require(met <= learned <= _LARGEST_COUNT and len(arrays["rewards"]) <= learned)
    _require(min(*squared, events, squares) >= 0.0 and lowest <= 0.0 <= 1.0 <= highest)
    for name in ("seen", "summed", "row_numbers", "latest_numbers"):
        _require(bool((arrays[name] >= 0).all()) and bool((arrays[name] <= learned).all()))
    for name in ("weights", "anchors", "arm_weights", "joint_weights"):
        _require(bool((np.abs(arrays[name]) <= _LARGEST_WEIGHT).all()))
    for name in (
        "sums",
        "grams",
        "moments",
        "row_waves",
        "row_targets",
        "latest_waves",
        "latest_targets",
        "joint_grams",
        "joint_moments",
        "products",
    ):
        _require(bool((np.abs(arrays[name]) <= _LARGEST_SUM).all()))


def _header(arrays: _Arrays, length: int) -> list[int]:
    """Give what follows the format version: the encoder's version, the events learned, and more."""
    header: list[int] = arrays[npz.HEADER].tolist()
    _require(len(header) == length and min(header) >= 0)
    if header[1] > ENCODER_VERSION:
        raise NewerFormatError("model's encoder", found=header[1], known=ENCODER_VERSION)
    if header[1] != ENCODER_VERSION:
        raise UnreadableError(f"the model was written with encoder {header[1]}, this release uses encoder {ENCODER_VERSION}")
    return header[1:]


def _code_points(interactions: Interactions) -> npt.NDArray[np.uint32]:
    return np.array([ord(character) for character in interactions.text()], dtype=np.uint32)


def _interactions(arrays: _Arrays) -> Interactions:
    code_points = arrays["interactions"]
    _require(len(code_points) <= LONGEST and bool((code_points < _CODE_POINTS).all()))
    return Interactions.read("".join(map(chr, code_points.tolist())))


def _measures(arrays: _Arrays) -> Measures:
    features, sizes, counts, quantiles = arrays["measured"], arrays["sizes"], arrays["quantiles"], arrays["edges"]
    _require(len(features) == len(sizes) == len(counts) <= MOST and _ascends(features) and bool((sizes > 0.0).all()))
    _require(bool(np.isin(counts, [0, *range(3, EDGES + 1)]).all()) and counts.sum() == len(quantiles))
    edges = np.full((len(features), EDGES), np.inf)
    edges[np.arange(EDGES) < counts[:, None]] = quantiles
    pairs = (edges[:, 1:] > edges[:, :-1]) | np.isinf(edges[:, 1:])
    _require(bool(pairs.all()))
    return Measures(features, sizes, edges)


def _samples(arrays: _Arrays) -> Samples:
    features, counts, values = arrays["sampled"].tolist(), arrays["counts"], arrays["values"]
    _require(len(set(features)) == len(features) == len(counts) <= MOST and int(counts.sum()) == len(values))
    _require(bool(((counts > 0) & (counts <= SAMPLE)).all()) and bool((np.abs(values) <= LARGEST).all()))
    parts = np.split(values, np.cumsum(counts)[:-1]) if features else []
    return Samples({feature: part.tolist() for feature, part in zip(features, parts, strict=True)})


def _window(arrays: _Arrays) -> Batch:
    contexts, actions, rewards = (arrays[name] for name in ("contexts", "actions", "rewards"))
    _require(len(contexts) == len(actions) == len(rewards) <= WINDOW)
    _require(int(contexts.astype(np.int64) @ actions) <= WINDOW_CROSSES + WIDTH * WIDTH)
    for side, sizes in (("context", contexts), ("action", actions)):
        hashes, values = arrays[f"{side}_hashes"], arrays[f"{side}_values"]
        _require(bool(((sizes > 0) & (sizes <= WIDTH)).all()) and int(sizes.sum()) == len(hashes) == len(values))
        _require(bool((np.abs(values) <= LARGEST).all()))
    return Batch(
        arrays["context_hashes"],
        arrays["context_values"],
        _starts(contexts),
        arrays["action_hashes"],
        arrays["action_values"],
        _starts(actions),
        rewards,
        np.ones(len(rewards)),
        _counts(arrays, len(rewards)),
    )


def _counts(arrays: _Arrays, events: int) -> npt.NDArray[np.float64] | None:
    counts = arrays["counts_of_events"] if len(arrays.get("counts_of_events", ())) else None
    if counts is not None:
        _require(len(counts) == events and bool(((counts >= 1.0) & (counts <= LARGEST_WEIGHT)).all()))
    return counts


def _shared(arrays: _Arrays, columns: int, *, squares: float, learned: int) -> SharedRidge:
    cells, settled = arrays["cells"], arrays["settled"]
    _check_cells(cells, arrays["weights"], columns)
    _require(len(arrays["anchors"]) == len(cells) * (columns - 1) and len(settled) == len(cells) and bool((settled >= 0.0).all()))
    shared = SharedRidge(squares=squares, learned=learned)
    shared.met[cells] = True
    shared.weights[cells, :columns] = arrays["weights"].reshape(-1, columns)
    shared.anchors[cells, : columns - 1] = arrays["anchors"].reshape(-1, columns - 1)
    shared.settled[cells] = settled
    return shared


def _local(arrays: _Arrays) -> LocalRidge:
    arms, seen, summed = (arrays[name].tolist() for name in ("arms", "seen", "summed"))
    count, with_sums = len(arms), sum(map(bool, summed))
    _require(len(set(arms)) == count == len(seen) == len(summed) <= ARMS)
    _require(len(arrays["arm_weights"]) == 2 * count * SIZE * (1 + DRAWS))
    _require(len(arrays["grams"]) == with_sums * len(_TRIANGLE[0]) and len(arrays["moments"]) == with_sums * SIZE * (1 + DRAWS))
    steady, recent = arrays["arm_weights"].reshape(2, -1, SIZE, 1 + DRAWS)
    grams, moments = iter(arrays["grams"].reshape(-1, len(_TRIANGLE[0]))), iter(arrays["moments"].reshape(-1, SIZE, 1 + DRAWS))
    sums = [_sums(each, *((next(grams), next(moments)) if has_sums else ())) for each, has_sums in zip(steady, summed, strict=True)]
    of_arms = map(Arm, sums, recent, _rows(arrays, count), map(bool, summed), seen)
    return LocalRidge(dict(zip(arms, of_arms, strict=True)), *_latest(arrays))


def _sums(weights: Floats, *added: Floats) -> Sums:
    """Give an arm's sums, of the triangle and the moments of what was ``added``, if anything was."""
    if not added:
        return replace(Sums.none(SIZE), weights=weights)
    triangle, moments = added
    return Sums(_symmetric(triangle, SIZE, _TRIANGLE), moments.copy(), weights)


def _rows(arrays: _Arrays, arms: int) -> list[Rows]:
    counts = arrays["rows"]
    _require(len(counts) == arms and bool(((counts >= 0) & (counts < ROWS)).all()))
    rows, starts = _rows_in(arrays, "row", int(counts.sum())), _starts(counts)
    return [Rows(rows.waves[first:last], rows.targets[first:last], rows.numbers[first:last]) for first, last in pairwise(starts.tolist())]


def _latest(arrays: _Arrays) -> tuple[Rows, Hashes]:
    of, numbers = arrays["latest"], arrays["latest_numbers"]
    _require(len(of) <= LATEST and bool((numbers[1:] > numbers[:-1]).all()) and bool(np.isin(of, arrays["arms"]).all()))
    return _rows_in(arrays, "latest", len(of)), of


def _rows_in(arrays: _Arrays, name: str, count: int) -> Rows:
    waves, targets, numbers = (arrays[f"{name}_{part}"] for part in ("waves", "targets", "numbers"))
    _require(len(numbers) == count and len(waves) == count * SIZE and len(targets) == count * (1 + DRAWS))
    return Rows(waves.reshape(-1, SIZE), targets.reshape(-1, 1 + DRAWS), numbers)


def _joint(arrays: _Arrays) -> JointRidge:
    grams, waiting, size = arrays["joint_grams"], arrays["joint_waiting"].tolist(), joint_ridge.SIZE
    _require(len(waiting) == 1 and 0 <= waiting[0] <= arrays[npz.HEADER][2])
    if not arrays[npz.HEADER][2]:
        _require(not any(map(len, (grams, arrays["joint_moments"], arrays["joint_weights"]))))
        return JointRidge()
    _require(len(grams) == 2 * len(_JOINT_TRIANGLE[0]))
    _require(len(arrays["joint_moments"]) == len(arrays["joint_weights"]) == 2 * size * (1 + DRAWS))
    moments, weights = (arrays[name].reshape(2, size, 1 + DRAWS) for name in ("joint_moments", "joint_weights"))
    halves = [_symmetric(each, size, _JOINT_TRIANGLE) for each in np.split(grams, 2)]
    steady, recent = (Sums(*each) for each in zip(halves, moments.copy(), weights, strict=True))
    return JointRidge(steady, recent, waiting[0])


def _without_joint(sums: Floats, *, is_cold: bool) -> dict[str, npt.NDArray[Any]]:
    """Give what a state of a release without a joint part lacks: it has everything to learn, and is to be heard when it has."""
    size = 0 if is_cold else joint_ridge.SIZE
    _require(len(sums) == MEMBERS + 2)
    squared, others = sums[: MEMBERS - 2], sums[MEMBERS - 2 :]
    return {
        "sums": np.concatenate([squared, np.full(2, squared.max() + _UNHEARD), others]),
        "joint_grams": np.zeros(0 if is_cold else 2 * len(_JOINT_TRIANGLE[0])),
        "joint_moments": np.zeros(2 * size * (1 + DRAWS)),
        "joint_weights": np.zeros(2 * size * (1 + DRAWS)),
        "joint_waiting": np.zeros(1, dtype=np.int64),
    }


def _without_products(sums: Floats) -> dict[str, npt.NDArray[Any]]:
    """Give what a state lacks that knows single members: what they predict together is no better than the best of them does alone."""
    _require(len(sums) >= MEMBERS and bool((sums[:MEMBERS] >= 0.0).all()))
    roots = np.sqrt(sums[:MEMBERS])
    return {
        "products": np.outer(roots, roots)[_PAIRS],
        "promised": np.zeros(MEMBERS),
        "missed": np.zeros(MEMBERS),
        "begun": np.zeros(1, dtype=np.int64),
    }


def _losses(arrays: _Arrays) -> Losses:
    events, lowest, highest = arrays["sums"][MEMBERS:-1].tolist()
    return Losses(_products(arrays), *_promises(arrays), events, lowest, highest)


def _products(arrays: _Arrays) -> Floats:
    pairs, squared = arrays["products"], arrays["sums"][:MEMBERS]
    _require(len(pairs) == len(_PAIRS[0]))
    products = np.diag(squared)
    products[_PAIRS] = products.T[_PAIRS] = pairs
    bounds = np.sqrt(np.outer(squared, squared))
    _require(bool((np.abs(products) <= bounds * (1.0 + _ROUNDING) + _ROUNDING).all()))
    return products


def _promises(arrays: _Arrays) -> tuple[Floats, Floats]:
    promised, missed = arrays["promised"], arrays["missed"]
    _require(len(promised) == len(missed) == MEMBERS)
    _require(bool((promised >= 0.0).all()) and bool((np.abs([promised, missed]) <= _LARGEST_SUM).all()))
    return promised, missed


def _begun(arrays: _Arrays) -> int:
    begun: list[int] = arrays["begun"].tolist()
    _require(len(begun) == 1 and 0 <= begun[0] <= arrays[npz.HEADER][2])
    return begun[0]


def _rewarded(arrays: _Arrays) -> int:
    rewarded: list[int] = arrays["rewarded"].tolist()
    _require(len(rewarded) == 1 and 0 <= rewarded[0] <= min(arrays[npz.HEADER][2], KEPT_FROM))
    return rewarded[0]


def _without_rows(arrays: _Arrays) -> dict[str, npt.NDArray[Any]]:
    """Give what a state lacks in which all events of actions are summed, twice: all alike, and then as they have faded."""
    count = len(arrays["seen"])
    _require(len(arrays["grams"]) % 2 == len(arrays["moments"]) % 2 == 0)
    return {
        "grams": np.split(arrays["grams"], 2)[0],
        "moments": np.split(arrays["moments"], 2)[0],
        "summed": np.ones(count, dtype=np.int64),
        "rows": np.zeros(count, dtype=np.int32),
        "latest": np.zeros(0, dtype=np.uint32),
        **{f"{name}_waves": np.zeros(0, dtype=np.float32) for name in ("row", "latest")},
        **{f"{name}_targets": np.zeros(0) for name in ("row", "latest")},
        **{f"{name}_numbers": np.zeros(0, dtype=np.int64) for name in ("row", "latest")},
    }


def _read(data: bytes, members: Mapping[str, str], *, what: str, newest: int, largest: int) -> dict[str, npt.NDArray[Any]]:
    """Read any format up to the ``newest``; what an earlier one lacks is not there."""
    version = npz.version_of(data)
    since = {BEFORE_JOINT: _SINCE_SINGLE + _SINCE_JOINT, SINGLE: _SINCE_SINGLE, BEFORE_REWARDED: _SINCE_REWARDED}
    lacking = since.get(version) if version < newest else None
    if lacking is None:
        return npz.read(data, members, what=what, version=newest, largest=largest)
    earlier = {name: kind for name, kind in members.items() if name not in lacking}
    return npz.read(data, earlier, what=what, version=version, largest=largest)


def _symmetric(triangle: Floats, size: int, places: tuple[Positions, Positions]) -> Floats:
    full = np.zeros((size, size))
    full[places] = triangle
    full.T[places] = triangle
    return full


def _check_cells(cells: npt.NDArray[np.uint32], weights: npt.NDArray[np.float32], columns: int) -> None:
    _require(len(weights) == len(cells) * columns and _ascends(cells) and (not len(cells) or int(cells[-1]) < CELLS))


def _ascends(numbers: npt.NDArray[np.uint32]) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())


def _starts(sizes: npt.NDArray[np.int32]) -> Positions:
    return starts_of(sizes.astype(np.int64))


def _joined(parts: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    flat = [part.ravel() for part in parts]
    return np.concatenate(flat) if flat else np.zeros(0)


def _require(holds: bool) -> None:
    if not holds:
        raise UnreadableError("this is not a model, or a state, as this service writes it")
