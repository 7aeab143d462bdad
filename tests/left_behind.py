"""What a file of tests leaves as it found it: the files that share a process share this too, and one that mutes a logger fails another.

It is looked at when the last test of a file has ended, and its fixtures with it. That test fails then, with what was left behind.
"""

import logging
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.running import OURS


def shared_state() -> Mapping[str, object]:
    """Tell what all tests of a process share, and each of them could change for the others."""
    root = logging.getLogger()
    loggers = [root, *(each for each in [*root.manager.loggerDict.values()] if isinstance(each, logging.Logger))]
    return {
        "loggers that tell no errors": sorted(each.name for each in loggers if not each.isEnabledFor(logging.ERROR)),
        "the level of all that is logged": root.level,
        "handlers of all that is logged": [each for each in root.handlers if not type(each).__module__.startswith("_pytest.")],
        "the present folder": Path.cwd(),
        "settings in the environment": {name: value for name, value in os.environ.items() if name.startswith(OURS)},
    }


class LeftBehind:
    """A plugin of `pytest`."""

    def __init__(self) -> None:
        self._before: Mapping[str, object] = {}
        self._file: Path | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Look at the state before the first test of a file."""
        if self._file != item.path:
            self._file, self._before = item.path, shared_state()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
        """Compare after the last one."""
        done = yield
        if nextitem is None or nextitem.path != item.path:
            self._file, now = None, shared_state()
            changed = [f"{name}: {self._before[name]} became {value}" for name, value in now.items() if value != self._before[name]]
            assert not changed, f"the tests of {item.path.name} change for those after them {'; '.join(changed)}"
        return done
