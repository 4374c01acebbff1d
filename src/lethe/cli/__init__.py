"""The command line: ``lethe``."""

from lethe.cli._main import main

__all__ = ["main"]
