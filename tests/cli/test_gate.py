"""A gate in a pipeline: the exit code decides, and it is told why, as text, JSON and Markdown."""

import json

import pytest

from cli.gate import read_gate
from shared.domain.gates import Gate, Looks
from shared.joining.dsjson import line
from tests.cli.running import run
from tests.services.analysis.logs import drawn

BETTER = ("--policy", "greedy=--cb_explore_adf --epsilon 0.05")
WORSE = ("--policy", "blind|`x`=--cb_explore_adf --epsilon 0.05 --ignore u")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    file = tmp_path_factory.mktemp("logs") / "log.json"
    file.write_bytes(b"".join(map(line, drawn(1_000))))
    return str(file)


def test_a_better_policy_passes(log, tmp_path):
    summary = tmp_path / "summary.md"
    done = run("evaluate", log, *BETTER, "--gate", "lift>0, events>=1000", "--markdown", str(summary))
    assert (done.code, done.errors) == (0, "")
    assert "The policy greedy passes the gate." in done.text
    text = summary.read_text()
    assert "### greedy passes the gate" in text
    assert "| events | at least 1,000 | there are 1,000 | yes |" in text


def test_one_that_is_not_surely_better_does_not_and_it_is_told_why(log, tmp_path):
    summary = tmp_path / "summary.md"
    done = run("evaluate", log, *BETTER, *WORSE, "--gate", "lift>0", "--json", "--markdown", str(summary))
    assert done.code == 1
    assert [(each["policyName"], each["isPassed"]) for each in done.json["gate"]] == [("greedy", True), ("blind|`x`", False)]
    lift = next(each for each in done.json["gate"][1]["checks"] if each["rule"] == "lift")
    assert (lift["isKept"], "what was shown, for sure" in lift["asked"]) == (False, True)
    text = summary.read_text()
    assert r"### blind\|\`x\` does not pass the gate" in text
    rows = [each.replace(r"\|", "") for each in text.splitlines() if each.startswith("|")]
    assert {each.count("|") for each in rows} == {5, 7}
    assert "**no**" in text


def test_a_file_has_all_rules(log, tmp_path):
    file = tmp_path / "gate.json"
    rules = {
        "leastLift": 0.1,
        "leastEvents": 900,
        "mostWeight": 2,
        "estimators": ["dr", "snips"],
        "comparedWith": "baseline1",
        "looks": "one",
    }
    file.write_text(json.dumps(rules))
    assert read_gate(str(file)) == Gate(0.1, 900, 2.0, ("dr", "snips"), "baseline1", Looks.ONE)
    done = run("evaluate", log, *BETTER, "--gate", str(file))
    assert (done.code, "weight: no event may stand for more than 2, but one stands for" in done.text) == (1, True)


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ("lift<0", "is no rule"),
        ("lift>0, lift>1", "two rules"),
        ("lift>x", "is no rule"),
        ("lift>1.2.3", "no number"),
        ("events>=1.5", "leastEvents"),
        ("lift>1e999", "too large"),
        ("events>=1e400", "too large"),
        ("events>=1e13", "leastEvents"),
        ("lift>５", "is no rule"),
        ("", "there is no rule"),
        (" ", "there is no rule"),
        ("a\0b", "neither a rule"),
        ("/nowhere/gate.json", "neither a rule"),
        ('{"leastlyft": 1}', "leastlyft"),
        ('{"estimators": ["mine"]}', "estimators"),
        ("[1]", "gate.json"),
        ('{"leastLift": 0.5, "leastLift": 0}', "two rules of leastLift"),
        ('{"leastLift": NaN}', "gate.json is not valid JSON: NaN is not a number"),
        ('{"leastEvents": -1}', "leastEvents"),
        ('{"leastEvents": 1e308}', "leastEvents"),
        ('{"mostWeight": -3}', "mostWeight"),
        ("{" * 3_000, "gate.json is not valid JSON"),
        ("{" + " " * 2**20 + "}", "larger than"),
        ("{\n", "gate.json is not valid JSON"),
        ("lift", "neither a rule"),
    ],
)
def test_a_gate_that_cannot_be_read_is_refused_before_anything_is_read(gate, told, tmp_path):
    if gate.startswith(("{", "[")):
        file = tmp_path / "gate.json"
        file.write_text(gate)
        gate = str(file)
    done = run("evaluate", "/nowhere/log.json", *BETTER, "--gate", gate)
    assert done.code == 2
    assert told in done.told


def test_a_gate_asks_about_policies(log):
    done = run("evaluate", log, "--gate", "lift>0")
    assert (done.code, "name at least one by --policy" in done.told) == (2, True)


def test_a_log_that_tells_nothing_passes_nobody(tmp_path):
    file = tmp_path / "log.json"
    file.write_bytes(b"".join(map(line, drawn(1))))
    done = run("evaluate", str(file), *BETTER, "--gate", "lift>0", "--markdown", str(tmp_path / "summary.md"))
    assert done.code == 1
    assert "nan" not in (done.text + (tmp_path / "summary.md").read_text()).lower()
