"""What a kill test of evaluations kills: a process that takes messages from the queue and does what they say, as the app does.

``python -m tests.reliability.analyst CONNECTION`` goes on until it is killed, and tells of each message that it begins with.
"""

import asyncio
import base64
import os
import sys
from datetime import timedelta

from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.services.analysis import running
from shared.services.analysis.board import Message
from shared.storage import names
from tests.stores import settings_of

running.STEP_EVENTS = 150  # type: ignore[misc]  # so that there are many steps to die in
HOLD = 2
"""Seconds after which the message of a worker that died comes again."""


async def work(connection: str) -> None:
    deployment = Deployment(read_settings(settings_of(connection)))
    queue = deployment.host_storage.queue(names.JOBS)
    while True:
        found = await queue.receive(most=1, hidden_for=timedelta(seconds=HOLD))
        if not found:
            await asyncio.sleep(0.1)
            continue
        message = found[0]
        read = Message.read(base64.b64decode(message.text))
        os.write(1, f"{read.lane}:{read.step}\n".encode())
        services = await deployment.fresh(read.loop)
        assert services is not None
        await services.analyses.handle(read)
        await queue.delete(message)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
