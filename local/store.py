"""Where ``python -m local`` keeps the data: in a store of its own, or in an Azurite."""

import asyncio
import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.azurite import FREE_PORTS, default_ports_if_free, ensure_installed, running_azurite
from local.processes import Child, LocalError
from shared.domain.errors import PersonalizerError, SettingsError
from shared.runtime.settings import store_folder as read_store_folder
from shared.storage.copying.mark import check_whole
from shared.storage.embedded.folder import held_by_one_service, is_store
from shared.storage.embedded.storage import check_store
from shared.storage.opening import open_storage
from shared.storage.settings import FolderSettings

EMBEDDED, AZURITE = "embedded", "azurite"
SETTING = "PERSONALIZER_STORE"
FOLDER = "store"
EARLIER = "data"
"""The folder in which Azurite keeps the data, and did before there was a store."""

PATIENCE = 30.0
"""Seconds in which the processes of a service that was killed have ended."""

BRING_OVER = """
{data} has older data, which Azurite kept. They stay there and are not used now, because this store is new.
To copy them, stop this service (Ctrl-C), and put the new store aside:

  mv {store} {store}.empty
  make setup

Then, in two terminals:

  make run STORAGE=azurite      # prints its storage; leave it running
  .venv/bin/python -m cli copy --from 'ITS STORAGE' --to {store}

This message appears once. docs/quickstart.md has it as well.
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A storage that is ready: the settings that lead the app to it, what a person calls it, and what belongs to it.

    ``locks`` are descriptors that every process of the service is to inherit. ``note`` is what has to be told once.
    """

    settings: Mapping[str, str]
    name: str
    locks: tuple[int, ...]
    processes: tuple[Child, ...] = ()
    note: str = ""


def settings_of(kind: str, home: Path) -> Mapping[str, str]:
    """Give the settings that will lead to the storage, as far as they are known before it is there."""
    return {"AzureWebJobsStorage": "UseDevelopmentStorage=true"} if kind == AZURITE else {SETTING: str(store_folder(home))}


def store_folder(home: Path) -> Path:
    """Give the folder that ``PERSONALIZER_STORE`` names, or the one under ``home``; raises `LocalError`."""
    given = os.environ.get(SETTING, "").strip()
    try:
        return read_store_folder(given) if given else (home / FOLDER).absolute()
    except SettingsError as error:
        raise LocalError(_sentence(str(error))) from error


@contextlib.contextmanager
def storage(kind: str, home: Path, *, is_usual: bool, lock: int) -> Iterator[Kept]:
    """Have the data's storage ready until the block is left; raises `LocalError`.

    ``is_usual`` says that this is the place of ``make run``, whose Azurite takes the usual ports; ``lock`` is that place's.
    """
    with _azurite(home, is_usual=is_usual, lock=lock) if kind == AZURITE else _embedded(home, lock) as kept:
        yield kept


@contextlib.contextmanager
def _azurite(home: Path, *, is_usual: bool, lock: int) -> Iterator[Kept]:
    if os.environ.get(SETTING, "").strip():
        raise LocalError(f"{SETTING} names a folder for the data, and --storage azurite another place: leave one of them out.")
    ensure_installed()
    ports = default_ports_if_free() if is_usual else FREE_PORTS  # two that start at once must not both want the usual ones
    with running_azurite(home / EARLIER, ports=ports, locks=(lock,)) as azurite:
        connection = azurite.connection_string()
        yield Kept({"AzureWebJobsStorage": connection}, connection, (lock,), (azurite.process,))


@contextlib.contextmanager
def _embedded(home: Path, lock: int) -> Iterator[Kept]:
    folder = store_folder(home)
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(held_by_one_service(folder, patience=PATIENCE))
            note = _note_of_earlier_data(home, folder)
            check_store(FolderSettings(folder, make=True))
            asyncio.run(_check_whole(folder))
        except PersonalizerError as error:
            raise LocalError(_sentence(str(error))) from error
        yield Kept({SETTING: str(folder)}, str(folder), (lock, held), note=note)


async def _check_whole(folder: Path) -> None:
    store = open_storage(FolderSettings(folder))
    try:
        await check_whole(store)
    finally:
        await store.close()


def _note_of_earlier_data(home: Path, store: Path) -> str:
    """Say how to bring over what an Azurite kept here, as long as there is no store."""
    data = home / EARLIER
    if is_store(store) or not any(data.glob("__azurite_db_*")):
        return ""
    return BRING_OVER.format(data=data, store=shlex.quote(str(store)))


def _sentence(text: str) -> str:
    """Make a sentence of an error's text.

    >>> _sentence("the store is full")
    'The store is full.'
    """
    return f"{text[:1].upper()}{text[1:]}."
