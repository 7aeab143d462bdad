"""Which modules are searched for examples in docstrings: only those that have one. To import and to inspect the others takes time."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest.doctest import DoctestModule

PROMPT = b">>>"


class Doctests:
    """A plugin of `pytest`, which without it imports each module that it finds, and inspects all that is in it."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path) -> Generator[None, Any, Any]:
        found = yield
        return [each for each in found if not isinstance(each, DoctestModule) or has_examples(file_path)]


def has_examples(module: Path) -> bool:
    """Tell whether there is a prompt anywhere in the file.

    >>> has_examples(Path(__file__)), has_examples(Path(__file__).with_name("patience.py"))
    (True, False)
    """
    return PROMPT in module.read_bytes()
