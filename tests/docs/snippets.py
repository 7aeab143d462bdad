"""The fenced blocks of the README and of the documentation, and how each is tried."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.running import REPOSITORY

READ: Final = "text"
"""The language of a block that shows something and is not to be run."""

NOT_HERE: Final = {
    "az": "needs a subscription of Azure",
    "azd": "needs a subscription of Azure",
    "azcopy": "needs two storage accounts of Azure; tests/infra/test_moving.py copies the same blobs",
    "func": "Core Tools come from a host that tests do not ask; tests/worker_host.py runs the app in Microsoft's worker",
    "azurite": "runs until it is stopped; local/azurite.py starts it with the same option for every test",
    "sudo": "needs a server of one's own; tests/infra/test_server.py looks at what is installed there, and runs the same program",
    "podman": "needs an engine for containers; tests/infra/test_server.py does the steps of the Containerfile one by one",
    "local": "runs until it is stopped; tests/local starts it with these options",
    "examples": "tests/examples runs each of them, in both languages",
    "npm": "tests/examples runs each of the examples, in both languages",
    "make": "tests/e2e/test_make_run.py runs what `make run` starts, tests/examples what `make demo` does, and CI the others",
}
"""Commands that no test runs, and why; blocks that hold one are only read by the shell."""

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_MODULE = re.compile(r"python3? -m (\w+)")
_COMMAND = re.compile(r"(?:^|&& |\| |; |\$\()\s*(?:\w+=(?:'[^']*'|\S+)\s+)*([\w./-]+)", re.MULTILINE)


class Snippet(NamedTuple):
    """A block: ``number`` counts those of its page, from 1."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"

    @property
    def not_here(self) -> list[str]:
        """The commands in it that no test runs."""
        return (
            sorted({name for name in [*_COMMAND.findall(self.text), *_MODULE.findall(self.text)] if name in NOT_HERE})
            if self.language == "bash"
            else []
        )


def pages() -> list[Path]:
    return [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def snippets() -> Iterator[Snippet]:
    for page in pages():
        place = page.relative_to(REPOSITORY).as_posix()
        for number, (_, language, text) in enumerate(_BLOCK.findall(page.read_text("utf-8")), start=1):
            yield Snippet(place, number, language, textwrap.dedent(text))
