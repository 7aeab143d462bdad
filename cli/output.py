"""What a person reads goes to standard output as text and tables, what a program reads as one JSON document; progress to standard error."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final

import orjson
from rich import markup
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.errors import InvalidPolicyConfigurationError, SettingsError
from shared.learning.arguments import without_effect
from shared.services.importing.accounts import Fate, HowFar, Remark

NOT_KNOWN: Final = "not known"

_CONTROLS: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]")

_MOST_FILES: Final = 40
_PLAIN_WIDTH: Final = 4_000
"""Of text that goes to a file or another program: nothing is squeezed to a terminal that is not there."""


class _Results(Console):
    """A console that shows controls of a terminal and does not obey them, but for ends of lines: ids and features come from anybody."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str("\n".join(map(visible, text.split("\n"))), **options)


def console() -> Console:
    """Give the console to print results on."""
    return _Results(soft_wrap=True, highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def visible(text: str) -> str:
    r"""Write a text of somebody else without anything that controls a terminal, breaks a line or turns the order of letters.

    >>> print(visible("Zürich 🍝\x1b[2J"), visible("two\nlines"))
    Zürich 🍝\x1b[2J two\nlines
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def moment(text: str | None) -> str:
    """Write a time that the service tells as all tables have it: in UTC, to the second; "" for none.

    >>> moment("2026-05-17T12:00:01.05258Z"), moment(None)
    ('2026-05-17 12:00:01Z', '')
    """
    return _text(datetime.fromisoformat(text).astimezone(UTC)) if text else ""


def check_folder(file: Path) -> None:
    """Refuse a file to be written whose folder is not there, before anything is asked or made; raises `SettingsError`."""
    if not file.parent.is_dir():
        raise SettingsError(f"there is no folder {file.parent} for {file.name}")


def escape(text: str) -> str:
    """Write a text of somebody else in a table, where square brackets mean something."""
    return markup.escape(visible(text))


def print_json(document: Any) -> None:
    """Print one JSON document."""
    text = orjson.dumps(document, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    sys.stdout.write(text.decode() + "\n")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Make a table with these columns; those named by ``right`` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def print_table(listed: Table, *, nothing: str) -> None:
    """Print a table, or say in a sentence that there is nothing to list."""
    if listed.row_count:
        console().print(listed)
    else:
        print(nothing)


def facts(**values: Any) -> Table:
    """Make a table of names and values; what is None is left out."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in values.items():
        if value is not None:
            made.add_row(name.replace("_", " "), _text(value))
    return made


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))


def known(value: float | None) -> float | None:
    """Give a number, None for what is none: not a number, or without end.

    >>> known(0.5), known(float("nan")), known(float("-inf")), known(None)
    (0.5, None, None, None)
    """
    return value if value is not None and isfinite(value) else None


def number(value: float | None, form: str) -> str:
    """Write a number in this form, and say in words if it is not known.

    >>> number(0.25, "+.1%"), number(float("nan"), ".3f")
    ('+25.0%', 'not known')
    """
    return NOT_KNOWN if known(value) is None else format(value, form)


def span(ends: Sequence[float | None], form: str) -> str:
    """Write an interval, of which one end may be all that is known, or neither.

    >>> span((0.1, 0.2), ".2f"), span((0.1, float("inf")), ".2f"), span((None, 0.2), ".2f"), span((float("nan"),) * 2, ".2f")
    ('0.10 to 0.20', 'at least 0.10', 'at most 0.20', 'not known')
    """
    lower, upper = (known(each) for each in ends)
    if lower is None:
        return NOT_KNOWN if upper is None else f"at most {format(upper, form)}"
    return f"at least {format(lower, form)}" if upper is None else f"{format(lower, form)} to {format(upper, form)}"


def effects(arguments: str) -> str | None:
    """Tell which options of a policy are taken without effect, None if there are none, or if the service knows more options than this."""
    try:
        names = without_effect(arguments)
    except InvalidPolicyConfigurationError:
        return None
    return f"taken without effect: {', '.join(names)}" if names else None


def what_was_read(read: HowFar) -> Table:
    """Say what became of each file and why, first those with lines that were refused; ``line`` is the first line of its kind."""
    listed = table("file", "read", "skipped", "refused", "line", "why", right=["read", "skipped", "refused", "line"])
    files = sorted(read.fates, key=lambda each: (not each.refused, not each.remarks))
    for each in files[:_MOST_FILES]:
        begun = [escape(each.file), *[f"{count:,}" for count in (each.read, each.skipped, each.refused)]]
        for remark in each.remarks:
            listed.add_row(*begun, f"{remark.line:,}", escape(_why(remark)))
            begun = [""] * 4
        if not each.remarks:
            listed.add_row(*begun)
    if read.files > _MOST_FILES:
        listed.add_row("...", "", "", "", "", f"and {read.files - _MOST_FILES:,} more files")
    return listed


def _why(remark: Remark) -> str:
    fate = "" if remark.fate is Fate.REFUSED else f"{remark.fate}: "
    return fate + (f"{remark.count:,} lines: " if remark.count > 1 else "") + remark.reason


def imitation(metrics: ApprenticeMetrics) -> dict[str, Any] | None:
    """Give the figures of Apprentice mode by the names that `GET /status` has for them; None without events."""
    if not metrics.rewards:
        return None
    return {
        "numberOfEvents": len(metrics.rewards),
        "numberOfImitatedEvents": sum(metrics.imitated),
        "sumOfRewards": metrics.sum_of_rewards,
        "sumOfImitatedRewards": metrics.sum_of_imitated_rewards,
        "baselineAverageReward": metrics.baseline_average_reward,
        "personalizerAverageReward": metrics.personalizer_average_reward,
        "achievementRatio": metrics.achievement_ratio,
    }


def apprentice_figures(metrics: ApprenticeMetrics) -> str:
    """Say in words what the figures of Apprentice mode are."""
    events, imitated = len(metrics.rewards), sum(metrics.imitated)
    return (
        f"Apprentice mode: the baseline was shown, and earned {metrics.baseline_average_reward:.4g} an event; the policy proposed the same"
        f" in {imitated:,} of the last {events:,}, which earned {metrics.personalizer_average_reward:.4g} an event of all."
        " These events are no evidence for an evaluation."
    )


@contextmanager
def bytes_progress(what: str, total: int | None) -> Iterator[Progress]:
    """Show how many bytes are done, if somebody looks."""
    with _progress(what, total, DownloadColumn()) as progress:
        yield progress


@contextmanager
def steps_progress(what: str, total: int | None) -> Iterator[Progress]:
    """Show how many steps are done, if somebody looks."""
    with _progress(what, total, MofNCompleteColumn()) as progress:
        yield progress


@contextmanager
def spinner(what: str) -> Iterator[Callable[[str], None]]:
    """Show a text that changes, if somebody looks; what is given changes it."""
    with _progress(what, None, TextColumn("")) as progress:
        yield lambda text: progress.update(progress.task_ids[0], description=text)


@contextmanager
def _progress(what: str, total: int | None, column: ProgressColumn) -> Iterator[Progress]:
    shown = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), column, TimeRemainingColumn())
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        progress.add_task(what, total=total)
        yield progress
