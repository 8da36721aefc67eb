"""AD3D-MIL: whether a region has lesions, and where, from a yes or no per region.

Han et al., "Accurate Screening of COVID-19 Using Attention-Based Deep 3D Multiple Instance Learning", IEEE TMI 39(8),
2020. The files:

`region_learning.prepare`  cohort -> one crop per region, with yes or no
`localisation`             crops -> classifier; classifier -> model file with the cut of its maps -> maps and masks
`report`                   the run for a reader
"""

from weakmask.methods.ad3d_mil.config import AD3DMILSettings
from weakmask.methods.ad3d_mil.localisation import classification, evaluate, load, maps, model
from weakmask.methods.ad3d_mil.report import run_page
from weakmask.methods.method import Method
from weakmask.region_learning.localisation import localisation_stages

METHOD = Method(
    title="whether a region has lesions, and where, by multiple instance learning with attention",
    paper="Han et al. 2020, IEEE TMI 39(8)",
    labels="yes or no per region (scores.csv or labels.csv)",
    settings=AD3DMILSettings,
    stages=localisation_stages(classification, model, maps, evaluate),
    report=run_page,
    load=load,
)

__all__ = ["METHOD", "AD3DMILSettings"]
