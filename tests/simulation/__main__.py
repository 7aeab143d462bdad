"""Plays schedules.

`python -m tests.simulation SEED` plays one, tells of it, and makes it short if it fails. `python -m tests.simulation FIRST:LAST` plays many
on two cores, and tells which failed. `--focus NAME` plays only the seeds that have this focus. `--planted NAME` plays with a fault of
`tests.simulation.planted` until `--enough` fail.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

_ALIKE = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""So that a seed stands for the same in every process."""

_TURN = 50
"""After so many seeds a process takes the next one's."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seeds", help="a seed, or FIRST:LAST (without the last)")
    parser.add_argument("--planted", default="", help="faults to play with, one after the other, separated by commas")
    parser.add_argument("--focus", default="", help="a focus of `tests.simulation.focus`; or `whole`; other seeds are left out")
    parser.add_argument("--processes", type=int, default=2, help="how many play many seeds")
    parser.add_argument("--stride", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--lane", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--enough", type=int, default=0, help="how many failures of a process are enough")
    asked = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in _ALIKE.items()):
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], {**os.environ, **_ALIKE})
    first, _, last = asked.seeds.partition(":")
    if not last:
        return _one(int(first), asked.planted)
    if asked.stride:
        return _lane(share(int(first), int(last), asked.stride, asked.lane), asked.planted, asked.enough, asked.focus)
    return _many(int(first), int(last), asked)


def share(first: int, last: int, lanes: int, lane: int) -> list[int]:
    """Give the seeds of one of several processes: of each few one, in turns, since every hundredth seed is a whole schedule and dear.

    >>> share(0, 6, 2, 0), share(0, 202, 2, 0)[49:52]
    ([0, 2, 4], [98, 101, 103])
    """
    found = [start + (lane + number // _TURN) % lanes for number, start in enumerate(range(first, last, lanes))]
    return [seed for seed in found if seed < last]


def _one(seed: int, fault: str) -> int:
    from tests.simulation.virtual import install

    install()
    from tests.simulation.focus import drawn
    from tests.simulation.planted import planted
    from tests.simulation.shrinking import shrunk
    from tests.simulation.world import play

    with planted(fault):
        played = play(drawn(seed))
        if played.broken:
            print(f"seed {seed} fails; made short:")
            played = shrunk(played)
    print(*played.told(), sep="\n")
    return bool(played.broken)


def _lane(seeds: list[int], faults: str, enough: int, focus: str) -> int:
    """Play one seed after the other, a line of JSON for each; with each of the planted faults, until enough have failed."""
    from tests.simulation.virtual import install

    install()
    from tests.simulation.focus import drawn
    from tests.simulation.planted import planted
    from tests.simulation.world import play

    for fault in faults.split(","):
        failures = 0
        for seed in seeds:
            plan = drawn(seed)
            if focus and (plan.focus or "whole") != focus:
                continue
            began = time.process_time()
            with planted(fault):
                played = play(plan)
            told = {"planted": fault, "seed": seed, "broken": played.broken, "calls": played.calls, "faults": len(played.faults)}
            print(json.dumps({**told, "seconds": time.process_time() - began}), flush=True)
            failures += bool(played.broken)
            if enough and failures >= enough:
                break
    return 0


def _many(first: int, last: int, asked: argparse.Namespace) -> int:
    began, worked = time.monotonic(), 0.0
    count = calls = faults = failures = 0
    for each in _played(first, last, asked):
        count, calls, faults, worked = count + 1, calls + each["calls"], faults + each["faults"], worked + each["seconds"]
        if each["broken"]:
            failures += 1
            print(f"{each['planted']} seed {each['seed']}:".strip(), *each["broken"][:4], sep="\n    ", flush=True)
    seconds = time.monotonic() - began
    rate = f"{count} schedules in {seconds:.0f} s, {count / max(worked, 0.001):.1f} for each second of a processor"
    print(f"{rate}; {calls} calls of storage, {faults} faults; {failures} failed")
    return bool(failures)


def _played(first: int, last: int, asked: argparse.Namespace) -> Iterator[dict]:
    """Have the seeds played by processes, each of which takes its share."""
    command = [
        sys.executable,
        "-m",
        "tests.simulation",
        "--stride",
        str(asked.processes),
        "--enough",
        str(asked.enough),
        "--planted",
        asked.planted,
        "--focus",
        asked.focus,
    ]
    lanes = [
        subprocess.Popen([*command, "--lane", f"{lane}", f"{first}:{last}"], stdout=subprocess.PIPE) for lane in range(asked.processes)
    ]
    waiting = lanes[:]
    try:
        while waiting:
            for lane in waiting[:]:
                assert lane.stdout is not None
                line = lane.stdout.readline()
                if line:
                    yield json.loads(line)
                elif lane.wait():
                    raise SystemExit("a process that played seeds broke")
                else:
                    waiting.remove(lane)
    finally:
        for lane in lanes:
            lane.kill()
            lane.wait()


if __name__ == "__main__":
    sys.exit(main())
