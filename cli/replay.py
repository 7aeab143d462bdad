"""``python -m cli replay``: rebuild a kept model from the joined log and compare it with the stored one."""

import argparse
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from shared.domain.errors import ResourceNotFoundError, SettingsError
from shared.domain.loop import DEFAULT_LOOP, LoopRecord, is_loop_name
from shared.runtime.settings import read_settings
from shared.services.replay import Replay, Route, Step
from shared.storage.account import StorageAccount
from shared.storage.cold_log import BlobColdLog
from shared.storage.loop_store import BlobLoopStore
from shared.storage.model_store import BlobModelStore

_DESCRIPTION = """\
Rebuild a kept model from the joined log, chunk by chunk as the trainer learned it, and compare the bytes with the stored ones.
Bytes are the same on the same kind of machine with the same release and library versions."""

_EXIT_CODES = """\
exit codes: 0 identical; 1 different; 2 it could not be done: wrong arguments, no such model, a chunk that is missing or damaged,
storage that does not answer"""


def add_to(commands: Any) -> None:
    """Add this command to those of a parser."""
    parser = commands.add_parser(
        "replay",
        help="rebuild a model from the joined log and compare it with the stored one",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("version", nargs="?", default="", metavar="VERSION", help="the model to rebuild (default: the published one)")
    parser.add_argument(
        "--from",
        dest="start",
        default="",
        metavar="VERSION",
        help="go on from the state of this kept model (default: from nothing, or the oldest that will do where that is not known)",
    )
    parser.add_argument("--loop", default=DEFAULT_LOOP, metavar="NAME", help="the loop (default: %(default)s)")
    parser.add_argument(
        "--connection-string",
        default="",
        metavar="TEXT",
        help="the storage account (default: that of the app's settings in the environment)",
    )
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Print a line a chunk and the outcome; gives the exit code, or raises `PersonalizerError`."""
    async with _replay(arguments.connection_string, arguments.loop, environment) as replay:
        route = await replay.plan(arguments.version, start=arguments.start)
        print(_beginning(route), flush=True)
        identical, number = "", 0
        async for step in replay.run(route):
            number += 1
            print(_progress(step, f"{number}/{len(route.chunks)}"), flush=True)
            if step.differing:
                print(_different(step, identical))
                return 1
            identical = step.version or identical
    print(f"Model {route.version} is identical: the joined log gives the same bytes.")
    return 0


@asynccontextmanager
async def _replay(connection_string: str, loop: str, environment: Mapping[str, str]) -> AsyncIterator[Replay]:
    given = {"PERSONALIZER_STORAGE": connection_string} if connection_string else {}
    account = StorageAccount(read_settings({**environment, **given}).account)
    try:
        _check_address(account)
        place = await _place(account, loop)
        yield Replay(BlobColdLog(account, loop=place), BlobModelStore(account, loop=place))
    finally:
        await account.close()


async def _place(account: StorageAccount, loop: str) -> str:
    """Give the name that the loop's blobs carry."""
    stored = await BlobLoopStore(account).read(loop) if is_loop_name(loop) else None
    if stored is not None and stored[0].is_there:
        return stored[0].place
    if loop != DEFAULT_LOOP:
        raise ResourceNotFoundError(f"there is no loop {loop!r}")
    return LoopRecord(DEFAULT_LOOP).place


def _check_address(account: StorageAccount) -> None:
    try:
        account.blobs  # noqa: B018  # made when first asked for, which is when the SDK reads the connection string
    except ValueError as cause:
        raise SettingsError(f"the storage account's connection string or address cannot be used: {cause}") from cause


def _beginning(route: Route) -> str:
    start = f"the state of model {route.start}" if route.start else "nothing"
    reason = f" It cannot be from further back: {route.reason}." if route.reason else ""
    return f"Rebuilding model {route.version} from {start} and {len(route.chunks)} chunks.{reason}"


def _progress(step: Step, number: str) -> str:
    found = f", model {step.version} {'different' if step.differing else 'identical'}" if step.version else ""
    return f"  {number}  {step.chunk}: {step.learned} learned, {step.skipped} skipped{found}"


def _different(step: Step, identical: str) -> str:
    before = f"; the last one the same is {identical}" if identical else ""
    return f"Model {step.version} is the first kept one that comes out different ({' and '.join(step.differing)}){before}."
