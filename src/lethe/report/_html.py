"""One HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from lethe.report._section import Section, tables

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; }
p.note { color: #666; margin-top: 0; }
@media (prefers-color-scheme: dark) { img { background: #fff; } }
"""


def page(
    title: str,
    made: Sequence[Section],
    picture: bytes,
    introduction: Sequence[str] = (),
    sources: Sequence[str] = (),
) -> str:
    """The page: introduction, picture (PNG, embedded), each section's table and notes, and the numbers' sources."""
    encoded = base64.b64encode(picture).decode()
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(text)}</p>" for text in introduction)]
    parts.append(f'<img alt="curves of the runs in the tables below" src="data:image/png;base64,{encoded}">')
    for section in tables(made):
        head = "".join(f"<th>{escape(name)}</th>" for name in section.header)
        cells = [(row.label, *row.cells) for row in section.rows]
        body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in cells)
        parts.append(f"<h2>{escape(section.title)}</h2><table><tr>{head}</tr>{body}</table>")
        parts += [f'<p class="note">{escape(note)}</p>' for note in section.notes]
    parts += [f'<p class="note">{escape(source)}</p>' for source in sources]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
