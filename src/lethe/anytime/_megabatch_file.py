"""A megabatch in a file: read without running code, and checked before anything is learnt from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lethe._check import LetheError

Arrays: TypeAlias = "tuple[NDArray[np.uint8], NDArray[np.int64]]"
"""Images (n, c, h, w) and labels (n,)."""
CHANNELS = (1, 3)


def read_npz(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The arrays ``images`` and ``labels`` of an ``.npz`` file, as they are.

    Raises:
        FileNotFoundError: it is gone.
        LetheError: it is cut short, damaged, no such file, or holds pickled objects, which are not loaded.
    """
    try:
        with path.open("rb") as opened:  # which NumPy leaves open where it is no archive
            file = np.load(opened, allow_pickle=False)
            return file["images"], file["labels"]
    except FileNotFoundError:
        raise
    except (KeyError, IndexError) as error:  # the latter of a file with a single array
        raise LetheError("it has no array 'images' or none called 'labels'") from error
    except Exception as error:  # what a damaged file makes a reader raise has no limits
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "pickle" in reason:  # NumPy's own words say how to load what may be anybody's code
            reason = "not an archive of plain arrays"
        raise LetheError(f"it cannot be read as .npz ({reason})") from error


def checked(images: NDArray[Any], labels: NDArray[Any], shape: tuple[int, ...] | None, classes: int | None) -> Arrays:
    """The arrays as a megabatch, channels first.

    Args:
        images: bytes, (n, h, w, c) or (n, c, h, w); where both would do, the latter. Grey ones may be (n, h, w).
        labels: whole numbers, (n,).
        shape: that the images must have, (c, h, w); None: any, of one channel or three.
        classes: labels must be less; None: any.

    Raises:
        LetheError: it says in a few words what is wrong.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8:
        raise LetheError(f"its images are {images.dtype}, and must be uint8, from 0 to 255")
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or not images.size:
        raise LetheError(f"its images have the shape {images.shape}: it must be (n, h, w, c) or (n, c, h, w)")
    first, last = images.shape[1:], (images.shape[3], images.shape[1], images.shape[2])
    if not (first == shape if shape else first[0] in CHANNELS):
        if not (last == shape if shape else last[0] in CHANNELS):
            must = "x".join(map(str, shape)) if shape else "those of one channel or three"
            raise LetheError(f"its images are {'x'.join(map(str, first))}, and must be {must}")
        images = images.transpose(0, 3, 1, 2)
    if labels.ndim != 1 or len(labels) != len(images) or not np.issubdtype(labels.dtype, np.integer):
        raise LetheError(
            f"its labels are {labels.dtype} of shape {labels.shape}, and must be {len(images)} whole numbers"
        )
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or (classes is not None and most >= classes):
        outside = least if least < 0 else most
        raise LetheError(f"it has the label {outside}" + (f", and there are {classes} classes" if classes else ""))
    return np.ascontiguousarray(images), labels.astype(np.int64)
