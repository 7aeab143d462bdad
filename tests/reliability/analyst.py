"""What a kill test of evaluations kills: a process that takes messages from the queue and does what they say, as the app does.

``python -m tests.reliability.analyst CONNECTION`` goes on until it is killed, and tells of each message that it begins with.
"""

import asyncio
import base64
import os
import sys

from azure.core.exceptions import ResourceNotFoundError

from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.services.analysis import running
from shared.services.analysis.board import Message
from shared.storage import names

running.STEP_EVENTS = 150  # type: ignore[misc]  # so that there are many steps to die in
HOLD = 2
"""Seconds after which the message of a worker that died comes again."""


async def work(connection: str) -> None:
    deployment = Deployment(read_settings({"AzureWebJobsStorage": connection}))
    queue = deployment.host_account.queues.get_queue_client(names.JOBS)
    while True:
        try:
            message = await queue.receive_message(visibility_timeout=HOLD)
        except ResourceNotFoundError:
            message = None
        if message is None:
            await asyncio.sleep(0.1)
            continue
        read = Message.read(base64.b64decode(message.content))
        os.write(1, f"{read.lane}:{read.step}\n".encode())
        services = await deployment.fresh(read.loop)
        assert services is not None
        await services.analyses.handle(read)
        await queue.delete_message(message)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
