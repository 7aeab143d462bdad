"""``python -m cli evaluate``: what other policies would have earned on a log, with how sure that is."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli import options
from cli.gate import markdown, read_gate
from cli.output import bytes_progress, console, effects, escape, known, number, print_json, span, steps_progress, table
from cli.plot import curve, draw
from cli.sources import log_files
from cli.storage import run, stored_loop
from shared.api.gates import told as told_of
from shared.domain.clock import EPOCH, LATEST, SystemClock
from shared.domain.errors import InvalidPolicyConfigurationError, SettingsError
from shared.domain.evaluation import RESERVED, Lift, Report
from shared.domain.events import JoinedEvent
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.words import counted
from shared.joining.foreign.terms import Terms
from shared.joining.reading import read_lines
from shared.learning.arguments import parse_arguments, without_effect
from shared.services.analysis.gates import ruling
from shared.services.analysis.judging import is_nothing_told, judged
from shared.services.analysis.lane import Lane, contenders, lineups, take_together
from shared.services.analysis.lifting import reports as reports_of
from shared.services.analysis.results import Found, Part, notes, parts, report, warnings
from shared.services.analysis.titles import title_of
from shared.services.importing.accounts import HowFar
from shared.services.importing.files import LogReader
from shared.services.importing.importer import EventIds
from shared.services.log.exporting import Exporter

_BATCH: Final = 500
"""Events that are scored by the same model, as if the trainer had come by after each so many."""

_BYTES: Final = 32 * 1024 * 1024


def evaluate(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE...]", help="Log files, as `import` takes them; without any: the loop's own log.")
    ] = None,
    loop: options.Loop = options.THE_LOOP,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", metavar="NAME=ARGUMENTS", help="A policy to compare, such as 'square=--cb_explore_adf --squarecb'; repeatable."
        ),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    exploration: Annotated[
        float | None,
        typer.Option(
            "--exploration",
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="Exploration of epsilon-greedy policies (explorationPercentage); the loop's, or 0.2 for files.",
        ),
    ] = None,
    is_full: Annotated[bool, typer.Option("--all", help="Show every estimator and interval, and each slot by itself.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", dir_okay=False, help="Draw the estimates over time with their anytime-valid bands: .png or .svg."
        ),
    ] = None,
    gate: Annotated[
        str | None,
        typer.Option(
            "--gate",
            metavar="RULES|FILE",
            help="Exit with 1 unless each --policy keeps these rules: 'lift>0, events>=1000, weight<=50', or a JSON file with more.",
        ),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", dir_okay=False, help="Write a summary in Markdown, for a pull request."),
    ] = None,
    probability: options.Probability = None,
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Value policies on a log: what each would have earned an event, in place of the one that was logged.

    Each policy learns the log as the trainer would, and is asked about events before it has learned them. Compared in any case: what was
    shown; the baseline, always the first action; chance; and a loop's present policy. Log files need no service and no storage.
    """
    if plot is not None and plot.suffix not in (".png", ".svg"):
        raise typer.BadParameter(f"{plot}: a plot is a .png or a .svg file")
    if plot is not None and find_spec("matplotlib") is None:
        raise SettingsError("plots need matplotlib: .venv/bin/pip install -r requirements/cli.txt")
    custom = [_policy(each) for each in policy or ()]
    _check_names(custom)
    rules = None if gate is None else read_gate(gate)
    if rules is not None and not custom:
        raise typer.BadParameter("--gate asks about policies: name at least one by --policy")
    asked = _Asked(tuple(custom), since or EPOCH, until or LATEST, exploration, Terms(assumed=probability))
    found = run(_of_files(sources, storage, asked) if sources else _of_loop(loop, storage, asked))
    shown = [each for each in found.parts if is_full or not each.slot]
    reports = reports_of(shown)
    rulings = [] if rules is None else [ruling(rules, reports, each.name) for each in custom]
    if plot is not None and shown:
        draw([curve(each) for each in shown if not each.slot], plot)
    if summary is not None:
        _write(summary, markdown(_verdict(found), reports, rulings, events=found.events))
    if as_json:
        gates = {} if rules is None else {"gate": [told_of(each) for each in rulings]}
        print_json(_document(found, shown, reports, is_full=is_full) | gates)
    else:
        _print(found, reports, is_full=is_full)
        for each in rulings:
            console().print(each.sentence, markup=False)
    raise typer.Exit(0 if shown and all(each.is_passed for each in rulings) else 1)


def _verdict(found: "_Found") -> str:
    if found.parts:
        return judged(found.parts).sentence
    return f"No decision of the {counted(found.events, 'event')} was left to chance. So policies cannot be compared."


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as cause:
        raise SettingsError(f"{path} cannot be written: {cause.strerror}") from cause


@dataclass(frozen=True, slots=True)
class _Asked:
    policies: tuple[LearningPolicy, ...]
    since: datetime
    until: datetime
    exploration: float | None
    terms: Terms

    def lanes(self, settings: LoopSettings, *, has_present: bool) -> list[Lane]:
        """Begin all lanes; ``settings`` are those of the loop, whose present policy is compared as well if it ``has_present``."""
        share = settings.exploration_percentage if self.exploration is None else self.exploration
        compared = contenders(settings.policy, self.policies, has_present=has_present)
        return [Lane(each) for each in lineups(compared, exploration_percentage=share, since=self.since, until=self.until)]

    def wanted(self, events: Sequence[JoinedEvent]) -> list[JoinedEvent]:
        """Give the events of the range."""
        return [event for event in events if self.since <= event.decision.decided_at < self.until]


@dataclass(slots=True)
class _Found:
    parts: list[Part]
    events: int
    notes: Sequence[str] = ()
    read: HowFar = field(default_factory=HowFar)
    repeated: int = 0


async def _of_files(sources: list[str], storage: str, asked: _Asked) -> _Found:
    lanes = asked.lanes(LoopSettings(), has_present=False)
    async with AsyncExitStack() as stack:
        files = await log_files(sources, storage, stack)
        with bytes_progress(f"Evaluating {counted(len(files), 'file')}", sum(file.size for file in files)) as progress:
            reader = LogReader(
                now=SystemClock().now(), terms=asked.terms, tell=lambda read: progress.update(progress.task_ids[0], completed=read.bytes)
            )
            known, repeated = EventIds(is_exact=True), 0
            async for batch in reader.batches(files, events=lambda: _BATCH, size=_BYTES):
                new = known.new(batch)
                repeated += len(batch) - len(new)
                await asyncio.to_thread(_take, lanes, asked.wanted(new))
    return _found(lanes, reader.done, repeated=repeated)


async def _of_loop(loop: str, storage: str, asked: _Asked, *, has_present: bool = True) -> _Found:
    async with stored_loop(loop, storage) as opened:
        lanes = asked.lanes(await asyncio.to_thread(opened.services.configuration.read), has_present=has_present)
        exporter = Exporter(opened.joined)
        chunks = await exporter.chunks(asked.since, asked.until)
        with steps_progress(f"Evaluating {counted(len(chunks), 'chunk')}", len(chunks)) as progress:
            for chunk in chunks:
                async for part in exporter.lines(chunk, asked.since, asked.until):
                    await asyncio.to_thread(_take, lanes, read_lines(part.text))
                progress.advance(progress.task_ids[0])
    return _found(lanes)


async def compared(loop: str, storage: str, policies: Sequence[LearningPolicy]) -> tuple[Sequence[Report], Sequence[str]]:
    """Value these policies, and what was shown, on the whole log of a loop, and say what makes the figures doubtful.

    There are none where no decision was left to chance.
    """
    _check_names(policies)
    found = await _of_loop(loop, storage, _Asked(tuple(policies), EPOCH, LATEST, None, Terms()), has_present=False)
    if is_nothing_told(found.parts):
        return [], []
    return [report(each) for each in found.parts if not each.slot], warnings(found.parts)


def _take(lanes: Sequence[Lane], events: Iterable[JoinedEvent]) -> None:
    rest = iter(events)
    while batch := _batch(rest):
        take_together(lanes, batch)


def _batch(events: Iterator[JoinedEvent]) -> list[JoinedEvent]:
    """Take some events, fewer of large ones, lest a chunk be in memory as a whole."""
    batch: list[JoinedEvent] = []
    size = 0
    for event in events:
        batch.append(event)
        size += len(event.decision.situation)
        if len(batch) >= _BATCH or size >= _BYTES:
            break
    return batch


def _found(lanes: Sequence[Lane], read: HowFar | None = None, *, repeated: int = 0) -> _Found:
    found = [Found.of(lane) for lane in lanes]
    return _Found(parts(found), lanes[0].counts.events, notes(found), read or HowFar(), repeated)


def _policy(text: str) -> LearningPolicy:
    policy = options.read_policy(text)
    try:
        parse_arguments(policy.arguments)
    except InvalidPolicyConfigurationError as cause:
        raise typer.BadParameter(f"the policy {policy.name}: {cause}") from cause
    return policy


def _check_names(policies: Sequence[LearningPolicy]) -> None:
    names = [policy.name for policy in policies]
    for name in names:
        if name in RESERVED or names.count(name) > 1:
            raise typer.BadParameter(f"two policies would be called {name}: choose another name")


# --- what is told ----------------------------------------------------------------------------------------------------------


def _print(found: _Found, reports: Sequence[Report], *, is_full: bool) -> None:
    out = console()
    if found.read.malformed:
        out.print(f"{found.read.malformed:,} of {counted(found.read.lines, 'line')} could not be read; `stats` lists them.")
    if found.repeated:
        out.print(f"{counted(found.repeated, 'event')} came twice, with the same reward, as from a copy of a file. Each counts once.")
    if not reports:
        out.print(_verdict(found), markup=False)
        for told in found.notes:
            out.print(told, markup=False)
        return
    numbers = ["estimate", "95 % interval", "at any time", "rounds", "effective", "mean weight", "largest"]
    compared = table("policy", *(["slot"] if is_full else []), *numbers, right=numbers)
    for each in reports:
        compared.add_row(*_row(each, is_full=is_full))
    out.print(compared)
    out.print()
    if any(each.lifts for each in reports):
        out.print(_lifts(reports, is_full=is_full))
    out.print(judged(found.parts).sentence, markup=False)
    for part in found.parts:
        if not part.slot and (note := effects(part.contender.arguments)):
            out.print(f"{title_of(part.contender)}: {note}", markup=False)
    if is_full:
        out.print()
        _print_all(reports)
    for warning in warnings(found.parts):
        out.print(f"Beware: {warning}", markup=False)
    for told in found.notes:
        out.print(told, markup=False)


def _lifts(reports: Sequence[Report], *, is_full: bool) -> Table:
    """Show how much more each policy earns than the one of now, event by event; with all, than every one that has lifts."""
    numbers = ["lift", "95 % interval", "at any time", "differ in"]
    shown = table("policy", *(["slot"] if is_full else []), "compared with", *numbers, right=numbers)
    titles = {each.name: each.title for each in reports}
    for each in reports:
        for name, lift in each.lifts.items():
            if is_full or name == each.compared_with:
                slot = [escape(each.slot) or "all"] if is_full else []
                differing = "" if lift.differing is None else number(lift.differing, ".1%")
                ends = [span(ends, "+.4f") for ends in (lift.interval, lift.anytime)]
                shown.add_row(escape(each.title), *slot, escape(titles.get(name, name)), number(lift.value, "+.4f"), *ends, differing)
    return shown


def _row(each: Report, *, is_full: bool) -> list[str]:
    weight = number(each.mean_weight, ".3f") + ("" if each.is_sound else " !")
    return [
        escape(each.title),
        *([escape(each.slot) or "all"] if is_full else []),
        number(each.estimates["calibrated_dr"], ".4f"),
        span(each.intervals["default"], ".4f"),
        span(each.intervals["anytime"], ".4f"),
        f"{each.rounds:,}",
        number(each.effective_rounds, ",.0f"),
        weight,
        number(each.largest_weight, ".3g"),
    ]


def _print_all(reports: Sequence[Report]) -> None:
    whole = [each for each in reports if not each.slot]
    names = [escape(each.title) for each in whole]
    estimators = table("estimator", *names, right=names)
    for name in whole[0].estimates:
        estimators.add_row(name, *[number(each.estimates[name], ".4f") for each in whole])
    intervals = table("95 % interval", *names, right=names)
    for name in whole[0].intervals:
        intervals.add_row(name, *[span(each.intervals[name], ".4f") for each in whole])
    out = console()
    out.print(estimators)
    out.print()
    out.print(intervals)


def _document(found: _Found, shown: Sequence[Part], reports: Sequence[Report], *, is_full: bool) -> dict[str, Any]:
    return {
        "events": found.events,
        "malformed": found.read.malformed,
        "thinned": found.read.thinned,
        "repeated": found.repeated,
        "verdict": judged(found.parts).sentence if found.parts else None,
        "policies": [_plain(part, each, is_full=is_full) for part, each in zip(shown, reports, strict=True)],
        "warnings": [*(warnings(found.parts) if found.parts else []), *found.notes],
    }


def _plain_lift(lift: Lift) -> dict[str, Any]:
    return {
        "value": lift.value,
        "interval": lift.interval,
        "anytimeInterval": lift.anytime,
        "differingShare": lift.differing,
    }


def _plain(part: Part, each: Report, *, is_full: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": each.name,
        "title": each.title,
        "source": each.source.value,
        "arguments": part.contender.arguments,
        "withoutEffect": without_effect(part.contender.arguments),
        "slot": each.slot,
        "rounds": each.rounds,
        "lift": known(each.lift),
        "comparedWith": each.compared_with or None,
        "lifts": {name: _plain_lift(lift) for name, lift in each.lifts.items()},
        "estimate": each.estimates["calibrated_dr"],
        "interval": each.intervals["default"],
        "anytimeInterval": each.intervals["anytime"],
        "effectiveRounds": each.effective_rounds,
        "meanWeight": each.mean_weight,
        "meanWeightInterval": each.mean_weight_interval,
        "isSound": each.is_sound,
        "largestWeight": each.largest_weight,
        "largestPossibleWeight": each.largest_possible_weight,
        "forced": each.forced,
    }
    if is_full:
        drawn = curve(part)
        told |= {
            "estimates": dict(each.estimates),
            "intervals": dict(each.intervals),
            "series": [
                {"until": at, "estimate": value, "anytimeInterval": [low, high]}
                for at, value, low, high in zip(drawn.times, drawn.estimates, drawn.lower, drawn.upper, strict=True)
            ],
        }
    return told
