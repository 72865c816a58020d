# SPDX-License-Identifier: MIT
"""charts - SVG that is small, readable on light and dark pages, and the same for the same figures."""
import html
import math

width, left, right = 720, 150, 110
ours, others, ink, paper, rule = "#0b7285", "#adb5bd", "#212529", "#ffffff", "#dee2e6"
strokes = {"penstock": ours, "io_uring": ours}


def text(x, y, words, anchor="start", size=13, weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
            f'fill="{ink}">{html.escape(words)}</text>')


def page(height, title, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="sans-serif" role="img" aria-label="{html.escape(title, quote=True)}">')
    frame = f'<rect width="{width}" height="{height}" rx="6" fill="{paper}"/>'
    return "\n".join([head, frame, text(16, 26, title, size=15, weight="bold"), *parts, "</svg>"]) + "\n"


def bars(title, rows):
    """Horizontal bars: rows of (label, value, words beside the bar). A bar four times as long as ours is cut off."""
    known = [value for _, value, _ in rows]
    mine = [value for label, value, _ in rows if label in strokes]
    most = max(known)
    if mine and most > 4 * max(mine):
        within = [value for value in known if value <= 4 * max(mine)]
        most = max(within) * 1.25
    parts = []
    room = width - left - right
    for at, (label, value, words) in enumerate(rows):
        y = 44 + at * 28
        cut = value > most
        long = room if cut else max(1, room * value / most)
        color = strokes.get(label, others)
        parts.append(text(left - 10, y + 15, label, "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{long:.0f}" height="20" rx="2" fill="{color}"/>')
        if cut:
            parts.append(f'<path d="M{left + room - 24} {y - 2}l-8 24h6l8 -24z" fill="{paper}"/>')
        parts.append(text(left + long + 8, y + 15, words))
    return page(56 + 28 * len(rows), title, parts)


def ticks(most, log):
    """Round values up to `most` or a little above."""
    if log:
        return [10**power for power in range(math.ceil(math.log10(most)) + 1)]
    step = 10 ** math.floor(math.log10(most / 4))
    step = next(step * factor for factor in (1, 2, 2.5, 5, 10) if step * factor * 5 >= most)
    return [step * at for at in range(math.ceil(most / step) + 1)]


def lines(title, labels, series, unit, log=False):
    """One line for each target over evenly spaced labels; series is {name: [values]}, from zero upwards or by powers of ten."""
    height, top, bottom, shift = 300, 48, 46, 64
    marks = ticks(max(max(values) for values in series.values()), log)
    share = (lambda value: math.log10(max(1, value)) / math.log10(marks[-1])) if log else (lambda value: value / marks[-1])
    at_x = lambda at: shift + (width - shift - right) * (at / max(1, len(labels) - 1))
    at_y = lambda value: height - bottom - (height - top - bottom) * share(value)
    parts = []
    for value in marks:
        parts.append(f'<path d="M{shift} {at_y(value):.0f}H{width - right}" stroke="{rule}"/>')
        parts.append(text(shift - 8, at_y(value) + 4, f"{value:g}", "end", 12))
    for at, label in enumerate(labels):
        parts.append(text(at_x(at), height - bottom + 20, label, "middle", 12))
    for name, values in series.items():
        color = strokes.get(name, "#868e96")
        points = " ".join(f"{at_x(at):.0f},{at_y(value):.0f}" for at, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{at_x(at):.0f}" cy="{at_y(value):.0f}" r="3.5" fill="{color}"/>' for at, value in enumerate(values)]
        parts.append(text(at_x(len(values) - 1) + 10, at_y(values[-1]) + 4, name))
    parts.append(text(shift, height - 8, unit, size=12))
    return page(height, title, parts)
