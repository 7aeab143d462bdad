"""Policies valued on a log: with no service at all, or on a loop's own; the better one is found, and a picture drawn."""

import asyncio
import gzip
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from shared.domain.loop import LoopRecord
from shared.joining.dsjson import line
from shared.storage.loop_store import FileLoopStore
from tests.cli.running import run
from tests.joining.test_foreign import PERSONALIZER
from tests.joining.test_runs import imitating
from tests.services.analysis.logs import BEST, FIRST, RANDOM, drawn
from tests.stores import opened, settings_of

T0 = datetime(2023, 5, 18, 12, tzinfo=UTC)
POLICIES = ("--policy", "greedy=--cb_explore_adf", "--policy", "square=--cb_explore_adf --squarecb --coin", "--exploration", "0.05")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Two thousand decisions, a third of a minute apart, drawn nearly evenly; the last lines are broken, and thinned."""
    file = tmp_path_factory.mktemp("logs") / "log.json"
    events = drawn(2_000, every=20.0, first=T0)
    thinned = orjson.dumps({**PERSONALIZER, "pdrop": 0.5, "EventId": "thinned"})
    file.write_bytes(b"".join(map(line, events)) + b"{broken\n" + thinned + b"\n")
    return file


@pytest.fixture(scope="module")
def evaluated(log):
    return run("evaluate", str(log), *POLICIES, "--all", "--json", "--since", "2023-05-18").json


def test_the_planted_policy_is_found_and_the_known_ones_are_what_they_are(evaluated):
    found = {policy["name"]: policy for policy in evaluated["policies"]}
    assert list(found) == ["online", "baseline1", "random", "greedy", "square"]
    for name, truth in (("baseline1", FIRST), ("random", RANDOM)):
        assert found[name]["estimate"] == pytest.approx(truth, abs=0.06), name
        low, high = found[name]["anytimeInterval"]
        assert low <= truth <= high
    assert found["greedy"]["estimate"] > BEST - 0.1
    assert found["greedy"]["interval"][0] > found["online"]["interval"][1]
    assert all(policy["isSound"] for policy in found.values())
    assert found["online"]["effectiveRounds"] == pytest.approx(2_000)
    assert (evaluated["events"], evaluated["malformed"], evaluated["thinned"]) == (2_000, 1, 1)


def test_every_estimator_and_a_series_are_told_on_demand(evaluated, log):
    greedy = next(policy for policy in evaluated["policies"] if policy["name"] == "greedy")
    assert {"ips", "snips", "dm", "dr", "sndr", "mle", "cressie_read", "calibrated_dr", "switch_dr", "dr_os"} <= set(greedy["estimates"])
    assert greedy["series"][-1]["estimate"] == pytest.approx(greedy["estimate"])
    assert greedy["series"][-1]["anytimeInterval"] == pytest.approx(greedy["anytimeInterval"])
    widths = [high - low for low, high in (point["anytimeInterval"] for point in greedy["series"])]
    assert widths[-1] < widths[0]
    short = run("evaluate", str(log), "--json")
    assert "estimates" not in short.json["policies"][0]


def test_a_person_reads_a_table_with_warnings(log):
    done = run("evaluate", str(log), *POLICIES, "--all")
    assert (done.code, done.errors) == (0, "")
    assert "1 of 2,002 lines could not be read" in done.text
    assert "1 / (1 - pdrop) times" in done.text
    names = [row.split()[0] for row in done.text.splitlines() if row.strip()]
    assert {"policy", "greedy", "what", "the", "chance", "calibrated_dr", "anytime"} <= set(names)
    assert "“greedy” earns more than what was shown by 0." in done.text or "“square” earns more than what was shown by 0." in done.text
    assert "sure at 95 %." in done.text
    assert "square: taken without effect: --coin" in done.text.splitlines()


def test_what_is_without_effect_in_a_policy_is_told(evaluated):
    assert {each["name"]: each["withoutEffect"] for each in evaluated["policies"] if each["withoutEffect"]} == {"square": ["--coin"]}


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_picture_is_drawn_and_is_the_same_again(log, tmp_path, kind):
    pictures = [tmp_path / f"{number}.{kind}" for number in (1, 2)]
    for picture in pictures:
        assert run("evaluate", str(log), "--plot", str(picture), "--until", "2023-05-18T14:00").code == 0
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second
    assert first[:8] == b"\x89PNG\r\n\x1a\n" if kind == "png" else first.startswith(b"<?xml")
    assert len(first) > 10_000


def test_only_what_was_decided_in_the_range_counts(log):
    until = (T0 + timedelta(seconds=20 * 300)).isoformat()
    done = run("evaluate", str(log), "--since", T0.isoformat(), "--until", until, "--json")
    assert {policy["rounds"] for policy in done.json["policies"]} == {300}
    alone = run("evaluate", str(log), "--since", "2023-05-18T12:00", "--until", "2023-05-18T12:10", "--plot", "/nowhere/x.png")
    assert "/nowhere/x.png" in alone.told


def test_where_nothing_was_left_to_chance_there_is_nothing_to_compare(tmp_path):
    file = tmp_path / "log.json"
    file.write_bytes(orjson.dumps({**PERSONALIZER, "_skipLearn": True}))
    done = run("evaluate", str(file))
    assert (done.code, "cannot be compared" in done.text) == (1, True)
    assert run("evaluate", str(file), "--json").json["policies"] == []


def test_lines_that_stand_for_others_count_as_many(tmp_path):
    file = tmp_path / "thinned.json"
    lines = [{**PERSONALIZER, "EventId": "a", "_label_cost": -1.0, "pdrop": 0.9, "o": []}, {**PERSONALIZER, "_label_cost": 0.0, "o": []}]
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    told = run("evaluate", str(file), "--json").json
    online = told["policies"][0]
    assert (online["estimate"], online["rounds"]) == (pytest.approx(10 / 11), 11)
    assert "1 / (1 - pdrop)" in str(told["warnings"])
    surveyed = run("stats", str(file), "--json").json
    assert surveyed["averageReward"] == surveyed["actions"]["ice-cream"]["average"] == pytest.approx(10 / 11)


def test_a_copy_of_a_file_counts_once_and_a_later_event_of_the_same_id_for_itself(tmp_path):
    line = {**PERSONALIZER, "Timestamp": "2023-05-17T08:30:00Z"}
    told = orjson.dumps(line) + b"\n" + orjson.dumps({**line, "Timestamp": "2023-06-17T08:30:00Z"}) + b"\n"
    (tmp_path / "17.json").write_bytes(told)
    (tmp_path / "17.json.gz").write_bytes(gzip.compress(told))
    found = run("evaluate", str(tmp_path), "--json").json
    assert (found["events"], found["repeated"]) == (2, 2)
    assert run("evaluate", str(tmp_path)).text.startswith("2 events came twice, with the same reward")
    counted = run("stats", str(tmp_path), "--json").json
    assert (counted["events"], counted["repeated"], counted["read"]["lines"]) == (2, 2, 4)


def test_events_of_apprentice_mode_are_no_evidence_and_that_is_said(tmp_path, log):
    file = tmp_path / "apprentice.json"
    file.write_bytes(orjson.dumps(imitating(1, -5.0)) + b"\n" + orjson.dumps(imitating(2, -2.0)))
    alone = run("evaluate", str(file))
    assert (alone.code, "cannot be compared" in alone.text, "Events of Apprentice mode (2 here)" in alone.text) == (1, True, True)
    until = (T0 + timedelta(minutes=10)).isoformat()
    beside = run("evaluate", str(file), str(log), "--until", until, "--json").json
    assert "do not count in any estimate" not in str(beside["warnings"]), "its lines without a time are of now"
    dated = tmp_path / "dated.json"
    dated.write_bytes(orjson.dumps(imitating(1, -5.0, Timestamp=T0.isoformat())))
    told = run("evaluate", str(dated), str(log), "--until", until, "--json").json
    assert "do not count in any estimate" in str(told["warnings"])
    assert {policy["rounds"] for policy in told["policies"]} == {policy["rounds"] for policy in beside["policies"]} == {32}, (
        "a thinned line of the log counts twice"
    )
    surveyed = run("stats", str(file), "--json").json
    assert (surveyed["averageReward"], surveyed["read"]["apprentice"]) == (3.5, 2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--policy", "x=--nonsense"], "the policy x"),
        (["--policy", "greedy"], "NAME=ARGUMENTS"),
        (["--policy", "online=--cb_explore_adf"], "choose another name"),
        (["--policy", "x=--cb_explore_adf", "--policy", "x=--cb_explore_adf"], "choose another name"),
        (["--plot", "picture.gif"], ".svg"),
        (["--exploration", "2"], "exploration"),
        (["--since", "never"], "never"),
    ],
)
def test_what_cannot_be_followed_is_told_in_one_line(log, options, told):
    assert told in run("evaluate", str(log), *options).told


async def keep_for_ever(storage: str) -> None:
    account = opened(storage)
    await FileLoopStore(account).write(LoopRecord("default", overrides={"log_retention_days": -1}), expected=None)
    await account.close()


def test_on_a_loops_own_log_it_finds_what_it_finds_in_the_exported_file(log, storage, tmp_path):
    environment = settings_of(storage)
    asyncio.run(keep_for_ever(storage))
    assert run("import", str(log), environment=environment).code == 0
    file = tmp_path / "out.json"
    assert run("export", "--out", str(file), environment=environment).code == 0
    of_loop = run("evaluate", *POLICIES, "--json", "--all", environment=environment).json
    of_file = run("evaluate", str(file), *POLICIES, "--json", "--all").json
    own = [each for each in of_loop["policies"] if each["name"] != "present policy"]
    over = {"lift": 0, "comparedWith": "", "lifts": {}}  # of a loop over its present policy, of a file over what was shown
    assert [each | over for each in own] == [each | over for each in of_file["policies"]]
    assert next(each for each in of_loop["policies"] if each["name"] == "present policy")["title"] == "the present policy"
    assert run("evaluate", "--since", "2030-01-01", environment=environment).code == 1
