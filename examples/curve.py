"""The learning curve as text: the loop's reward over a moving window, between what random and the optimum would earn."""

from dataclasses import dataclass

import numpy as np
from rich.text import Text

from examples.events import Floats, Programme

MARKS = {"optimum": ("─", "green"), "random": ("·", "red"), "first": ("╌", "yellow"), "reward": ("●", "bold cyan")}
"""Sign and colour of each line; a later one is drawn over an earlier."""
DRIFT = "┊"


@dataclass(frozen=True, slots=True)
class Lines:
    """One value a column: means over the window that ends in it; NaN where nothing was played."""

    reward: Floats
    random: Floats
    first: Floats
    optimum: Floats
    drift: int | None


def window_of(events: int) -> int:
    """Choose how many events a point is the mean of: a twentieth of the run, but enough for the noise to settle.

    >>> window_of(4000), window_of(600)
    (200, 50)
    """
    return max(events // 20, 50)


def window_means(values: Floats, ends: list[int], *, window: int) -> Floats:
    """Mean of the last `window` values before each end, NaN left out.

    >>> window_means(np.array([0.0, 1.0, np.nan, 1.0]), [2, 3, 4], window=2).tolist()
    [0.5, 1.0, 1.0]
    """
    known = ~np.isnan(values)
    totals = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    starts = [max(end - window, 0) for end in ends]
    number = counts[ends] - counts[starts]
    return np.where(number > 0, (totals[ends] - totals[starts]) / np.maximum(number, 1), np.nan)


def lines_of(programme: Programme, rewards: Floats, *, columns: int) -> Lines:
    """Compute the curve for a chart of so many columns."""
    events = len(programme.events)
    window = window_of(events)
    ends = [round(events * (column + 1) / columns) for column in range(columns)]
    played = ~np.isnan(rewards)
    reach = int(np.flatnonzero(played)[-1]) + 1 if played.any() else 0
    reward = window_means(rewards, ends, window=window)
    reward[np.array(ends) > reach + events // columns] = np.nan  # the window must not draw what lies ahead
    return Lines(
        reward=reward,
        random=window_means(programme.random, ends, window=window),
        first=window_means(programme.first, ends, window=window),
        optimum=window_means(programme.optimum, ends, window=window),
        drift=None if programme.drift_at is None else min(programme.drift_at * columns // events, columns - 1),
    )


def draw(lines: Lines, *, height: int = 14) -> Text:
    """Draw the chart, highest reward first, with a scale at the left and the legend below."""
    top = max(0.1, float(np.nanmax(np.concatenate([lines.reward, lines.optimum, lines.first]))) * 1.08)
    cells = [[(" ", "")] * len(lines.reward) for _ in range(height)]
    if lines.drift is not None:
        for row in cells:
            row[lines.drift] = (DRIFT, "magenta")
    for name, mark in MARKS.items():
        for column, value in enumerate(getattr(lines, name)):
            if not np.isnan(value):
                cells[height - 1 - min(int(value / top * height), height - 1)][column] = mark
    chart = Text()
    for number, row in enumerate(cells):
        chart.append(f"{top * (height - number - 0.5) / height:5.2f} ", style="dim")
        for sign, style in row:
            chart.append(sign, style=style)
        chart.append("\n")
    return chart.append_text(_legend(drift=lines.drift is not None))


def _legend(*, drift: bool) -> Text:
    words = {"reward": "this run", "optimum": "optimum", "first": "first action", "random": "random"}
    legend = Text("      ")
    for name, word in words.items():
        legend.append(MARKS[name][0], style=MARKS[name][1]).append(f" {word}   ", style="dim")
    return legend.append(DRIFT, style="magenta").append(" tastes change", style="dim") if drift else legend
