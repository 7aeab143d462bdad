"""``python -m tests.contract.record``: send the requests of all recordings again, and write what is answered now.

Each story is told twice. What differs is written as its kind, and by the name under which a step keeps it.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from shared.runtime.http import VERSIONS
from tests.contract.recordings import FOLDER, KINDS, Played, Step, differences, loop_of, played, seen, sent, story
from tests.http.own_loops import SETTINGS
from tests.running import RunningApp


def main() -> None:
    """Record all versions."""
    twice = [told(), told()]
    for version in VERSIONS:
        asked = json.dumps([step["request"] for step in story(version)])
        steps = [recorded(*both, asked=asked) for both in zip(*(each[version] for each in twice), strict=True)]
        (FOLDER / f"{version}.json").write_text(json.dumps(steps, indent=1, ensure_ascii=False) + "\n", "utf-8")


def told() -> dict[str, list[tuple[Played, dict[str, Any] | None]]]:
    """Tell all stories to a new app; beside each step stands how a body is refused that is none of the operation's."""
    with tempfile.TemporaryDirectory() as folder, RunningApp(f"{folder}/store", settings=SETTINGS) as app:
        loops = {version: loop_of(app, version) for version in VERSIONS}
        return {version: [(each, refusal(loop, each)) for each in played(loop, story(version))] for version, loop in loops.items()}


def refusal(loop: Any, each: Played) -> dict[str, Any] | None:
    """Give what is answered to an empty list in place of a JSON body."""
    if not each.step["operation"] or not isinstance(each.step["request"].get("body"), dict):
        return None
    answer = seen(sent(loop, each.step, each.known, body=[]))
    return answer if answer["status"] >= 400 else None


def recorded(one: tuple[Played, dict[str, Any] | None], other: tuple[Played, dict[str, Any] | None], *, asked: str) -> Step:
    """Give a step with its answer, as it is true of both times that the story ``asked`` for it."""
    (first, refused), (second, _) = one, other
    step: Step = {name: first.step[name] for name in ("operation", "request", "keeps", "only") if name in first.step}
    answer = common(seen(first.answer, only=step.get("only", ())), asked, first.known)
    different = differences(answer, seen(second.answer, only=step.get("only", ())), second.known)
    assert not different, (step, different, second.answer.body[:500])
    return {**step, "answer": answer, **({"refusal": refused} if refused else {})}


def common(document: Any, asked: str, known: Mapping[str, Any]) -> Any:
    """Write an answer with what is known by its name, and by its kind what is anew each time and was not ``asked`` for."""
    if isinstance(document, dict):
        return {name: common(value, asked, known) for name, value in document.items()}
    if isinstance(document, list):
        return [common(value, asked, known) for value in document]
    if not isinstance(document, str) or document in asked:
        return document
    for name, value in known.items():
        document = document.replace(value, f"{{{name}}}") if isinstance(value, str) else document
    for kind, pattern in KINDS.items():
        document = document if document[:10] in (NEVER, *DATES.findall(asked)) else pattern.sub(kind, document)
    return document


NEVER = "0001-01-01"
"""How the time of what never was begins."""
DATES = re.compile(r"\d{4}-\d\d-\d\d")


if __name__ == "__main__":
    main()
