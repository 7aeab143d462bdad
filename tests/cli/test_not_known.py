"""No figure that is told is none: where a log does not tell it, that is said in words, and in JSON by null."""

import json
import re
from dataclasses import replace

import pytest

from shared.api.evaluation_report import EvaluationReportBody
from shared.domain.events import JoinedEvent
from shared.domain.loop import LearningPolicy
from shared.joining.dsjson import line
from shared.services.analysis.judging import judged
from shared.services.analysis.lane import Lane, contenders, lineups
from shared.services.analysis.lifting import reports
from shared.services.analysis.results import Found, parts, policy_results, warnings, with_series
from tests.cli.running import run
from tests.services.analysis.logs import drawn, with_rewards

NAMES = (
    "no baseline",
    "the baseline only",
    "a single event",
    "two events",
    "nothing earned",
    "all earned",
    "losses",
    "without a choice",
    "hardly a chance",
)


def log(name: str) -> list[JoinedEvent]:
    match name:
        case "no baseline":
            return [each for each in drawn(120) if each.decision.chosen != 0]
        case "the baseline only":
            return [each for each in drawn(120) if each.decision.chosen == 0]
        case "a single event":
            return [each for each in drawn(9) if each.decision.chosen != 0][:1]
        case "two events":
            return drawn(2)
        case "nothing earned" | "all earned" | "losses":
            return with_rewards(drawn(60), {"nothing earned": 0.0, "all earned": 1.0, "losses": -1.0}[name])
        case "without a choice":
            return drawn(60, probabilities=(1.0, 0.0, 0.0))
    return [replace(each, decision=replace(each.decision, probabilities=(0.999998, 1e-6, 1e-6))) for each in drawn(40)]


@pytest.mark.parametrize("name", NAMES)
def test_no_figure_of_an_evaluation_is_none(name):
    lanes = [
        Lane(each)
        for each in lineups(contenders(LearningPolicy(), [LearningPolicy("g", "--cb_explore_adf --ignore u")]), exploration_percentage=0.2)
    ]
    for lane in lanes:
        lane.take(log(name))
    found = parts([Found.of(lane) for lane in lanes])
    told = EvaluationReportBody.of(reports(found), judged(found)).model_dump(mode="json")
    json.dumps(told, allow_nan=False)
    results = [with_series(result, part) for result, part in zip(policy_results(found), found, strict=True)]
    assert results
    assert not re.search(r"\b(nan|inf)\b", f"{results} {warnings(found)} {judged(found).sentence}")


@pytest.mark.parametrize("name", ["no baseline", "a single event"])
def test_a_person_reads_that_it_is_not_known(name, tmp_path):
    file = tmp_path / "log.json"
    file.write_bytes(b"".join(map(line, log(name))))
    done = run("evaluate", str(file), "--all", "--policy", "g=--cb_explore_adf")
    assert (done.code, done.errors) == (0, "")
    assert "not known" in done.text
    assert not re.search(r"\b(nan|inf|None)\b", done.text)
    baseline = next(each for each in run("evaluate", str(file), "--json").json["policies"] if each["name"] == "baseline1")
    assert baseline["estimate"] is None
