"""Curves as one picture."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lethe.report._intervals import bounded, interval
from lethe.report._section import STABLE, WORKING, Curve, Panel, Section

COLOURS = ("#8c8c8c", "#c0392b", "#e59866", "#2471a3", "#1e8449", "#7d3c98", "#b7950b", "#17202a", "#16a085", "#d98880")
NAME_WIDTH = 60
"""Characters of a line in the legend, which is as wide as a panel."""


def draw(made: Sequence[Section]) -> bytes:
    """The sections' panels, side by side, as PNG: means over seeds, each with a band.

    The band reaches from the least to the largest seed, or, of anytime runs, over the mean's 95 % interval, which is
    cut at 0 and 100 %. A dot marks the epoch that the validation set chose. A method's working model has its stable
    model's colour, and a broken line.
    """
    plots = [
        (plot, section.band)
        for section in made
        for plot in (Panel(section.title, section.axes, section.curves), *section.more)
    ]
    named = [[textwrap.fill(curve.label, NAME_WIDTH) for curve in plot.curves] for plot, _ in plots]
    lines = max(sum(name.count("\n") + 1 for name in names) for names in named)
    figure = Figure(figsize=(4.8 * len(plots), 4.2 + 0.17 * lines), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(plots), squeeze=False)[0]
    for panel, (plot, kind), names in zip(panels, plots, named, strict=True):
        methods = list(dict.fromkeys(_method(curve) for curve in plot.curves))
        colours = dict(zip(methods, _colours(len(methods)), strict=True))
        for curve, name in zip(plot.curves, names, strict=True):
            mean, colour = [100 * value for value in curve.mean], colours[_method(curve)]
            working = curve.label.endswith(WORKING)
            style = "--" if working else "-"
            marker = "o" if kind == "interval" else None
            panel.plot(curve.x, mean, style, color=colour, label=name, linewidth=1.8, marker=marker, markersize=4)
            if len(curve.seeds) > 1:
                low, high = band(curve, kind)
                panel.fill_between(curve.x, low, high, color=colour, alpha=0.07 if working else 0.15, linewidth=0)
            elif curve.chosen is not None:
                at = list(curve.x).index(curve.chosen)
                panel.plot(curve.x[at], mean[at], "o", color=colour, markersize=6)
        panel.set_title(textwrap.fill(plot.title, 56), fontsize=9, loc="left")
        panel.set_xlabel(plot.axes[0])
        if plot.axes[0] in ("epoch", "megabatch"):
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_ylabel(plot.axes[1])
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", alpha=0.25)
        panel.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def band(curve: Curve, kind: str) -> tuple[list[float], list[float]]:
    """Lower and upper edge of a curve's band at each x, in %.

    Args:
        curve: shares of several seeds.
        kind: ``"range"`` or ``"interval"``, as :class:`Section` has it.
    """
    columns = list(zip(*curve.seeds, strict=True))
    if kind == "range":
        return [100 * min(c) for c in columns], [100 * max(c) for c in columns]
    found = [bounded(interval(c), 0.0, 1.0) for c in columns]
    return [100 * i.low for i in found], [100 * i.high for i in found]


def _method(curve: Curve) -> str:
    return curve.label.removesuffix(WORKING).removesuffix(STABLE)


def _colours(count: int) -> list[str]:
    """As many as there are methods, no two alike: beyond those that were picked by hand, evenly from a wide map."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [to_hex(colormaps["turbo"](at)) for at in np.linspace(0.02, 0.98, count)]
