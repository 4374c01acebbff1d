"""Curves as one picture."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lethe.report._sections import Section

COLOURS = ("#8c8c8c", "#c0392b", "#e59866", "#2471a3", "#1e8449", "#7d3c98", "#b7950b", "#17202a")


def draw(made: Sequence[Section]) -> bytes:
    """One panel a section, side by side, as PNG: means over seeds, a band from the least to the largest seed.

    A dot marks the epoch that the validation set chose.
    """
    figure = Figure(figsize=(4.8 * len(made), 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(made), squeeze=False)[0]
    for panel, section in zip(panels, made, strict=True):
        for colour, curve in zip(_colours(len(section.curves)), section.curves, strict=True):
            mean = [100 * value for value in curve.mean]
            style = "--" if "working" in curve.label else "-"
            marker = "o" if section.axes[0] == "megabatch" else None
            panel.plot(
                curve.x, mean, style, color=colour, label=curve.label, linewidth=1.8, marker=marker, markersize=4
            )
            if len(curve.seeds) > 1:
                columns = list(zip(*curve.seeds, strict=True))
                low, high = [100 * min(c) for c in columns], [100 * max(c) for c in columns]
                panel.fill_between(curve.x, low, high, color=colour, alpha=0.15, linewidth=0)
            elif curve.chosen is not None:
                at = curve.x.index(curve.chosen)
                panel.plot(curve.x[at], mean[at], "o", color=colour, markersize=6)
        panel.set_title(textwrap.fill(section.title, 56), fontsize=9, loc="left")
        panel.set_xlabel(section.axes[0])
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_ylabel(section.axes[1])
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", alpha=0.25)
        panel.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
