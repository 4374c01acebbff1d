"""Where a benchmark's lines go."""

from __future__ import annotations

from pathlib import Path


def show(lines: list[str], out: Path | None) -> None:
    """Print a page, and write it if a file is given."""
    page = "\n".join(lines) + "\n"
    print(page)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page)
        print(f"written: {out}")
