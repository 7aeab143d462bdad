"""The command line run in this process, as an operator runs it: what it prints and its exit code."""

import asyncio
import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cli.main import main
from shared.runtime.own_machine import FOLDER_SETTING
from tests.running import OURS


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.output)

    @property
    def told(self) -> str:
        """Its one line of error, which is all that it says."""
        assert self.code == 2, (self.text, self.errors)
        assert self.output == b""
        assert self.errors.count("\n") == 1, self.errors
        assert "Traceback" not in self.errors
        return self.errors.strip()


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Done:
    """Run a command with nothing of this process's settings but what is given, and none of a service that ran on this machine."""
    output, errors = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        for name, value in {FOLDER_SETTING: "/nonexistent", **(environment or {})}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO())
        patch.setattr(sys, "stdout", output)
        patch.setattr(sys, "stderr", errors)
        code = main(arguments)
        output.flush()
    return Done(code, output.buffer.getvalue(), errors.getvalue())


async def run_async(*arguments: str, environment: Mapping[str, str] | None = None) -> Done:
    """Run a command from within a running loop."""
    return await asyncio.to_thread(lambda: run(*arguments, environment=environment))
