"""``python -m benchmarks [NAME ...]``: measure, and print each figure beside its floor."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import append, behind, cold, delay, evaluation, many, rank, reload, scale, steady, store, train, verify
from benchmarks.table import Line, show
from local.azurite import running_azurite

BENCHMARKS: Mapping[str, Callable[..., list[Line]]] = {
    "rank": rank.run,
    "append": append.run,
    "train": train.run,
    "evaluation": evaluation.run,
    "reload": reload.run,
    "delay": delay.run,
    "scale": scale.run,
    "behind": behind.run,
    "store": store.run,
    "many": many.run,
    "steady": steady.run,
    "cold": cold.run,
    "verify": verify.run,
}


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 with ``--strict`` when a goal was missed, 0 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the service's speed against floors.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a goal is missed")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    lines = measure(options.names or list(BENCHMARKS), quick=options.quick)
    show(lines)
    return int(options.strict and any(line.verdict == "FAIL" for line in lines))


def measure(names: Sequence[str], *, quick: bool) -> list[Line]:
    """Start Azurite and run these benchmarks one after another, each on an account of its own."""
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder, running_azurite(Path(folder) / "data", accounts=tuple(BENCHMARKS)) as azurite:
        for name in names:
            begin = time.monotonic()
            print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
            lines += BENCHMARKS[name](azurite.connection_string(name), quick=quick)
            print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
