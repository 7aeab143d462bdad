"""Lines in logarithmic scales, as SVG."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Final

_WIDTH: Final = 320
_HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 28, 40
_CLOSEST: Final = 30
_COLOURS: Final = ("#0b6bcb", "#c2410c", "#0b6bcb", "#c2410c")
_DASHES: Final = ("", "", "5 3", "5 3")


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: ``lines`` are values by name, each as many as there are ``sizes``; all are positive."""

    title: str
    sizes: Sequence[float]
    lines: Mapping[str, Sequence[float]]


def svg(panels: Sequence[Panel], *, unit: str) -> str:
    """Draw the panels side by side, with the same values at the same height, and one legend below."""
    values = [value for panel in panels for line in panel.lines.values() for value in line]
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    width, height = _WIDTH * len(panels), _HEIGHT + 24
    drawn = [_panel(panel, number * _WIDTH, low, high, unit) for number, panel in enumerate(panels)]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *drawn,
            *_legend(list(panels[0].lines)),
            "</svg>\n",
        )
    )


def _panel(panel: Panel, left: int, low: int, high: int, unit: str) -> str:
    def across(size: float) -> float:
        first, last = log10(min(panel.sizes)), log10(max(panel.sizes))
        return left + _LEFT + (_WIDTH - _LEFT - _RIGHT) * (log10(size) - first) / ((last - first) or 1.0)

    def down(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - log10(value)) / ((high - low) or 1)

    parts = [f'<text x="{left + _LEFT}" y="16" font-weight="bold">{escape(panel.title)}</text>']
    for power in range(low, high + 1):
        at = down(10.0**power)
        parts.append(f'<path d="M{left + _LEFT} {at:.1f}H{left + _WIDTH - _RIGHT}" stroke="#d4d4d4"/>')
        parts.append(f'<text x="{left + _LEFT - 4}" y="{at + 4:.1f}" text-anchor="end">{10**power:,g} {escape(unit)}</text>')
    under = f'y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle" font-size="9"'
    parts += [f'<text x="{across(size):.1f}" {under}>{size:,g}</text>' for size in _apart(panel.sizes, across)]
    for number, values in enumerate(panel.lines.values()):
        points = " ".join(f"{across(size):.1f},{down(value):.1f}" for size, value in zip(panel.sizes, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke-width="2" {_style(number)}/>')
    return "\n".join(parts)


def _apart(sizes: Sequence[float], across: Callable[[float], float]) -> list[float]:
    """Leave out those whose labels would run into the one before."""
    told: list[float] = []
    for size in sizes:
        if not told or across(size) - across(told[-1]) >= _CLOSEST:
            told.append(size)
    return told


def _legend(names: Sequence[str]) -> list[str]:
    parts = []
    for number, name in enumerate(names):
        left = _LEFT + 190 * number
        parts.append(f'<path d="M{left} {_HEIGHT + 8}h24" stroke-width="2" {_style(number)}/>')
        parts.append(f'<text x="{left + 30}" y="{_HEIGHT + 12}">{escape(name)}</text>')
    return parts


def _style(number: int) -> str:
    dash = _DASHES[number % len(_DASHES)]
    return f'stroke="{_COLOURS[number % len(_COLOURS)]}"' + (f' stroke-dasharray="{dash}"' if dash else "")
