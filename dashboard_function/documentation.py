"""HTTP: the documentation's own pages, for whoever looks at the dashboard: the texts of `docs`, made HTML when they are asked for."""

import asyncio
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

import azure.functions as func

from dashboard_function.markdown import headline, html_of
from shared.domain.errors import ResourceNotFoundError
from shared.runtime.http import Call, Operation, resource
from shared.runtime.pages import HEADERS

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
LEFT_OUT: Final = frozenset({"internals", "decisions", "figures"})
"""What is for those who change the service, and is not deployed."""
FIRST: Final = "README"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Open Personalizer</title>
<link rel="icon" href="/dashboard/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/dashboard/base.css">
<link rel="stylesheet" href="/dashboard/landing.css">
</head>
<body>
<nav aria-label="Pages"><a class="brand" href="/"><img src="/dashboard/favicon.svg" alt="" width="24" height="24"> Open Personalizer</a>
<a href="/documentation">Documentation</a> <a href="/docs">API</a> <a href="/dashboard">Dashboard</a></nav>
<main id="main" class="text">
{content}
</main>
</body>
</html>
"""


@cache
def pages() -> Mapping[str, Path]:
    """Give the pages that there are, by their names in addresses; empty where the texts are not deployed."""
    found = sorted(DOCS.rglob("*.md"))
    named = {path.relative_to(DOCS).with_suffix("").as_posix(): path for path in found}
    return {name: path for name, path in named.items() if name.partition("/")[0] not in LEFT_OUT}


@cache
def written(name: str) -> bytes:
    """Write one of the pages."""
    text = pages()[name].read_text("utf-8")
    content = html_of(text, lambda target: address(name, target))
    return _PAGE.replace("{title}", escape(headline(text))).replace("{content}", content).encode()


def address(page: str, target: str) -> str | None:
    """Give where a link of a page leads; None where that is not among what can be asked for."""
    if target.startswith(("https://", "http://", "#")):
        return target
    path, _, part = target.partition("#")
    name = normpath(join(dirname(page), path)).removesuffix(".md")
    if not path.endswith(".md") or name not in pages():
        return None
    return f"/documentation/{name}{f'#{part}' if part else ''}"


async def documentation(call: Call) -> func.HttpResponse:
    """Hand out a page: only what is in the list can be asked for."""
    name = call.params.get("page", FIRST)
    if name not in await asyncio.to_thread(pages):
        raise ResourceNotFoundError(f"the documentation has no page {name[:100]!r}")
    return await resource(call, await asyncio.to_thread(written, name), media_type="text/html; charset=utf-8", headers=HEADERS)


OPERATIONS: Final = (
    Operation("documentation", "GET", "documentation", documentation, versioned=False, needs_key=False),
    Operation("documentation_page", "GET", "documentation/{*page}", documentation, versioned=False, needs_key=False),
)
