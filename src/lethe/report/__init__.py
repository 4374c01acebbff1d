"""What runs came to: tables, curves, and one self-contained HTML page."""

from lethe.report._best_last import BestLast, best_last
from lethe.report._curves import draw
from lethe.report._differences import Difference, paired_difference, with_differences
from lethe.report._html import page
from lethe.report._intervals import Interval, interval, with_intervals
from lethe.report._labels import LABELS
from lethe.report._landscape import draw_landscape
from lethe.report._provenance import provenance
from lethe.report._runs import Group, group_runs
from lethe.report._section import Curve, Panel, Row, Section
from lethe.report._sections import radius, sections
from lethe.report._tables import markdown, print_sections, write_csv
from lethe.report._verdict import verdict

__all__ = [
    "LABELS",
    "BestLast",
    "Curve",
    "Difference",
    "Group",
    "Interval",
    "Panel",
    "Row",
    "Section",
    "best_last",
    "draw",
    "draw_landscape",
    "group_runs",
    "interval",
    "markdown",
    "page",
    "paired_difference",
    "print_sections",
    "provenance",
    "radius",
    "sections",
    "verdict",
    "with_differences",
    "with_intervals",
    "write_csv",
]
