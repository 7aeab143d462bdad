"""Estimates over time as a picture: what each policy would have earned up to then, and the band that may be looked at any time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from shared.evaluation import estimators
from shared.evaluation.sequences import confidence_sequence
from shared.services.analysis.results import Part
from shared.services.analysis.titles import title_of

_MOST_POINTS: Final = 500
"""More than these nobody sees; the bands take time."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A policy's estimate over all events until each of these times (UTC), with its confidence sequence (95 %)."""

    name: str
    times: Sequence[datetime]
    estimates: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


def curve(part: Part) -> Curve:
    """Give a policy's estimates at the ends of its buckets, the last included, or of some of them."""
    series = part.series.expanding()
    count = len(series.buckets)
    picked = np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(int))
    moments = series.moments.taken((..., picked))
    low, high = part.rewards.around(moments)
    band = confidence_sequence(moments, largest_weight=part.largest_weight, rewards=part.rewards)
    begins = series.begins
    return Curve(
        title_of(part.contender),
        [(begins[number] + timedelta(minutes=series.minutes)) for number in picked],
        np.clip(estimators.calibrated_doubly_robust(moments), low, high).tolist(),
        np.clip(band.lower, low, high).tolist(),
        np.clip(band.upper, low, high).tolist(),
    )


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Draw to a .png or .svg file; the same curves give the same file."""
    import matplotlib as mpl  # takes a second, which the other commands need not wait for

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "curves"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, each in enumerate(curves):
        colour = f"C{number % 10}"
        times = np.array([at.replace(tzinfo=None) for at in each.times], dtype="datetime64[us]")
        axes.fill_between(times, each.lower, each.upper, color=colour, alpha=0.12, linewidth=0)
        axes.plot(times, each.estimates, color=colour, label=each.name, marker="o" if len(each.times) < 3 else None)
    axes.set_ylabel("reward an event, up to then")
    axes.set_title("Estimated reward of each policy; bands hold at any time (95 %)")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", frameon=False)
    figure.autofmt_xdate()
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
