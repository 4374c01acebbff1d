"""The command line: ``lethe``."""

from lethe.cli._main import entry, main

__all__ = ["entry", "main"]
