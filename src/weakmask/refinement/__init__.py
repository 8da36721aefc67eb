"""Refinement: methods that turn activation maps into masks, and probability maps into instances."""

from weakmask.refinement.clean_cut import clean_cut
from weakmask.refinement.colour_models import weigh_colours
from weakmask.refinement.components import drop_small, fill_holes, fill_holes_in_slices, keep_largest
from weakmask.refinement.dense_crf import CRF, PRESETS, dense_crf, label_probabilities, refine_map
from weakmask.refinement.frangi import vesselness
from weakmask.refinement.instance_search import Decoder, decoders, search_decoder
from weakmask.refinement.instance_table import instance_table
from weakmask.refinement.instances import grow_seeds, mask_components, watershed
from weakmask.refinement.inter_pixel_labels import (
    labels_at_threshold,
    most_probable,
    pixel_pairs,
    proportional_probabilities,
    sure_labels,
)
from weakmask.refinement.lesion_candidates import lesion_candidates
from weakmask.refinement.otsu import otsu_threshold
from weakmask.refinement.pair_affinity import edge_affinity, intensity_affinity, pair_offsets
from weakmask.refinement.random_walk import random_walk, walk_within_edges
from weakmask.refinement.shade import times_shade, times_top_hat
from weakmask.refinement.sharp_region import sharpest_region
from weakmask.refinement.vessels import LUNG_VESSELS_MM, vessel_mask

__all__ = [
    "CRF",
    "LUNG_VESSELS_MM",
    "PRESETS",
    "Decoder",
    "clean_cut",
    "decoders",
    "dense_crf",
    "drop_small",
    "edge_affinity",
    "fill_holes",
    "fill_holes_in_slices",
    "grow_seeds",
    "instance_table",
    "intensity_affinity",
    "keep_largest",
    "label_probabilities",
    "labels_at_threshold",
    "lesion_candidates",
    "mask_components",
    "most_probable",
    "otsu_threshold",
    "pair_offsets",
    "pixel_pairs",
    "proportional_probabilities",
    "random_walk",
    "refine_map",
    "search_decoder",
    "sharpest_region",
    "sure_labels",
    "times_shade",
    "times_top_hat",
    "vessel_mask",
    "vesselness",
    "walk_within_edges",
    "watershed",
    "weigh_colours",
]
