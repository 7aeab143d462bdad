"""Runs what failed once more, alone: `make test` does so, for a test of several processes may fail because the machine was too busy.

A test that passes alone is named at the end. It leans on the machine's speed, which is a fault of the test or of what it tries.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

MOST: Final = 5
"""Where more tests fail, it is not the machine."""

FAILED: Final = Path(".pytest_cache/v/cache/lastfailed")


def failed(cache: Path) -> list[str]:
    """Name the tests that failed the last time that they ran, or the files that could not be read."""
    try:
        return sorted(json.loads(cache.read_bytes()))
    except FileNotFoundError:
        return []


def main(arguments: Sequence[str]) -> int:
    """Give 0 if there were a few, and all of them pass alone; ``arguments`` are pytest's."""
    tests = failed(FAILED)
    if not 0 < len(tests) <= MOST:
        return 1
    print(f"\n{len(tests)} failed beside others. They run once more, alone:", flush=True)  # noqa: T201
    code = int(pytest.main([*arguments, "-m", "", *tests]))  # whatever marks the run was about: they were in it
    if code == pytest.ExitCode.OK:
        print("\nFailed beside others and passed alone. Each leans on the machine's speed, which is a bug:")  # noqa: T201
        print("\n".join(f"  {each}" for each in tests), flush=True)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
