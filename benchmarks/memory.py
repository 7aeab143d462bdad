"""How much memory a process takes, in bytes."""

import ctypes
import gc
import resource
import sys
from pathlib import Path

_KILO = 1 if sys.platform == "darwin" else 1024


def peak() -> int:
    """Give the most that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILO


def resident() -> int:
    """Give what this process has resident now, once it has given back what it does not need."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    return peak()
