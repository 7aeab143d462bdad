"""What there is of a loop and in a file, counted."""

import asyncio
import gzip
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from shared.domain.loop import LoopRecord
from shared.joining.dsjson import line
from shared.storage.loop_store import FileLoopStore
from tests.cli.running import run
from tests.joining.test_foreign import NAMESPACES, PERSONALIZER, SLOTS
from tests.reliability.world import FIRST, SECOND, trainer, write_log
from tests.services.analysis.logs import drawn
from tests.services.importing.test_importer import log_of
from tests.stores import opened, settings_of

LONG_AGO = datetime(2023, 5, 17, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "log.json.gz"
    skipped = orjson.dumps({**PERSONALIZER, "_skipLearn": True, "EventId": "skipped"})
    lines = [log_of(10), b"nonsense\n", orjson.dumps(SLOTS), b"\n", orjson.dumps({**NAMESPACES, "_label_cost": 2}), b"\n", skipped]
    file.write_bytes(gzip.compress(b"".join(lines)))
    return file


def test_a_files_events_actions_features_and_rewards_are_counted_without_any_service(log):
    found = run("stats", str(log), "--json").json
    assert (found["events"], found["learned"], found["read"]["malformed"]) == (14, 13, 1)
    assert found["skipped"] == {"loggingOnly": 1}
    assert found["slots"] == {"top": 1, "side": 1}
    assert (found["least"], found["most"], found["averageReward"]) == (-2.0, 1.0, pytest.approx((5 + 1 - 2) / 13))
    assert found["actions"]["ice-cream"] == {"offered": 11, "chosen": 6, "rewarded": 5.0, "learned": 5, "average": 1.0}
    assert found["context"]["timeOfDay"] == found["context"]["weather.degrees"] == 11
    assert "_id" not in found["context"]
    assert found["features"]["nutrition.calories"] == 11
    assert found["read"]["told"][0]["line"] == 11


def test_a_person_reads_them_as_tables(log):
    done = run("stats", str(log))
    assert (done.code, done.errors) == (0, "")
    for told in ("learnable", "ice-cream", "weather.degrees", "not a line of dsjson", "-2 to 1"):
        assert told in done.text


def test_a_file_without_an_event_is_told_and_the_answer_is_no(tmp_path):
    file = tmp_path / "junk"
    file.write_bytes(b"junk\n" * 30)
    done = run("stats", str(file))
    assert (done.code, "1  30 lines: not a line of dsjson" in done.text) == (1, True)


def test_a_loops_counters_log_and_models_are_those_of_its_status(storage):
    async def learn() -> object:
        account = opened(storage)
        counters = await write_log(account)
        for at in (FIRST, SECOND):
            await trainer(account, at, store="default").run()
        await account.close()
        return counters

    counters = asyncio.run(learn())
    environment = settings_of(storage)
    found = run("stats", "--json", environment=environment).json
    told = found["counters"]
    assert (told["learned"], told["skipped"], told["lateRewards"]) == (counters.learned, counters.skipped, counters.late_rewards)  # type: ignore[attr-defined]
    assert told["ranked"] == told["learned"] + sum(told["skipped"].values()) + told["pending"]
    assert found["log"]["chunks"] == 2
    assert found["log"]["bytes"] > 1_000
    assert found["models"][0]["version"] == found["publishedModelVersion"]
    shown = run("stats", environment=environment)
    assert (shown.code, found["publishedModelVersion"] in shown.text) == (0, True)
    assert "there is no loop" in run("stats", "--loop", "nobody", environment=environment).told
    assert "connection string" in run("stats", "--connection-string", "nonsense=1").told
    assert "there is no store in" in run("stats", "--storage", "nonsense").told


def test_of_a_loop_with_an_imported_log_it_says_what_the_model_knows(storage, tmp_path):
    file = tmp_path / "log.json"
    file.write_bytes(b"".join(map(line, drawn(30, first=datetime.now(UTC) - timedelta(days=1)))))

    async def begin() -> None:
        account = opened(storage)
        await FileLoopStore(account).write(LoopRecord("default"), expected=None)
        await account.close()

    asyncio.run(begin())
    environment = settings_of(storage)
    assert run("import", str(file), environment=environment).code == 0
    found = run("stats", "--json", environment=environment).json
    assert (found["publishedModelLearned"], found["importedEvents"], found["counters"]["learned"]) == (30, 30, 0)
    shown = " ".join(run("stats", environment=environment).text.split())
    assert "the model knows 30 events imported 30 events ranked 0" in shown


def test_files_are_read_in_the_order_that_is_asked_for(tmp_path):
    first, second = tmp_path / "b.json", tmp_path / "a.json"
    first.write_bytes(b"".join(map(line, drawn(3, first=LONG_AGO))))
    second.write_bytes(b"".join(map(line, drawn(5, seed=2, first=LONG_AGO))))
    found = run("stats", str(first), str(second), "--json").json
    assert (found["events"], found["read"]["files"]) == (8, 2)


def test_nothing_in_a_log_controls_the_terminal(tmp_path):
    wild = "\x1b[2J\x07[bold]:apple:\u202e\nnext"
    c = {"FromUrl": [{wild: 1}], "_multi": [{"_tag": wild}, {"_tag": "b"}]}
    (tmp_path / f"log{wild[0]}.json").write_bytes(orjson.dumps({**PERSONALIZER, "c": c}) + b"\n{\x1b]0;title\x07\n")
    done = run("stats", str(tmp_path))
    assert done.code == 0
    assert not set(done.text) & {"\x1b", "\x07", "\u202e"}
    assert done.text.count("\\x1b[2J\\x07[bold]:apple:\\u202e\\nnext") == 2
    assert "\x1b" not in run("stats", "no\x1b[2Jsuch").told
