"""From an activation map to a mask."""

from weakmask.refinement.dense_crf import CRF, PRESETS, dense_crf, label_probabilities, refine_map

__all__ = ["CRF", "PRESETS", "dense_crf", "label_probabilities", "refine_map"]
