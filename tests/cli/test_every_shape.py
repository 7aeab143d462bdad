"""One folder with every kind of file and line that people have: what became of each is told, and what can be learned is."""

import gzip
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from shared.domain.events import JoinedEvent, LearningMode, SkipReason
from shared.domain.loop import LoopRecord
from shared.joining.reading import read_lines
from shared.storage.cold_log import FileColdLog
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from tests.cli.running import run, run_async
from tests.joining import binary_logs
from tests.joining.test_foreign import NAMESPACES, PERSONALIZER, SLOTS, without
from tests.joining.test_lenient import CONTINUOUS, GUID
from tests.joining.test_runs import imitating, of_slots, switched
from tests.keeping import pointer_of, replayed
from tests.stores import opened, settings_of


@dataclass(frozen=True)
class Shape:
    """A file, and what becomes of its lines: each of ``why`` is a part of a reason that is told of it."""

    data: bytes
    read: int = 0
    skipped: int = 0
    refused: int = 0
    why: tuple[str, ...] = ()


def lines(name: str, told: Iterable[dict[str, Any]]) -> bytes:
    """Write lines with event ids of their own, unless they have some or None."""
    return b"".join(orjson.dumps({"EventId": f"{name}-{number}", **each}) + b"\n" for number, each in enumerate(told))


def several(line: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    return [{**without(line, "EventId"), **changes}] * 3


TWINS = {**NAMESPACES["c"], "_multi": [{**each, "_tag": "same"} for each in NAMESPACES["c"]["_multi"]]}
UNNAMED = {**SLOTS["c"], "_slots": [{"sj": [{"size": "large"}]}, {"sj": [{"size": "small"}]}, {}]}
FRESH = [{**each, "_id": f"{GUID}{number}"} for number, each in enumerate(SLOTS["_outcomes"])]
INDENTED = orjson.dumps(PERSONALIZER, option=orjson.OPT_INDENT_2)
DANGLING: dict[str, Any] = {"Timestamp": "2023-05-17T08:30:00Z", "EnqueuedTimeUtc": "2023-05-17T09:30:00Z", "EventId": "gone"}

SHAPES: dict[str, Shape] = {
    # read as they are
    "20230517000000/data/2023/05/17_0000000000.json": Shape(lines("azure", several(PERSONALIZER)), read=3),
    "data/18_0.json.gz": Shape(gzip.compress(lines("packed", several(PERSONALIZER))), read=3),
    "data/marked.json": Shape(b"\xef\xbb\xbf" + lines("marked", several(PERSONALIZER)).replace(b"\n", b"\r\n"), read=3),
    "vw/namespaces.dat": Shape(lines("vw", several(NAMESPACES)), read=3),
    "slots/named.json": Shape(lines("slots", several(SLOTS)), read=3),
    "slots/by-place.json": Shape(lines("places", several(SLOTS, c=UNNAMED, _outcomes=FRESH)), read=3),
    "joined.fb": Shape(
        binary_logs.log(*[binary_logs.events(binary_logs.cb(f"b{n}"), binary_logs.reward(0.5, f"b{n}")) for n in range(3)]), read=3
    ),
    "joined.log.gz": Shape(
        gzip.compress(binary_logs.log(binary_logs.events(binary_logs.ccb("c"), binary_logs.reward(1.0, "c", of=0)))), read=1
    ),
    # read by what they mean
    "apprentice/one.json": Shape(lines("apprentice", [imitating(1, -5.0), imitating(2, -2.0)]), read=2),
    "apprentice/slots.json": Shape(lines("own", [without(of_slots(0, 1), "EventId"), without(of_slots(1, 2), "EventId")]), read=2),
    "from-zero.json": Shape(lines("zero", several(PERSONALIZER, a=[0, 1], p=[0.2, 0.8])), read=3),
    "observations.json": Shape(lines("observations", several(PERSONALIZER, o=[1.0], VWState={"m": None}, _label_Action=2.0)), read=3),
    "numbers.json": Shape(lines("numbers", [{**PERSONALIZER, "EventId": number} for number in range(3)]), read=3),
    "twins.json": Shape(lines("twins", several(NAMESPACES, c=TWINS)), read=3, why=("all but the first are named by their place",)),
    "rounded.json": Shape(
        lines("rounded", several(NAMESPACES, p=[0.33] * 3, _label_probability=0.33)), read=3, why=("rounded are divided by their sum",)
    ),
    "deferred.json": Shape(lines("deferred", several(PERSONALIZER, _deferred=True)), read=3),
    "thinned.json": Shape(lines("thinned", several(PERSONALIZER, pdrop=0.9)), read=3),
    "capped.json": Shape(
        lines("capped", several(PERSONALIZER, _original_label_cost=-2.0)), read=3, why=("the observed cost (_original_label_cost)",)
    ),
    "put-together.json": Shape(lines("together", several(PERSONALIZER)).replace(b"}\n{", b"},{", 1).replace(b"}\n", b"} ,\n"), read=3),
    "switched.json": Shape(lines("switched", [each for part in switched(25, 5) for each in part]), read=30),
    # passed over
    "20230517000000/checkpoint/current.dat": Shape(b"\x06\0\0\x009.8.0\0" + bytes(range(256)) * 9, skipped=1, why=("a model",)),
    "20230517000000/checkpoint/storage-checkpoint.json": Shape(b'{"BlockPosition":{"BlobName":"x"}}', skipped=1, why=("no event",)),
    "exported-models/current": Shape(b"\x07\0\0\x008.11.0\0" + bytes(range(256)) * 9, skipped=1, why=("a model",)),
    "model/metrics.json": Shape(b'{\n  "total_predict_calls": 23\n}', skipped=1, why=("no event",)),
    "bracketed.json": Shape(b'[{"Item1":"x"}]\n' + lines("bracketed", several(PERSONALIZER)), read=3, skipped=1, why=("begins with [",)),
    # refused, each for one reason
    "array.json": Shape(b"[" + b",\n".join([orjson.dumps(PERSONALIZER)] * 9) + b"]", refused=1, why=("a JSON array",)),
    "indented.json": Shape(INDENTED + b"\n" + INDENTED, refused=1, why=("indented JSON",)),
    "utf-16.json": Shape(lines("wide", several(PERSONALIZER)).decode().encode("utf-16"), refused=1, why=("UTF-16",)),
    "archive.zip": Shape(b"PK\x03\x04" + bytes(range(256)) * 9, refused=1, why=("a zip archive",)),
    "never-kept.json": Shape(lines("never", several(PERSONALIZER, pdrop=1)), refused=3, why=("less than 1",)),
    "untold.json": Shape(
        lines("untold", several(without(PERSONALIZER, "p", "_label_probability"))),
        refused=3,
        why=("--probability VALUE or --mode LoggingOnly",),
    ),
    "continuous.json": Shape(lines("continuous", several(CONTINUOUS)), refused=3, why=("_label_ca",)),
    "slates.json": Shape(lines("slates", several(PERSONALIZER, c={"_multi": [{"_slot_id": 0}]})), refused=3, why=("slates",)),
    "20230517000000/checkpoint/notes": Shape(b"<ModelCheckpoint/>\n<more/>", skipped=1, why=("beside its logs",)),
    "text.vw": Shape(b"shared |User id=a\n0:-1:0.5 |Action topic=b\n|Action topic=c\n", refused=3, why=("own text format",)),
    "dangling.json": Shape(
        lines("dangling", [DANGLING, {**DANGLING, "RewardValue": 1.0}]) + lines("kept", several(PERSONALIZER)),
        read=3,
        refused=2,
        why=("a reward without its decision",),
    ),
    "numbers-that-are-none.json": Shape(
        lines("none", several(PERSONALIZER)).replace(b"21.5", b"NaN", 1), read=2, refused=1, why=("NaN at degrees",)
    ),
    "damaged.json": Shape(lines("damaged", several(PERSONALIZER)) + b'{"_label_cost":-1,"c":{"_mul', read=3, refused=1, why=("truncated",)),
    "cut.json.gz": Shape(gzip.compress(lines("cut", several(PERSONALIZER)))[:-9], read=3, refused=1, why=("cut off",)),
}

READ = sum(shape.read for shape in SHAPES.values())
NOT_LEARNED = 3
OF_SLOTS = {"slots/named.json": 2, "slots/by-place.json": 2, "joined.log.gz": 2, "apprentice/slots.json": 2}
EVENTS = sum(shape.read * OF_SLOTS.get(name, 1) for name, shape in SHAPES.items())


@pytest.fixture
def folder(tmp_path):
    for name, shape in SHAPES.items():
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(shape.data)
    return tmp_path / "logs"


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    await FileLoopStore(account).write(LoopRecord("default", overrides={"log_retention_days": -1}), expected=None)
    yield account
    await account.close()


async def events_of(account: Storage) -> list[JoinedEvent]:
    log = FileColdLog(account, loop="default")
    return [event for name in await log.chain() for event in read_lines(await log.chunk(name))]


async def test_a_folder_of_every_shape_is_imported_told_of_file_by_file_and_learned(account, storage, folder):
    done = await run_async("import", str(folder), "--connection-string", storage)
    assert (done.code, done.errors) == (0, "")
    table = done.text.partition("\nfile ")[2].splitlines()[1:]
    rows = {row.split()[0].removeprefix(f"{folder}/"): row for row in table if row.startswith(str(folder))}
    assert set(rows) == set(SHAPES)
    for name, shape in SHAPES.items():
        row = rows[name]
        assert row.split()[1:4] == [str(shape.read), str(shape.skipped), str(shape.refused)], row
        assert all(why in row for why in shape.why), row
    found = await events_of(account)
    assert len(found) == EVENTS
    assert "The figures of Apprentice mode count each once." in done.text
    assert [event.skip for event in found if event.skip] == [SkipReason.NOT_ACTIVATED] * NOT_LEARNED
    assert sum(event.decision.mode is LearningMode.APPRENTICE for event in found) == 2 + 4 + 25
    pointer = await pointer_of(account, "default")
    assert pointer.learned == EVENTS - NOT_LEARNED
    assert pointer.version in await replayed(account, "default")


async def test_a_program_reads_the_same_and_a_second_time_nothing_is_new(account, storage, folder):
    environment = settings_of(storage)
    told = (await run_async("import", str(folder), "--json", environment=environment)).json
    assert (told["files"], told["events"]) == (len(SHAPES), EVENTS)
    assert told["malformed"] == sum(shape.refused for shape in SHAPES.values())
    assert told["skipped"] == NOT_LEARNED
    assert told["passed_over"] == sum(shape.skipped for shape in SHAPES.values())
    for fate in told["fates"]:
        shape = SHAPES[fate["file"].removeprefix(f"{folder}/")]
        assert (fate["read"], fate["skipped"], fate["refused"]) == (shape.read, shape.skipped, shape.refused)
        assert len(fate["remarks"]) == len(shape.why)
    again = (await run_async("import", str(folder), "--json", environment=environment)).json
    assert (again["events"], again["repeated"], again["malformed"]) == (0, EVENTS, told["malformed"])


def test_the_same_folder_is_surveyed_and_evaluated_without_any_service(folder):
    found = run("stats", str(folder), "--json").json
    assert (found["events"], found["read"]["malformed"]) == (EVENTS, sum(shape.refused for shape in SHAPES.values()))
    assert found["slots"].keys() >= {"top", "side", "0", "1"}
    assert all(GUID not in slot for slot in found["slots"])
    assert run("evaluate", str(folder), "--json").json["events"] == EVENTS
