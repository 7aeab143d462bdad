"""``python -m cli stats``: what there is of a loop, or in log files."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from cli import options
from cli.output import bytes_progress, console, escape, facts, print_json, table, what_was_read
from cli.sources import log_files
from cli.storage import run, stored_loop
from shared.domain.clock import SystemClock
from shared.domain.words import counted
from shared.joining.foreign.terms import Terms
from shared.services.importing.accounts import HowFar
from shared.services.importing.files import LogReader
from shared.services.importing.importer import EventIds
from shared.services.log.surveying import ActionCount, Survey

_EVENTS: Final = 5_000
_BYTES: Final = 32 * 1024 * 1024
_ROWS: Final = 20


def stats(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE...]", help="Log files, as `import` takes them; without any: the loop itself.")
    ] = None,
    probability: options.Probability = None,
    loop: options.Loop = options.THE_LOOP,
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Tell what a loop has done, how large its log and which its models are; or what events, actions, features and rewards files hold.

    Log files need no service and no storage.
    """
    if sources:
        survey, read, repeated = run(_of_files(sources, Terms(assumed=probability), storage))
        if as_json:
            print_json(_file_document(survey, read) | {"repeated": repeated})
        else:
            _print_survey(survey, read, repeated)
        raise typer.Exit(0 if survey.events else 1)
    found = run(_of_loop(loop, storage))
    if as_json:
        print_json(found)
    else:
        _print_loop(found)


async def _of_files(sources: list[str], terms: Terms, storage: str) -> tuple[Survey, HowFar, int]:
    async with AsyncExitStack() as stack:
        files = await log_files(sources, storage, stack)
        survey, known, repeated = Survey(), EventIds(is_exact=True), 0
        with bytes_progress(f"Reading {len(files)} files", sum(file.size for file in files)) as progress:
            reader = LogReader(
                now=SystemClock().now(), terms=terms, tell=lambda read: progress.update(progress.task_ids[0], completed=read.bytes)
            )
            async for batch in reader.batches(files, events=lambda: _EVENTS, size=_BYTES):
                new = known.new(batch)
                repeated += len(batch) - len(new)
                await asyncio.to_thread(survey.add, new)
        return survey, reader.done, repeated


async def _of_loop(loop: str, storage: str) -> dict[str, Any]:
    async with stored_loop(loop, storage) as opened:
        services = opened.services
        settings = await asyncio.to_thread(services.configuration.read)
        progress = await services.progress.read()
        found, sizes, models = await services.logs.date_range(), await opened.joined.sizes(), await services.keeper.versions()
        chain = await opened.joined.chain()
    counters = progress.counters
    return {
        "loop": loop,
        "learningMode": settings.learning_mode,
        "rewardWaitTimeSeconds": settings.reward_wait.total_seconds(),
        "policy": settings.policy.arguments,
        "publishedModelVersion": progress.published_version or None,
        "publishedModelLearned": progress.published_learned,
        "watermark": progress.watermark,
        "lagSeconds": progress.lag.total_seconds(),
        "counters": {
            "ranked": progress.ranked,
            "learned": counters.learned,
            "skipped": dict(counters.skipped),
            "pending": progress.pending,
            "rewards": progress.rewards,
            "lateRewards": counters.late_rewards,
            "unknownRewards": counters.unknown_rewards,
            "stragglers": counters.stragglers,
            "forgottenRewards": counters.forgotten_rewards,
        },
        "importedEvents": progress.imported,
        "log": {
            "from": found.since if found else None,
            "to": found.until if found else None,
            "chunks": len(chain),
            "bytes": sum(sizes.get(name, 0) for name in chain),
            "retentionDays": settings.log_retention_days,
        },
        "models": [
            {"version": each.version, "kind": each.kind, "publishedAt": each.published_at, "learned": each.learned} for each in models
        ],
    }


def _print_loop(found: dict[str, Any]) -> None:
    out, counters, log = console(), found["counters"], found["log"]
    out.print(
        facts(
            loop=found["loop"],
            learning_mode=str(found["learningMode"]),
            policy=escape(found["policy"]),
            model=found["publishedModelVersion"] or "none yet",
            the_model_knows=counted(found["publishedModelLearned"], "event"),
            imported=counted(found["importedEvents"], "event") if found["importedEvents"] else None,
            ranked=counters["ranked"],
            learned=counters["learned"],
            **{f"skipped, {reason}": count for reason, count in counters["skipped"].items()},
            pending=counters["pending"],
            rewards=counters["rewards"],
            late_rewards=counters["lateRewards"],
            unknown_rewards=counters["unknownRewards"],
            lag_in_seconds=round(found["lagSeconds"], 1),
            log_from=log["from"],
            log_to=log["to"],
            chunks=log["chunks"],
            bytes=log["bytes"],
        )
    )
    if found["models"]:
        listed = table("model", "kind", "published", "events learned", right=["events learned"])
        for each in found["models"]:
            at = each["publishedAt"]
            listed.add_row(each["version"], each["kind"], f"{at:%Y-%m-%d %H:%M:%S}Z" if at else "", f"{each['learned']:,}")
        out.print(listed)


def _file_document(survey: Survey, read: HowFar) -> dict[str, Any]:
    counts = ("events", "learned", "rewarded", "least", "most", "offered", "explored", "first", "last")
    names = ("skipped", "slots", "models", "context", "features")
    return {
        **{name: getattr(survey, name) for name in counts},
        "averageReward": survey.average_reward,
        **{name: dict(getattr(survey, name)) for name in names},
        "actions": {name: _action(count) for name, count in survey.actions.items()},
        "read": asdict(read),
    }


def _action(count: ActionCount) -> dict[str, Any]:
    told = {name: value for name, value in asdict(count).items() if name != "weight"}
    return {**told, "average": count.average}


def _print_survey(survey: Survey, read: HowFar, repeated: int) -> None:
    out = console()
    out.print(
        facts(
            files=read.files,
            lines=read.lines,
            could_not_be_read=read.malformed or None,
            passed_over=read.passed_over or None,
            of_apprentice_mode=read.apprentice or None,
            thinned_by_pdrop=read.thinned or None,
            came_again=repeated or None,
            events=survey.events,
            learnable=survey.learned,
            **{f"skipped, {reason}": count for reason, count in survey.skipped.items()},
            slots=len(survey.slots) or None,
            since=survey.first,
            until=survey.last,
            models=len(survey.models),
            actions=len(survey.actions),
            actions_an_event=_ratio(survey.offered, survey.events),
            explored=_ratio(survey.explored, survey.events),
            with_a_reward=_ratio(survey.rewarded, survey.learned),
            average_reward=None if survey.average_reward is None else f"{survey.average_reward:.4f}",
            rewards=f"{survey.least:g} to {survey.most:g}" if survey.learned else None,
        )
    )
    if any(fate.remarks for fate in read.fates):
        out.print()
        out.print(what_was_read(read))
    if read.thinned:
        out.print("Thinned events count 1 / (1 - pdrop) times in average rewards; all other numbers are of those that are there.")
    if not survey.events:
        return
    actions = table("action", "offered", "chosen", "average reward", right=["offered", "chosen", "average reward"])
    for name, count in sorted(survey.actions.items(), key=lambda each: -each[1].chosen)[:_ROWS]:
        average = "" if count.average is None else f"{count.average:.4f}"
        actions.add_row(escape(name), f"{count.offered:,}", f"{count.chosen:,}", average)
    features = table("feature", "of", "in events", right=["in events"])
    for side, counter in (("context", survey.context), ("action", survey.features)):
        for name, number in counter.most_common(_ROWS):
            features.add_row(escape(name), side, f"{number / survey.events:.1%}")
    out.print()
    out.print(actions)
    out.print()
    out.print(features)


def _ratio(part: int, whole: int) -> str | None:
    return f"{part / whole:.3g}" if whole else None
