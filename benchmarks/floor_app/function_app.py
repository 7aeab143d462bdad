"""Takes the same body as Rank, does nothing with it, and stores one row of the same size."""

import os
import uuid
from contextlib import suppress
from functools import cache

import azure.functions as func
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

PAYLOAD = os.urandom(1536)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@cache
def table() -> TableClient:
    """Open the table when it is first needed."""
    return TableClient.from_connection_string(os.environ["AzureWebJobsStorage"], "floor")  # noqa: SIM112  (Azure spells it so)


@app.route(route="status", methods=["GET"])
async def status(req: func.HttpRequest) -> func.HttpResponse:
    """Make the table; answers once it is there."""
    with suppress(ResourceExistsError):
        await table().create_table()
    return func.HttpResponse(status_code=200)


@app.route(route="insert", methods=["POST"])
async def insert(req: func.HttpRequest) -> func.HttpResponse:
    """Store a row; 201 once it is stored."""
    row = {"PartitionKey": str(len(req.get_body())), "RowKey": uuid.uuid4().hex, "Payload": PAYLOAD}
    await table().upsert_entity(row, mode=UpdateMode.REPLACE)
    return func.HttpResponse(status_code=201)
