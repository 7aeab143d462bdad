"""Each stored kind read by its own reader, without storage: what it comes to, in plain values that can be compared for ever."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np

from shared.domain.errors import UnreadableError
from shared.domain.events import Action, JoinedEvent, Situation
from shared.domain.ledger import Pointer
from shared.domain.lookback import Lookback, Seen
from shared.joining.chunks import ChunkName, decompressed
from shared.joining.reading import read_lines
from shared.learning import artifact, npz
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoders
from shared.learning.learner import Learner
from shared.learning.model import Mixture, Model, Parts
from shared.learning.policy import Policy
from shared.services.analysis.board import Board, Message, Standing, read_found
from shared.services.analysis.results import Found
from shared.services.figures.files import load
from shared.services.training.lessons import lessons
from shared.storage.loop_records import keys_in, read_record
from shared.storage.names import DayTable, Kind, RowName
from shared.storage.pointers import read_pointer
from shared.storage.provenance import read_provenance
from shared.storage.segments import decode_decisions, decode_observations
from tests.stored.account import blobs, messages, rows

Plain = dict[str, Any]


def segments(folder: Path, kind: Kind, decode: Callable[[Mapping[str, Any]], Sequence[Any]]) -> Plain:
    """Open the rows of all tables of a kind; of one that does not verify this is said."""
    found: Plain = {}
    for path in sorted((folder / "tables").glob("*.jsonl")):
        table = DayTable.parse(path.stem)
        if table is not None and table.kind is kind:
            found |= {f"{path.stem}/{row['RowKey']}": _opened(row, decode) for row in rows(path)}
    return found


def _opened(row: Mapping[str, Any], decode: Callable[[Mapping[str, Any]], Sequence[Any]]) -> Any:
    name = RowName.parse(row["RowKey"])
    head = {"sealed_at": plain(name.sealed_at), "count": name.count, "rewards": name.rewards}
    try:
        return {**head, "events": [plain(event) for event in decode(row)]}
    except UnreadableError:
        return {**head, "damaged": True}


def decisions(folder: Path) -> Plain:
    return segments(folder, Kind.DECISIONS, decode_decisions)


def observations(folder: Path) -> Plain:
    return segments(folder, Kind.OBSERVATIONS, decode_observations)


def chunks(folder: Path) -> Plain:
    return {
        name: {"parent": metadata.get("parent"), "events": [plain(event) for event in read_lines(decompressed(data))]}
        for name, metadata, data in _found(folder, "/log/")
    }


def states(folder: Path) -> Plain:
    """Load each learner; of what it has learned tell how it scores, then and after one more window."""
    return {name: _of_learner(folder, name, data) for name, _, data in _found(folder, "/states/")}


def models(folder: Path) -> Plain:
    return {name: _scored(artifact.load_model(data)) for name, _, data in _found(folder, "/models/")}


def provenances(folder: Path) -> Plain:
    return {name: plain(read_provenance(name, metadata)) for name, metadata, _ in _found(folder, "/models/")}


def pointers(folder: Path) -> Plain:
    return {name: _of_pointer(read_pointer(data)) for name, _, data in _found(folder, "/pointer.json")}


def _of_pointer(pointer: Pointer) -> Plain:
    """Tell each log's segments that were seen in one list: the first releases had their names alone."""
    found, lookback = plain(pointer), pointer.lookback
    if isinstance(lookback, Lookback):
        for log in ("decisions", "observations"):
            seen: Seen = getattr(lookback, log)
            found["lookback"][log] = [*sorted(seen.names), *plain(seen.runs)]
    return found  # type: ignore[no-any-return]  # what a dataclass comes to


def records(folder: Path) -> Plain:
    """Read the loops' records: settings and policy, tier, keys, lives, and what is still to be erased of those that ended."""
    found = {name: (name.split("/")[1], data) for name, _, data in _found(folder, "/configuration.json")}
    return {name: {"record": plain(read_record(loop, data)), "keys": plain(keys_in(data))} for name, (loop, data) in found.items()}


def figures(folder: Path) -> Plain:
    found: Plain = {}
    for name, _, data in _found(folder, "/figures/"):
        kept = load(data)
        activity = {each.name: plain(getattr(kept.timeline.activity, each.name)) for each in fields(kept.timeline.activity)}
        found[name] = {"since": plain(kept.since), "begins": plain(kept.timeline.begins), **activity}
    return found


def boards(folder: Path) -> Plain:
    return {name: plain(Board.read(data)) for name, _, data in _found(folder, "/board")}


def lanes(folder: Path) -> Plain:
    found = {name: Standing.read(data) for name, _, data in _found(folder, "/lane-")}
    return {
        name: {
            "step": standing.step,
            "chunks": standing.chunks,
            "is_over": standing.is_over,
            "counts": plain(asdict(standing.counts)),
            "slots": sorted(standing.sums),
            "learned": artifact.load_learner(standing.state).learned,
        }
        for name, standing in found.items()
    }


def reports(folder: Path) -> Plain:
    return {name: [_of_report(lane) for lane in read_found(data)] for name, _, data in _found(folder, "/report")}


def _of_report(lane: Found) -> Plain:
    return {"who": [each.name for each in lane.contenders], "slots": sorted(lane.sums)}


def queue(folder: Path) -> Plain:
    return {str(number): plain(Message.read(base64.b64decode(text))) for number, text in enumerate(messages(folder))}


KINDS: Final[Mapping[str, Callable[[Path], Plain]]] = {
    each.__name__: each
    for each in (decisions, observations, chunks, states, models, provenances, pointers, records, figures, boards, lanes, reports, queue)
}


def plain(value: Any) -> Any:
    """Give a value as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value) if each.compare}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    return (
        value.isoformat() if isinstance(value, datetime) else value if value is None or isinstance(value, str | int | float) else str(value)
    )


def _found(folder: Path, part: str) -> Iterator[tuple[str, Mapping[str, str], bytes]]:
    for blob in blobs(folder):
        if part in f"/{blob['name']}":
            yield blob["name"], blob["metadata"], (folder / blob["file"]).read_bytes()


def _of_learner(folder: Path, name: str, data: bytes) -> Plain:
    learner, model_of = artifact.load_learner(data), _as_then if npz.version_of(data) <= artifact.SINGLE else Learner.model
    before = {"learned": learner.learned, "interactions": learner.interactions.text(), **_scored(model_of(learner))}
    events = _one_window(folder, name.split("/")[1])
    learner.learn(lessons(events, Encoders().of(learner.interactions)))
    return {"before": before, "one window later": {"learned": learner.learned, **_scored(model_of(learner))}}


def _as_then(learner: Learner) -> Model:
    """Average the members as releases did whose states knew the errors of each alone: what each has learned is read as they read it."""
    shares = np.exp(-4.0 * (learner.losses.squared - learner.losses.squared.min()))
    shares /= shares.sum()
    shares[shares < 1e-3] = 0.0
    parts, mixture = Parts(learner.shared, learner.local, learner.joint), Mixture(*(shares / shares.sum()).tolist())
    model = Model.of(parts, learner.measures, mixture, learned=learner.learned, deviation=learner.losses.deviation())
    return replace(model, interactions=learner.interactions)


def _one_window(folder: Path, loop: str) -> list[JoinedEvent]:
    """Give the events of the loop's earliest chunk."""
    found = [(ChunkName.parse(name.partition("/log/")[2]).since, data) for name, _, data in _found(folder, f"/{loop}/log/")]
    return list(read_lines(decompressed(min(found)[1])))


def _scored(model: Model) -> Plain:
    """Tell what the model makes of two visitors."""
    policy = Policy(model, exploration_percentage=0.2, arguments=parse_arguments("--cb_explore_adf"))
    encoder = Encoders().of(model.interactions)
    scores: Plain = {"learned": model.learned}
    for visitor in ("young", "old"):
        encoded = encoder.encode(_situation(visitor))
        scores[visitor] = {"means": plain(model.scores(encoded).mean.astype(np.float64)) if not model.is_cold else []}
        scores[visitor]["probabilities"] = plain(policy.probabilities(encoded, (True,) * len(_ACTIONS)))
    return scores


_ACTIONS: Final = ("news", "sport", "weather")


def _situation(visitor: str) -> Situation:
    actions = tuple(Action(each, ({"article": {"topic": each, "length": number / 10}},)) for number, each in enumerate(_ACTIONS, 1))
    return Situation(context=({"user": {"kind": visitor, "age": 30}},), actions=actions)
