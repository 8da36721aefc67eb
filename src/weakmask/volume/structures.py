"""Label maps from segmentations that name their structures: which number each structure gets, and one map of all."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.progress import note

LabelOf = Callable[[str], int | None]
"""Name of a structure -> its number in the label map; None: the structure is left out."""

_MOST_OVERLAP = 0.01  # of the smaller of two structures
_SHOWN = 8


def numbers_of(names: Sequence[str], label_of: LabelOf | None, path: Path) -> list[int | None] | None:
    """The number of each structure, as `label_of` gives them; a note lists structures that get none.

    Returns:
        None if no structure gets a number, so that the numbers in the file have to serve.
    """
    if label_of is None:
        return None
    numbers = [label_of(name) for name in names]
    unknown = [name for name, number in zip(names, numbers, strict=True) if number is None]
    if len(unknown) == len(names):
        return None
    if unknown:
        note(f"{path}: structures of other names are not used: {listed(unknown)}")
    return numbers


def merged(parts: Iterable[tuple[str, int, np.ndarray]], path: Path) -> np.ndarray:
    """One label map of several structures.

    Args:
        parts: Name, number and mask (nonzero inside) of each structure, all of one shape; at least one.
        path: The file or folder, for messages.

    Raises:
        UserError: Two structures overlap by more than 1 % of the smaller; of fewer voxels the first structure keeps
            them, and a note counts them.
    """
    labels: np.ndarray | None = None
    for name, number, mask in parts:
        inside = mask > 0
        if labels is None:
            labels = np.zeros(mask.shape, np.uint16)
        shared = inside & (labels > 0) & (labels != number)
        count, size = int(np.count_nonzero(shared)), int(np.count_nonzero(inside))
        if count:
            sizes = np.bincount(labels[shared])
            other = int(sizes.argmax())
            smaller = min(size, int(np.count_nonzero(labels == other)))
            if count > _MOST_OVERLAP * smaller:
                raise UserError(
                    f"{path}: structure {name[:80]!r} shares {count} voxels with the one numbered {other}; expected "
                    "regions that do not overlap; separate them"
                )
            note(f"{path}: {count} voxels of {name[:80]!r} belong to another structure, too, which keeps them")
        labels[inside & ~shared] = number
    if labels is None:
        raise ValueError("no structure to merge")
    return labels if labels.max() > 255 else labels.astype(np.uint8)


def listed(names: Sequence[str]) -> str:
    """The first names, for a message."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:60] for name in names[:_SHOWN]) + more
