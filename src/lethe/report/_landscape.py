"""The loss around a network's weights as one picture."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lethe.evaluate import Sharpness


def draw_landscape(sharpness: Sharpness, title: str) -> bytes:
    """Three panels as PNG: the worst loss within growing radii, the 1-D slice, and the 2-D slice as contours."""
    figure = Figure(figsize=(13, 4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    worst, line, grid = figure.subplots(1, 3)
    worst.plot([100 * r for r in sharpness.radii], sharpness.worst, "-o", color="#c0392b", markersize=4)
    worst.set_xlabel("radius, % of each tensor's norm")
    worst.set_yscale("log")
    worst.set_title("worst weights near by", fontsize=9, loc="left")
    line.plot(sharpness.line, sharpness.on_line, "-", color="#2471a3")
    line.set_xlabel("along a random direction")
    line.set_title("filter-normalised, 1-D", fontsize=9, loc="left")
    for panel in (worst, line):
        panel.set_ylabel("cross-entropy")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", alpha=0.25)
    filled = grid.contourf(sharpness.grid, sharpness.grid, sharpness.on_grid, levels=20, cmap="viridis")
    grid.plot(0, 0, "w+", markersize=8)
    grid.set_aspect("equal")
    grid.set_title("filter-normalised, 2-D", fontsize=9, loc="left")
    figure.colorbar(filled, ax=grid, label="cross-entropy")
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
