"""How much memory there is for a process."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

USUAL_MEMORY: Final = 2 << 30
"""Bytes of an ordinary instance."""

_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells what a container may take, by its two ways of limiting it; without a limit it is no number, or a huge one."""


def memory_here(limits: Iterable[Path] = _LIMITS) -> int:
    """Give how many bytes the machine has, or the container if it may take less; `USUAL_MEMORY` where neither can be told."""
    found = [_of_machine(), *map(_limit, limits)]
    return min([each for each in found if each], default=USUAL_MEMORY)


def _of_machine() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def _limit(file: Path) -> int:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        return 0
