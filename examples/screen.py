"""Shows a run: a live chart in a terminal, a plain line each 10 % anywhere else, and the table at the end."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from examples.curve import draw, lines_of, window_of
from examples.events import Programme
from examples.session import Session
from examples.verdict import STANDARD_ERRORS, Score

MARGIN = 10
MOST_COLUMNS = 100
Show = Callable[[Session], None]


@contextlib.contextmanager
def showing(console: Console, programme: Programme) -> Iterator[Show]:
    """Give what a session is shown with: live drawing on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)
    bar.add_task(programme.name, total=len(programme.events))
    with Live(console=console, refresh_per_second=4) as live:
        yield lambda session: live.update(_picture(session, bar, columns=min(console.width - MARGIN, MOST_COLUMNS)))


def _picture(session: Session, bar: Progress, *, columns: int) -> Group:
    bar.update(bar.task_ids[0], completed=session.played)
    chart = draw(lines_of(session.programme, session.rewards, columns=max(columns, 20)))
    return Group(chart, Text(_figures(session), style="dim"), bar)


def _figures(session: Session) -> str:
    status = session.status
    learned = "?" if status.learned is None else f"{status.learned:,}"
    retries = f", {session.player.retries} retries" if session.player.retries else ""
    return f"model {status.model_version or '?'}, learned {learned} events{retries}"


class PlainLines:
    """Writes one line each 10 % of the run, and one where tastes change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._written = 0
        self._drifted = False

    def __call__(self, session: Session) -> None:
        """Write what is new since the last call."""
        programme = session.programme
        total = len(programme.events)
        if programme.drift_at is not None and not self._drifted and session.played >= programme.drift_at:
            self._drifted = True
            self._console.print(f"       {programme.drift_at:,} events played: tastes change now")
        tenth = session.played * 10 // total
        if tenth > self._written:
            self._written = tenth
            self._console.print(_line(session))


def _line(session: Session) -> str:
    programme, total = session.programme, len(session.programme.events)
    recent = np.flatnonzero(~np.isnan(session.rewards))[-window_of(total) :]
    values = (session.rewards, programme.random, programme.first, programme.optimum)
    reward, random, first, optimum = (float(each[recent].mean()) for each in values)
    return (
        f"{session.played * 100 // total:3d} %  {session.played:,}/{total:,}  last {len(recent)}: reward {reward:.3f}"
        f" (random {random:.3f}, first action {first:.3f}, optimum {optimum:.3f})  {_figures(session)}"
    )


def result_table(scores: tuple[Score, ...]) -> Table:
    """Lay out what was earned beside what could have been."""
    table = Table(title="Average reward per event")
    for heading in ("", "events", "this run", "random", "first action", "optimum", "above the bar", "learned"):
        table.add_column(heading, justify="left" if not heading else "right")
    for each in scores:
        table.add_row(*_cells(each))
    return table


def _cells(score: Score) -> tuple[str, ...]:
    name = score.stretch.name
    if not score.events:
        return name, "0", *("–",) * 6
    means = (f"{mean:.3f}" for mean in (score.reward, score.random, score.first, score.optimum))
    verdict = "" if not score.stretch.judged else "yes" if score.learned else "no"
    return name, f"{score.events:,}", *means, f"{score.margin:+.3f} ± {score.standard_error:.3f}", verdict


def explanation(programme: Programme) -> str:
    """Say in words what the table's verdict rests on."""
    bar = (
        "random (every event offers the same list, so its first action is nobody's choice)"
        if programme.fixed_menu
        else "the better of random and first action (the app's own order)"
    )
    return (
        f"The bar is {bar}. “Learned” means above it by more than {STANDARD_ERRORS:.0f} standard errors. Random, first action"
        " and optimum are exact expectations over the same events."
    )
