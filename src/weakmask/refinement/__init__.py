"""Refinement: methods that turn an activation map into a mask."""

from weakmask.refinement.components import drop_small, fill_holes, fill_holes_in_slices, keep_largest
from weakmask.refinement.dense_crf import CRF, PRESETS, dense_crf, label_probabilities, refine_map
from weakmask.refinement.frangi import vesselness
from weakmask.refinement.inter_pixel_labels import labels_at_threshold, pixel_pairs, sure_labels
from weakmask.refinement.lesion_candidates import lesion_candidates
from weakmask.refinement.otsu import otsu_threshold
from weakmask.refinement.pair_affinity import edge_affinity, intensity_affinity, pair_offsets
from weakmask.refinement.random_walk import random_walk, walk_within_edges
from weakmask.refinement.vessels import LUNG_VESSELS_MM, vessel_mask

__all__ = [
    "CRF",
    "LUNG_VESSELS_MM",
    "PRESETS",
    "dense_crf",
    "drop_small",
    "edge_affinity",
    "fill_holes",
    "fill_holes_in_slices",
    "intensity_affinity",
    "keep_largest",
    "label_probabilities",
    "labels_at_threshold",
    "lesion_candidates",
    "otsu_threshold",
    "pair_offsets",
    "pixel_pairs",
    "random_walk",
    "refine_map",
    "sure_labels",
    "vessel_mask",
    "vesselness",
    "walk_within_edges",
]
