"""The queries of the workbook and of the alerts, and what they read: names are compared, the language itself is not checked."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from shared.runtime.telemetry import MESSAGES

COLUMNS = {
    "requests": {"timestamp", "name", "url", "resultCode", "duration", "itemCount"},
    "traces": {"timestamp", "message"},
    "exceptions": {"timestamp", "type", "outerMessage", "itemCount"},
}
"""Of Application Insights' tables, those columns that the Functions host fills in."""

LANGUAGE = set(
    re.findall(
        r"\w+",
        "where extend summarize by bin sum sumif count max min percentilew toint toreal tostring parse_url parse_json substring indexof "
        "strcat startswith endswith or and distinct top Path",
    )
)
WORKBOOK = {"TimeRange:grain", "Loop"}
ALERTS = {"failurePercent", "latencyMs", "lagSeconds"}


def queries(infra: Path) -> Iterator[tuple[str, str]]:
    """Give every query with its place."""
    for path in sorted((infra / "core" / "alerts").glob("*.kql")):
        yield path.stem, path.read_text("utf-8")
    book = json.loads((infra / "core" / "workbook.json").read_text("utf-8"))
    for item in book["items"]:
        content = item["content"]
        for parameter in content.get("parameters", ()):
            if "query" in parameter:
                yield f"workbook: {parameter['name']}", parameter["query"]
        if "query" in content:
            yield f"workbook: {item['name']}", content["query"]


def unknown(query: str) -> list[str]:
    """Give what a query reads that nobody writes: tables, columns, messages, facts, and names of its own that it did not make."""
    table = query.split()[0]
    if table not in COLUMNS:
        return [table]
    messages = re.findall(r'message startswith "([^"]*) \{"', query)
    facts = set(MESSAGES.get(messages[0], ())).intersection(*(MESSAGES.get(each, ()) for each in messages)) if messages else set()
    bad = [each for each in messages if each not in MESSAGES]
    bad += [f"facts.{name}" for name in re.findall(r"\bfacts\.(\w+)", query) if name not in facts]
    bad += [f"{{{name}}}" for name in re.findall(r"\{([\w:]+)\}", query) if name not in WORKBOOK | ALERTS]
    bare = re.sub(r'\["[^"]*"\]|"[^"]*"|\{[\w:]+\}|\bfacts\.\w+', " ", query)
    made = set(re.findall(r"(\w+) = ", bare))
    words = re.findall(r"\b[a-zA-Z_]\w*", bare)
    return bad + [word for word in words if word not in LANGUAGE | COLUMNS[table] | made | {table}]
