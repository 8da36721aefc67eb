"""How well a mask covers the truth: counts of voxels, and the ratios made of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LESION_SUBTYPES = {"ground-glass": 1, "consolidation": 2, "mixed": 3}
SUBSETS = ("all", *LESION_SUBTYPES)

CHUNK = 1 << 18  # voxels counted at a time, so that the temporary arrays stay in the processor's cache


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of a prediction against the truth; overlaps add, which pools scans.

    A ratio without a denominator is nan. In particular an empty mask against an empty truth has no IoU and no Dice:
    a scan without lesions that is left unmarked is right, but it says nothing about how well lesions are outlined, and
    averaged in as 1 such scans would drown those that do. Its specificity says it.

    Attributes:
        tp: Voxels in both.
        fp: Voxels in the prediction alone.
        fn: Voxels in the truth alone.
        tn: Voxels in neither.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: "Overlap") -> "Overlap":
        """The counts of both together."""
        return Overlap(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def iou(self) -> float:
        """|X and Y| / |X or Y| (Xie et al. 2021, equation 7); nan if both are empty."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def dice(self) -> float:
        """2 |X and Y| / (|X| + |Y|); nan if both are empty."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def ppv(self) -> float:
        """The share of the predicted voxels that is right; nan if none is predicted."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def sensitivity(self) -> float:
        """The share of the true voxels that is found; nan if the truth is empty."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """The share of the voxels without lesion that is left unmarked; nan if there are none."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def has_lesions(self) -> bool:
        """Whether the truth holds any voxel: what `positives` means in the tables."""
        return self.tp + self.fn > 0


def overlap(prediction: np.ndarray, truth: np.ndarray, inside: np.ndarray | None = None) -> Overlap:
    """Count a mask against the truth.

    Args:
        prediction: Mask, any shape; not zero is lesion. Boolean or integer.
        truth: The true mask, same shape; not zero is lesion, so subtype labels may be given as they are.
        inside: Where to count (the lungs, say), same shape; None counts everywhere.

    Raises:
        ValueError: Shapes differ, or a mask holds fractions (a probability map wants a threshold first).
    """
    counts = np.zeros(4, dtype=np.int64)  # in both, in the prediction, in the truth, in all
    for marked, labels, wanted in _chunks(prediction, truth, inside):
        true = (labels != 0) & wanted
        counts += [np.count_nonzero(voxels) for voxels in (marked & true, marked, true, wanted)]
    both, predicted, true, every = counts.tolist()
    return Overlap(both, predicted - both, true - both, every - predicted - true + both)


def subtype_overlaps(
    prediction: np.ndarray, truth_labels: np.ndarray, inside: np.ndarray | None = None
) -> dict[str, Overlap]:
    """Count a mask against all lesions and against those of each subtype.

    A prediction does not say which subtype it means. So for each subtype the voxels of the other two are left out of
    the count altogether: marking them is right, and must count neither for nor against. Voxels marked outside
    all lesions are false positives of every subtype.

    Args:
        prediction: Mask, any shape; not zero is lesion. Boolean or integer.
        truth_labels: 0 none, 1 ground-glass, 2 consolidation, 3 mixed; same shape. With a truth of only 0 and 1 that
            does not tell subtypes apart, use `overlap`.
        inside: Where to count, same shape; None counts everywhere.

    Returns:
        One overlap for each of `SUBSETS`.

    Raises:
        ValueError: Shapes differ, a mask holds fractions, or a label is not one of 0 to 3.
    """
    counts = np.zeros((2, 4), dtype=np.int64)  # [marked, label]
    for marked, labels, wanted in _chunks(prediction, truth_labels, inside):
        if labels.dtype.kind != "b" and not 0 <= labels.min() <= labels.max() <= 3:
            raise ValueError(f"lesion labels are {np.unique(labels)[:8].tolist()}; expected 0 to 3")
        for label in range(4):
            here = (labels == label) & wanted
            hits = np.count_nonzero(here & marked)
            counts[:, label] += (np.count_nonzero(here) - hits, hits)
    missed, found = counts.tolist()
    found_by_name = {"all": sum(found[1:])} | {name: found[label] for name, label in LESION_SUBTYPES.items()}
    missed_by_name = {"all": sum(missed[1:])} | {name: missed[label] for name, label in LESION_SUBTYPES.items()}
    return {name: Overlap(found_by_name[name], found[0], missed_by_name[name], missed[0]) for name in SUBSETS}


def _chunks(
    prediction: np.ndarray, truth: np.ndarray, inside: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(marked inside, labels, inside) of all voxels, a cacheful at a time; the first and the last are booleans."""
    arrays = [prediction, truth] if inside is None else [prediction, truth, inside]
    for array in arrays:
        if array.shape != prediction.shape:
            raise ValueError(f"masks have shapes {prediction.shape} and {array.shape}; expected one grid")
        if array.dtype.kind not in "biu":
            raise ValueError(f"a mask holds {array.dtype} values; expected booleans or whole numbers")
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, prediction.size, CHUNK):
        marked, labels, *rest = (array[start : start + CHUNK] for array in flat)
        wanted = rest[0] != 0 if rest else np.ones(marked.shape, dtype=bool)
        yield (marked != 0) & wanted, labels, wanted


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
