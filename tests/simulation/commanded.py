"""The simulation by its command, in a process of its own: its time is virtual, and the service takes it when it is imported."""

import asyncio
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

PATIENT = 3_600
"""Seconds for a minute of work, on a machine that may be busy with others'."""


async def simulated(*arguments: str) -> tuple[int | None, str]:
    """Give the exit code of the command, and what it tells."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return process.returncode, told.decode()
