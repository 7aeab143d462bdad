"""HTTP: what a browser sees at the service's own address; whoever is no browser gets what any path gets at which there is nothing."""

import asyncio
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

import azure.functions as func

from shared.domain.errors import ResourceNotFoundError
from shared.runtime.http import Call, Operation, page
from shared.runtime.pages import HEADERS

PAGE: Final = Path(__file__).with_name("landing.html")
_HTML: Final = "text/html"
_OTHERS: Final = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")


async def landing(call: Call) -> func.HttpResponse:
    """Give the page to who asks for HTML."""
    if not takes_html(call.request.headers.get("accept", "")):
        return await nothing(call)
    text = (await asyncio.to_thread(_written)).replace("{endpoint}", escape(call.origin))
    return page(text.encode(), headers={**HEADERS, "Vary": "Accept"})


@cache
def _written() -> str:
    return PAGE.read_text("utf-8")


async def nothing(call: Call) -> func.HttpResponse:
    """Say that there is nothing here for a client."""
    raise ResourceNotFoundError("there is nothing at /; the paths of the API are at /openapi.json")


def takes_html(accepted: str) -> bool:
    """Whether who sends this ``Accept`` is a browser that opens a page: such a one names the type.

    >>> [takes_html(each) for each in ("text/html,application/xhtml+xml,*/*;q=0.8", "*/*", "", "application/json", "Text/HTML;q=0")]
    [True, False, False, False, False]
    """
    for each in accepted.lower().split(","):
        name, *parameters = [part.strip() for part in each.split(";")]
        if name == _HTML:
            return not any(part.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters)
    return False


OPERATIONS: Final = (
    Operation("landing", "GET", "", landing, versioned=False, needs_key=False),
    *(Operation(f"landing_{method.lower()}", method, "", nothing, versioned=False, needs_key=False) for method in _OTHERS),
)
"""They stand at the empty path, which the function takes that takes what no other does."""
