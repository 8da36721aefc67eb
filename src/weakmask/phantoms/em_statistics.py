"""Numbers that compare phantoms of electron microscopy with real stacks."""

import cc3d
import numpy as np
from jaxtyping import Integer, UInt8

from weakmask.phantoms.em_bodies import touching_pairs


def stack_statistics(image: UInt8[np.ndarray, "z y x"], labels: Integer[np.ndarray, "z y x"]) -> dict[str, float]:
    """Statistics of a stack and its instances.

    Args:
        image: Grey values.
        labels: 0 outside, a number per instance.

    Returns:
        `foreground`, the share of voxels in instances; `neighbours`, the mean Dice of the masks of neighbouring
        sections; `threshold`, the Dice of the best single threshold, below which a voxel counts as foreground;
        `instances`; `touching`, the share of instances that share a face with another; `components` of the mask.
    """
    mask = labels > 0
    marked = mask.sum(axis=(1, 2))
    both = (mask[1:] & mask[:-1]).sum(axis=(1, 2))
    neighbours = 2 * both / np.maximum(marked[1:] + marked[:-1], 1)
    pairs = touching_pairs(labels.astype(np.int32))
    instances = len(np.unique(labels[mask]))
    components = cc3d.connected_components(mask.astype(np.uint8), connectivity=6)
    return {
        "foreground": float(mask.mean()),
        "neighbours": float(neighbours.mean()) if len(neighbours) else 0.0,
        "threshold": best_threshold_dice(image, labels),
        "instances": float(instances),
        "touching": len({number for pair in pairs for number in pair}) / max(instances, 1),
        "components": float(np.max(components)),
    }


def best_threshold_dice(image: UInt8[np.ndarray, "z y x"], labels: Integer[np.ndarray, "z y x"]) -> float:
    """The Dice of the best mask of voxels that are darker than a threshold."""
    mask = labels > 0
    all_darker, true_darker = (np.cumsum(np.bincount(one, minlength=256)) for one in (image.ravel(), image[mask]))
    return float((2 * true_darker / np.maximum(all_darker + int(mask.sum()), 1)).max())
