"""The joined log comes out as a table, a row each event or slot: as CSV, and as Parquet."""

import csv
import gzip
import io
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow.parquet
import pytest

from cli import table_files
from shared.domain.events import Action, Features, JoinedEvent, Proposal, Situation, SkipReason
from shared.domain.loop import LoopRecord
from shared.joining import csv_rows
from shared.joining.dsjson import line
from shared.joining.reading import read_lines
from shared.joining.rows import COLUMNS, Kind
from shared.storage.cold_log import FileColdLog
from shared.storage.loop_store import FileLoopStore
from shared.storage.ports import Storage
from tests.builders import T0, after, decision, observation
from tests.cli.running import run_async
from tests.stores import opened, settings_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "command-line.md").read_text("utf-8")
ODD = ('=HYPERLINK("http://x")', "-1+1", 'two\r\nlines, "quoted"; ü 漢', "@sum")
FORMULAS = ("=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠a")
NEXT_DAY = T0 + timedelta(days=1)


def asked(*ids: str) -> Situation:
    context: tuple[Features, ...] = ({"user": {"age": 30, "tags": ["a", "b"]}}, {"text": 'ü, "x"\n'})
    return Situation(context, tuple([Action(each, ({"topic": each}, {"length": 0.5})) for each in ids]))


EVENTS = (
    JoinedEvent(
        decision("plain", at=after(0.25), chosen=1, version="v1"),
        0.5,
        (observation("plain", 1.0, at=after(9)), observation("plain", -0.5, at=after(5))),
    ),
    JoinedEvent(decision(ODD[2], at=after(1), probabilities=(0.1, 0.2, 0.3, 0.4), chosen=0, asked=asked(*ODD)), -1.0),
    JoinedEvent(decision("put-off", at=after(2), deferred=True), 0.0, skip=SkipReason.NOT_ACTIVATED),
    JoinedEvent(decision("several", at=after(3), slot="top", probabilities=(0.0, 1.0), chosen=1), 1.0, pdrop=0.75),
    JoinedEvent(decision("several", at=after(3), slot="=side", probabilities=(0.5, 0.5)), 0.25),
    JoinedEvent(decision("tomorrow", at=NEXT_DAY, proposal=Proposal(1, 0.25, is_lesson=False), probabilities=(1.0, 0.0)), 0.75),
)  # fmt: skip


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    await FileLoopStore(account).write(LoopRecord("default", overrides={"log_retention_days": -1}), expected=None)
    yield account
    await account.close()


@pytest.fixture
async def events(account, storage, tmp_path) -> list[JoinedEvent]:
    """What is in the log: the events above."""
    file = tmp_path / "in.json"
    file.write_bytes(b"".join(map(line, EVENTS)))
    assert (await run_async("import", str(file), "--connection-string", storage)).code == 0
    log = FileColdLog(account, loop="default")
    return [event for name in await log.chain() for event in read_lines(await log.chunk(name))]


async def exported(storage: str, *arguments: str) -> bytes:
    done = await run_async("export", *arguments, environment=settings_of(storage))
    assert (done.code, done.errors) == (0, "")
    return done.output


def table(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


# --- csv -------------------------------------------------------------------------------------------------------------


async def test_each_event_and_each_slot_is_a_row_with_all_that_the_log_tells(storage, events):
    rows = table(await exported(storage, "--format", "csv"))
    assert [list(each) for each in rows] == [[column.name for column in COLUMNS]] * len(EVENTS)
    assert [(each["event_id"], each["slot"]) for each in rows] == [(each.decision.event_id, each.decision.slot) for each in events]
    plain, odd, put_off, first, second, tomorrow = rows
    assert plain | {"context": "", "action_features": ""} == {
        "timestamp": "2026-05-17T12:00:00.250000Z",
        "event_id": "plain",
        "slot": "",
        "mode": "Online",
        "model_version": "v1",
        "deferred": "false",
        "skipped": "",
        "weight": "1.0",
        "reward": "0.5",
        "rewards": "[1.0,-0.5]",
        "rewarded_at": "2026-05-17T12:00:05.000000Z",
        "action": "b",
        "action_number": "2",
        "probability": "0.25",
        "baseline_action": "a",
        "proposed_action": "",
        "proposed_probability": "",
        "actions": '["a","b"]',
        "probabilities": "[0.75,0.25]",
        "context": "",
        "action_features": "",
    }
    assert (odd["event_id"], odd["action"], orjson.loads(odd["actions"])) == (ODD[2], ODD[0], list(ODD))
    assert orjson.loads(odd["context"]) == list(asked().context)
    assert orjson.loads(odd["action_features"]) == [[{"topic": each}, {"length": 0.5}] for each in ODD]
    assert [each["weight"] for each in rows[1:]] == ["1.0", "1.0", "4.0", "1.0", "1.0"]
    assert (put_off["deferred"], put_off["skipped"]) == ("true", "notActivated")
    assert [(each["slot"], each["action"], each["baseline_action"]) for each in (first, second)] == [("top", "b", "b"), ("=side", "a", "a")]
    assert (tomorrow["proposed_action"], tomorrow["proposed_probability"]) == ("b", "0.25")


async def test_the_format_is_told_by_the_name_of_the_file_and_a_range_is_kept(storage, events, tmp_path):
    file, packed = tmp_path / "log.csv", tmp_path / "log.csv.gz"
    await exported(storage, "--out", str(file), "--until", "2026-05-18")
    await exported(storage, "--out", str(packed), "--since", "2026-05-18")
    assert len(table(file.read_bytes())) == len(EVENTS) - 1
    assert [each["event_id"] for each in table(gzip.decompress(packed.read_bytes()))] == ["tomorrow"]
    assert (await exported(storage, "--out", "-", "--until", "2026-05-18", "--format", "csv")) == file.read_bytes()
    dsjson = tmp_path / "really.csv"
    await exported(storage, "--out", str(dsjson), "--format", "dsjson")
    assert len(list(read_lines(dsjson.read_bytes()))) == len(EVENTS)


async def test_a_folder_gets_a_table_a_day_each_with_its_header(storage, events, tmp_path):
    await exported(storage, "--out", f"{tmp_path}/days/", "--format", "csv")
    await exported(storage, "--out", f"{tmp_path}/days/", "--format", "csv", "--no-gzip")
    texts = [(tmp_path / "days" / f"2026-05-{day}.csv").read_bytes() for day in (17, 18)]
    assert [len(table(text)) for text in texts] == [len(EVENTS) - 1, 1]
    assert [gzip.decompress((tmp_path / "days" / f"2026-05-{day}.csv.gz").read_bytes()) for day in (17, 18)] == texts


async def test_for_a_spreadsheet_no_text_is_a_formula_and_without_it_none_is_changed(storage, events):
    rows = table(await exported(storage, "--format", "csv", "--spreadsheet"))
    assert (rows[1]["action"], rows[1]["baseline_action"], rows[4]["slot"]) == (f"'{ODD[0]}", f"'{ODD[0]}", "'=side")
    assert not [cell for row in rows for name, cell in row.items() if cell.startswith(("=", "+", "@", "\t", "\r"))]
    assert [row["reward"] for row in rows if row["reward"].startswith("-")] == ["-1.0"]  # a number is no formula
    cell = csv_rows.CsvText(for_spreadsheets=True)._cell
    assert [cell(Kind.TEXT, each) for each in (*FORMULAS, "a=1", "")] == [*(f"'{each}" for each in FORMULAS), "a=1", ""]
    assert table(await exported(storage, "--format", "csv"))[4]["slot"] == "=side"


@pytest.mark.parametrize("name", ["empty.csv", "empty.csv.gz", "empty.parquet"])
async def test_a_table_without_rows_has_its_columns(storage, account, tmp_path, name):
    file = tmp_path / name
    await exported(storage, "--out", str(file))
    if name.endswith("parquet"):
        found, names = pyarrow.parquet.read_table(file), [column.name for column in COLUMNS]
        assert (found.num_rows, found.column_names) == (0, names)
    else:
        text = gzip.decompress(file.read_bytes()) if name.endswith("gz") else file.read_bytes()
        assert text.decode() == ",".join(column.name for column in COLUMNS) + "\r\n"
    told = await run_async("export", "--out", str(file), "--json", environment=settings_of(storage))
    assert told.json == {"events": 0, "files": [str(file)]}


# --- parquet ---------------------------------------------------------------------------------------------------------


async def test_parquet_holds_the_same_rows_with_types(storage, events, tmp_path):
    await exported(storage, "--out", str(tmp_path / "log.parquet"))
    found = pyarrow.parquet.read_table(tmp_path / "log.parquet").to_pylist()
    texts = table(await exported(storage, "--format", "csv"))
    kinds = {column.name: column.kind for column in COLUMNS}
    for row, text in zip(found, texts, strict=True):
        assert {name: csv_rows.written(kinds[name], value) for name, value in row.items()} == text
    assert found[0]["timestamp"] == datetime(2026, 5, 17, 12, 0, 0, 250_000, tzinfo=UTC)
    assert (found[0]["rewards"], found[0]["action_number"], found[0]["deferred"], found[0]["slot"]) == ([1.0, -0.5], 2, False, None)


async def test_days_are_files_of_their_own_and_few_are_open_at_a_time(storage, account, tmp_path, monkeypatch):
    """Events that come back to a day whose file is closed go to a further file of it."""
    monkeypatch.setattr(table_files, "_OPEN_FILES", 2)
    monkeypatch.setattr(csv_rows, "_ROWS", 2)
    days = [0, 1, 2, 0, 0, 0, 2, 0]
    moved = [JoinedEvent(decision(str(number), at=T0 + timedelta(days=day)), 0.0) for number, day in enumerate(days)]
    (tmp_path / "in.json").write_bytes(b"".join(map(line, moved)))
    await run_async("import", str(tmp_path / "in.json"), "--connection-string", storage)
    await exported(storage, "--out", f"{tmp_path}/days/", "--format", "parquet")
    files = sorted((tmp_path / "days").iterdir())
    assert [file.name for file in files] == [f"2026-05-{name}.parquet" for name in ("17-2", "17", "18", "19")]
    ids = {file.name: pyarrow.parquet.read_table(file)["event_id"].to_pylist() for file in files}
    assert sorted(each for many in ids.values() for each in many) == [str(number) for number in range(len(days))]
    assert ids["2026-05-17.parquet"] == ["0"]


async def test_without_pyarrow_the_command_says_what_to_install(storage, events, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    told = (await run_async("export", "--out", str(tmp_path / "x.parquet"), environment=settings_of(storage))).told
    assert "pip install -r requirements/parquet.txt" in told
    assert not [file for file in tmp_path.iterdir() if "x.parquet" in file.name]
    assert table(await exported(storage, "--format", "csv"))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--format", "parquet"], "--out"),
        (["--format", "parquet", "--out", "x.gz"], ".gz"),
        (["--out", "x.parquet.gz"], "without .gz"),
        (["--out", "X.PARQUET.GZ"], "without .gz"),
        (["--format", "xlsx"], "'xlsx'"),
        (["--spreadsheet"], "for CSV"),
        (["--spreadsheet", "--out", "x.parquet"], "for CSV"),
    ],
)
async def test_what_cannot_be_is_told_before_anything_is_read(arguments, names):
    assert names in (await run_async("export", *arguments)).told


async def test_a_table_that_is_not_whole_does_not_appear(storage, account, events, tmp_path, monkeypatch):
    monkeypatch.setattr("shared.joining.rows._rewards", lambda event: 1 / 0 if event.decision.event_id == "tomorrow" else [])
    for name in ("log.csv", "log.parquet"):
        with pytest.raises(ZeroDivisionError):
            await run_async("export", "--out", str(tmp_path / name), environment=settings_of(storage))
    assert [file.name for file in tmp_path.iterdir()] == ["in.json"]


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_has_the_table_of_the_columns():
    told = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|$", PAGE, re.MULTILINE)
    assert [(name, kind) for name, kind, _ in told] == [(column.name, column.kind) for column in COLUMNS]
    assert [meaning for _, _, meaning in told] == [column.meaning for column in COLUMNS]


def test_an_action_that_had_no_probability_is_no_baseline():
    of = next(column.of for column in COLUMNS if column.name == "baseline_action")
    event = JoinedEvent(decision(probabilities=(0.0, 0.5, 0.5), chosen=1), 0.0)
    three = asked("x", "y", "z")
    assert [of(event, replace(three, baseline_id=each)) for each in ("", "x", "z")] == ["y", "y", "z"]
    assert {column.kind for column in COLUMNS} == set(Kind)
