"""Sections as tables: on the terminal, in Markdown, in CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lethe._files import write_bytes
from lethe.report._section import Section, tables


def print_sections(made: Sequence[Section], console: Console) -> None:
    """Print each section's table and notes."""
    for section in tables(made):
        table = Table(title=section.title, title_justify="left", title_style="bold")
        for column, name in enumerate(section.header):
            table.add_column(name, justify="left" if column == 0 else "right", min_width=0 if column else 17)
        for row in section.rows:
            table.add_row(row.label, *row.cells)
        console.print(table)
        for note in section.notes:
            console.print(note, style="dim")


def markdown(made: Sequence[Section], sources: Sequence[str] = ()) -> str:
    """The sections in Markdown, and where their numbers come from."""
    lines: list[str] = []
    for section in tables(made):
        lines += [f"### {section.title}", "", "| " + " | ".join(section.header) + " |"]
        lines += ["|---" + "|---:" * (len(section.header) - 1) + "|"]
        lines += ["| " + " | ".join((row.label, *row.cells)) + " |" for row in section.rows] + [""]
        for note in section.notes:
            lines += [note, ""]
    if sources:
        lines += ["Made by:", "", *(f"- {source}" for source in sources), ""]
    return "\n".join(lines)


def write_csv(made: Sequence[Section], path: Path) -> None:
    """All sections in one file: section, method, column, value."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["section", "method", "column", "value"])
    for section in tables(made):
        for row in section.rows:
            for name, cell in zip(section.header[1:], row.cells, strict=True):
                writer.writerow([section.title, row.label, name, cell])
    write_bytes(path, text.getvalue().encode())
