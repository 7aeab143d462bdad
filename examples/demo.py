"""`make demo`: watch a loop learn, through the official SDK.

Plays a simulated news site, or a file of events, against a running app or one of its own, and says at the end whether the
loop learned. DATA, ENDPOINT and KEY in the environment stand for the options of these names. The loop learns the simulated events, and its
log keeps them, so the demo does not use a loop that has other events, except with --anyway.

Exit codes: 0 learned, 1 did not, 2 could not be played, 130 interrupted.
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from examples.datasets import load
from examples.errors import DemoError
from examples.events import Programme
from examples.news import news
from examples.own_app import LOCAL_FOLDER, QUICK_LOOP, ROOT, OwnApp
from examples.player import Player, is_local
from examples.safety import ITS_LOOP, check_loop
from examples.screen import explanation, result_table, showing
from examples.session import NO_WAIT_PAYS_BEYOND, Pace, Session
from examples.status import LoopStatus, read_status
from examples.verdict import has_learned, judge

DEFAULT_EVENTS = 4000
FEWEST_EVENTS = 100
LEARNED, NOT_LEARNED, NOT_PLAYED, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    options = _parse(arguments)
    console = _console()
    try:
        with _terminated_like_interrupted():
            programme = _programme(options)
            with _app(options, console) as stage:
                return perform(programme, stage, console=console, workers=options.workers)
    except DemoError as error:
        console.print(f"demo: {error}")
        return NOT_PLAYED
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return INTERRUPTED


def _console() -> Console:
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    return Console(force_terminal=False, no_color=True, width=120, highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """The app that is called; `own` when the demo started it itself. If it `is_sure`, a loop with other events is called too."""

    endpoint: str
    key: str
    own: OwnApp | None = None
    is_sure: bool = False

    def ask(self) -> LoopStatus:
        """Read the app's figures, quickly or not at all; `OwnAppError` if it was ours and ended."""
        if self.own is not None:
            self.own.check()
        return read_status(self.endpoint, self.key, timeout=2.0)


def perform(programme: Programme, stage: Stage, *, console: Console, workers: int, pace: Pace | None = None) -> int:
    """Play and report; what ends the run early is raised again after the report of what was seen."""
    status = read_status(stage.endpoint, stage.key)
    if not stage.is_sure:
        check_loop(stage.endpoint, status, command="python -m examples.demo --anyway")
    if stage.own is None and status.name not in (None, ITS_LOOP):
        console.print(f"The loop {status.name} learns these simulated events, and its log keeps them.")
    _warn_of_a_long_wait(console, status)
    pace = pace or Pace.for_events(len(programme.events))
    session = Session(programme, Player(stage.endpoint, stage.key), stage.ask, status)
    console.print(
        f"Playing {len(programme.events):,} events of {programme.name} at {stage.endpoint}, in {pace.seconds:.0f} seconds or a little more."
    )
    try:
        with showing(console, programme) as show:
            session.run(pace, workers=workers, show=show)
    except (KeyboardInterrupt, DemoError):
        if session.played:
            console.print(f"Ended after {session.played:,} of {len(programme.events):,} events. The rewards so far:")
            console.print(result_table(judge(programme, session.rewards)))
        raise
    return _report(console, session)


def _report(console: Console, session: Session) -> int:
    scores = judge(session.programme, session.rewards)
    console.print(result_table(scores))
    console.print(explanation(session.programme))
    if has_learned(scores):
        console.print("The loop learned.")
        return LEARNED
    for score in scores:
        if score.stretch.judged and not score.learned:
            console.print(f"Not learned: {score.stretch.name} is {score.margin:+.3f} ± {score.standard_error:.3f} from the bar.")
    if len(session.programme.events) < DEFAULT_EVENTS // 2 and session.programme.drift_at is not None:
        console.print(f"A short run sees few models between one change of tastes and the next; the default is {DEFAULT_EVENTS:,} events.")
    console.print(f"The app says: model {session.status.model_version or '?'}, learned {session.status.learned or 0:,} events in all.")
    return NOT_LEARNED


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="Watch a loop learn, through the official SDK.")
    parser.add_argument(
        "--data",
        type=Path,
        default=_setting("DATA"),
        metavar="FILE",
        help="events to play instead of the news site: NAME.npz or NAME.jsonl.gz",
    )
    parser.add_argument(
        "--endpoint", default=_setting("ENDPOINT"), metavar="URL", help="a running app; without it the demo starts one for itself"
    )
    parser.add_argument("--key", default=_setting("KEY"), help="its key; without it, the demo uses the loop `demo` of `make run`")
    parser.add_argument("--anyway", action="store_true", help="use the loop even if it has events already")
    parser.add_argument("--events", type=int, metavar="N", help=f"how many events (news site: {DEFAULT_EVENTS:,}; a file: 3,000 or 6,000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the simulator, of the shuffle and of the clicks")
    parser.add_argument("--workers", type=int, default=8, metavar="W", help="calls at the same time")
    options = parser.parse_args(arguments)
    if options.endpoint is not None and options.key is None:
        _take_own_loop(options)
    if (options.endpoint is None) != (options.key is None):
        parser.error("--endpoint and --key belong together; without --key, --endpoint has to be that of `make run` on this machine")
    if options.endpoint is not None and not options.endpoint.startswith(("http://", "https://")):
        parser.error("--endpoint must start with http:// or https://")
    if options.events is not None and options.events < FEWEST_EVENTS:
        parser.error(f"--events: fewer than {FEWEST_EVENTS} cannot show anything")
    if options.seed < 0 or not 1 <= options.workers <= 64:
        parser.error("--seed must not be negative, --workers from 1 to 64")
    return options


def _take_own_loop(options: argparse.Namespace) -> None:
    """Play at the loop that `make run` keeps for demos, whose key is kept here; it is sent to this machine only."""
    endpoint = options.endpoint.rstrip("/")
    kept = Path(os.environ.get("PERSONALIZER_LOCAL_DIR") or ROOT / LOCAL_FOLDER) / "demo-key"
    if is_local(endpoint) and "/loops/" not in endpoint and kept.is_file():
        options.endpoint, options.key = f"{endpoint}/loops/{ITS_LOOP}", kept.read_text("utf-8").strip()


def _setting(name: str) -> str | None:
    return os.environ.get(name) or None  # make hands over what was not given as blank


def _programme(options: argparse.Namespace) -> Programme:
    if options.data is None:
        return news(events=options.events or DEFAULT_EVENTS, seed=options.seed)
    return load(options.data, seed=options.seed, limit=options.events)


@contextlib.contextmanager
def _app(options: argparse.Namespace, console: Console) -> Iterator[Stage]:
    if options.endpoint is not None:
        yield Stage(options.endpoint, options.key, is_sure=options.anyway)
        return
    with OwnApp() as app:
        with console.status("Starting an app for this demo …") if console.is_terminal else contextlib.nullcontext():
            app.wait_until_ready()
        yield Stage(app.endpoint, app.key, own=app)


def _warn_of_a_long_wait(console: Console, status: LoopStatus) -> None:
    if status.reward_wait is None or status.reward_wait <= NO_WAIT_PAYS_BEYOND:
        return
    settings = " ".join(f"{name}='{value}'" for name, value in QUICK_LOOP.items())
    console.print(
        f"This app waits {status.reward_wait} (h:mm:ss) for rewards before it learns, so learning will not show within this run."
        f" To see it, start the app with {settings}"
    )


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
