"""Tables as Markdown, CSV and on the terminal."""

import csv
import io

from rich.console import Console

from lethe.report import markdown, print_sections, write_csv


def test_markdown_has_title_header_rows_and_notes(section):
    lines = markdown([section({"SGD": [50.0], "AMP": [51.0]})]).splitlines()
    assert lines == [
        "### Accuracy, %",
        "",
        "| method | last | n |",
        "|---|---:|---:|",
        "| SGD | 50.0 | 1 |",
        "| AMP | 51.0 | 1 |",
        "",
        "a note.",
    ]


def test_csv_has_a_line_for_each_cell(section, tmp_path):
    write_csv([section({"SGD, lr 0.1": [50.0]}), section({"AMP": [51.0]})], tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["section", "method", "column", "value"]
    assert rows[1:3] == [["Accuracy, %", "SGD, lr 0.1", "last", "50.0"], ["Accuracy, %", "SGD, lr 0.1", "n", "1"]]
    assert len(rows) == 5


def test_the_terminal_shows_every_cell(section):
    console = Console(file=io.StringIO(), width=100)
    print_sections([section({"SGD": [50.0], "AMP": [51.0]})], console)
    text = console.file.getvalue()
    for word in ("Accuracy, %", "method", "SGD", "50.0", "AMP", "51.0", "a note."):
        assert word in text
