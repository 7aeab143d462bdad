"""HTTP: pages for a browser, made of files that anybody may read and that ask nobody but this service for anything."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import azure.functions as func

from shared.domain.errors import ResourceNotFoundError
from shared.runtime.http import Call, Operation, resource

INDEX: Final = "index.html"
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        "": "text/plain; charset=utf-8",  # LICENSE
    }
)
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
"""A page runs and loads only files of its own, never text as code, and stands in nobody else's frame."""
NOTHING_MADE: Final[Mapping[str, Callable[[], str]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of a page, as it is sent."""

    content: bytes
    media_type: str


def read_files(folder: Path) -> Mapping[str, PageFile]:
    """Read all files below the folder, by their path from there; raises `KeyError` for a kind that pages are not made of."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): PageFile(path.read_bytes(), MEDIA_TYPES[path.suffix]) for path in found}


def page_operations(name: str, folder: Path, made: Mapping[str, Callable[[], str]] = NOTHING_MADE) -> tuple[Operation, ...]:
    """Give the operations that hand out the folder's ``index.html`` at ``/{name}`` and its files below that.

    What can be asked for is listed once, from the folder: a path that is not in the list leads nowhere, whatever it looks like.
    ``made`` are files that are not in the folder, and how each is written.
    """

    @cache
    def files() -> Mapping[str, PageFile]:
        written = {path: PageFile(write().encode(), MEDIA_TYPES[Path(path).suffix]) for path, write in made.items()}
        return {**read_files(folder), **written}

    async def get(call: Call) -> func.HttpResponse:
        place = call.params.get("file", INDEX)
        found = (await asyncio.to_thread(files)).get(place)
        if found is None:
            raise ResourceNotFoundError(f"the page {name} has no file {place[:100]!r}")
        return await resource(call, found.content, media_type=found.media_type, headers=HEADERS)

    return (
        Operation(name, "GET", name, get, versioned=False, needs_key=False),
        Operation(f"{name}_file", "GET", f"{name}/{{*file}}", get, versioned=False, needs_key=False),
    )
