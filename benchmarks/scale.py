"""What the trainer takes where there is much to do: memory and time of a backlog, of a window of large decisions, of a long wait.

Each is measured in a process of its own that does nothing else; memory is the most that it had resident, over what it had once it had
learned a little of another log. The log of the first and the last is a file (`benchmarks.made_tables`), since no emulator holds so many
rows; the models are on the emulator.

``python -m benchmarks.scale --seconds 3600 --rate 0.5`` plays all of the hour, and the 30 days at that rate; ``python -m benchmarks scale``
plays less.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import fleet
from benchmarks.scale_parts import Options
from benchmarks.table import Goal, Line, show
from local.azurite import running_azurite

AN_HOUR = 3_600
DECISIONS_A_SECOND = 2_000
GROWTH = Goal(1.25)
BOUND = Goal(3)
REWARD_BYTES, DECISION_BYTES = 48, 26
"""What is remembered of each."""
REMEMBERED = Goal(1.25)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is played: seconds of the hour at so many decisions each, large decisions, days of waiting at so many rewards a second."""

    seconds: int = 120
    decisions: int = DECISIONS_A_SECOND
    large: int = 400
    days: float = 30.0
    rate: float = 0.05
    per_row: int = 1


QUICK = Sizes(seconds=4, decisions=50, large=2, days=1 / 24, rate=0.1)


def run(storage: str, *, quick: bool, sizes: Sizes | None = None) -> list[Line]:
    """Measure all three, and many loops (`benchmarks.fleet`) unless sizes are given."""
    played = sizes or (QUICK if quick else Sizes())
    with tempfile.TemporaryDirectory() as folder:
        return [
            *_backlog(storage, Path(folder) / "backlog", played),
            *_window(storage, played),
            *_wait(storage, Path(folder) / "wait", played),
            *(fleet.run(storage, quick=quick) if sizes is None else []),
        ]


def _backlog(storage: str, file: Path, played: Sizes) -> list[Line]:
    options = Options(storage, file=str(file), rate=played.decisions, seconds=played.seconds)
    _part("fill-backlog", options)
    found = _part("backlog", options)
    of_hour = f"{played.seconds:,} s of the hour at {played.decisions:,}/s"
    peaks, base = found["peaks"], found["peaks"][-1] - found["over"]
    quarter, last = (peaks[min(len(peaks) // 4, len(peaks) - 1)] - base, peaks[-1] - base)
    rate = found["events"] / found["seconds"]
    return [
        Line("scale", f"backlog: {of_hour}", f"{rate:,.0f}/s", f"{played.decisions:,}/s", rate / played.decisions),
        _memory(found),
        Line("scale", f"  of {len(peaks)} windows, against a quarter", _mega(last), _mega(quarter), last / max(quarter, 1), GROWTH),
    ]


def _window(storage: str, played: Sizes) -> list[Line]:
    options = Options(storage, events=played.large)
    text = _part("fill-window", options)["text"]
    found = _part("window", options)
    measure = f"{played.large} decisions of {text / played.large / 1000:,.0f} kB, in {found['windows']} windows"
    return [Line("scale", measure, f"{found['seconds']:.1f} s"), _memory(found)]


def _memory(found: Mapping[str, Any]) -> Line:
    over, bound = found["over"], found["bound"]
    return Line("scale", "  memory over its own, against a window's bound", _mega(over), _mega(bound), over / bound, BOUND)


def _wait(storage: str, file: Path, played: Sizes) -> list[Line]:
    options = Options(storage, file=str(file), rate=played.rate, days=played.days, per_row=played.per_row)
    filled = _part("fill-wait", options)
    found = _part("wait", options)
    observations, decisions = filled["observations"], filled["decisions"]
    remembered, bound = _part("remembered", options)["bytes"], REWARD_BYTES * observations + DECISION_BYTES * decisions
    return [
        Line("scale", f"wait of {played.days:,.3g} days, {observations:,} rewards: first step", f"{found['cold']['seconds']:.1f} s"),
        Line("scale", "  a step a minute later", f"{found['warm']['seconds']:.2f} s"),
        Line("scale", "  memory in the first step, and after it", _mega(found["cold"]["over"]), _mega(found["kept"])),
        Line("scale", "  in use for what is remembered", _mega(remembered), _mega(bound), remembered / bound, REMEMBERED),
    ]


def _part(part: str, options: Options) -> dict[str, Any]:
    """Do it in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale_parts", part, json.dumps(asdict(options))]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _mega(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"


def main(arguments: Sequence[str]) -> None:
    """Measure in the size that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="Measure the trainer's memory and time at scale.")
    usual = Sizes()
    parser.add_argument("--seconds", type=int, default=usual.seconds, help=f"of the hour's backlog, {AN_HOUR} for all (%(default)s)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="rewards a second of the long wait (%(default)s)")
    parser.add_argument("--days", type=float, default=usual.days, help="of the long wait (%(default)s)")
    parser.add_argument("--per-row", type=int, default=usual.per_row, help="rewards in a row of the log, of the long wait (%(default)s)")
    parser.add_argument("--large", type=int, default=usual.large, help="large decisions in the window (%(default)s)")
    given = parser.parse_args(arguments)
    sizes = Sizes(seconds=given.seconds, large=given.large, days=given.days, rate=given.rate, per_row=given.per_row)
    with tempfile.TemporaryDirectory() as folder, running_azurite(Path(folder) / "data") as azurite:
        show(run(azurite.connection_string(), quick=False, sizes=sizes))


if __name__ == "__main__":
    main(sys.argv[1:])
