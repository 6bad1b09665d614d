"""Owns the drawing of a line plot as SVG: x in powers, y linear from 0, a line for each series."""

from html import escape
from math import ceil, log10

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 190, 40, 50
_COLOURS = ("#555555", "#1f6fb4", "#c8501e", "#2a8a3e")


def _step(highest):
    """A round distance of some five lines below `highest`."""
    power = 10 ** (ceil(log10(highest)) - 1)
    return next(factor * power for factor in (0.2, 0.5, 1, 2) if highest / (factor * power) <= 8)


def _text(x, y, text, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def _line(x1, y1, x2, y2):
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#dddddd"/>'


def line_plot(title, x_title, y_title, series):
    """The SVG text. `series`: name -> [(x, y), ...], x above 0 and in order."""
    xs = sorted({x for points in series.values() for x, _ in points})
    highest = max(y for points in series.values() for _, y in points) * 1.1
    step = _step(highest)
    low, span = log10(xs[0]), log10(xs[-1]) - log10(xs[0]) or 1

    def across(x):
        return _LEFT + (log10(x) - low) / span * (_WIDTH - _LEFT - _RIGHT)

    def down(y):
        return _HEIGHT - _BOTTOM - y / highest * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
             'font-family="sans-serif" font-size="12" fill="#222222">',
             f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
             _text(_LEFT, 22, title, "start", 'font-size="15"')]
    for number in range(int(highest / step) + 1):
        value = number * step
        parts += [_line(_LEFT, down(value), _WIDTH - _RIGHT, down(value)),
                  _text(_LEFT - 8, down(value) + 4, f"{value:g}", "end")]
    for x in xs:
        parts += [_line(across(x), down(0), across(x), down(0) + 5),
                  _text(across(x), down(0) + 20, f"{x:,}")]
    parts += [_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, x_title),
              _text(16, _HEIGHT / 2, y_title, "middle",
                    f'transform="rotate(-90 16 {_HEIGHT / 2:.1f})"')]
    labels = []
    for (name, points), colour in zip(series.items(), _COLOURS):
        path = "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3" fill="{colour}"/>'
                  for x, y in points]
        labels.append((down(points[-1][1]) + 4, name, colour))
    place = 0
    for y, name, colour in sorted(labels):   # names beside their lines' ends, none upon another
        place = max(y, place + 15)
        parts.append(_text(_WIDTH - _RIGHT + 10, place, name, "start", f'style="fill:{colour}"'))
    return "\n".join([*parts, "</svg>\n"])
