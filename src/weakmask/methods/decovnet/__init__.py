"""DeCoVNet: whether a region has lesions, and where, from a yes or no per region.

Wang X. et al., "A Weakly-Supervised Framework for COVID-19 Classification and Lesion Localization From Chest CT", IEEE
TMI 39(8), 2020. The files:

`region_learning.prepare`  cohort -> one crop per region, with yes or no
`localisation`             crops -> classifier; classifier -> model file with the cut of its maps -> maps and masks
`report`                   the run for a reader
"""

from weakmask.methods.decovnet.config import DeCoVNetSettings
from weakmask.methods.decovnet.localisation import classification, evaluate, load, maps, model
from weakmask.methods.decovnet.report import run_page
from weakmask.methods.method import Method
from weakmask.region_learning.localisation import localisation_stages

METHOD = Method(
    title="whether a region has lesions, and where, by a light classifier",
    paper="Wang X. et al. 2020, IEEE TMI 39(8)",
    labels="yes or no per region (scores.csv or labels.csv)",
    settings=DeCoVNetSettings,
    stages=localisation_stages(classification, model, maps, evaluate),
    report=run_page,
    load=load,
)

__all__ = ["METHOD", "DeCoVNetSettings"]
