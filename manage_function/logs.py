"""HTTP: the log's properties, its deletion, and batches for it."""

import asyncio

import azure.functions as func

from shared.api.decisions import DecisionsResponse, read_decisions
from shared.api.log_download import CURSOR, EVENTS, JSON_LINES, MEDIA_TYPES, Download, read_download
from shared.api.logs import DateRange, LogsProperties, check_lines, read_interactions, read_observations
from shared.joining.csv_rows import CsvText
from shared.runtime.assembly.process import BATCHES, REPORTS
from shared.runtime.http import MUCH, QUERY_VERSION, WORK, Call, Operation, answer, attachment

_UPLOADS = ("v1.1-preview.2", "v1.1-preview.3", QUERY_VERSION)


async def properties(call: Call) -> func.HttpResponse:
    """Answer from when to when something is logged: with an empty object if nothing is."""
    found = await call.services.logs.date_range()
    return answer(200, LogsProperties(date_range=None if found is None else DateRange(from_=found.since, to=found.until)))


async def delete(call: Call) -> func.HttpResponse:
    """Delete the log; 204 once nobody reads anything of it any more."""
    await call.services.logs.delete()
    await call.services.log_breakdowns.clear()
    return answer(204)


async def interactions(call: Call) -> func.HttpResponse:
    """Take a batch of decisions; 204 once all of them are stored."""
    check_lines(call.request.headers.get("content-type", ""))
    batch = await asyncio.to_thread(read_interactions, call.body, call.services.actions)
    await call.services.uploads.interactions(batch)
    return answer(204)


async def decisions(call: Call) -> func.HttpResponse:
    """Take a batch of decisions that are made once more; 200, and what came of them, once those that came out the same are stored."""
    check_lines(call.request.headers.get("content-type", ""))
    batch = await asyncio.to_thread(read_decisions, call.body, call.services.actions)
    return answer(200, DecisionsResponse.write(await call.services.verified.decisions(batch)))


async def observations(call: Call) -> func.HttpResponse:
    """Take a batch of rewards and activations; 204 once all of them are stored."""
    check_lines(call.request.headers.get("content-type", ""))
    batch = await asyncio.to_thread(read_observations, call.body)
    await call.services.uploads.observations(batch)
    return answer(204)


async def lines(call: Call) -> func.HttpResponse:
    """Answer with a piece of the log, and where the next one begins."""
    asked = read_download(call.query)
    piece = await call.services.downloads.piece(asked.since, asked.until, cursor=asked.cursor)
    body = await asyncio.to_thread(_written, piece.text, asked)
    headers = {EVENTS: str(piece.events)} | ({CURSOR: piece.following} if piece.following else {})
    return attachment(body, name=f"log.{asked.format}", media_type=MEDIA_TYPES[asked.format], headers=headers)


def _written(text: bytes, asked: Download) -> bytes:
    if asked.format == JSON_LINES:
        return text
    table = CsvText(for_spreadsheets=asked.for_spreadsheets)
    return b"".join([b"" if asked.cursor else table.head, *table.body(text)])


OPERATIONS = (
    Operation("logs_lines", "GET", "log/lines", lines, versioned=False, time=MUCH, room=REPORTS),
    Operation("logs_properties", "GET", "logs/properties", properties, time=MUCH),
    Operation("logs_delete", "DELETE", "logs", delete, time=WORK),
    Operation("logs_interactions", "POST", "logs/interactions", interactions, reads_json=False, versions=_UPLOADS, appends=True),
    Operation(
        "logs_decisions",
        "POST",
        "logs/decisions",
        decisions,
        reads_json=False,
        versioned=False,
        room=BATCHES,
        time=MUCH,
        appends=True,
    ),
    Operation("logs_observations", "POST", "logs/observations", observations, reads_json=False, versions=_UPLOADS, appends=True),
)
