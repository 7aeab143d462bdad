"""The workbook and the alerts read only what the app and its host write."""

import ast
import json
import re
import time
from collections.abc import Collection, Iterator

import pytest

from shared.runtime.telemetry import MESSAGES
from tests.http.building import rank_body
from tests.infra.queries import ALERTS, WORKBOOK, queries, unknown
from tests.infra.templates import REPOSITORY
from tests.patience import PATIENCE
from tests.running import RunningApp

INFRA = REPOSITORY / "infra"
ALL = dict(queries(INFRA))
ALERT_RULES = (INFRA / "core" / "alerts.bicep").read_text("utf-8")
PRIVATE = {"key", "keys", "event_id", "context", "actions", "features", "row", "body"}
QUOTING = {"reason"}
"""A fact that may quote what a caller sent, too."""
WARNINGS = ("warning", "error", "exception")
DIED = "a chunk is left out of the new model: every process that came to it died"
ELSEWHERE = ("window committed", "training finished", "refused", "retention done", DIED)
"""Messages whose facts are not spelt out where they are logged."""


def logged(levels: Collection[str] = ("info", "log", *WARNINGS)) -> Iterator[tuple[str, set[str]]]:
    """Find the messages that the code deployed to Azure logs at these levels, with the facts that are spelt out beside them."""
    for room in (REPOSITORY / "shared", *REPOSITORY.glob("*_function")):
        for path in sorted(each for each in room.rglob("*.py") if "embedded" not in each.parts):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "for_each_loop":
                    yield from ((text, {"loop", "error"}) for text in _texts(node))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "logger":
                    facts = [each.value for each in node.keywords if each.arg == "extra"]
                    keys = [key.value for each in facts for key in getattr(each, "keys", []) if isinstance(key, ast.Constant)]
                    yield from ((text, set(map(str, keys))) for text in _texts(node) if node.func.attr in levels)


def _texts(call: ast.Call) -> list[str]:
    return [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]


@pytest.mark.parametrize("query", ALL.values(), ids=ALL.keys())
def test_a_query_reads_only_what_is_written(query):
    assert not unknown(query)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("traces", "trace"),
        ("message", "msg"),
        ("window committed {", "window commited {"),
        ("facts.quarantined", "facts.poisoned"),
        ("facts.quarantined", "facts.lag_seconds"),
        ("toint(", "tointeger("),
    ],
)
def test_a_misspelt_name_in_a_query_is_caught(old, new):
    query = ALL["poison-events"]
    assert old in query
    assert unknown(query.replace(old, new))


def test_every_figure_that_was_asked_for_is_on_the_workbook():
    shown = {name.removeprefix("workbook: ") for name in ALL if name.startswith("workbook: ")}
    assert shown >= {"reward", "exploration", "latency", "failures", "age", "lag"}


def test_every_fact_of_the_trainer_is_looked_at_somewhere():
    """Else nobody would miss it."""
    text = "\n".join(ALL.values())
    facts = {fact for message in ("window committed", "training finished") for fact in MESSAGES[message]}
    assert not [fact for fact in facts - {"model_version"} if f"facts.{fact}" not in text]


def test_every_alert_has_its_query_and_its_limits():
    named = re.findall(r"loadTextContent\('alerts/([\w-]+)\.kql'\)", ALERT_RULES)
    assert sorted(named) == sorted(path.stem for path in (INFRA / "core" / "alerts").glob("*.kql"))
    assert set(re.findall(r"'\{(\w+)\}'", ALERT_RULES)) == ALERTS
    assert not [name for name in named for limit in re.findall(r"\{(\w+)\}", ALL[name]) if f"'{{{limit}}}'" not in ALERT_RULES]


def test_the_workbook_is_one_and_names_its_component_by_a_place_holder():
    text = (INFRA / "core" / "workbook.json").read_text("utf-8")
    book = json.loads(text)
    assert book["version"] == "Notebook/1.0"
    assert book["fallbackResourceIds"] == ["{componentId}"]
    names = [item["name"] for item in book["items"]]
    assert len(names) == len(set(names))
    given = {each["name"] for item in book["items"] for each in item["content"].get("parameters", ())}
    assert given == {name.split(":")[0] for name in WORKBOOK}


def test_the_host_sends_the_trainers_messages_and_counts_calls_truly():
    """Traces are never sampled; requests are, and tell how many they stand for."""
    logging = json.loads((REPOSITORY / "host.json").read_text("utf-8"))["logging"]
    sampling = logging["applicationInsights"]["samplingSettings"]
    assert sampling["isEnabled"]
    assert set(sampling["excludedTypes"].split(";")) == {"Exception", "Trace"}
    assert logging["logLevel"]["Host.Results"] == "Information"
    assert logging["logLevel"]["Function.train.User"] == "Information"
    assert not [name for name, query in ALL.items() if query.startswith("requests") and "itemCount" not in query]


def test_the_messages_with_facts_are_those_that_the_code_logs():
    found: dict[str, set[str]] = {}
    for text, facts in logged():
        found.setdefault(text, set()).update(facts)
    assert not MESSAGES.keys() - found.keys()
    spelt_out = {message: facts for message, facts in MESSAGES.items() if message not in ELSEWHERE}
    assert not [(message, fact) for message, facts in spelt_out.items() for fact in facts if fact not in found[message]]


def test_every_fact_of_a_warning_is_told():
    untold = {text: facts - {*MESSAGES.get(text, ())} - PRIVATE - QUOTING for text, facts in logged(WARNINGS)}
    assert {text: facts for text, facts in untold.items() if facts} == {}


def test_no_fact_can_hold_what_a_caller_sent():
    assert not {fact for facts in MESSAGES.values() for fact in facts} & PRIVATE
    assert "reason" not in MESSAGES["refused"], "it may quote the request"


def test_the_trainer_tells_every_fact_that_is_promised(storage):
    settings = {"PERSONALIZER_REWARD_WAIT_TIME": "PT1S", "PERSONALIZER_INGEST_GRACE": "PT0S", "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S"}
    with RunningApp(storage, settings=settings) as app:
        app.request("POST", "/personalizer/v1.0/rank", rank_body(eventId="one"))
        app.request("POST", "/personalizer/v1.0/events/one/reward", {"value": 0.5})
        app.request("POST", "/personalizer/v1.0/rank", {"actions": []})
        until = time.monotonic() + PATIENCE
        while not [line for line in app.log_lines if line["message"] == "training finished" and line["model_age_seconds"]]:
            assert time.monotonic() < until, app.logs
            app.request("POST", "/admin/functions/train")
            time.sleep(0.2)
        lines = app.log_lines
    for message in ("window committed", "training finished", "refused"):
        assert not [fact for line in lines if line["message"] == message for fact in MESSAGES[message] if fact not in line], message
    windows = [line for line in lines if line["message"] == "window committed"]
    assert [sum(line[fact] for line in windows) for fact in ("events", "learned", "reward_sum")] == [1, 1, 0.5]
    assert {line["message"] for line in lines} >= {"window committed", "training finished", "refused"}
    assert min(line["lag_seconds"] for line in lines if line["message"] == "training finished") >= 0
