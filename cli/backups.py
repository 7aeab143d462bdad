"""``python -m cli backup`` and ``restore``: a whole deployment as one file, and back."""

import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli import options
from cli.archive import pack, unpack
from cli.copying import copied, document, tell
from cli.output import bytes_progress, check_folder, console, escape, facts, print_json
from cli.places import opened, read_place
from cli.storage import run
from shared.domain.clock import SystemClock
from shared.domain.errors import SettingsError, StorageUnavailableError
from shared.storage.copying.mark import check_whole
from shared.storage.copying.rows import rewards_first
from shared.storage.ports import Storage
from shared.storage.settings import FolderSettings

_ROUNDS: Final = 5

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the backup.")]


def backup(
    file: File,
    storage: options.Storage = "",
    is_overwriting: Annotated[bool, typer.Option("--overwrite", help="Replace the file, if it is there.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write a whole deployment to one file, while the service runs: what was acknowledged before it began is in it.

    It needs room for the deployment twice beside the file. The file holds keys: only its owner may read it.
    """
    _check_no_folder(file)
    if file.exists() and not is_overwriting:
        raise SettingsError(f"{file} is there already: name another file, or give --overwrite")
    check_folder(file)
    told = run(_backup(file, storage))
    if as_json:
        print_json(told)
    else:
        console().print(facts(**{"backup of": escape(told["from"]), "file": escape(str(file)), "bytes": told["bytes"]}))


async def _backup(file: Path, storage: str) -> dict[str, Any]:
    settings, at = read_place(storage), SystemClock().now()
    async with opened(settings, to_write=False) as place:
        with _aside(file.with_name(f".{file.name}.store")) as private:
            aside = private / "store"
            if isinstance(settings, FolderSettings):
                await check_whole(place.storage)
                await _snapshot(place.storage, aside)
            else:
                async with opened(FolderSettings(aside), to_write=True) as kept:
                    await copied(place, kept)
            sizes = sum(each.stat().st_size for each in aside.rglob("*") if each.is_file())
            with bytes_progress(f"Writing {file.name}", sizes) as progress:
                size = pack(aside, file, source=place.name, at=at, told=lambda done: progress.advance(progress.task_ids[0], done))
    return {"from": place.name, "file": str(file), "bytes": size, "madeAt": at}


async def _snapshot(storage: Storage, to: Path) -> None:
    """Copy a store as it is at one moment; once more if a table went meanwhile, which the files of that moment may need."""
    from shared.storage.embedded.storage import EmbeddedStorage

    assert isinstance(storage, EmbeddedStorage)
    for _ in range(_ROUNDS):
        before = set(await storage.rows.tables())
        await storage.snapshot(to, order=rewards_first)
        if before <= set(await storage.rows.tables()):
            return
        shutil.rmtree(to)
    raise StorageUnavailableError("the store changes faster than it can be backed up: run this again")


def restore(
    file: File,
    target: Annotated[
        str,
        typer.Option("--to", metavar="PLACE", help="The target: a folder, a connection string, or an account's address. It must be empty."),
    ] = "",
    is_replacing: Annotated[
        bool,
        typer.Option("--replace", help="Replace the store in that folder. Its service must be stopped. The old store is kept."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Bring a backup back, to a folder or an account that is empty or new. What it holds is checked before anything is put in place."""
    settings = read_place(target)
    _check_no_folder(file)
    if not isinstance(settings, FolderSettings):
        if is_replacing:
            raise typer.BadParameter("--replace is for folders: empty the account yourself, or name another one")
        done, names = run(_to_account(file, target))
        if as_json:
            print_json(document(done, *names))
        else:
            tell(done, *names)
        return
    told = _to_folder(file, settings.path, is_replacing=is_replacing)
    if as_json:
        print_json(told)
    else:
        shown = {"store": told["to"], "backup of": told["from"], "made at": told["madeAt"], "old store": told["kept"]}
        console().print(facts(**{name: None if text is None else escape(str(text)) for name, text in shown.items()}))
        console().print(f"Start the service with PERSONALIZER_STORE={told['to']} and the other settings as they were.", markup=False)


def _to_folder(file: Path, folder: Path, *, is_replacing: bool) -> dict[str, Any]:
    folder = folder.resolve()  # where it is a link, the store stays on the disk that the link leads to
    if os.path.ismount(folder):
        raise SettingsError(f"{folder} is a whole file system: name a folder in it")
    with _kept_off(folder, is_replacing=is_replacing) as is_there, _aside(folder.with_name(f".{folder.name}.restored")) as private:
        aside = private / "store"
        about = _unpacked(file, aside)
        _check(aside)
        kept = _free_name(folder) if is_there else None
        if kept is not None:
            folder.rename(kept)
        aside.rename(folder)
        _sync(folder.parent)
    return {"to": str(folder), "from": about.get("source"), "madeAt": about.get("madeAt"), "kept": str(kept) if kept else None}


async def _to_account(file: Path, target: str) -> Any:
    async with _unpacked_store(file) as store, opened(read_place(target), to_write=True) as there:
        return await copied(store, there), (str(file), there.name)


@asynccontextmanager
async def _unpacked_store(file: Path) -> AsyncIterator[Any]:
    """Open a backup as a store, beside its file."""
    with _aside(file.with_name(f".{file.name}.restored")) as private:
        aside = private / "store"
        _unpacked(file, aside)
        _check(aside)
        async with opened(FolderSettings(aside), to_write=False) as store:
            yield store


def _unpacked(file: Path, aside: Path) -> Any:
    with bytes_progress(f"Reading {file.name}", file.stat().st_size) as progress:
        return unpack(file, aside, told=lambda done: progress.advance(progress.task_ids[0], done))


def _check(store: Path) -> None:
    """Raise `SettingsError` for a store of a newer release, and for what is none; folders that held nothing are made."""
    from shared.storage.embedded.folder import CONTENT, ROWS, is_store
    from shared.storage.embedded.storage import check_store

    if not is_store(store):
        raise SettingsError("the backup holds no store")
    for name in (ROWS, CONTENT):
        (store / name).mkdir(mode=0o700, exist_ok=True)
    check_store(FolderSettings(store))


@contextmanager
def _kept_off(folder: Path, *, is_replacing: bool) -> Iterator[bool]:
    """Keep services off a folder, and tell whether it holds a store; raises `SettingsError` for one that is not to be touched."""
    from shared.storage.embedded.folder import held_by_one_service, is_store

    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield False
        return
    if not folder.is_dir() or not is_store(folder):
        raise SettingsError(f"{folder} holds other things: name an empty folder")
    if not is_replacing:
        raise SettingsError(f"{folder} holds a store already: name an empty folder, or stop its service and give --replace")
    with held_by_one_service(folder):
        yield True


def _free_name(folder: Path) -> Path:
    at = f"{SystemClock().now():%Y%m%dT%H%M%SZ}"
    return next(
        path
        for number in range(1, 1_000)
        if not (path := folder.with_name(f"{folder.name}.before-{at}{f'-{number}' * (number > 1)}")).exists()
    )


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Give an empty folder, for its owner alone and for one command at a time, and remove it; an earlier run may have died.

    Raises `SettingsError` while another has it.
    """
    descriptor = _held(folder)
    try:
        for left in folder.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _held(folder: Path) -> int:
    """Make a folder unless it is there, and give a descriptor that holds its lock."""
    while True:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        with suppress(FileNotFoundError):  # who had it has removed it just now
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fchmod(descriptor, 0o700)
                if os.path.samestat(os.fstat(descriptor), folder.stat()):
                    return descriptor
            except BlockingIOError as cause:
                os.close(descriptor)
                raise SettingsError(f"another backup or restore of that name is under way, in {folder}: let it end first") from cause
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _check_no_folder(file: Path) -> None:
    if file.is_dir():
        raise SettingsError(f"{file} is a folder: name the file of a backup")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
