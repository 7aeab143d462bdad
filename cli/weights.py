"""``python -m cli weights``: what a kept model has learned, feature by feature, with the names that the log still has."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from cli import options
from cli.output import console, escape, facts, print_json, spinner, table
from cli.storage import StoredLoop, run, stored_loop
from shared.domain.errors import ResourceNotFoundError, UnreadableError
from shared.joining.dsjson import read_situation
from shared.joining.reading import read_lines
from shared.learning.artifact import load_model
from shared.learning.model import Model
from shared.learning.named_weights import NamedWeights

_EVENTS: Final = 20_000
_SHOWN: Final = 20


def weights(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="The model; the published one if left out.")] = "",
    events: Annotated[
        int, typer.Option("--events", min=1, max=1_000_000, metavar="COUNT", help="Number of events to take names from, newest first.")
    ] = _EVENTS,
    most: Annotated[
        int | None,
        typer.Option("--most", min=1, metavar="COUNT", help="Number of weights to print, largest first; 20, and all as JSON."),
    ] = None,
    loop: options.Loop = options.THE_LOOP,
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Print the weights of a kept model, feature by feature.

    A model holds numbers for hashed features: their names come from the joined log, as far as it is still there.
    """
    found = run(_found(version, loop, storage, events=events))
    if as_json:
        print_json(_cut(found, most))
    else:
        _print(found, most or _SHOWN)


async def _found(version: str, loop: str, storage: str, *, events: int) -> dict[str, Any]:
    async with stored_loop(loop, storage) as opened:
        wanted = version or await _published(opened)
        model = await asyncio.to_thread(load_model, await opened.services.store.artifact(wanted))
        named = NamedWeights(model)
        read, damaged = await _named(opened, named, events=events)
    return await asyncio.to_thread(lambda: _document(model, named) | {"version": wanted, "events": read, "damagedChunks": damaged})


async def _published(opened: StoredLoop) -> str:
    stored = await opened.services.store.pointer()
    if stored is None or not stored[0].version:
        raise ResourceNotFoundError("no model is published")
    return stored[0].version


async def _named(opened: StoredLoop, named: NamedWeights, *, events: int) -> tuple[int, int]:
    """Take names from the log, the newest chunk first; gives the events that were read, and the chunks that could not be."""
    read = damaged = 0
    with spinner("Reading names from the log") as tell:
        for name in reversed(await opened.joined.chain()):
            try:
                read += await asyncio.to_thread(_take, named, await opened.joined.chunk(name), events - read)
            except UnreadableError:
                damaged += 1
            tell(f"{read:,} events, {named.features:,} features")
            if read >= events or named.is_full:
                break
    return read, damaged


def _take(named: NamedWeights, text: bytes, most: int) -> int:
    """Take the names of a chunk's events that were learned; gives how many that were."""
    taken = 0
    for event in read_lines(text):
        if event.skip is None:
            named.take(read_situation(event.decision.situation), event.decision.learned_action)
            taken += 1
        if taken >= most or named.is_full:
            break
    return taken


def _document(model: Model, named: NamedWeights) -> dict[str, Any]:
    pairs, own = named.pairs(), named.own_parts()
    return {
        "version": "",
        "learned": model.learned,
        "ownShare": model.share,
        "jointShare": model.joint_share,
        "weights": len(model.cells),
        "unnamed": named.unnamed(),
        "actionsWithOwnPart": len(model.arms),
        "features": named.features,
        "events": 0,
        "damagedChunks": 0,
        "pairs": [asdict(each) for each in pairs],
        "joint": [asdict(each) for each in named.joint_worths()],
        "own": [{"action": each.action, "alone": each.alone, "features": [asdict(worth) for worth in each.worths]} for each in own],
    }


def _cut(found: dict[str, Any], most: int | None) -> dict[str, Any]:
    own = [{**each, "features": each["features"][:most]} for each in found["own"]]
    return {**found, "pairs": found["pairs"][:most], "joint": found["joint"][:most], "own": own}


def _print(found: dict[str, Any], most: int) -> None:
    out = console()
    out.print(
        facts(
            model=found["version"],
            events_learned=found["learned"],
            weights=found["weights"],
            of_them_without_a_name=found["unnamed"] or None,
            names_from_events=found["events"],
            chunks_that_could_not_be_read=found["damagedChunks"] or None,
            share_of_own_parts=f"{found['ownShare']:.0%}",
            share_of_the_joint_part=f"{found['jointShare']:.0%}",
        )
    )
    if found["pairs"]:
        shared = table("context", "action", "weight", "divided by", "events", right=["weight", "divided by", "events"])
        for each in found["pairs"][:most]:
            names = [escape(each["context"]) or "(any)", escape(each["action"]) or "(any)"]
            shared.add_row(*names, f"{each['weight']:+.4f}", f"{each['scale']:g}", f"{each['events']:,}")
        out.print()
        out.print(shared)
    if found["joint"]:
        joint = table("jointly, context", "action", "adds", "events", right=["adds", "events"])
        for each in found["joint"][:most]:
            joint.add_row(escape(each["context"]), escape(each["action"]), f"{each['worth']:+.4f}", f"{each['events']:,}")
        out.print()
        out.print(joint)
    if found["own"]:
        own = table("own part of", "context", "adds", "events", right=["adds", "events"])
        rows = [(each["action"], worth) for each in found["own"] for worth in each["features"]]
        for action, worth in sorted(rows, key=lambda row: -abs(row[1]["worth"]))[:most]:
            own.add_row(escape(action), escape(worth["context"]), f"{worth['worth']:+.4f}", f"{worth['events']:,}")
        out.print()
        out.print(own)
