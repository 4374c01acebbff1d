"""Files that are whole or not there: written aside, and moved into place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lethe._check import LetheError

WRITTEN_ASIDE = ".tmp"
"""What a file's name ends with until it is whole."""


def write_file(path: Path, write: Callable[[BinaryIO], object], *, before: Callable[[], None] | None = None) -> None:
    """Write beside ``path``, to the disk itself, and move into place: a crash leaves the old file or the new.

    Args:
        path: of the file; its folder is made.
        write: puts the content into an open file.
        before: done when the new file is whole, just before it takes the old one's place.

    Raises:
        LetheError: the disk is full, say; what was begun is removed, and the old file is as it was.
    """
    temporary = path.with_name(path.name + WRITTEN_ASIDE)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if before is not None:
                before()
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, as :func:`write_file` does; of text give its UTF-8, whatever the machine's own encoding is.

    Raises:
        LetheError: it cannot be written.
    """
    write_file(path, lambda file: file.write(content))


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, to the disk itself; one that cannot be written whole is not there.

    Raises:
        LetheError: the disk is full, say.
    """
    with writing(path), path.open("ab", buffering=0) as file:
        size = file.tell()
        content = line.encode() + b"\n"
        try:
            while content:  # a disk that is nearly full takes a part
                content = content[file.write(content) :]
            with suppress(OSError):  # not every place can be synchronised; what cannot be written has failed above
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says on a write into one line that names the file and says what to do.

    Raises:
        LetheError: it was an ``OSError``, or something that came of one, as in torch's writer of archives.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None:
            raise
        raise LetheError(
            f"{str(path)!r} cannot be written ({cause.strerror or cause}): what was there before is kept. "
            "Make room or give access, then go on (a run with --resume)."
        ) from error
