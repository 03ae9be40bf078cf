"""Small line charts as SVG."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

WIDTH: Final = 760
HEIGHT: Final = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 30, 30
_STEPS: Final = (1, 2, 5)


class Line(Struct, frozen=True):
    """Points of one colour."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


class Panel(Struct, frozen=True):
    """One chart: lines over the same axes, and a span of x that is shaded."""

    title: str
    lines: Sequence[Line]
    shaded: tuple[float, float] | None = None
    unit: str = "s"
    """Of x."""


def svg(panels: Sequence[Panel]) -> str:
    """Return the charts one below the other."""
    height = HEIGHT * len(panels)
    style = 'font-family="sans-serif" font-size="11" fill="#444"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for index, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {HEIGHT * index})">{_panel(panel)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> str:
    right = max(x for line in panel.lines for x, _ in line.points)
    top = max(max(y for line in panel.lines for _, y in line.points) * 1.08, 1e-9)
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def at(x: float, y: float) -> str:
        return f"{_LEFT + wide * x / right:.1f},{_TOP + high * (1 - y / top):.1f}"

    parts = [f'<text x="{_LEFT}" y="16" font-size="12" fill="#111">{panel.title}</text>']
    if panel.shaded is not None:
        start, end = (_LEFT + wide * x / right for x in panel.shaded)
        parts.append(
            f'<rect x="{start:.1f}" y="{_TOP}" width="{end - start:.1f}" height="{high}" '
            'fill="#f3e3d3"/>'
        )
    for y in _ticks(top):
        parts.append(f'<path d="M{at(0, y)} L{at(right, y)}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at(0, y).split(",")[1]}" text-anchor="end" '
            f'dy="4">{y:g}</text>'
        )
    parts += [
        f'<text x="{at(x, 0).split(",")[0]}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{x:g} {panel.unit}</text>"
        for x in _ticks(right)
    ]
    for number, line in enumerate(panel.lines):
        x = WIDTH - _RIGHT - 130 * (len(panel.lines) - number)
        parts += [_path(line, at), f'<text x="{x}" y="16" fill="{line.colour}">{line.name}</text>']
    return "\n".join(parts)


def _path(line: Line, at: Callable[[float, float], str]) -> str:
    path = " L".join(at(x, y) for x, y in line.points)
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    return f'<path d="M{path}" fill="none" stroke="{line.colour}" stroke-width="1.6"{dashes}/>'


def _ticks(top: float) -> list[float]:
    """Return some round numbers up to `top`."""
    unit = 1e-6
    while True:
        for step in _STEPS:
            size = unit * step
            if top / size <= 6:  # noqa: PLR2004 - lines that are still told apart
                return [size * n for n in range(int(top / size) + 1)]
        unit *= 10
