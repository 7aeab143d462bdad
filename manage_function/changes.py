"""HTTP: what was changed in a loop, by whom, and when."""

import azure.functions as func

from shared.api.changes import ChangesBody, read_top
from shared.runtime.http import Call, Operation, answer


async def listed(call: Call) -> func.HttpResponse:
    """Answer with the newest changes."""
    return answer(200, ChangesBody.write(await call.services.configurator.changes(most=read_top(call.query))))


OPERATIONS = (Operation("changes", "GET", "changes", listed, versioned=False),)
