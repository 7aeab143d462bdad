"""``python -m cli replay``: rebuild a kept model from the joined log and compare it with the stored one."""

import argparse
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from shared.domain.errors import SettingsError
from shared.runtime.settings import read_settings
from shared.services.replay import Replay, Route, Step
from shared.storage.account import StorageAccount
from shared.storage.cold_log import BlobColdLog
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
        help="go on from the state of this kept model (default: from nothing, or the oldest that will do if the log's beginning is gone)",
    )
    parser.add_argument(
        "--connection-string",
        default="",
        metavar="TEXT",
        help="the storage account (default: that of the app's settings in the environment)",
    )
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Print a line a chunk and the outcome; gives the exit code, or raises `PersonalizerError`."""
    async with _replay(arguments.connection_string, environment) as replay:
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
async def _replay(connection_string: str, environment: Mapping[str, str]) -> AsyncIterator[Replay]:
    given = {"PERSONALIZER_STORAGE": connection_string} if connection_string else {}
    settings = read_settings({**environment, **given})
    account = StorageAccount(settings.account)
    try:
        _check_address(account)
        loop = settings.loop.name
        yield Replay(BlobColdLog(account, loop=loop), BlobModelStore(account, loop=loop))
    finally:
        await account.close()


def _check_address(account: StorageAccount) -> None:
    try:
        account.blobs  # noqa: B018  # made when first asked for, which is when the SDK reads the connection string
    except ValueError as cause:
        raise SettingsError(f"the storage account's connection string or address cannot be used: {cause}") from cause


def _beginning(route: Route) -> str:
    start = f"the state of model {route.start}" if route.start else "nothing"
    reason = f" The log before that is gone: chunk {route.missing} is missing." if route.missing else ""
    return f"Rebuilding model {route.version} from {start} and {len(route.chunks)} chunks.{reason}"


def _progress(step: Step, number: str) -> str:
    found = f", model {step.version} {'different' if step.differing else 'identical'}" if step.version else ""
    return f"  {number}  {step.chunk}: {step.learned} learned, {step.skipped} skipped{found}"


def _different(step: Step, identical: str) -> str:
    before = f"; the last one the same is {identical}" if identical else ""
    return f"Model {step.version} is the first kept one that comes out different ({' and '.join(step.differing)}){before}."
