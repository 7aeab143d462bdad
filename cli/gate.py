"""Gates of ``evaluate``: read from the command line or a file, and told as text and as Markdown for a pull request."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any, Final

import typer

from cli.output import number, span
from shared.api.gates import GateContract
from shared.api.wire import parse
from shared.domain.errors import InvalidContractError, RequestError
from shared.domain.evaluation import Report
from shared.domain.gates import Gate, Ruling

_RULES: Final = {"lift>": "leastLift", "events>=": "leastEvents", "weight<=": "mostWeight"}
_RULE: Final = re.compile(r"(lift\s*>|events\s*>=|weight\s*<=)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)", re.ASCII | re.IGNORECASE)
_NO: Final = "**no**"
_LARGEST_FILE: Final = 64 * 1024


def read_gate(text: str) -> Gate:
    """Read rules such as ``lift>0, events>=1000, weight<=50``, or the JSON file of this name."""
    return read_rules(text).to_gate()


def read_rules(text: str) -> GateContract:
    """Read them as a service takes them."""
    if not text.strip():
        raise typer.BadParameter("--gate: there is no rule: name at least one, such as 'lift>0', or a file")
    if not any(each in text for each in "<>"):
        return _of_file(Path(text))
    rules: dict[str, float] = {}
    for part in [part.strip() for part in text.split(",")]:
        match = _RULE.fullmatch(part)
        if match is None:
            raise typer.BadParameter(f"--gate: {part!r} is no rule: use lift>NUMBER, events>=NUMBER, weight<=NUMBER, or a file")
        name = _RULES[re.sub(r"\s", "", match[1]).lower()]
        if name in rules:
            raise typer.BadParameter(f"--gate: there are two rules of {name}")
        rules[name] = _number(part, match[2])
    return _parsed(_written(rules), "--gate")


def _number(part: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError as cause:
        raise typer.BadParameter(f"--gate: {part!r} has no number") from cause
    if not isfinite(number):
        raise typer.BadParameter(f"--gate: the number of {part!r} is too large")
    return number


def _written(rules: dict[str, float]) -> bytes:
    """Write the rules as a file has them; events are a whole number."""
    plain = {name: int(value) if name == "leastEvents" and value == int(value) else value for name, value in rules.items()}
    return json.dumps(plain).encode()


def _of_file(path: Path) -> GateContract:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as cause:  # a path with a zero byte is none
        raise typer.BadParameter(f"--gate: {path} is neither a rule such as 'lift>0' nor a file that can be read") from cause
    if len(text) > _LARGEST_FILE:
        raise typer.BadParameter(f"--gate: {path} is larger than {_LARGEST_FILE:,} bytes")
    if not text.strip():
        raise typer.BadParameter(f"{path}: the file is empty")
    _check_rules_are_single(text, path)
    return _parsed(text, str(path))


def _check_rules_are_single(text: bytes, path: Path) -> None:
    """Refuse a rule that is written twice: of two that contradict each other, one would be left unread."""
    with suppress(ValueError, RecursionError):  # what is no JSON is told by who parses it
        for name, times in Counter(json.loads(text.decode("utf-8-sig"), object_pairs_hook=_names)).items():
            if times > 1:
                raise typer.BadParameter(f"{path}: there are two rules of {name}")


def _names(pairs: Sequence[tuple[str, object]]) -> list[str]:
    return [name for name, _ in pairs]


def _parsed(text: bytes, where: str) -> GateContract:
    try:
        return parse(text, GateContract, InvalidContractError)
    except RequestError as cause:
        told = str(cause)
        is_whole = told.startswith("the body")
        raise typer.BadParameter(f"{where}{told.removeprefix('the body')}" if is_whole else f"{where}: {told}") from cause


def markdown(verdict: str, reports: Sequence[Report], rulings: Sequence[Ruling], *, events: int) -> str:
    """Write a summary of an evaluation that a pull request can show."""
    lines = ["## Evaluation of policies", "", _escaped(verdict), ""]
    for each in rulings:
        state = "passes the gate" if each.is_passed else "does not pass the gate"
        lines += [f"### {_escaped(each.policy)} {state}", "", "| rule | asked | found | kept |", "|---|---|---|---|"]
        lines += [_line(check.rule, check.asked, check.found, "yes" if check.is_kept else _NO) for check in each.checks]
        lines.append("")
    whole = [each for each in reports if not each.slot]
    if whole:
        lines += ["| policy | estimate | 95 % interval | lift | 95 % interval | at any time |", "|---|--:|--:|--:|--:|--:|"]
        lines += [_policy(each) for each in whole]
        lines.append("")
    lines.append(f"{events:,} events. A lift is that over {_rival(whole)}, event by event.")
    return "\n".join(lines) + "\n"


def _policy(report: Report) -> str:
    lift: Any = report.lifts.get(report.compared_with)
    told = ("", "", "") if lift is None else (number(lift.value, "+.4f"), span(lift.interval, "+.4f"), span(lift.anytime, "+.4f"))
    return _line(report.title, number(report.estimates["calibrated_dr"], ".4f"), span(report.intervals["default"], ".4f"), *told)


def _rival(whole: Sequence[Report]) -> str:
    titles = {each.name: each.title for each in whole}
    return next((titles[each.compared_with] for each in whole if each.compared_with), "what was shown")


def _line(*cells: str) -> str:
    return f"| {' | '.join([each if each == _NO else _escaped(each) for each in cells])} |"


def _escaped(text: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))
