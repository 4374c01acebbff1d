"""Where the command line's extra is not installed, only the library's own tests are collected."""

from importlib.util import find_spec

HAS_EXTRA = all(find_spec(name) for name in ("tyro", "rich", "matplotlib", "sklearn", "torchvision"))
collect_ignore = [] if HAS_EXTRA else ["cli", "data", "engine", "evaluate", "generic", "recipes", "report"]
