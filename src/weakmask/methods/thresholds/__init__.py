"""Baselines without a network: the floor that every learned method has to stand above.

`otsu_in_regions`       Otsu's threshold in each region of each scan; sees no label
`choose_fixed_threshold` one intensity for all scans, chosen on the training scores by dRAM's own loss; the honest floor
`predict_nothing`       the empty mask; shows what an average over scans without lesions is worth
"""

from weakmask.methods.thresholds.fixed import (
    HU_EDGES,
    choose_fixed_threshold,
    fixed_threshold_mask,
    region_histograms,
    value_histogram,
)
from weakmask.methods.thresholds.nothing import predict_nothing
from weakmask.methods.thresholds.otsu import otsu_in_regions

__all__ = [
    "HU_EDGES",
    "choose_fixed_threshold",
    "fixed_threshold_mask",
    "otsu_in_regions",
    "predict_nothing",
    "region_histograms",
    "value_histogram",
]
