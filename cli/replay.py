"""``python -m cli replay``: rebuild a kept model from the joined log and compare it with the stored one."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli import options
from cli.output import print_json
from cli.storage import run, stored_loop
from shared.services.models.replay import Replay, Route, Step


def replay(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="The model to rebuild; the published one if left out.")] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="VERSION", help="Start from the state of this kept model, instead of from nothing.")
    ] = "",
    loop: options.Loop = options.THE_LOOP,
    storage: options.Storage = "",
    as_json: options.Json = False,
) -> None:
    """Rebuild a kept model from the joined log, chunk by chunk as the trainer learned it, and compare the bytes with the stored ones.

    Bytes are the same on the same kind of machine with the same release and library versions. Exit codes: 0 identical; 1 different; 2 it
    could not be done: no such model, a chunk that is missing or damaged, storage that does not answer.
    """
    raise typer.Exit(run(_replay(version, start, loop, storage, as_json=as_json)))


async def _replay(version: str, start: str, loop: str, storage: str, *, as_json: bool) -> int:
    async with stored_loop(loop, storage) as opened:
        replayed = Replay(opened.joined, opened.services.store)
        route = await replayed.plan(version, start=start)
        steps: list[Step] = []
        if not as_json:
            print(_beginning(route), flush=True)
        async for step in replayed.run(route):
            steps.append(step)
            if not as_json:
                print(_progress(step, f"{len(steps)}/{len(route.chunks)}"), flush=True)
    if as_json:
        print_json(_document(route, steps))
    else:
        print(_outcome(route, steps))
    return 1 if steps and steps[-1].differing else 0


def _document(route: Route, steps: list[Step]) -> dict[str, object]:
    return {
        "version": route.version,
        "from": route.start,
        "reason": route.reason,
        "isIdentical": not (steps and steps[-1].differing),
        "steps": [{**asdict(step), "differing": list(step.differing)} for step in steps],
    }


def _beginning(route: Route) -> str:
    start = f"the state of model {route.start}" if route.start else "nothing"
    reason = f" It cannot be from further back: {route.reason}." if route.reason else ""
    return f"Rebuilding model {route.version} from {start} and {len(route.chunks)} chunks.{reason}"


def _progress(step: Step, number: str) -> str:
    found = f", model {step.version} {'different' if step.differing else 'identical'}" if step.version else ""
    return f"  {number}  {step.chunk}: {step.learned} learned, {step.skipped} skipped{found}"


def _outcome(route: Route, steps: list[Step]) -> str:
    if not steps or not steps[-1].differing:
        return f"Model {route.version} is identical: the joined log gives the same bytes."
    identical = [step.version for step in steps[:-1] if step.version][-1:]
    before = f"; the last one the same is {identical[0]}" if identical else ""
    last = steps[-1]
    return f"Model {last.version} is the first kept one that comes out different ({' and '.join(last.differing)}){before}."
